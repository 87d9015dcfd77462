"""The compiler and the linker: which they are, how they are called, what they complain of."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Sequence
from functools import cache as once
from pathlib import Path

from . import cache
from .errors import InfraError, UsageProblem

_ERROR = re.compile(
    r"^(?P<file>[^\s:]+\.[chSs]):(?P<line>\d+):(?:\d+:)? (?:fatal )?error: (?P<what>.*)"
)
_OTHER_ERROR = re.compile(
    r"(undefined reference to|multiple definition of|\berror: |ERROR: modpost)"
)
_WARNING = re.compile(r"^\S+\.[chSs]:\d+:(?:\d+:)? warning: .*", re.M)
# The machine's trouble, whatever was compiled; gcc's words for the kernel's out-of-memory killer.
_MACHINERY = re.compile(
    r".*(?:No space left on device|Killed signal terminated program|[Cc]annot allocate memory).*"
)


@once
def compiler() -> str:
    """Return the compiler's version line; UsageProblem when there is none."""
    return _version_line("gcc")


@once
def linker() -> str:
    """Return the linker's version line; UsageProblem when there is none."""
    return _version_line("ld")


def compiled(sources: Sequence[Path], flags: Sequence[str]) -> Path:
    """Compile the first of `sources`, our own C, with gcc; the others are what it includes.

    Kept in the cache by content, flags and compiler. Raises InfraError when it does not compile.
    """
    digest = hashlib.sha256("\0".join((compiler(), *flags)).encode())
    for source in sources:
        digest.update(source.read_bytes())
    path = cache.root() / "agent" / digest.hexdigest()[:16]
    with cache.locked("agent"), cache.disk_errors(f"compiling {sources[0].name}"):
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            part = path.with_suffix(".new")
            command = ["gcc", "-O2", "-Wall", *flags, "-o", str(part), str(sources[0])]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise InfraError(
                    f"{sources[0].name} does not compile (libc6-dev there?):\n{done.stderr[-800:]}"
                )
            part.replace(path)
    return path


def _version_line(tool: str) -> str:
    try:
        done = subprocess.run([tool, "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageProblem(
            f"{tool} is missing ({error}): `make setup` installs the tools"
        ) from error
    return done.stdout.splitlines()[0]


def _relative(line: str, src: Path) -> str:
    return line.replace(f"{src}/", "").removeprefix("../").strip()


def first_error(log: str, src: Path) -> str:
    """Return the first compiler or linker error of a build log, its path relative to the tree."""
    for line in log.splitlines():
        if _ERROR.match(line) or _OTHER_ERROR.search(line):
            return _relative(line, src)
    kept = [line for line in log.splitlines() if "***" in line]
    # The first: make says at each level that the one below failed.
    return (kept[:1] or log.splitlines()[-1:] or ["make said nothing"])[0].strip()


def first_warning(log: str, src: Path) -> str:
    """Return the first warning of a log, its path relative to the tree, or ""."""
    warned = _WARNING.search(log)
    return _relative(warned[0], src) if warned else ""


def machine_trouble(log: str) -> str:
    """Return the line of a log that says that the machine is to blame, or ""."""
    trouble = _MACHINERY.search(log)
    return trouble[0].strip() if trouble else ""
