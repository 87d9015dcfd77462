"""TCP over two tun or tap devices and a program between them, as through a VPN."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

PROGRAM = "tcp_relay --dev {dev} --qdisc {qdisc} --len {length} --streams {streams}"
DROPS = "a full ring costs TCP a segment, and the time to send it again"
FLOWS = "with a ring that seldom fills, streams go on as on stock"


@pytest.mark.kernel_case("fixes", reason=DROPS)
@pytest.mark.kernel_program(PROGRAM + " --kib 192 --frame-us 100 --ms 1000")
@pytest.mark.scenarios(
    dev=DEVICES, qdisc=("fq_codel", "pfifo_fast"), length=(1, 2, 10), streams=(1,)
)
def test_slow_relay(kernel_run: Run, dev: str, qdisc: str, length: int, streams: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason=FLOWS)
@pytest.mark.kernel_program(
    PROGRAM + " --kib 192 --frame-us 100 --stall-ms 10000 --on {kernel}"
)
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel",), length=(100, 1000), streams=(1,))
def test_slow_relay_long_ring(
    kernel_run: Run, dev: str, qdisc: str, length: int, streams: int
) -> None:
    kernel_run.check()


# Ten segments leave at once when a stream begins: more than such a ring can take.
@pytest.mark.kernel_case("fixes", reason=DROPS)
@pytest.mark.kernel_program(PROGRAM + " --kib 128 --frame-us 0 --ms 1500 --stall-ms 10000")
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel",), length=(4,), streams=(2, 8, 16))
def test_streams_short_ring(
    kernel_run: Run, dev: str, qdisc: str, length: int, streams: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason=FLOWS)
@pytest.mark.kernel_program(PROGRAM + " --kib 256 --frame-us 0 --stall-ms 10000 --on {kernel}")
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel",), length=(500,), streams=(1, 2, 8, 16))
def test_streams(kernel_run: Run, dev: str, qdisc: str, length: int, streams: int) -> None:
    kernel_run.check()
