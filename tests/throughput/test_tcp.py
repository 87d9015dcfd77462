"""The rows of the published TCP tables: iperf3 by streams, by ring length, through a slow relay.

A row is bytes that were received in a second of real time. On a short ring stock has the drops, and
the time to send again, for which there is a qdisc: there it is the other way round by far.
"""

from __future__ import annotations

import pytest
from kseries.build import Image
from kseries.run import Run

from ..series.drops import check_drops
from ..series.matrix import Graded

PROGRAM = (
    "tcp_rate --dev {dev} --reader {reader} --qdisc {qdisc} --len {length} --streams {streams}"
    " --seconds 1 --stall-ms 10000 --expect-drops 1"
)
# What they are held to: tests/thresholds.toml.
RATE = pytest.mark.throughput("received_per_second", lane="wall")


@RATE
@pytest.mark.kernel_program(PROGRAM, deadline_s=120)
@pytest.mark.scenarios(
    crossed=("reader", "length", "streams"),
    reader=Graded(pairs=("read",), once=("vhost",)),
    length=Graded(pairs=(1, 1000), rest=(10, 100)),
    streams=Graded(pairs=(1, 8), once=(16,), rest=(2, 4), beside={"length": (1000,)}),
    qdisc=Graded(pairs=("fq_codel",), apart=("noqueue",)),
    dev=Graded(pairs=("tap",), apart=("tun",)),
)
def test_iperf3(
    kernel_image: Image,
    kernel_run: Run,
    reader: str,
    length: int,
    streams: int,
    qdisc: str,
    dev: str,
) -> None:
    check_drops(kernel_image, kernel_run, "segments", held=qdisc != "noqueue")


@RATE
@pytest.mark.kernel_program(PROGRAM + " --frame-us {frame_us}", deadline_s=120)
@pytest.mark.scenarios(
    streams=Graded(pairs=(8,), rest=(1, 2, 4, 16)),
    frame_us=Graded(pairs=(100,), rest=(20,)),
    length=Graded(pairs=(1000,), rest=(10,)),
    reader=("read",),
    qdisc=("fq_codel",),
    dev=("tap",),
)
def test_slow_relay_rate(
    kernel_image: Image,
    kernel_run: Run,
    streams: int,
    frame_us: int,
    length: int,
    reader: str,
    qdisc: str,
    dev: str,
) -> None:
    check_drops(kernel_image, kernel_run, "segments")
