"""TCP over two tun or tap devices and a program between them, as through a VPN."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from kseries.run import Run

from .matrix import DEVICES, Point

PROGRAM = (
    "tcp_relay --dev {dev} --qdisc {qdisc} --len {ring.length} --streams {streams}"
    " --cut-ms {ring.cut_ms} --stall-ms 10000 --on {kernel}"
)


@dataclass(frozen=True)
class Ring:
    """A length; and where stock is sure to drop, the time after which it need not go on."""

    length: int
    cut_ms: int = 0

    def __str__(self) -> str:
        return str(self.length)


def by_ring(point: Point) -> pytest.MarkDecorator:
    """Choose *fixes* where TCP's first burst, ten segments, is more than the ring can take."""
    if point["ring"].cut_ms:
        return pytest.mark.kernel_case(
            "fixes", reason="a full ring costs TCP a segment, and the time to send it again"
        )
    return pytest.mark.kernel_case("keeps", reason="over a longer ring TCP goes on as on stock")


@pytest.mark.kernel_program(PROGRAM + " --kib 256 --frame-us 50")
@pytest.mark.scenarios(
    kind=by_ring,
    dev=DEVICES,
    qdisc=("fq_codel", "pfifo_fast"),
    ring=(Ring(1, 800), Ring(2, 800), Ring(10, 800), Ring(100), Ring(1000)),
    streams=(1,),
)
def test_slow_relay(kernel_run: Run, dev: str, qdisc: str, ring: Ring, streams: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_program(PROGRAM + " --kib 128 --frame-us 0")
@pytest.mark.scenarios(
    kind=by_ring,
    dev=DEVICES,
    qdisc=("fq_codel",),
    ring=(Ring(4, 800), Ring(100)),
    streams=(1, 2, 8, 16),
)
def test_streams(kernel_run: Run, dev: str, qdisc: str, ring: Ring, streams: int) -> None:
    kernel_run.check()
