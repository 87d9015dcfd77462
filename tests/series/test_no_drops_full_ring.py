"""No drops under a full ring: a qdisc holds what the ring cannot; noqueue drops as stock does."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import FIGURES, Scenario, cases

PROGRAM = "no_drops --dev {s.dev} --reader {s.reader} --qdisc {s.qdisc} --len {s.length}"


@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.parametrize("s", cases("the driver drops what the ring cannot hold", figures=FIGURES))
def test_no_drops(kernel_run: Run, s: Scenario) -> None:
    kernel_run.check()
