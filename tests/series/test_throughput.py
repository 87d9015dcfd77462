"""What the series costs: guest instructions per delivered packet, stock against patched.

In the exact lane the clock counts instructions, so these figures say nothing of cache misses,
atomics or interrupts between CPUs, and nothing of throughput in real time.
"""

from __future__ import annotations

import pytest
from kseries.run import Run

PROGRAM = (
    "pktgen_rate --dev tap --threads {threads} --reader {reader} --qdisc {qdisc} --len 500"
    " --count 3000"
)
# The same for both kernels: how far the ring has turned when the measured part begins, which
# shifts it against the ring's end and against the timer tick.
VARIATIONS = ("--warm-up 200", "--warm-up 207", "--warm-up 333")


@pytest.mark.throughput(
    "instructions_per_packet",
    max_increase=0.25,
    reason="stock drops what patched waits for, and waiting senders spin in pktgen",
)
@pytest.mark.kernel_program(PROGRAM, variations=VARIATIONS)
@pytest.mark.parametrize("qdisc", ["fq_codel", "noqueue"])
@pytest.mark.parametrize("reader", ["read", "vhost"])
@pytest.mark.parametrize("threads", [1, 2])
def test_cost(kernel_run: Run, threads: int, reader: str, qdisc: str) -> None:
    kernel_run.check()
