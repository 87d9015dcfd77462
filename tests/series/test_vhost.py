"""vhost-net takes frames a batch at a time, and gives back what it has no buffers for."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, HOLDING, LENGTHS, QDISCS, few, fixes_or_same
from .shown import must_wait


# Few and many, and around the 64 frames that vhost-net takes at a time.
@pytest.mark.scenarios(
    kind=fixes_or_same("the driver drops what the ring cannot hold"),
    crossed=("length", "offer"),
    dev=DEVICES,
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=few(LENGTHS, 1, 32, 500),
    offer=(1, 8, 63, 64, 65, 256),
)
@pytest.mark.kernel_program(
    "vhost_batch --dev {dev} --qdisc {qdisc} --len {length} --offer {offer}"
)
def test_vhost_batch(kernel_run: Run, dev: str, qdisc: str, length: int, offer: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a transfer goes on after vhost-net has come and gone")
@pytest.mark.scenarios(
    crossed=("how", "length", "offer"),
    dev=DEVICES,
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=few((1, 4, 31, 64, 500), 1, 64),
    how=("backend", "owner", "close", "swap"),
    offer=(1, 10, 64),
)
@pytest.mark.kernel_program(
    "vhost_release --dev {dev} --qdisc {qdisc} --len {length} --how {how} --offer {offer}"
    " --rounds 4"
)
def test_vhost_comes_and_goes(
    kernel_run: Run, dev: str, qdisc: str, length: int, how: str, offer: int
) -> None:
    kernel_run.check()
    if qdisc != "noqueue":
        must_wait(kernel_run, "backlog_before")
    elif kernel_run.figures["destroyed"]:  # nobody sent meanwhile
        kernel_run.fail("what was given back was destroyed, and there was room for it")


# Some frames were read before, so that giving back three of them clears slots as well.
@pytest.mark.kernel_case("keeps", reason="giving frames back can make room under a stopped queue")
@pytest.mark.kernel_program(
    "vhost_release --dev {dev} --qdisc fq_codel --len 100 --pre 5 --offer 61 --extra 300"
)
@pytest.mark.parametrize("dev", DEVICES)
def test_vhost_gives_back_room(kernel_run: Run, dev: str) -> None:
    kernel_run.check()
    must_wait(kernel_run, "backlog_before")
    if kernel_run.figures["destroyed"]:
        kernel_run.fail("what was given back was destroyed, and there was room for it")


# What the others' rings must be spared shows only where the served one is not the first.
@pytest.mark.kernel_case("fixes", reason="a ring that what was given back fills up drops the next")
@pytest.mark.kernel_program(
    "vhost_queues --dev {dev} --queues {queues} --served {served} --len {length}"
)
@pytest.mark.scenarios(dev=DEVICES, queues=(2, 4), served=(0, 1), length=(1, 16, 64))
def test_vhost_serves_one_of_several(
    kernel_run: Run, dev: str, queues: int, served: int, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a backend that is refused changes nothing")
@pytest.mark.kernel_program(
    "vhost_backend --part refused --dev {dev} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    dev=(*DEVICES, "macvtap", "ipvtap"), qdisc=few(QDISCS, "fq_codel", "noqueue"), length=(2, 64)
)
def test_vhost_refuses(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="what is given back to a deleted device is freed")
@pytest.mark.kernel_program(
    "vhost_backend --part deleted --dev {dev} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    dev=(*DEVICES, "macvtap", "ipvtap"), qdisc=few(QDISCS, "fq_codel", "noqueue"), length=(2, 64)
)
def test_vhost_outlives_the_device(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a device that is down is not held by what it gets back")
@pytest.mark.kernel_program("vhost_backend --part down --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    dev=(*DEVICES, "macvtap", "ipvtap"), qdisc=few(QDISCS, "fq_codel", "noqueue"), length=(2, 64)
)
def test_vhost_lets_go_of_a_device_that_is_down(
    kernel_run: Run, dev: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="room is room, with noqueue as well")
@pytest.mark.kernel_program(
    "vhost_backend --part noqueue --dev {dev} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(dev=DEVICES, qdisc=few(HOLDING, "fq_codel", "mq"), length=(100, 500))
def test_vhost_gives_back_to_noqueue(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
    must_wait(kernel_run, "backlog_before")


@pytest.mark.kernel_case("keeps", reason="what a guest receives is not what it sends")
@pytest.mark.kernel_program("vhost_backend --part tx --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    dev=(*DEVICES, "macvtap"), qdisc=few(QDISCS, "fq_codel", "noqueue"), length=(2, 64)
)
def test_vhost_sends_elsewhere(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
