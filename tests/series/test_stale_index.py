"""A file without a queue keeps a queue's number; reading from it must wake nobody's queue."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES


@pytest.mark.kernel_case("keeps", reason="a detached file's number is another file's by now")
@pytest.mark.kernel_program(
    "stale_index --dev {dev} --reader {reader} --qdisc {qdisc} --len {length} --give {give}"
)
@pytest.mark.scenarios(
    dev=DEVICES,
    reader=("read", "vhost"),
    qdisc=("fq_codel", "pfifo_fast"),
    length=(2, 16),
    give=("rest", "all", "late"),
)
def test_stale_index(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int, give: str
) -> None:
    kernel_run.check()
