"""No lost wake and no late one, with sender and reader really in parallel on small rings."""

from __future__ import annotations

import pytest
from kseries.run import Run

PROGRAM = "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --seed {seed}"


@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("length", [1, 2, 4, 16])
@pytest.mark.parametrize("reader", ["read", "vhost"])
@pytest.mark.parametrize("dev", ["tun", "tap"])
def test_soak(kernel_run: Run, dev: str, reader: str, length: int, seed: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(PROGRAM + " --senders 2")
@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("length", [2, 16])
@pytest.mark.parametrize("reader", ["read", "vhost"])
@pytest.mark.parametrize("dev", ["tap"])
def test_soak_two_senders(kernel_run: Run, dev: str, reader: str, length: int, seed: int) -> None:
    kernel_run.check()
