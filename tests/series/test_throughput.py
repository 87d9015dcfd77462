"""What the series costs: guest instructions per delivered packet, stock against patched.

In the exact lane the clock counts instructions, so these figures say nothing of cache misses,
atomics or interrupts between CPUs, and nothing of throughput in real time.
"""

from __future__ import annotations

import pytest
from kseries.build import Image
from kseries.run import Run

from .drops import check_drops

PROGRAM = (
    "pktgen_rate --dev tap --threads {threads} --reader {reader} --qdisc {qdisc} --len 500"
    " --count {count} --expect-drops 1"
)
# The same for both kernels: how far the ring has turned when the measured part begins, which
# shifts it against the ring's end and against the timer tick.
VARIATIONS = tuple(f"--warm-up {n}" for n in (200, 207, 222, 245, 291, 333))

# One stop for so many frames, or less.
MOST_STOPPED = 10


@pytest.mark.throughput("instructions_per_packet")
@pytest.mark.kernel_program(PROGRAM, variations=VARIATIONS)
@pytest.mark.parametrize("count", [3000])
@pytest.mark.parametrize("qdisc", ["fq_codel"])
@pytest.mark.parametrize("reader", ["read", "vhost"])
@pytest.mark.parametrize("threads", [1, 2])
def test_cost(
    kernel_image: Image, kernel_run: Run, threads: int, reader: str, qdisc: str, count: int
) -> None:
    check_drops(kernel_image, kernel_run, "frames of pktgen's")
    # One sender never fills a ring of 500 here: the reader keeps up.
    if threads == 1 and kernel_run.counted:
        wakes = max(kernel_run.samples("wakes"))
        if wakes > count // MOST_STOPPED:
            kernel_run.fail(f"the queue was stopped and woken {wakes:.0f} times for {count} frames")
