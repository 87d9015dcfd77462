"""Counts a guest's instructions by function, with a plugin of QEMU's emulation.

The plugin (agent/insns.c) counts blocks between two marks that a program sets; the addresses
become functions by the kernel's symbols. Counting does not change what the guest does.
"""

from __future__ import annotations

import bisect
import re
import subprocess
from collections import Counter
from functools import cache as once
from pathlib import Path

from .build import compiled
from .errors import InfraError, tail
from .initramfs import AGENT
from .lane import QEMU, qemu_version

USER = "[user space]"
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


def arguments(library: Path, out: Path) -> list[str]:
    """Return QEMU's arguments that make it count into `out`."""
    return ["-plugin", f"{library},out={out}"]


def counted(out: Path) -> list[dict[int, int]]:
    """Read what the plugin wrote: for each program, instructions by block between its marks.

    The key is a kernel address, or -1 for all that ran outside the kernel. A program that set no
    marks has an empty entry.
    """
    found: list[dict[int, int]] = []
    for line in out.read_text().splitlines() if out.is_file() else ():
        if line == "program":
            found.append(Counter())
        if line in ("program", "section"):
            continue
        address, count = line.split(" ")
        found[-1][-1 if address == "user" else int(address, 16)] += int(count)
    return found


class Symbols:
    """The functions of a kernel, by address."""

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

    def by_function(self, blocks: dict[int, int]) -> dict[str, int]:
        """Add blocks up by function; what is outside the kernel is one entry, `USER`."""
        total: Counter[str] = Counter()
        for address, count in blocks.items():
            nr = bisect.bisect_right(self._starts, address) - 1
            total[USER if address < 0 else self._names[nr] if nr >= 0 else hex(address)] += count
        return dict(total)
