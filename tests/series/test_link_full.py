"""Set down and up again over a full ring, a device stops its queue before a frame comes."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, READERS


@pytest.mark.kernel_case("fixes", reason="what finds the ring full is dropped")
@pytest.mark.kernel_program(
    "link_full --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    dev=DEVICES, reader=READERS, qdisc=("fq_codel", "pfifo_fast"), length=(1, 16, 64)
)
def test_link_full(kernel_run: Run, dev: str, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()
