"""Each module turns the one Verdict into one format; REPORTS are those that write files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..verdict import Verdict
from . import cover, data, junit, plots, review

# Each returns what it wrote, in a person's words: names of files, or a folder and a count.
REPORTS: tuple[Callable[[Verdict, Path], list[str]], ...] = (
    data.write,
    junit.write,
    review.write,
    cover.write,
    plots.write,
)
