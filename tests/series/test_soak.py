"""No lost wake and no late one, with sender and reader really in parallel on small rings."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import few

PROGRAM = "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --senders {senders}"


@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("reader", "length", "senders"),
    dev=("tun", "tap"),
    reader=few(("read", "vhost", "iouring"), "read", "vhost"),
    length=(1, 2, 4, 16),
    senders=(1, 2),
)
def test_soak(kernel_run: Run, dev: str, reader: str, length: int, senders: int) -> None:
    kernel_run.check()


# With one slot every frame is a chance to lose a wake: the likeliest place to see it happen.
@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(PROGRAM + " --seed {seed}")
@pytest.mark.parametrize("seed", [2, 3])
@pytest.mark.parametrize("senders", [1, 2])
@pytest.mark.parametrize("length", [1])
@pytest.mark.parametrize("reader", ["read"])
@pytest.mark.parametrize("dev", ["tap"])
def test_soak_one_slot(
    kernel_run: Run, dev: str, reader: str, length: int, senders: int, seed: int
) -> None:
    kernel_run.check()
