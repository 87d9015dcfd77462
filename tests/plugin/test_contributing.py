"""The plugin's files and their order are those that docs/contributing.md tells newcomers."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tools.judge import TOP

PLUGIN = TOP / "plugin/kseries"
TEXT = (TOP / "docs/contributing.md").read_text()
LINES = [
    re.findall(r"`([\w./]+)`", row)
    for row in re.findall(r"^\| (`.*`) \|", TEXT.partition("In the plugin each file")[2], re.M)
]
ORDER = {name: number for number, line in enumerate(LINES) for name in line}


def line_of(module: str) -> int:
    """Where a module of the plugin stands: "report.table" stands with report/."""
    package = module.partition(".")[0]
    return ORDER[f"{package}/" if f"{package}/" in ORDER else f"{package}.py"]


def imports(text: str, *, inside: str) -> set[str]:
    """Return the plugin's modules that one of them imports; `inside` is its own package or ""."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            package = inside if node.level == 1 else ""
            module = ".".join(filter(None, (package, node.module)))
            found |= {module} if module else {alias.name for alias in node.names}
    return found


def test_the_table_has_every_file() -> None:
    files = {
        f"{path.name}/" if path.is_dir() else path.name
        for path in PLUGIN.iterdir()
        if path.is_dir() or path.suffix == ".py"
    }
    assert files - {"__init__.py", "__pycache__/", "configs/"} == set(ORDER)


@pytest.mark.parametrize(
    "path",
    [path for path in PLUGIN.rglob("*.py") if path.name != "__init__.py"],
    ids=lambda path: str(path.relative_to(PLUGIN)),
)
def test_a_file_knows_only_those_before_it(path: Path) -> None:
    name = path.relative_to(PLUGIN)
    inside = "" if name.parent.name == "" else name.parent.name
    own = line_of(inside or name.stem)
    later = {m for m in imports(path.read_text(), inside=inside) if line_of(m) > own}
    assert not later
