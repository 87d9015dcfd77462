"""Exactly once: a frame is delivered, trimmed and time-stamped once, whoever else sends."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, READERS, Point


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped, not handed back")
@pytest.mark.kernel_program(
    "handed_back --dev {dev} --reader {reader} --qdisc {qdisc} --len {length} --how {how}"
)
@pytest.mark.scenarios(
    crossed=("reader", "length", "how"),
    dev=DEVICES,
    reader=READERS,
    qdisc=("fq_codel", "pfifo_fast"),
    length=(4, 64),
    how=("noqueue", "shrink"),
)
def test_handed_back_untouched(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, how: str
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped, not handed back")
@pytest.mark.kernel_program(
    "handed_back --dev tap --qdisc {qdisc} --len 4 --how {how} --socket-filter 1"
)
@pytest.mark.parametrize("how", ["noqueue", "shrink"])
@pytest.mark.parametrize("qdisc", ["fq_codel", "pfifo_fast"])
def test_handed_back_unfiltered(kernel_run: Run, qdisc: str, how: str) -> None:
    kernel_run.check()


def kind(point: Point) -> pytest.MarkDecorator:
    if point["qdisc"] == "noqueue":
        return pytest.mark.kernel_case("keeps", reason="a refused frame is one that was dropped")
    return pytest.mark.kernel_case("fixes", reason="a refused frame was processed, then dropped")


@pytest.mark.kernel_case("keeps", reason="without a qdisc nobody loses what there is room for")
@pytest.mark.kernel_program(
    "exactly_once --dev {dev} --qdisc noqueue --len 1000 --frames 1000"
    " --senders {senders} --way {way}"
)
@pytest.mark.scenarios(dev=DEVICES, senders=(2, 4), way=("through", "past"))
def test_room_for_all(kernel_run: Run, dev: str, senders: int, way: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_program(
    "exactly_once --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
    " --senders {senders} --way {way} --pace {pace}"
)
@pytest.mark.scenarios(
    crossed=("qdisc", "length", "senders", "way"),
    kind=kind,
    dev=DEVICES,
    reader=("read", "vhost"),
    qdisc=("fq_codel", "fq", "noqueue"),
    length=(1, 2, 4, 16),
    senders=(1, 2, 4),
    way=("through", "past", "both"),
    pace=("varied", "fast"),
)
def test_exactly_once(
    kernel_run: Run,
    dev: str,
    reader: str,
    qdisc: str,
    length: int,
    senders: int,
    way: str,
    pace: str,
) -> None:
    kernel_run.check()
