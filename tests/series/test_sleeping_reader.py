"""A reader that sleeps is told of the next frame, in whatever way it waits."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, few

ON_MACVTAP = ("read", "readv", "poll", "select", "epoll", "iouring")
WAITS = (*ON_MACVTAP, "sigio", "vhost")


@pytest.mark.kernel_case("keeps", reason="a frame in the ring wakes its reader, as ever")
@pytest.mark.kernel_program(
    "sleeping_reader --dev {dev} --wait {wait} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(wait=WAITS, dev=DEVICES, qdisc=("fq_codel", "noqueue", "mq"), length=(1, 16))
def test_sleeping_reader(kernel_run: Run, wait: str, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="an XDP frame in the ring wakes its reader, too")
@pytest.mark.kernel_program("sleeping_reader --dev tap --wait {wait} --len {length} --xdp 1")
@pytest.mark.scenarios(wait=few(WAITS, "read", "vhost"), length=(4, 64))
def test_told_of_xdp(kernel_run: Run, wait: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "keeps", reason="a frame wakes vhost-net, which a guest does not kick again"
)
@pytest.mark.kernel_program("sleeping_reader --dev {dev} --wait vhost --len {length}")
@pytest.mark.parametrize("dev", ["macvtap", "ipvtap"])
@pytest.mark.parametrize("length", [1, 16])
def test_vhost_is_woken(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a frame that comes as the reader goes to sleep wakes it")
@pytest.mark.kernel_program(
    "sleeping_reader --dev {dev} --wait {wait} --qdisc noqueue --len {length} --rounds 300",
    alone=True,
)
@pytest.mark.scenarios(
    dev=(*DEVICES, "macvtap"), wait=few(ON_MACVTAP, "read", "epoll"), length=(1, 4)
)
def test_reader_that_goes_to_sleep(kernel_run: Run, dev: str, wait: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="there is nothing that waits, and so nobody is woken")
@pytest.mark.kernel_program("wake_context --dev {dev} --reader {reader} --qdisc {qdisc}")
@pytest.mark.scenarios(dev=DEVICES, reader=("read", "readv", "vhost"), qdisc=("fq_codel", "fq"))
def test_wakes_by_itself(kernel_run: Run, dev: str, reader: str, qdisc: str) -> None:
    kernel_run.check()
