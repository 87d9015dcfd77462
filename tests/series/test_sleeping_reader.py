"""A reader that sleeps is told of the next frame, in whatever way it waits."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

WAITS = ("read", "readv", "poll", "select", "epoll", "iouring", "sigio")


@pytest.mark.kernel_case("keeps", reason="a frame in the ring wakes its reader, as ever")
@pytest.mark.kernel_program(
    "sleeping_reader --dev {dev} --wait {wait} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(wait=WAITS, dev=DEVICES, qdisc=("fq_codel", "noqueue", "mq"), length=(1, 16))
def test_sleeping_reader(kernel_run: Run, wait: str, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
