"""Whether a test has shown anything: where nothing waits, nothing can be left waiting."""

from __future__ import annotations

from kseries.run import Run


def must_wait(run: Run, figure: str) -> None:
    """Fail on the patched kernel if by this figure of the program nothing, or nobody, waited."""
    if run.kernel == "patched" and not run.figures[figure]:
        run.fail(f"{figure} is 0: nothing waited, so that nothing was shown")
