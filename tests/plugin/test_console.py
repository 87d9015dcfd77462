"""The splat scanner, on recorded consoles (data/README.md) and on samples of format strings."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kseries.console import FATAL, Scanner, Splat, decode

from .fakes import DATA

CONSOLE = DATA / "console"
RECORDED = {
    "panic": ("panic", "Kernel panic - not syncing: Attempted to kill init! exitcode=0x00000000"),
    "oops": ("oops", "BUG: kernel NULL pointer dereference, address: 0000000000000000"),
    "warning": (
        "warning",
        "WARNING: CPU: 0 PID: 43 at lib/refcount.c:28 refcount_warn_saturate+0xb2/0x100",
    ),
    "soft-lockup": ("soft lockup", "watchdog: BUG: soft lockup - CPU#1 stuck for 6s! [poke:43]"),
    "rcu-stall": ("rcu stall", "rcu: INFO: rcu_sched self-detected stall on CPU"),
    "hung-task": ("hung task", "INFO: task poke:44 blocked for more than 2 seconds."),
    "hung-task-loglevel-5": ("hung task", "INFO: task poke:44 blocked for more than 2 seconds."),
    "atomic-sleep": (
        "atomic sleep",
        "BUG: sleeping function called from invalid context at Linux version 6.12.117",
    ),
    "lockdep": ("lockdep", "WARNING: bad unlock balance detected!"),
    "lockdep-state": ("lockdep", "WARNING: inconsistent lock state"),
}
SYSCALL = ["x64_sys_call", "do_syscall_64", "entry_SYSCALL_64_after_hwframe"]


def _recorded(name: str) -> str:
    return (CONSOLE / f"{name}.log").read_text()


def _scan(text: str) -> list[Splat]:
    scanner = Scanner()
    scanner.feed(text)
    return scanner.splats


def _handmade() -> list[tuple[str, str]]:
    text = (CONSOLE / "handmade.txt").read_text()
    blocks = [block for block in text.split("\n\n") if not block.startswith("#")]
    return [(block.split(":")[0], block.partition("\n")[2] + "\n") for block in blocks]


def _functions(*names: str) -> str:
    return "".join(f"[    1.000000]  {name}+0x1/0x2\n" for name in names)


@pytest.mark.parametrize("name", ["clean", "clean-debug"])
def test_clean_boot_has_no_splat(name: str) -> None:
    assert _scan(_recorded(name)) == []


def test_verbose_boot_has_no_splat() -> None:
    boot, mark, _ = _recorded("hung-task").partition("=== /poke set")
    assert mark
    assert len(boot.splitlines()) > 200
    assert _scan(boot) == []


@pytest.mark.parametrize("name", RECORDED)
def test_recorded_kind_and_title(name: str) -> None:
    first = _scan(_recorded(name))[0]
    kind, title = RECORDED[name]
    assert first.kind == kind
    assert first.title.startswith(title)


def test_an_oops_is_one_event() -> None:
    (splat,) = _scan(_recorded("oops"))
    assert splat.fatal
    assert any("Oops: Oops: 0010" in line for line in splat.lines)
    assert splat.functions == SYSCALL
    assert splat.lines[-1].startswith("---[ end trace")


def test_a_warning_is_named_by_its_place() -> None:
    (splat,) = _scan(_recorded("warning"))
    assert splat.signature == ("warning", "refcount_warn_saturate", *SYSCALL[:2])
    assert not splat.fatal


def test_a_panic_ends_with_the_console() -> None:
    (splat,) = _scan(_recorded("panic"))
    assert splat.fatal
    assert splat.lines[-1] == "Kernel Offset: disabled"


def test_a_guess_of_the_unwinder_is_no_caller() -> None:
    first, second = _scan(_recorded("soft-lockup"))
    assert first.functions == ["delay_tsc", *SYSCALL]
    assert first.signature == second.signature
    assert first.title != second.title


def test_a_hung_task_is_named_by_who_waits() -> None:
    first = _scan(_recorded("hung-task"))[0]
    assert first.functions[:4] == ["__schedule", "schedule", "schedule_timeout", "msleep"]
    assert first.signature == ("hung task", "msleep", *SYSCALL[:2])


def test_a_second_hung_task_is_a_second_splat() -> None:
    assert [s.title[-10:] for s in _scan(_recorded("hung-task-loglevel-5"))] == [
        "2 seconds.",
        "4 seconds.",
        "6 seconds.",
    ]


@pytest.mark.parametrize(("kind", "sample"), _handmade())
def test_format_strings_of_other_kinds(kind: str, sample: str) -> None:
    (splat,) = _scan(sample)
    assert splat.kind == kind
    assert splat.fatal == (kind in FATAL)


def test_every_kind_has_a_sample() -> None:
    from kseries.console import _KINDS

    seen = {kind for kind, _ in _handmade()} | {kind for kind, _ in RECORDED.values()}
    assert seen == {kind for kind, _ in _KINDS}


def test_who_reports_is_not_part_of_a_signature() -> None:
    samples = dict(reversed(_handmade()))
    (lockdep,) = _scan(samples["lockdep"])
    assert lockdep.signature == ("lockdep", "tun_ring_consume", "tun_do_read")
    (kasan,) = _scan(samples["kasan"])
    assert kasan.signature == ("kasan", "tun_net_xmit", "dev_hard_start_xmit")


def test_who_reports_is_not_part_of_a_recorded_signature() -> None:
    (lockdep,) = _scan(_recorded("lockdep"))
    assert lockdep.functions[3:6] == ["lock_release", "__mutex_unlock_slowpath", "mutex_unlock"]
    assert lockdep.signature == ("lockdep", "__rtnl_unlock", "netdev_run_todo", "rtnl_unlock")
    (state,) = _scan(_recorded("lockdep-state"))
    assert state.signature == ("lockdep", "tun_wake_queue", "tun_do_read", "tun_chr_read_iter")
    assert "</TASK>" in state.lines[-1]
    (sleep,) = _scan(_recorded("atomic-sleep"))
    assert sleep.signature[:3] == ("atomic sleep", "handle_softirqs", "irq_exit_rcu")


def test_compilers_suffixes_are_not_part_of_a_signature() -> None:
    head = "[    1.000000] WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n"
    one = _scan(head + _functions("f.isra.0", "g.cold", "h"))[0]
    two = _scan(head + _functions("f", "g", "h.constprop.3"))[0]
    assert one.signature == two.signature == ("warning", "f", "g", "h")


def test_an_oops_after_a_kasan_report_is_fatal() -> None:
    text = "BUG: KASAN: null-ptr-deref in f+0x1/0x2\nBUG: kernel NULL pointer dereference, address"
    assert [(s.kind, s.fatal) for s in _scan(text + ": 0\n")] == [("kasan", False), ("oops", True)]


def test_the_end_of_a_panic_is_no_second_panic() -> None:
    noise = "".join(f"line {n}\n" for n in range(90))
    text = "Kernel panic - not syncing: Fatal exception\n" + noise
    end = "---[ end Kernel panic - not syncing: Fatal exception ]---\n"  # kernel/panic.c
    assert len(_scan(text + end)) == 1


def test_a_long_splat_is_cut() -> None:
    (splat,) = _scan("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1/0x2\n" + _functions("f") * 500)
    assert len(splat.lines) == 80


def test_lines_before_a_splat_do_not_belong_to_it() -> None:
    (splat,) = _scan(_recorded("warning"))
    assert splat.lines[0] == splat.title


def test_context_and_level_before_the_time() -> None:
    # printk with CONFIG_PRINTK_CALLER puts the task or CPU after the time: kernel/printk/printk.c.
    (splat,) = _scan("<0>[    1.234567][   T43] Kernel panic - not syncing: x\n")
    assert splat.title == "Kernel panic - not syncing: x"


def test_feed_returns_what_began_in_the_piece() -> None:
    scanner = Scanner()
    assert scanner.feed("WARNING: CPU: 0 PID: 1 at a.c:1 f+0x1") == []
    assert [s.kind for s in scanner.feed("/0x2\n")] == ["warning"]
    assert scanner.feed(" g+0x1/0x2\n") == []
    assert scanner.splats[0].functions == ["g"]


@pytest.mark.parametrize("name", RECORDED)
@given(cuts=st.lists(st.integers(0, 6000), max_size=8))
def test_pieces_do_not_matter(name: str, cuts: list[int]) -> None:
    text = _recorded(name).replace("\n", "\r\n")  # as it comes from the serial line
    if name == "hung-task":
        text = text[-6000:]
    scanner = Scanner()
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    for start, end in zip([0, *ends], ends, strict=False):
        scanner.feed(text[start:end])
    assert scanner.splats == _scan(text.replace("\r\n", "\n"))


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    scanner = Scanner()
    scanner.feed(text + "\n")
    for splat in scanner.splats:
        assert splat.signature[0] == splat.kind


def test_decode_runs_the_trees_own_script(tmp_path: Path) -> None:
    log = tmp_path / "console-x.log"
    log.write_text("f+0x1/0x2\n")
    script = tmp_path / "src/scripts/decode_stacktrace.sh"
    script.parent.mkdir(parents=True)
    script.write_text('echo "$1 $2"; cat\n')
    decoded = decode(log, tmp_path / "vmlinux", tmp_path / "src")
    assert decoded == tmp_path / "console-x.decoded.log"
    assert decoded.read_text() == f"{tmp_path}/vmlinux {tmp_path}/src\nf+0x1/0x2\n"


@pytest.mark.parametrize("script", [None, "exit 1\n"])
def test_a_trace_without_lines_is_better_than_none(tmp_path: Path, script: str | None) -> None:
    log = tmp_path / "console-x.log"
    log.write_text("f+0x1/0x2\n")
    if script:
        (tmp_path / "scripts").mkdir()
        (tmp_path / "scripts/decode_stacktrace.sh").write_text(script)
    assert decode(log, tmp_path / "vmlinux", tmp_path) == log
    assert not (tmp_path / "console-x.decoded.log").exists()


def test_no_recording_names_this_machine() -> None:
    for path in DATA.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert not re.search(r"/(?:home|root|tmp)/|/(?:main|shared)/|root@", text), path
