"""Counts a guest's instructions by function, with a plugin of QEMU's emulation.

The plugin (agent/insns.c) counts blocks between two marks that a program sets; the addresses
become functions by the kernel's symbols. Counting does not change what the guest does.
"""

from __future__ import annotations

import bisect
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from functools import cache as once
from pathlib import Path

from .compiler import compiled
from .errors import InfraError, tail
from .initramfs import AGENT
from .lane import QEMU, qemu_version

USER = "[user space]"
# Whoever wakes a transmit queue calls the one, which goes on to the other when it was stopped.
WAKES, WOKEN = "netif_tx_wake_queue", "__netif_schedule"
# What the compiler makes of a function's name when it splits or clones it.
_CLONE = re.compile(r"\.(isra|constprop|part|cold)(\.\d+)?")
_PROBE_S = 20.0


@once
def plugin() -> Path | None:
    """Compile the plugin for the QEMU here; None where that QEMU takes no plugins."""
    found = re.search(r"version (\d+)\.", qemu_version())
    # QEMU 9 raised the oldest version that it accepts.
    version = 2 if found and int(found[1]) >= 9 else 1
    flags = ["-shared", "-fPIC", "-fvisibility=hidden", f"-DPLUGIN_VERSION={version}"]
    library = compiled([AGENT / "insns.c", AGENT / "qemu-plugin.h"], flags)
    return library if _loads(library) else None


def _loads(library: Path) -> bool:
    command = [QEMU, "-M", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]
    command += ["-plugin", f"{library},out=/dev/null"]
    done = subprocess.run(command, input=b"quit\n", capture_output=True, timeout=_PROBE_S)
    return done.returncode == 0


def arguments(library: Path, out: Path, vmlinux: Path) -> list[str]:
    """Return QEMU's arguments that make it count into `out` what a guest of `vmlinux` does."""
    words = [f"{library}", f"out={out}"]
    symbols = Symbols.of(vmlinux)
    waker, woken = map(symbols.span, (WAKES, WOKEN))
    if waker and woken:
        words += [f"from={waker[0]:#x}", f"until={waker[1]:#x}", f"to={woken[0]:#x}"]
    return ["-plugin", ",".join(words)]


@dataclass
class Counted:
    """What a program did between its marks: instructions by kernel block, the rest, and wakes.

    A wake is a transmit queue that was stopped and is no longer; `wakes` is None where this kernel
    has no function of its own for it. A program that set no marks has all empty.
    """

    blocks: Counter[int] = field(default_factory=Counter)
    outside: int = 0
    wakes: int | None = None

    def by_function(self, symbols: Symbols) -> dict[str, int]:
        """Add blocks up by function; what is outside the kernel is one entry, `USER`."""
        total: Counter[str] = Counter()
        for address, count in self.blocks.items():
            total[symbols.name(address)] += count
        return dict(total) | ({USER: self.outside} if self.outside else {})


def counted(out: Path) -> list[Counted]:
    """Read what the plugin wrote, an entry for each program."""
    found: list[Counted] = []
    for line in out.read_text().splitlines() if out.is_file() else ():
        word, _, count = line.partition(" ")
        if word == "program":
            found.append(Counted())
        elif word == "entered":
            found[-1].wakes = (found[-1].wakes or 0) + int(count)
        elif word == "user":
            found[-1].outside += int(count)
        elif word != "section":
            found[-1].blocks[int(word, 16)] += int(count)
    return found


class Symbols:
    """The functions of a kernel, by address."""

    @staticmethod
    @once
    def of(vmlinux: Path) -> Symbols:
        """Return the symbols of an image, read once."""
        return Symbols(vmlinux)

    def __init__(self, vmlinux: Path) -> None:
        done = subprocess.run(["nm", "-n", str(vmlinux)], capture_output=True, text=True)
        if done.returncode:
            raise InfraError(f"nm {vmlinux}: {done.stderr.strip() or tail(vmlinux)}")
        self._starts: list[int] = []
        self._names: list[str] = []
        for line in done.stdout.splitlines():
            address, kind, name = line.split(" ", 2)
            if kind in "tTwW":
                self._starts.append(int(address, 16))
                self._names.append(_CLONE.sub("", name))

    def name(self, address: int) -> str:
        """Return the function that has an address, or the address where none begins before it."""
        nr = bisect.bisect_right(self._starts, address) - 1
        return self._names[nr] if nr >= 0 else hex(address)

    def span(self, name: str) -> tuple[int, int] | None:
        """Return where a function begins and the next one does; None for no such function."""
        if name not in self._names:
            return None
        start = self._starts[self._names.index(name)]
        after = bisect.bisect_right(self._starts, start)
        return start, self._starts[after] if after < len(self._starts) else start + 1
