"""The qdisc is changed for another while the ring is full and the queue stopped."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest
from kseries.run import Run

from .matrix import DEVICES, HOLDING, QDISCS, SINGLE_READERS, Graded, Point, few


class Change(NamedTuple):
    """One qdisc and the one that takes its place."""

    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.old}-to-{self.new}"


# To the driver those that hold frames are one: the choice takes each of them as the old one and as
# the new one, once. To the same kind means that it is configured anew, and keeps what it holds.
OFTEN = (
    *(Change(qdisc, "noqueue") for qdisc in HOLDING),
    *(Change("noqueue", qdisc) for qdisc in HOLDING),
    *(Change(*pair) for pair in itertools.pairwise((*HOLDING, HOLDING[0]))),
    Change("fq_codel", "fq_codel"),
)
CHANGES = Graded(
    pairs=OFTEN,
    rest=tuple(
        change
        for change in itertools.starmap(Change, itertools.product(QDISCS, repeat=2))
        if change not in OFTEN and change != Change("noqueue", "noqueue")
    ),
)


def kind_of(point: Point) -> pytest.MarkDecorator:
    """Choose *changes* where the new one is noqueue: it has no place for what a stop keeps back."""
    if point["change"].new == "noqueue":
        return pytest.mark.kernel_case(
            "changes",
            reason="noqueue over a queue that is stopped: ENETDOWN until the reader has made room",
        )
    return pytest.mark.kernel_case("fixes", reason="the driver drops what the ring cannot hold")


@pytest.mark.kernel_case(
    "changes", reason="noqueue over a queue that is stopped: ENETDOWN until there is room"
)
@pytest.mark.kernel_program(
    "qdisc_change --kernel {kernel} --dev {dev} --len {length} --qdisc {old} --to noqueue"
    " --room grow"
)
@pytest.mark.scenarios(dev=DEVICES, old=few(HOLDING, "fq_codel", "mq"), length=(2, 16, 64))
def test_noqueue_with_a_longer_ring(kernel_run: Run, dev: str, old: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes", reason="noqueue over a queue that is stopped: ENETDOWN until vhost-net has read"
)
@pytest.mark.kernel_program(
    "qdisc_change --kernel {kernel} --dev {dev} --len {length} --qdisc {old} --to noqueue"
    " --reader vhost"
)
@pytest.mark.scenarios(dev=DEVICES, old=few(HOLDING, "fq_codel", "mq"), length=(2, 64))
def test_noqueue_read_by_vhost(kernel_run: Run, dev: str, old: str, length: int) -> None:
    kernel_run.check()


# vhost-net reads a batch at a time, which cannot tell when it is that frames are taken again.
@pytest.mark.scenarios(
    kind=kind_of,
    crossed=("change",),
    change=CHANGES,
    length=few((2, 16, 64), 2, 64),
    reader=few(SINGLE_READERS, "read"),
    dev=DEVICES,
)
@pytest.mark.kernel_program(
    "qdisc_change --kernel {kernel} --dev {dev} --reader {reader} --len {length}"
    " --qdisc {change.old} --to {change.new}"
)
def test_qdisc_change(kernel_run: Run, change: Change, length: int, reader: str, dev: str) -> None:
    kernel_run.check()
