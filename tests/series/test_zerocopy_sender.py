"""A sender by MSG_ZEROCOPY gets its pages back when its frame enters the ring."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES


@pytest.mark.kernel_case("keeps", reason="the reader may come late, and must not hold up a sender")
@pytest.mark.kernel_program(
    "zerocopy_sender --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    dev=DEVICES, reader=("read", "vhost"), qdisc=("fq_codel", "noqueue"), length=(1, 16)
)
def test_zerocopy_sender(kernel_run: Run, dev: str, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="what comes back from the driver still has its pages")
@pytest.mark.kernel_program(
    "zerocopy_sender --how handed_back --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    dev=DEVICES, reader=("read", "vhost"), qdisc=("fq_codel", "pfifo_fast"), length=(1, 16)
)
def test_handed_back_with_its_pages(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()
