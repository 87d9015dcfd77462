"""Edits of a kernel that change nothing it does, only where its code lies.

What such an edit does to a figure of the exact lane is that figure's noise: another alignment,
other addresses, another moment for an interrupt.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from pathlib import Path

from .errors import InfraError
from .series import Patch, Series

# Bytes of code that nobody calls; no two shift what follows by the same part of a page.
_PADDING = (16, 40, 72, 520, 1080, 2600, 4128)
# What every tree has, for a series that touches no C file.
_ALWAYS = "init/version.c"
_EXTRA = re.compile(r"^EXTRAVERSION =.*$", re.MULTILINE)
_INCLUDE = re.compile(r"^#include [<\"].*\n", re.MULTILINE)


def edits(root: Path, series: Series) -> list[Series]:
    """Return one series an edit: padding in the files of the series, link order, version string.

    `root` is the stock tree. At least nine; where no Makefile links a file of the series, eight.
    """
    names = [name for patch in series.patches for name in patch.files if name.endswith(".c")]
    files = [name for name in dict.fromkeys(names) if (root / name).is_file()] or [_ALWAYS]
    found = [
        _edit(root, name, f"{size} bytes of padding in {name}", _padded(root / name, size))
        for size, name in zip(_PADDING, _cycle(files), strict=False)
    ]
    for name in files:
        makefile = (Path(name).parent / "Makefile").as_posix()
        text = _linked_last(root / makefile, Path(name).with_suffix(".o").name)
        if text is not None:
            found.append(_edit(root, makefile, f"{name} linked last in its folder", text))
            break
    version = (root / "Makefile").read_text()
    longer = _EXTRA.sub(r"\g<0>-with-a-longer-version-string", version, count=1)
    found.append(_edit(root, "Makefile", "a longer version string", longer))
    return found


def _cycle(files: list[str]) -> Iterator[str]:
    while True:
        yield from files


def _padded(path: Path, size: int) -> str:
    text = path.read_text(errors="surrogateescape")
    includes = list(_INCLUDE.finditer(text))
    if not includes:
        raise InfraError(f"{path}: no #include to put padding behind")
    at = includes[-1].end()
    padding = (
        "\nstatic void __used noinline kseries_padding(void)\n"
        f'{{\n\tasm volatile(".skip {size}, 0x90");\n}}\n'
    )
    return text[:at] + padding + text[at:]


def _linked_last(makefile: Path, target: str) -> str | None:
    """Move the line that links `target` to the end; None where there is no such line."""
    if not makefile.is_file():
        return None
    lines = makefile.read_text().splitlines(keepends=True)
    line = re.compile(rf"^obj-\S+\s*\+=\s*{re.escape(target)}\s*$")
    moved = [one for one in lines if line.match(one)]
    return "".join([one for one in lines if not line.match(one)] + moved) if moved else None


def _edit(root: Path, name: str, what: str, text: str) -> Series:
    old = (root / name).read_text(errors="surrogateescape")
    diff = "".join(
        difflib.unified_diff(
            old.splitlines(keepends=True),
            text.splitlines(keepends=True),
            f"a/{name}",
            f"b/{name}",
        )
    )
    return Series((Patch(what, what, f"diff --git a/{name} b/{name}\n{diff}"),), what)
