"""Measurements against stock: paired samples, a ratio with its interval, a threshold.

The mathematics, with its sources, is written out in docs/how-it-works.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from .errors import UsageProblem

CONFIDENCE = 0.95
# The one metric that run.py makes itself; any other is a figure that the program prints.
INSTRUCTIONS_PER_PACKET = "instructions_per_packet"


@dataclass(frozen=True)
class Threshold:
    """What a measurement is held to: `metric` may grow by at most `max_increase` (0.05: 5 %)."""

    metric: str
    max_increase: float
    reason: str


@dataclass(frozen=True)
class FunctionCost:
    """Instructions per packet in one function of the kernel."""

    name: str
    stock: float
    patched: float

    @property
    def change(self) -> float:
        """What patched needs more."""
        return self.patched - self.stock


@dataclass
class Comparison:
    """Patched over stock: the geometric mean of the pairs' ratios and its 95 % interval."""

    metric: str
    stock: float
    patched: float
    ratio: float
    low: float
    high: float
    pairs: int
    threshold: float
    threshold_reason: str
    word: str
    # Where the difference lies, largest first; only where instructions were counted.
    functions: list[FunctionCost] = field(default_factory=list)


def compare(stock: Sequence[float], patched: Sequence[float], threshold: Threshold) -> Comparison:
    """Compare paired samples, one of each kernel for the same variation, in the same order.

    The interval is Student's on the logarithms of the ratios (n - 1 degrees of freedom).
    Raises UsageProblem for samples that are no pairs, or not positive, or fewer than two.
    """
    if len(stock) != len(patched) or len(stock) < 2:
        raise UsageProblem(
            f"a comparison needs two or more pairs, not {len(stock)} and {len(patched)} samples"
        )
    if min(*stock, *patched) <= 0:
        raise UsageProblem(f"{threshold.metric} is not positive: {list(stock)}, {list(patched)}")
    logs = [math.log(after / before) for before, after in zip(stock, patched, strict=True)]
    center, count = fmean(logs), len(logs)
    spread = stdev(logs) / math.sqrt(count)
    from scipy import stats  # here: it takes a second to import, and most sessions measure nothing

    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread
    low, high = math.exp(center - margin), math.exp(center + margin)
    return Comparison(
        metric=threshold.metric,
        stock=fmean(stock),
        patched=fmean(patched),
        ratio=math.exp(center),
        low=low,
        high=high,
        pairs=count,
        threshold=threshold.max_increase,
        threshold_reason=threshold.reason,
        word=_word(math.exp(center), low, high, threshold.max_increase),
    )


def _word(ratio: float, low: float, high: float, threshold: float) -> str:
    """Less is better. A change needs an interval without 1 and an estimate past the threshold."""
    if low > 1 and ratio > 1 + threshold:
        return "regressed"
    if high < 1 and ratio < 1 / (1 + threshold):
        return "improved"
    if low >= 1 / (1 + threshold) and high <= 1 + threshold:
        return "ok"
    return "inconclusive"


# Functions listed, and the least change worth listing, in instructions per packet.
_MOST_FUNCTIONS, _LEAST_CHANGE = 20, 0.5


def mean_by_function(variations: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Average the functions' instructions per packet over variations; absent counts as 0."""
    names = set().union(*variations)
    return {name: fmean(v.get(name, 0.0) for v in variations) for name in sorted(names)}


def differences(stock: Mapping[str, float], patched: Mapping[str, float]) -> list[FunctionCost]:
    """Return the functions whose cost differs, the largest change first."""
    costs = [
        FunctionCost(name, round(stock.get(name, 0.0), 2), round(patched.get(name, 0.0), 2))
        for name in {**stock, **patched}
    ]
    costs = [cost for cost in costs if abs(cost.change) >= _LEAST_CHANGE]
    return sorted(costs, key=lambda cost: (-abs(cost.change), cost.name))[:_MOST_FUNCTIONS]
