"""Tap and tun parity: one driver, one behaviour; macvtap and ipvtap stay as they are on stock."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import LENGTHS, QDISCS, READERS


@pytest.mark.kernel_case("keeps", reason="tap and tun differ in their frames and in nothing else")
@pytest.mark.kernel_program("tap_tun_parity --reader {reader} --qdisc {qdisc} --len {length}")
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("qdisc", QDISCS)
@pytest.mark.parametrize("reader", READERS)
def test_tap_tun_parity(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "same",
    figures=("sent", "delivered", "driver_drops", "rx_dropped", "missing", "repeated"),
    reason="frames come in from the lower device, and no tx queue is theirs to stop or wake",
)
@pytest.mark.kernel_program("tap_tun_parity --dev {dev} --reader {reader} --len {length}")
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("dev", ["macvtap", "ipvtap"])
def test_macvtap_as_stock(kernel_run: Run, dev: str, reader: str, length: int) -> None:
    kernel_run.check()
