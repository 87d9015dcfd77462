"""Measurements in real time: fresh boots of both kernels in random order, until it is clear.

A pair is one boot of each kernel, one right after the other. Two pairs make a block, ABBA or BAAB,
so that what drifts meets both alike; a seeded generator draws which. All scenarios that are still
open are measured in the same boots. A boot runs all variations of a scenario, and its sample is
their geometric mean: a program differs from itself in one boot as much as from boot to boot, and
it takes less time. The mathematics is in docs/statistics.md.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from .errors import GuestCrashed, KseriesError
from .guest import Guest, Ran
from .throughput import WALL, Comparison, Threshold, compare, middle
from .verdict import KERNELS, PATCHED, STOCK

# Looked at after each block from four pairs to twenty, nine times in all. Pocock (Biometrika 64,
# 1977, table 1): ten looks at a level of 0.0106 each keep the whole at 5 %; so do nine at 1 %.
FIRST_LOOK, MOST_PAIRS = 4, 20
LEVEL = 0.99


@dataclass
class Scenario:
    """What is measured of a case, and what came of it: for each kernel its runs, in pairs."""

    # For each kernel its variations, all of which each boot runs.
    commands: Mapping[str, Sequence[Sequence[str]]]
    threshold: Threshold
    deadline_s: float
    # All runs, and of each boot its sample.
    runs: dict[str, list[Ran]] = field(default_factory=lambda: {name: [] for name in KERNELS})
    samples: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in KERNELS})
    guests: dict[str, Guest] = field(default_factory=dict)
    # The kernels that did not come up for it.
    crashes: dict[str, GuestCrashed] = field(default_factory=dict)
    # What kept the measurement from its end.
    trouble: KseriesError | None = None
    comparison: Comparison | None = None
    # Set when a program failed, or when it is clear: then there is nothing more to measure, but
    # that each kernel has to show once what it does.
    over: bool = False
    stop_early: bool = True

    def wants(self, kernel: str) -> bool:
        """Whether a boot of `kernel` has something to do for it."""
        return not (self.over and (self.runs[kernel] or kernel in self.crashes))

    def fail(self) -> None:
        """End it without a comparison, whatever earlier looks have found."""
        self.over, self.comparison = True, None

    def look(self) -> None:
        """Compare what there is; it is over when that is clear, or no more is to come."""
        pairs = len(self.samples[STOCK])
        if self.over or pairs < FIRST_LOOK:
            return
        self.comparison = compare(
            self.samples[STOCK], self.samples[PATCHED], self.threshold, lane=WALL, confidence=LEVEL
        )
        clear = self.stop_early and self.comparison.settled
        self.over = clear or pairs >= MOST_PAIRS


def blocks(seed: int) -> Iterator[tuple[str, ...]]:
    """Draw the order of boots, four at a time: ABBA or BAAB, A being stock."""
    draw = random.Random(seed)
    while True:
        first = draw.choice(KERNELS)
        second = PATCHED if first == STOCK else STOCK
        yield first, second, second, first


def measure(
    scenarios: Mapping[str, Scenario],
    boot: Callable[[str], Guest],
    sample: Callable[[Ran, str], float | None],
    seed: int,
    said: Callable[[str], object],
    most_s: float = math.inf,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Measure all scenarios, in place. `sample` gives a run's metric, or None if it failed.

    After the first look no block is begun that would end `most_s` seconds after the start, should
    it take as long as the one before. Which scenarios that leaves open has nothing to do with what
    they measured, so it makes no word of theirs more likely.

    A kernel that crashes while it boots ends what was to be measured in that boot. Raises what else
    `boot` raises.
    """
    start = before = clock()
    for nr, block in enumerate(blocks(seed), 1):
        still = {name: one for name, one in scenarios.items() if not one.over}
        now = clock()
        if not still or (nr > FIRST_LOOK // 2 and 2 * now - before - start > most_s):
            return
        before = now
        for kernel in block:
            said(f"measuring in real time: pair {2 * nr - 1} to {2 * nr}, {len(still)} open")
            _once(kernel, still.values(), boot, sample)
        for one in still.values():
            one.look()


def _once(
    kernel: str,
    scenarios: Iterable[Scenario],
    boot: Callable[[str], Guest],
    sample: Callable[[Ran, str], float | None],
) -> None:
    """Boot once, and run what is still open."""
    waiting = [one for one in scenarios if one.wants(kernel)]
    guest: Guest | None = None
    stood_still = False
    try:
        while waiting:
            one = waiting[0]
            if guest is None or not guest.alive:  # the one before took it along
                guest = boot(kernel)
            one.guests[kernel] = guest
            rans, values = [], []
            for argv in one.commands[kernel]:
                rans.append(guest.run(argv, round(one.deadline_s * 1000)))
                value = sample(rans[-1], one.threshold.metric)
                if value is None:
                    break
                values.append(value)
            if guest.stood_still_s and not stood_still:
                stood_still = True
                guest.close()
                continue  # what was measured is void; a second time it is what it is
            one.runs[kernel] += rans
            if len(values) == len(rans):
                one.samples[kernel].append(middle(values))
            else:
                one.fail()
            waiting.pop(0)
    except GuestCrashed as crash:
        for one in waiting:
            one.crashes[kernel] = crash
            one.fail()
    finally:
        if guest is not None:
            guest.close()
