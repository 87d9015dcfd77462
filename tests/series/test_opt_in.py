"""A series behind IFF_BACKPRESSURE: a device that was opened without it behaves as stock."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES


@pytest.mark.kernel_case("keeps", reason="only who asks for it gets a queue that stops")
@pytest.mark.kernel_program("opt_in --dev {dev} --qdisc fq_codel --len 16")
@pytest.mark.parametrize("dev", DEVICES)
def test_opt_in(kernel_run: Run, dev: str) -> None:
    kernel_run.check()
