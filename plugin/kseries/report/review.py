"""review.txt, a reply for a mailing list, and review.md, the same for a pull request."""

from __future__ import annotations

import textwrap
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from .. import cache
from ..halves import describe
from ..verdict import Verdict
from . import measured, table

_COLUMNS = 72  # a reply is quoted: the list's custom
_MOST_SHOWN = 10


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Write FOLDER/review.txt and FOLDER/review.md."""
    names = ["review.txt", "review.md"]
    for name in names:
        cache.replace(folder / name, render(verdict, name).encode(errors="replace"))
    return names


def render(verdict: Verdict, name: str, **more: Any) -> str:
    """Render a file from its template in report/templates/, with what else that wants."""
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(_template),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # plain text and Markdown, no HTML
    )
    environment.filters["wrap"] = wrap
    environment.filters["wrap_lines"] = lambda text: "\n".join(map(_wrap_line, text.splitlines()))
    environment.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    bad = verdict.bad()
    rows = table.rows(verdict)
    return environment.get_template(f"{name}.jinja").render(
        verdict=verdict,
        rows=rows,
        patches=table.patches(verdict),
        table=table.text(rows, narrow=True),
        bad=[(table.short(case), case.word, table.first_line(case)) for case in bad[:_MOST_SHOWN]],
        more=max(0, len(bad) - _MOST_SHOWN),
        measured=[
            (table.short(case), describe(case.comparison))
            for case in verdict.cases
            if case.comparison
        ],
        blocks=measured.blocks(verdict),
        **more,
    )


def _template(name: str) -> str:
    return resources.files("kseries").joinpath("report/templates", name).read_text()


def _wrap_line(line: str) -> str:
    """Wrap one line of a message; what continues it keeps its indent."""
    indent = " " * (len(line) - len(line.lstrip()))
    return wrap(line, indent)


def wrap(text: str, indent: str = "", columns: int = _COLUMNS) -> str:
    """Wrap to the columns of a list reply; a word longer than that stays whole."""
    return textwrap.fill(
        " ".join(str(text).split()),
        columns,
        initial_indent=indent,
        subsequent_indent=" " * len(indent),
        break_long_words=False,
        break_on_hyphens=False,
    )
