"""The ring may be replaced, or lose its queue, at any time: no look at the old one, no stall."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import Graded


@pytest.mark.kernel_case("keeps", reason="whatever a new ring destroys, the rest goes on")
@pytest.mark.kernel_program(
    "resize_race --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}", alone=True
)
@pytest.mark.scenarios(
    dev=("tun", "tap"),
    reader=("read", "vhost"),
    qdisc=("fq_codel", "pfifo_fast", "noqueue"),
    length=(2, 16),
)
def test_resize_race(kernel_run: Run, dev: str, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="who looks at the ring sees the old or the new one")
@pytest.mark.kernel_program("resize_look --dev {dev} --qdisc fq_codel --len {length}", alone=True)
@pytest.mark.scenarios(dev=("tun", "tap"), length=(1, 16))
def test_resize_at_a_look(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


# A sender leaves such a ring full with each frame, also one that has just lost its queue.
@pytest.mark.kernel_case("keeps", reason="who is in the driver with a frame stops nobody else")
@pytest.mark.kernel_program("detach_race --dev {dev} --qdisc {qdisc} --len {length}", alone=True)
@pytest.mark.scenarios(dev=("tun", "tap"), qdisc=("fq_codel", "pfifo_fast", "mq"), length=(1, 2))
def test_detach_race(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="who reads what is given back keeps the queue running")
@pytest.mark.kernel_program(
    "given_back_race --dev {dev} --qdisc fq_codel --len {length}", alone=True
)
@pytest.mark.scenarios(dev=("tun", "tap"), length=(1, 2, 4))
def test_given_back_race(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped")
@pytest.mark.kernel_program(
    "given_back_race --other sends --dev {dev} --qdisc fq_codel --len {length}", alone=True
)
@pytest.mark.scenarios(dev=("tun", "tap"), length=(2, 4))
def test_given_back_to_a_sender(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="without a qdisc no queue stops, not for a moment")
@pytest.mark.kernel_program(
    "given_back_race --other {other} --dev {dev} --qdisc noqueue --len {length}", alone=True
)
@pytest.mark.scenarios(dev=("tun", "tap"), other=("sends", "fills"), length=(2, 4))
def test_given_back_past_no_qdisc(kernel_run: Run, dev: str, other: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped")
@pytest.mark.kernel_program(
    "given_back_race --other fills --dev {dev} --qdisc fq_codel --len {length}", alone=True
)
@pytest.mark.scenarios(dev=("tun", "tap"), length=(1, 2, 4))
def test_given_back_to_the_last_slot(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="who finds room after all leaves no frame behind")
@pytest.mark.kernel_program("second_look --dev {dev} --qdisc {qdisc}", alone=True)
# A tap has the other second look.
@pytest.mark.scenarios(dev=Graded(("tun",), rest=("tap",)), qdisc=("fq_codel", "fq", "prio"))
def test_second_look(kernel_run: Run, dev: str, qdisc: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "keeps", reason="who reads while the link comes up keeps the queue running"
)
@pytest.mark.kernel_program(
    "given_back_race --other link --dev {dev} --qdisc fq_codel --len {length}", alone=True
)
@pytest.mark.scenarios(dev=("tun", "tap"), length=(1, 2, 4))
def test_link_comes_up_over_a_reader(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped")
@pytest.mark.kernel_program("second_look --fill xdp --qdisc {qdisc} --dev tap", alone=True)
@pytest.mark.parametrize("qdisc", ["fq_codel", "prio"])
def test_second_look_before_the_slot(kernel_run: Run, qdisc: str) -> None:
    kernel_run.check()
