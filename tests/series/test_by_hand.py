"""`make -C kselftests run_tests`: each program says something of a kernel without any option."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from kseries.errors import GuestTestFailed
from kseries.run import Run
from kseries.verdict import STOCK

from .matrix import Graded

PROGRAMS = sorted(path.stem for path in (Path(__file__).parents[2] / "kselftests").glob("*.c"))
# Those whose defaults are not those of all.
OWN = (
    "detach_race",
    "given_back_race",
    "left_full",
    "macvtap_files",
    "multi_queue",
    "resize_look",
    "second_look",
    "segments",
    "stale_index",
    "vhost_backend",
    "vhost_holds",
    "vhost_merged",
    "vhost_queues",
    "wake_context",
)


@pytest.mark.kernel_case("changes", reason="good on patched; what stock says is up to the program")
# Some race: two guests at that on two CPUs take twice as long as one after the other.
@pytest.mark.kernel_program("{program}", alone=True)
@pytest.mark.scenarios(
    program=Graded(OWN, rest=tuple(name for name in PROGRAMS if name not in OWN))
)
def test_by_hand(kernel_run: Run, program: str) -> None:
    allowed = [GuestTestFailed] if kernel_run.kernel == STOCK else []
    with contextlib.suppress(*allowed):
        kernel_run.check()
