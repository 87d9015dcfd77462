"""Whatever leaves the ring full, the queue is stopped before a frame comes."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, READERS, few

PROGRAM = "left_full --dev {dev} --reader {reader} --qdisc {qdisc} --len {length} --how {how}"
FIXES = pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped")


@FIXES
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("how", "length"),
    dev=DEVICES,
    reader=few(READERS, "read", "vhost"),
    qdisc=("fq_codel", "pfifo_fast"),
    length=(1, 16, 63),
    how=(
        *("link", "link_dark", "carrier", "shrink", "given_back", "given_dark", "attach"),
        *("attach_other", "open", "offload"),
    ),
)
def test_left_full(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, how: str
) -> None:
    kernel_run.check()


@FIXES
@pytest.mark.kernel_program("left_full --dev tap --reader {reader} --len 16 --how xdp")
@pytest.mark.parametrize("reader", ["read", "vhost"])
def test_left_full_under_xdp(kernel_run: Run, reader: str) -> None:
    kernel_run.check()


@FIXES
@pytest.mark.kernel_program(PROGRAM + " --queues 2 --queue 0")
@pytest.mark.scenarios(
    dev=DEVICES,
    reader=few(READERS, "read", "vhost"),
    qdisc=("fq_codel", "pfifo_fast"),
    length=(1, 16),
    how=("link", "shrink", "close"),
)
def test_first_left_full(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, how: str
) -> None:
    kernel_run.check()


@FIXES
@pytest.mark.kernel_program(PROGRAM + " --queues 2 --queue 1")
@pytest.mark.scenarios(
    crossed=("how", "length"),
    dev=DEVICES,
    reader=few(READERS, "read", "vhost"),
    qdisc=("fq_codel", "pfifo_fast"),
    length=(1, 16, 63),
    how=("link", "carrier", "shrink", "detach", "close"),
)
def test_second_left_full(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, how: str
) -> None:
    kernel_run.check()
