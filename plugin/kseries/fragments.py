"""Config fragments: what they ask of a kernel, and what of it fell out."""

from __future__ import annotations

import re
from pathlib import Path

from .errors import UsageProblem

_OPTION = re.compile(r"^(?:# (?P<off>CONFIG_\w+) is not set|(?P<on>CONFIG_\w+)=(?P<value>.*))$")


def read_fragment(path: Path) -> str:
    """Return a fragment to append to others; UsageProblem where it is none."""
    if not path.is_file():
        raise UsageProblem(f"--kernel-config={path}: no such config fragment")
    try:
        text = path.read_text()
    except (OSError, ValueError) as error:
        raise UsageProblem(f"--kernel-config={path}: not to be read: {error}") from error
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        if line and not line.startswith("#") and not _OPTION.match(line):
            raise UsageProblem(
                f"--kernel-config={path}: line {number} is no option: {line!r}; it takes"
                " CONFIG_NAME=value, or # CONFIG_NAME is not set"
            )
    return "\n" + text


def fallen_out(wanted: str, got: str) -> list[str]:
    """Compare fragments with a final .config; return the wanted lines that are not so.

    The last line on an option wins, as in the kernel's merge_config.sh.
    """
    real = _options(got)
    lost = []
    for option, value in _options(wanted).items():
        off = value in (None, "n")
        if off and real.get(option) is not None:
            lost.append(f"{option} is not set (it is {real[option]})")
        if not off and real.get(option) != value:
            lost.append(f"{option}={value} (it is {real.get(option) or 'not set'})")
    return lost


def _options(text: str) -> dict[str, str | None]:
    """Read a .config or a fragment; None is an option that is not set."""
    found = (_OPTION.match(line.strip()) for line in text.splitlines())
    return {m["on"] or m["off"]: m["value"] for m in found if m}
