"""The rows of the published TCP tables: iperf3 by streams, by ring length, through a slow relay.

A row is bytes that were received in a second of real time. On a short ring stock has the drops, and
the time to send again, for which there is a qdisc: there it is the other way round by far.
"""

from __future__ import annotations

import pytest
from kseries.build import Image
from kseries.run import Run

from ..series.drops import check_drops
from ..series.matrix import Graded, Point

PROGRAM = (
    "tcp_rate --dev {dev} --reader {reader} --qdisc {qdisc} --len {length} --streams {streams}"
    " --frame-us {frame_us} --seconds 1 --stall-ms 10000 --expect-drops 1"
)
# Nothing is drawn from a seed here: it is the same again.
VARIATIONS = tuple(f"--seed {n}" for n in range(1, 6))


def rate(point: Point) -> pytest.MarkDecorator:
    """Let a rate fall by what a busy machine of a few CPUs makes of the same kernel twice."""
    slow = point["frame_us"] > 0
    return pytest.mark.throughput(
        "received_per_second",
        max_decrease=0.4 if slow else 0.25,
        reason="what the qdisc holds at the end of a second was sent and does not count"
        if slow
        else "as much as on stock, and on a short ring more",
        lane="wall",
    )


@pytest.mark.kernel_program(PROGRAM, variations=VARIATIONS, deadline_s=120)
@pytest.mark.scenarios(
    kind=rate,
    crossed=("reader", "length", "streams", "frame_us"),
    reader=Graded(pairs=("read",), once=("vhost",)),
    length=Graded(pairs=(1, 1000), rest=(10, 100)),
    streams=Graded(pairs=(1, 8), rest=(2, 4, 16)),
    frame_us=Graded(pairs=(0,), once=(100,), rest=(20,)),
    qdisc=Graded(pairs=("fq_codel",), rest=("noqueue",)),
    dev=Graded(pairs=("tap",), rest=("tun",)),
)
def test_iperf3(
    kernel_image: Image,
    kernel_run: Run,
    reader: str,
    length: int,
    streams: int,
    frame_us: int,
    qdisc: str,
    dev: str,
) -> None:
    check_drops(kernel_image, kernel_run, "segments", held=qdisc != "noqueue")
