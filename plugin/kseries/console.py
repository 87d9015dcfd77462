"""What a kernel says on its console when something is wrong: found as the lines come."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# In order: the first that matches names the kind. Sources: the format strings in kernel/panic.c,
# arch/x86/kernel/dumpstack.c, kernel/locking/lockdep.c, kernel/rcu/tree_stall.h,
# kernel/watchdog.c, kernel/hung_task.c, mm/kasan/report.c, kernel/kcsan/report.c, lib/ubsan.c,
# kernel/locking/spinlock_debug.c, kernel/sched/core.c, kernel/workqueue.c, mm/slub.c,
# net/core/dev.c.
_KINDS: tuple[tuple[str, str], ...] = (
    ("panic", r"Kernel panic - not syncing"),
    ("kasan", r"BUG: KASAN:"),
    ("kcsan", r"BUG: KCSAN:"),
    ("ubsan", r"UBSAN:"),
    ("soft lockup", r"watchdog: BUG: soft lockup"),
    ("hard lockup", r"hard LOCKUP"),
    ("hung task", r"INFO: task .* blocked for more than \d+ seconds"),
    ("rcu stall", r"rcu: INFO: \S+ (?:self-)?detected (?:expedited )?stalls?"),
    (
        "lockdep",
        r"WARNING: (?:possible (?:circular|recursive) locking|possible irq lock inversion"
        r"|inconsistent lock state|suspicious RCU usage|bad unlock balance|held lock freed"
        r"|lock held when returning|.*-safe -> .*-unsafe lock order|bad contention detected"
        r"|Nested lock was not taken|chain_key collision|\S+/\d+ still has locks held)"
        r"|\[ BUG: Invalid wait context \]|BUG: (?:MAX_LOCK|MAX_STACK)"
        r"|INFO: trying to register non-static key|BUG: (?:spin|rw)lock ",
    ),
    (
        "atomic sleep",
        r"BUG: (?:sleeping function called|scheduling while atomic|assuming (?:atomic|non)"
        r"|workqueue leaked)",
    ),
    ("workqueue lockup", r"BUG: workqueue lockup"),
    ("tx timeout", r"NETDEV WATCHDOG: .*transmit queue \d+ timed out"),
    ("slab", r"BUG \S+ \([^)]*\): "),
    ("leak", r"unregister_netdevice: waiting for \S+ to become free|kmemleak: \d+ new suspected"),
    (
        "oops",
        r"BUG: (?:unable to handle|kernel NULL pointer|Bad page|Bad rss)|\bOops: "
        r"|general protection fault|kernel BUG at|divide error: |invalid opcode: |stack segment: "
        r"|double fault: |traps: PANIC",
    ),
    ("warning", r"WARNING: (?:CPU: \d+ PID: \d+ at |\S+:\d+ at )"),
)
_SPLATS = tuple((kind, re.compile(pattern)) for kind, pattern in _KINDS)
# All that a splat may be called.
KINDS = frozenset(kind for kind, _ in _KINDS)
_TIME = re.compile(r"^(?:<\d+>)?\[ *\d+\.\d+\](?:\[[TC ]*\d+\])? ?")
_FUNCTION = re.compile(r"(?:RIP: \d+:|^ *(?:\? )?)([A-Za-z_][\w.]*)\+0x[0-9a-f]+/0x[0-9a-f]+")
_END = re.compile(r"---\[ end (?:trace|Kernel panic)")
# The guest cannot go on after these.
FATAL = frozenset({"panic", "oops", "soft lockup", "hard lockup"})
# What a kernel says of something that takes long, and of a machine that stood still.
STALLS = frozenset(
    {"soft lockup", "hard lockup", "hung task", "rcu stall", "workqueue lockup", "tx timeout"}
)
# A splat's signature takes this many functions from the top of its trace: enough to tell two
# places apart, few enough that the way in from the test does not matter. Those that print the
# complaint or put the task to sleep come first in every trace of its kind, and tell nothing.
_SIGNATURE_DEPTH = 3
_REPORTERS = re.compile(
    r"kmem_cache_alloc|(?:__)?kmalloc|__do_kmalloc|kmemleak_|slab_post_alloc|dump_stack|show_stack"
    r"|print_|panic$|__warn|report_bug|check_noncircular|check_prev_add"
    r"|validate_chain|(?:__)?lock_acquire|lock_release|lockdep_|mark_(?:lock|usage)|__might_"
    r"|(?:__)?schedule|(?:__)?kasan_|__asan_|kcsan_|__tsan_|(?:__)?ubsan_|spin_(?:bug|dump)"
    r"|_raw_(?:spin|read|write)_|(?:__)?mutex_(?:un)?lock"
)
_LONGEST_SPLAT = 80  # lines
# A race has two places, named in its title in an order of their own; which of the two traces comes
# first is chance.
_RACE = re.compile(r"BUG: KCSAN: \S+ in ([\w.]+)(?: / ([\w.]+))?")
_LEAK = "unreferenced object "


@dataclass
class Splat:
    """One complaint: its kind, the line that named it, the functions of its trace, all lines."""

    kind: str
    title: str
    functions: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    @property
    def signature(self) -> tuple[str, ...]:
        """Kind and top functions: two splats with the same signature are the same complaint."""
        race = _RACE.match(self.title)
        functions = filter(None, race.groups()) if race else self.functions
        names = [name.partition(".")[0] for name in functions]  # no .cold, no .isra.0
        telling = [name for name in names if not _REPORTERS.match(name)]
        return (self.kind, *telling[:_SIGNATURE_DEPTH])

    @property
    def fatal(self) -> bool:
        """Whether the guest cannot be used afterwards."""
        return self.kind in FATAL


class Scanner:
    """Finds splats in a console, fed in pieces as they come."""

    def __init__(self) -> None:
        self.splats: list[Splat] = []
        self._partial = ""
        self._open: Splat | None = None

    def feed(self, text: str) -> list[Splat]:
        """Take a piece of console; return the splats that began in it."""
        *lines, self._partial = (self._partial + text).split("\n")
        before = len(self.splats)
        for line in lines:
            self._line(_TIME.sub("", line.rstrip("\r")))
        return self.splats[before:]

    def _line(self, line: str) -> None:
        kind = next((kind for kind, pattern in _SPLATS if pattern.search(line)), None)
        current = self._open
        if kind and not _END.search(line) and not (current and _same_event(current, kind)):
            self._open = current = Splat(kind, line.strip())
            self.splats.append(current)
        if current is None:
            return
        current.lines.append(line)
        # "? name" marks a guess of the unwinder: left over on the stack, not a caller.
        if (match := _FUNCTION.search(line)) and "? " not in line:
            current.functions.append(match[1])
        if _END.search(line) or len(current.lines) >= _LONGEST_SPLAT:
            self._open = None


def _same_event(current: Splat, kind: str) -> bool:
    """Whether a matching line belongs to the splat before it, as the Oops line after a BUG line."""
    return kind == current.kind == "oops"


def leaks(lines: Iterable[str]) -> list[Splat]:
    """Read what kmemleak has in its file: a splat for each object that nothing refers to."""
    found: list[Splat] = []
    for line in lines:
        if line.startswith(_LEAK):
            found.append(Splat("leak", line.strip()))
        if found:
            found[-1].lines.append(line)
            if match := _FUNCTION.search(line):
                found[-1].functions.append(match[1])
    return found


def decode_lines(lines: Sequence[str], vmlinux: Path, src: Path) -> list[str]:
    """Return lines of a trace with file and line at each address, or as they are."""
    # The bytes around an address would come back disassembled, some forty lines of it.
    text = "".join(f"{line}\n" for line in lines if not line.startswith("Code: ")).encode()
    decoded = _decoded(text, vmlinux, src)
    return decoded.decode(errors="replace").splitlines() if decoded else list(lines)


def decode(log: Path, vmlinux: Path, src: Path) -> Path:
    """Write a console log with file and line at each address of its traces, beside the log.

    The tree's own scripts/decode_stacktrace.sh does it. Returns the log itself where that
    cannot be done: a trace without lines is better than none.
    """
    decoded = log.with_suffix(".decoded.log")
    try:
        text = _decoded(log.read_bytes(), vmlinux, src)
        if text is None:
            return log
        decoded.write_bytes(text)
    except OSError:
        return log
    return decoded


def _decoded(text: bytes, vmlinux: Path, src: Path) -> bytes | None:
    script = src / "scripts/decode_stacktrace.sh"
    try:
        done = subprocess.run(
            ["bash", str(script), str(vmlinux), str(src)],
            input=text,
            capture_output=True,
            check=True,
            timeout=120,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout
