"""The rows of the published pktgen tables: transmitted, lost and received, by threads and reader.

In the exact lane a row is guest instructions per packet; there nothing runs in parallel, so that
where vhost's worker runs is no matter. In the wall lane it is what was received in a second.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from kseries.build import Image
from kseries.run import Run

from ..series.drops import check_drops
from ..series.matrix import Graded, Point

PROGRAM = (
    "pktgen_rate --dev {dev} --reader {reader.name} --pin {reader.pin} --threads {threads.number}"
    " --mode {mode} --qdisc {qdisc} --consumer {consumer} --len 500 --expect-drops 1"
)
# The same for both kernels, and what a ratio should not depend on: how far the ring has turned, how
# large a frame is, which CPU has pktgen's first thread and which one the reader.
VARIATIONS = (
    "--warm-up 200",
    "--warm-up 207 --size 124",
    "--warm-up 222 --first-cpu 1",
    "--warm-up 245 --size 252",
    "--warm-up 291 --first-cpu 1 --size 508",
    "--warm-up 333 --size 1514",
)
WALL_VARIATIONS = VARIATIONS[:5]


@dataclass(frozen=True)
class Reader:
    """Who takes the frames, and whether vhost's worker has a CPU of its own."""

    name: str
    pin: int = 1

    def __str__(self) -> str:
        return self.name if self.pin else f"{self.name}_anywhere"


@dataclass(frozen=True)
class Threads:
    """pktgen's, which share the frames of a run."""

    number: int

    def __str__(self) -> str:
        return str(self.number)

    @property
    def many(self) -> int:
        """Frames of each, for some tenths of a second of a guest's time."""
        return 60000 // self.number

    @property
    def few(self) -> int:
        """Frames of each for a clock without noise; with several, who runs when still varies."""
        return 1500 if self.number == 1 else 12000 // self.number


READ, VHOST, ANYWHERE = Reader("read"), Reader("vhost"), Reader("vhost", 0)
ONE, TWO, FOUR = Threads(1), Threads(2), Threads(4)


def cost(point: Point) -> pytest.MarkDecorator:
    """Hold one sender closely; among several, stock drops cheaply what patched delivers."""
    if point["qdisc"] == "noqueue":
        limit, reason = 0.05 if point["threads"] == ONE else 0.25, "noqueue stays as it is"
    elif point["threads"] == ONE and point["mode"] == "start_xmit":
        limit, reason = 0.10, "one sender, whose frames find room most of the time"
    else:
        limit, reason = 0.25, "what stock drops, cheaply, is delivered here"
    return pytest.mark.throughput(
        "instructions_per_packet", max_increase=limit, reason=reason, lane="exact"
    )


def rate(point: Point) -> pytest.MarkDecorator:
    """Let a rate fall by what a busy machine of a few CPUs makes of the same kernel twice."""
    return pytest.mark.throughput(
        "received_per_second",
        max_decrease=0.3,
        reason="as many frames arrive as on stock, and those that were dropped besides",
        lane="wall",
    )


@pytest.mark.kernel_program(PROGRAM + " --count {threads.few}", variations=VARIATIONS)
@pytest.mark.scenarios(
    kind=cost,
    reader=(READ, VHOST),
    threads=(ONE, TWO, FOUR),
    mode=("start_xmit", "queue_xmit"),
    qdisc=("fq_codel", "noqueue"),
    consumer=Graded(pairs=("count",), once=("drop",), beside={"qdisc": ("fq_codel",)}),
    dev=Graded(pairs=("tap",), once=("tun",), beside={"qdisc": ("fq_codel",)}),
)
def test_cost(
    kernel_image: Image,
    kernel_run: Run,
    reader: Reader,
    threads: Threads,
    mode: str,
    qdisc: str,
    consumer: str,
    dev: str,
) -> None:
    check_drops(kernel_image, kernel_run, "frames of pktgen's", held=qdisc != "noqueue")


@pytest.mark.kernel_program(PROGRAM + " --count {threads.many}", variations=WALL_VARIATIONS)
@pytest.mark.scenarios(
    kind=rate,
    crossed=("reader", "threads", "mode", "qdisc"),
    reader=Graded(pairs=(READ, VHOST), once=(ANYWHERE,)),
    threads=Graded(pairs=(ONE, FOUR), rest=(TWO,)),
    mode=Graded(pairs=("start_xmit",), rest=("queue_xmit",)),
    qdisc=Graded(pairs=("fq_codel",), once=("noqueue",)),
    consumer=Graded(pairs=("count",), once=("drop",)),
    dev=Graded(pairs=("tap",), rest=("tun",)),
)
def test_rate(
    kernel_image: Image,
    kernel_run: Run,
    reader: Reader,
    threads: Threads,
    mode: str,
    qdisc: str,
    consumer: str,
    dev: str,
) -> None:
    check_drops(kernel_image, kernel_run, "frames of pktgen's", held=qdisc != "noqueue")
