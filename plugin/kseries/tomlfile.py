"""Files of a project, in TOML: what cannot be read is a bad option, said with the file's name."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from .errors import UsageProblem


def read(path: Path) -> dict[str, Any]:
    """Read a file. Raises UsageProblem where it is not there or no TOML."""
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageProblem(f"{path}: not to be read as TOML: {error}") from error


def tables(path: Path, name: str) -> list[dict[str, Any]]:
    """Read a file that holds [[name]] tables. Raises UsageProblem where it holds anything else."""
    data = read(path)
    found = data.pop(name, [])
    if data or not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise UsageProblem(f"{path}: holds [[{name}]] tables and nothing else")
    return found
