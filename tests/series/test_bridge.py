"""A bridge in front of the taps: forwarded frames wait in the qdisc of the tap that is full."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import QDISCS, few, fixes_or_same

FIGURES = ("filled_drops", "filled_backlog", "delivered", "driver_drops")


@pytest.mark.kernel_program("bridge_forward --reader {reader} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    kind=fixes_or_same("what is forwarded to a full ring is dropped", FIGURES),
    reader=("read", "vhost"),
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=(64, 500),
)
def test_bridge(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="one machine that is stuck is no matter of the others")
@pytest.mark.kernel_program(
    "bridge_forward --taps 2 --reader {reader} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(reader=("read", "vhost"), qdisc=("fq_codel", "noqueue"), length=(4, 64))
def test_bridge_one_stuck(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()
