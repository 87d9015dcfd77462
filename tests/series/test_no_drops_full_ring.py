"""No drops under a full ring: a qdisc holds what the ring cannot; noqueue drops as stock does."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import Scenario, cases, product

PROGRAM = "no_drops --dev {s.dev} --reader {s.reader} --qdisc {s.qdisc} --len {s.length}"


@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.parametrize("s", cases(product(), fixes="the driver drops what the ring cannot hold"))
def test_no_drops(kernel_run: Run, s: Scenario) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a ring of length 0 drops and never stops the queue")
@pytest.mark.kernel_program("no_drops --dev {dev} --reader read --qdisc {qdisc} --len 0")
@pytest.mark.parametrize("qdisc", ["fq_codel", "pfifo_fast", "noqueue"])
@pytest.mark.parametrize("dev", ["tun", "tap"])
def test_length_zero(kernel_run: Run, dev: str, qdisc: str) -> None:
    kernel_run.check()
