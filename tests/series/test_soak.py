"""No lost wake and no late one, with sender and reader really in parallel on small rings."""

from __future__ import annotations

import pytest
from kseries.run import Run

PROGRAM = "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --senders {senders}"


@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    dev=("tun", "tap"), reader=("read", "vhost"), length=(1, 2, 4, 16), senders=(1, 2)
)
def test_soak(kernel_run: Run, dev: str, reader: str, length: int, senders: int) -> None:
    kernel_run.check()
