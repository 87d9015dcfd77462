"""Wake after consume: a stopped queue runs again by the time the reader has made space."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import LEDGER, Scenario, cases, product

PROGRAM = "wake_after_consume --dev {s.dev} --reader {s.reader} --qdisc {s.qdisc} --len {s.length}"


@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.parametrize(
    "s",
    cases(
        product(),
        fixes="the queue never stops, so that nothing waits for the reader",
        figures=(*LEDGER, "consumed"),
    ),
)
def test_wake_after_consume(kernel_run: Run, s: Scenario) -> None:
    kernel_run.check()
