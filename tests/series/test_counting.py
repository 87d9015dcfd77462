"""What the tests count is of the program that counts, not of the one before it."""

from __future__ import annotations

import pytest
from kseries.run import Run


@pytest.mark.kernel_case("keeps", reason="it is about the counting, not about the series")
@pytest.mark.kernel_program("late_frees --dev {dev}")
@pytest.mark.scenarios(dev=("tun", "tap"))
def test_late_frees(kernel_run: Run, dev: str) -> None:
    kernel_run.check()
