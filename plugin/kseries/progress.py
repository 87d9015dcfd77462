"""Progress of what takes long: one line rewritten on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol


class Progress(Protocol):
    """Anything that can be told how far something is."""

    def step(self, text: str, *, done: bool = False) -> None:
        """Say where things are; `done` closes the line, and is always shown."""


class Silent:
    """Says nothing: for xdist workers, whose controller speaks."""

    def step(self, text: str, *, done: bool = False) -> None:
        """Drop it."""


class Writer(Protocol):
    """The part of pytest's TerminalReporter that progress needs."""

    @property
    def isatty(self) -> bool:
        """Whether lines can be rewritten."""

    def rewrite(self, content: str, erase: bool = False) -> None:
        """Replace the current line."""

    def write_line(self, line: str) -> None:
        """Write a whole line, on a fresh one."""

    def flush(self) -> None:
        """Let nothing wait to be written."""


class OnTerminal:
    """Progress through pytest's terminal reporter.

    In `aloud()` output goes where it would go without pytest, which captures that of fixtures.
    """

    # Not on a terminal a line every so often keeps a CI log alive without filling it, in seconds.
    PLAIN_EVERY_S = 15.0

    def __init__(self, writer: Writer, aloud: Callable[[], AbstractContextManager[object]]) -> None:
        self._writer = writer
        self._aloud = aloud
        self._last_plain = 0.0
        self._last_what = ""

    def step(self, text: str, *, done: bool = False) -> None:
        """Show it: at once on a terminal or when it begins something new, else now and then."""
        with self._aloud():
            self._step(text, done)
            self._writer.flush()

    def _step(self, text: str, done: bool) -> None:
        if done:
            if self._writer.isatty:
                self._writer.rewrite("", erase=True)
            self._writer.write_line(text)
            self._last_what = ""
            return
        if self._writer.isatty:
            self._writer.rewrite(text, erase=True)
            return
        what = text.split(":")[0]
        now = time.monotonic()
        if what != self._last_what or now - self._last_plain >= self.PLAIN_EVERY_S:
            self._writer.write_line(text)
            self._last_what, self._last_plain = what, now
