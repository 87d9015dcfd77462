"""TCP over two tun or tap devices and a program between them, as through a VPN."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

REASON = "a full ring costs TCP a segment, and the time to send it again"


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program(
    "tcp_relay --dev {dev} --qdisc {qdisc} --len {length} --kib 256 --frame-us 100"
)
@pytest.mark.scenarios(
    dev=DEVICES, qdisc=("fq_codel", "pfifo_fast"), length=(1, 2, 10, 100)
)
def test_slow_relay(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason=REASON)
@pytest.mark.kernel_program(
    "tcp_relay --dev {dev} --qdisc fq_codel --len {length} --streams {streams} --kib 512"
    " --frame-us 0 --ms 3000 --stall-ms 8000"
)
@pytest.mark.scenarios(dev=DEVICES, length=(16, 500), streams=(1, 2, 8, 16))
def test_streams(kernel_run: Run, dev: str, length: int, streams: int) -> None:
    kernel_run.check()
