"""Who is to blame where a guest is gone: its kernel, or what runs it."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kseries import guest as guests_of
from kseries import launch, stillness
from kseries.build import Image
from kseries.errors import GuestCrashed, InfraError
from kseries.guest import Guest
from kseries.lane import Lane

from .fakes import write_files

REFUSES = "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"
WARNS = "qemu-system-x86_64: warning: TCG doesn't support requested feature"


def _image(folder: Path) -> Image:
    (folder / "config").write_text("CONFIG_TINY=y\n")
    return Image(folder, "patched", "0" * 16, "6.12.99", "gcc", 1.0)


def _booted(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Guest:
    """Boot what a shell script does in virtme-ng's place."""
    monkeypatch.setattr(launch, "command", lambda *_, **__: ["/bin/sh", "-c", script])
    guest = Guest(_image(folder), Lane.TCG, folder / "root", folder / "logs", "patched-1")
    try:
        guest.boot()
    finally:
        guest.close()
    return guest


# virtme-ng ends with 0 also where its QEMU ended with 1.
def test_a_qemu_that_refuses_is_infra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfraError) as caught:
        _booted(tmp_path, monkeypatch, f'echo "{REFUSES}" >&2')
    assert str(caught.value).startswith("patched kernel: QEMU or virtme-ng ended while booting")
    assert REFUSES in str(caught.value)


def test_a_virtme_ng_that_cannot_be_started_is_infra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "command", lambda *_, **__: [str(tmp_path / "vng")])
    guest = Guest(_image(tmp_path), Lane.TCG, tmp_path / "root", tmp_path / "logs", "patched-1")
    with pytest.raises(InfraError, match=r"/vng cannot be started: .*No such file"):
        guest.boot()
    guest.close()


def test_a_guest_without_a_port_is_infra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfraError, match="kseries: no port to the host"):
        _booted(tmp_path, monkeypatch, "echo 'kseries: no port to the host'")


def test_a_reset_is_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f'echo "{WARNS}" >&2; printf "one\\r\\ntwo\\r\\n"'
    with pytest.raises(GuestCrashed, match="the guest reset or powered off") as caught:
        _booted(tmp_path, monkeypatch, script)
    assert caught.value.kind == "reset"
    assert (tmp_path / "logs/console-patched-1.log").read_text() == "one\ntwo\n"


WARNING = "WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_xmit+0x1/0x2"
STALL = "rcu: INFO: rcu_sched detected stalls on CPUs/tasks:"
PORT = """
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
port, _ = server.accept()
port.sendall(b"hello 1\\n")
"""
ANSWERS = f"""{PORT}
for line in port.makefile():
    _, number, deadline, *argv = line.split()
    if argv[0] == "crashes":
        break
    if argv[0] == "loud":
        os.write(1, b"." * (1 << 20))
    if argv[0] == "warns":
        print({WARNING!r}, flush=True)
    said = f"out {{number}} {{argv[0]}} is number {{number}}\\nend {{number}} exit 0 1\\n"
    port.sendall(said.encode())
    if argv[0] == "late":
        while not os.path.exists(argv[1]):
            time.sleep(0.01)
        print({WARNING!r}, flush=True)
    if argv[0] == "dies":
        break
"""


@contextmanager
def _running(
    folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, *names: str
) -> Iterator[list[Guest]]:
    """Boot what a Python script does in virtme-ng's place, once for each name."""
    monkeypatch.setattr(
        launch,
        "command",
        lambda *args, **_: [sys.executable, "-c", script, f"{args[5]}/port"],
    )
    guests = [
        Guest(_image(folder), Lane.TCG, folder / "root", folder / "logs", name) for name in names
    ]
    try:
        for guest in guests:
            guest.boot()
        yield guests
    finally:
        for guest in guests:
            guest.close()


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guest]:
    """A guest that answers with the program's name and its number."""
    with _running(tmp_path, monkeypatch, ANSWERS, "patched") as (one,):
        yield one


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Guest]]:
    """Two such guests; who waits for the second one listens to the first."""
    with _running(tmp_path, monkeypatch, ANSWERS, "stock", "patched") as guests:
        guests[1].meanwhile = guests[0].listen
        yield guests


def test_a_guest_is_started_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = f"print('started', flush=True)\nprint({WARNING!r}, flush=True)\n"
    with _running(tmp_path, monkeypatch, count + ANSWERS) as guests:
        guest = Guest(_image(tmp_path), Lane.TCG, tmp_path / "root", tmp_path / "logs", "patched")
        guests.append(guest)
        assert not guest.started
        guest.start()
        guest.start()
        assert guest.started
        assert not guest.alive
        guest.boot()
        assert guest.alive
        assert [splat.kind for splat in guest.at_boot] == ["warning"]
        assert not guest.run(["quiet"], 1000).splats
        guest.close()
        assert not guest.started
    assert guest.console_log.read_text().count("started") == 1


@pytest.mark.parametrize(
    ("said", "kinds"),
    [("", ["reset"]), (WARNING, ["warning", "reset"]), ("Oops: 0000 [#1]", ["oops"])],
)
def test_what_ends_a_guest_is_told_apart_from_what_it_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, kinds: list[str]
) -> None:
    script = f"{PORT}port.recv(99)\nprint({said!r})\n"
    with _running(tmp_path, monkeypatch, script, "patched-1") as (guest,):
        ran = guest.run(["program"], 1000)
    assert ran.ended is None
    assert [splat.kind for splat in ran.splats] == kinds


def test_what_was_begun_runs_once(guest: Guest) -> None:
    guest.begin(["a"], 1000)
    guest.begin(["a"], 1000)
    lines = [guest.run([name], 1000).lines for name in "aab"]
    assert lines == [["a is number 1"], ["a is number 2"], ["b is number 3"]]


def test_what_was_begun_for_another_is_not_its_own(guest: Guest) -> None:
    guest.begin(["warns"], 1000)
    rans = [guest.run(["a"], 1000), guest.run(["a"], 1000)]
    guest.begin(["a"], 1000)
    rans.append(guest.run(["a"], 999))
    assert [ran.lines for ran in rans] == [
        ["a is number 2"],
        ["a is number 3"],
        ["a is number 5"],
    ]
    # Yet what the kernel said is not lost with it.
    assert [len(ran.splats) for ran in rans] == [1, 0, 0]


def _run_until(guest: Guest, seen: Callable[[], bool]) -> None:
    """Run a program that nobody complains of, again and again."""
    end = time.monotonic() + 30
    while not seen() and time.monotonic() < end:
        ran = guest.run(["a"], 1000)
        assert ran.ended
        assert ran.splats == []


def test_what_is_said_late_is_told_with_the_next(two: list[Guest], tmp_path: Path) -> None:
    first, second = two
    go = tmp_path / "go"
    assert first.run(["late", str(go)], 1000).splats == []
    go.touch()
    _run_until(second, lambda: bool(first.scanner.splats))
    assert [splat.kind for splat in first.run(["b"], 1000).splats] == ["warning"]


# A console takes some kilobytes; a guest that nobody listens to would stand still there.
def test_a_guest_goes_on_while_another_is_waited_for(two: list[Guest]) -> None:
    first, second = two
    first.begin(["loud"], 1000)
    _run_until(second, lambda: first.console_log.stat().st_size >= 1 << 20)
    assert first.console_log.stat().st_size == 1 << 20
    assert first.run(["loud"], 1000).lines == ["loud is number 1"]


def test_a_guest_that_died_meanwhile_says_so(two: list[Guest]) -> None:
    first, second = two
    assert first.run(["dies"], 1000).ended
    while first.listen():
        pass
    ran = first.run(["a"], 1000)
    assert [splat.kind for splat in ran.splats] == ["reset"]
    second.begin(["crashes"], 1000)
    with pytest.raises(GuestCrashed, match="did not live to run b") as caught:
        second.run(["b"], 1000)
    assert caught.value.kind == "reset"


def test_a_machine_that_stands_still(two: list[Guest], monkeypatch: pytest.MonkeyPatch) -> None:
    """All guests that are there then have it said of them, later ones not."""
    monkeypatch.setattr(stillness, "LONG_S", 0.5)
    guest = two[1]
    guest.meanwhile = lambda: time.sleep(0.1)
    assert guest.run(["quick"], 1000).ended
    assert not guest.stood_still_s
    guest.meanwhile = lambda: time.sleep(0.6)
    assert guest.run(["a"], 1000).ended
    assert guest.stood_still_s == pytest.approx(0.6, abs=0.3)
    assert not two[0].stood_still_s  # it has a watch of its own here
    watch = guest._watch
    assert watch.since(stillness.now()) == 0


@pytest.mark.parametrize("waited_for", [True, False])
def test_a_guest_whose_thread_is_not_let_run(
    two: list[Guest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waited_for: bool
) -> None:
    """It is seen also while another guest is waited for."""
    monkeypatch.setattr(stillness, "LONG_S", 0.5)
    write_files(tmp_path, {"task/stat": "1 (CPU 0/TCG) R 0", "task/schedstat": "1000 523 1\n"})
    two[0]._threads = stillness.Threads([tmp_path / "task"])
    waits, end = two[not waited_for], time.monotonic() + 1.0
    while time.monotonic() < end:
        assert waits.run(["a"], 1000).ended
    assert two[0].stood_still_s > 0.5


def test_silence_is_counted_from_where_the_machine_went_on(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stillness, "LONG_S", 0.5)
    monkeypatch.setattr(guests_of, "SILENCE_S", 0.5)
    guest.meanwhile = lambda: time.sleep(0.6)
    assert guest.run(["a"], 1000).ended


@pytest.mark.parametrize(
    ("said", "kinds"),
    [(STALL, []), (WARNING, ["warning"]), (f"{STALL}\n\n\n{WARNING}", ["warning"])],
)
def test_a_stall_that_is_told_at_the_end(
    guest: Guest, monkeypatch: pytest.MonkeyPatch, said: str, kinds: list[str]
) -> None:
    guest.scanner.feed(f"{said}\n")
    assert len(guest.part()) > len(kinds) or said == WARNING
    monkeypatch.setattr(stillness, "LONG_S", -1.0)
    assert guest.run(["a"], 1000).ended
    guest.scanner.splats.clear()
    guest._told = 0
    guest.scanner.feed(f"{said}\n")
    assert [splat.kind for splat in guest.part()] == kinds


def test_a_guest_has_a_group_but_no_session_of_its_own(guest: Guest) -> None:
    """The host's scheduler may share a CPU among sessions first; ctrl-C is for a group."""
    assert guest._wire
    pid = guest._wire._process.pid
    assert os.getsid(pid) == os.getsid(0)
    assert os.getpgid(pid) == guest._wire._guard.pid != os.getpgid(0)


def test_a_guest_does_not_outlive_whoever_boots_it(guest: Guest) -> None:
    """Not even one that is killed: its end of the guard's pipe goes with it."""
    assert guest._wire
    process, pipe = guest._wire._process, guest._wire._guard.stdin
    assert pipe
    assert process.poll() is None
    pipe.close()
    assert process.wait(10) == -signal.SIGKILL
