"""Each module turns the one Verdict into one format; REPORTS are those that write files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..verdict import Verdict
from . import data, junit, review

REPORTS: tuple[Callable[[Verdict, Path], None], ...] = (data.write, junit.write, review.write)
