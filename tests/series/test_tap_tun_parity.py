"""Tap and tun parity: one driver, one behaviour; macvtap and ipvtap stay as they are on stock."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import LEDGER, LENGTHS, QDISCS, READERS, Point, few


@pytest.mark.kernel_case("keeps", reason="tap and tun differ in their frames and in nothing else")
@pytest.mark.kernel_program("tap_tun_parity --reader {reader} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    crossed=("qdisc", "length"),
    reader=few(READERS, "read", "vhost"),
    qdisc=QDISCS,
    length=few(LENGTHS, 1, 32, 500),
)
def test_tap_tun_parity(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


def as_stock(point: Point) -> pytest.MarkDecorator:
    """What several files get is shared out by a hash, so that only the sums are told."""
    sums = ("delivered", "tx_dropped", "enobufs")
    one = (*LEDGER, "rx_dropped", "missing", "repeated")
    return pytest.mark.kernel_case(
        "same",
        figures=one if point["queues"] == 1 else sums,
        reason="frames come in from the lower device, and no tx queue is theirs to stop or wake",
    )


@pytest.mark.kernel_program(
    "tap_tun_parity --dev {dev} --reader {reader} --len {length} --queues {queues}"
)
@pytest.mark.scenarios(
    kind=as_stock,
    crossed=("reader", "length"),
    dev=("macvtap", "ipvtap"),
    reader=few(READERS, "read", "vhost"),
    length=few(LENGTHS, 1, 32, 500),
    queues=(1, 3),
)
def test_macvtap_as_stock(kernel_run: Run, dev: str, reader: str, length: int, queues: int) -> None:
    kernel_run.check()
