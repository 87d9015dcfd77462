"""What the wall lane makes of kernels that are alike, or 10 % apart: tools/trials.py runs this.

No part of any judgement of a series, so that its name keeps it out of what is collected.
"""

from __future__ import annotations

import pytest
from kseries.run import Run

# Each session has all of them, in the same boots, and each boot all variations of each.
TRIALS = 10


@pytest.mark.throughput(
    "received_per_second",
    max_decrease=0.05,
    reason="half of what one of the kernels under trial loses",
    lane="wall",
)
@pytest.mark.kernel_program(
    "pktgen_rate --dev tap --reader read --qdisc noqueue --len 500 --count 20000 --size {size}",
    variations=[f"--warm-up {n}" for n in (200, 207, 222, 245, 291)],
)
@pytest.mark.parametrize("size", [60 + 64 * n for n in range(TRIALS)])
def test_trial(kernel_run: Run, size: int) -> None:
    kernel_run.check()
