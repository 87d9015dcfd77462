"""The ring is as long as txqueuelen, and frees its slots as it always did."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import SINGLE_READERS


@pytest.mark.kernel_case("keeps", reason="the series changes no ring's length or batching")
@pytest.mark.kernel_program("ring_length --dev {dev} --reader {reader}")
@pytest.mark.parametrize("reader", SINGLE_READERS)
@pytest.mark.parametrize("dev", ["tun", "tap"])
def test_ring_length(kernel_run: Run, dev: str, reader: str) -> None:
    kernel_run.check()
