"""What can go wrong, sorted by who is to blame: the call, the series or the machinery."""

from __future__ import annotations

from pathlib import Path


class KseriesError(Exception):
    """Base of all: one message for a person, in the form what happened, where, what to do next."""


class UsageProblem(KseriesError):
    """A bad option, no kernel tree, a missing tool: pytest exits 4."""


class InfraError(KseriesError):
    """The machinery failed (disk, QEMU, a lock), not the kernel: an error, never a failure."""


class SeriesFinding(KseriesError):
    """The series is to blame: it does not apply, does not compile or does not boot.

    `patch` names the patch, where one is known. `log` is the file that holds the whole story.
    """

    def __init__(self, message: str, *, patch: str | None = None, log: Path | None = None) -> None:
        super().__init__(message)
        self.patch = patch
        self.log = log


class DoesNotApply(SeriesFinding):
    """A patch of the series does not apply to the tree."""


class DoesNotCompile(SeriesFinding):
    """The kernel does not compile with the series."""


class DoesNotBoot(SeriesFinding):
    """The patched kernel does not come up."""


class GuestCrashed(KseriesError):
    """The kernel in a guest died, hung or complained: panic, oops, WARN, lockdep, stall, reset.

    `kind` is the console's word for it (see console.Splat), `kernel` whose kernel it was.
    """

    def __init__(self, message: str, *, kernel: str, kind: str) -> None:
        super().__init__(message)
        self.kernel = kernel
        self.kind = kind


class GuestTestFailed(AssertionError):
    """A program in the guest said "not ok", its stall detector fired, or the test found it wrong.

    On patched also: it could not do the work that it did on stock.
    The only exception that satisfies the stock half of a *fixes* case.
    """


def read_log(path: Path) -> str:
    """Return a log's text, or a word on why it cannot be read."""
    try:
        return path.read_text(errors="replace").rstrip()
    except OSError as error:
        return f"(log not readable: {error})"


def tail(path: Path, lines: int = 15) -> str:
    """Return the last `lines` lines of a log, indented, or a word that it is empty."""
    kept = read_log(path).splitlines()[-lines:]
    return "\n".join(f"    {line}" for line in kept) or "    (the log is empty)"
