"""Several queues of one device: under mq a full one is alone with it, under one qdisc it is not."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, Graded

UNDER_MQ = "multi_queue --dev {dev} --qdisc mq --child {child} --queues {queues} --len {length}"
CHILDREN = ("fq_codel", "pfifo_fast")
LENGTHS = (8, 64)


@pytest.mark.kernel_case("fixes", reason="the driver drops what the stuck queue cannot hold")
@pytest.mark.kernel_program(UNDER_MQ + " --part stuck")
@pytest.mark.scenarios(dev=DEVICES, child=CHILDREN, queues=(1, 2, 4), length=LENGTHS)
def test_only_the_full_queue_waits(
    kernel_run: Run, dev: str, child: str, queues: int, length: int
) -> None:
    kernel_run.check()


# A stuck queue that is not the first one shows a stop or a wake of the wrong one.
@pytest.mark.kernel_case("same", figures=("came",), reason="neighbours of a full queue go on")
@pytest.mark.kernel_program(UNDER_MQ + " --part neighbours --stuck {stuck}")
@pytest.mark.scenarios(dev=DEVICES, child=CHILDREN, queues=(2, 4), length=LENGTHS, stuck=(0, 1))
def test_neighbours_go_on(
    kernel_run: Run, dev: str, child: str, queues: int, length: int, stuck: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes", reason="with one qdisc for all queues, frames for the full one hold up the others"
)
@pytest.mark.kernel_program(
    "multi_queue --part root --kernel {kernel} --dev {dev} --qdisc {qdisc} --queues {queues}"
    " --len {length}"
)
@pytest.mark.scenarios(
    dev=DEVICES, qdisc=("fq_codel", "pfifo_fast"), queues=(2, 4), length=(32, 64)
)
def test_one_qdisc_for_all(kernel_run: Run, dev: str, qdisc: str, queues: int, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the full queues cannot hold")
@pytest.mark.kernel_program(UNDER_MQ + " --part wake")
@pytest.mark.scenarios(
    dev=DEVICES, child=CHILDREN, queues=Graded((1, 2, 4), once=(16,)), length=LENGTHS
)
def test_reader_wakes_its_own(
    kernel_run: Run, dev: str, child: str, queues: int, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the readers are too slow for")
@pytest.mark.kernel_program(UNDER_MQ + " --part concurrent --senders {senders}")
@pytest.mark.scenarios(
    dev=DEVICES, child=CHILDREN, queues=(1, 2, 4), length=LENGTHS, senders=(2, 4)
)
def test_all_at_once(
    kernel_run: Run, dev: str, child: str, queues: int, length: int, senders: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the queue with a qdisc cannot hold")
@pytest.mark.kernel_program("mixed_qdiscs --dev {dev} --len {length} --plain {plain}")
@pytest.mark.scenarios(dev=DEVICES, length=LENGTHS, plain=(0, 1))
def test_each_queue_its_own_qdisc(kernel_run: Run, dev: str, length: int, plain: int) -> None:
    kernel_run.check()
