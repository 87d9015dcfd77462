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
from ..series.matrix import Graded

PROGRAM = (
    "pktgen_rate --dev {dev} --reader {reader.name} --pin {reader.pin} --threads {threads.number}"
    " --mode {mode} --qdisc {qdisc} --consumer {consumer} --expect-drops 1"
)
# What they are held to: tests/thresholds.toml.
COST = pytest.mark.throughput("instructions_per_packet", lane="exact")
RATE = pytest.mark.throughput("received_per_second", lane="wall")
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
WALL_VARIATIONS = VARIATIONS[:3]


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


@COST
@pytest.mark.kernel_program(PROGRAM + " --len 500 --count {threads.few}", variations=VARIATIONS)
@pytest.mark.scenarios(
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


@RATE
@pytest.mark.kernel_program(
    PROGRAM + " --len 500 --perf 1 --count {threads.many}", variations=WALL_VARIATIONS
)
@pytest.mark.scenarios(
    crossed=("reader", "threads", "mode", "qdisc", "dev"),
    reader=Graded(pairs=(READ, VHOST), once=(ANYWHERE,)),
    threads=Graded(pairs=(ONE, FOUR), rest=(TWO,)),
    mode=Graded(pairs=("start_xmit",), rest=("queue_xmit",)),
    qdisc=Graded(pairs=("fq_codel",), once=("noqueue",)),
    consumer=Graded(pairs=("count",), apart=("drop",)),
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


@RATE
@pytest.mark.kernel_program(
    "pktgen_rate --dev tap --reader {reader} --qdisc fq_codel --len {length} --expect-drops 1"
    f" --count {ONE.many}",
    variations=WALL_VARIATIONS,
)
@pytest.mark.scenarios(
    reader=Graded(pairs=("read",), rest=("vhost",)),
    length=Graded(pairs=(4, 64), rest=(1, 16, 256, 1000)),
)
def test_rate_by_length(kernel_image: Image, kernel_run: Run, reader: str, length: int) -> None:
    check_drops(kernel_image, kernel_run, "frames of pktgen's")
