"""What a frame in a hurry waits for: a ring's length at most, however much bulk is queued."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

REASON = "no qdisc of a tun or tap ever holds a queue: what the ring cannot take is dropped"
PROGRAM = "latency --what {what} --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program(PROGRAM, alone=True)
@pytest.mark.scenarios(
    what=("ping",),
    dev=DEVICES,
    reader=("read", "vhost"),
    qdisc=("fq_codel",),
    length=(1, 16, 500),
)
def test_ping_overtakes_bulk(
    kernel_run: Run, what: str, dev: str, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program(PROGRAM, alone=True)
@pytest.mark.scenarios(
    what=("band",),
    dev=DEVICES,
    reader=("read",),
    qdisc=("prio", "pfifo_fast"),
    length=(500,),
)
def test_high_band_overtakes(
    kernel_run: Run, what: str, dev: str, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program(PROGRAM, alone=True)
@pytest.mark.scenarios(
    what=("ecn",), dev=DEVICES, reader=("read",), qdisc=("fq_codel",), length=(16,)
)
def test_ecn_marks(
    kernel_run: Run, what: str, dev: str, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program("ping_beside_bulk --bulk udp --dev {dev} --len {length}", alone=True)
@pytest.mark.scenarios(dev=DEVICES, length=(16,))
def test_ping_through_tunnel(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes", reason="beside TCP stock loses a ping now and then, the series none"
)
# On stock all four of its streams may be silent for longer than a timeout of TCP's or two.
@pytest.mark.kernel_program(
    "ping_beside_bulk --bulk tcp --dev {dev} --len {length} --on {kernel} --stall-ms 10000",
    alone=True,
)
@pytest.mark.scenarios(dev=DEVICES, length=(16,))
def test_ping_beside_tcp(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()
