"""Large frames (GSO) in the ring and in the qdisc, whole or as a list of segments."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, fixes_or_same

FIGURES = ("filled_drops", "driver_drops", "refused", "segments", "large")


@pytest.mark.kernel_program(
    "gso_frames --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
    " --kind {proto} --offload {offload}"
)
@pytest.mark.scenarios(
    crossed=("reader", "length", "proto", "offload"),
    kind=fixes_or_same("a segment that finds the ring full is dropped", FIGURES),
    dev=DEVICES,
    reader=("read", "vhost"),
    qdisc=("fq_codel", "fq", "noqueue"),
    length=(4, 5, 64),
    proto=("udp", "tcp"),
    offload=(0, 1),
)
def test_gso(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, proto: str, offload: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="who sleeps is told of the segments that there are")
@pytest.mark.kernel_program("segments --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel", "prio", "mq"), length=(1, 3))
def test_sleeper_gets_segments(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("same", figures=("dropped", "freed"), reason="macvtap stays as it is")
@pytest.mark.kernel_program("segments --dev macvtap --len {length}")
@pytest.mark.parametrize("length", [1, 3])
def test_macvtap_segments(kernel_run: Run, length: int) -> None:
    kernel_run.check()
