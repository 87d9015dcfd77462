"""Measurements against stock: paired samples, a ratio with its interval, a threshold.

The mathematics, with its sources, is written out in docs/statistics.md.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

from .errors import UsageProblem
from .functions import FunctionCost, student

CONFIDENCE = 0.95
# What run.py makes of a program's figures; any other metric is such a figure.
INSTRUCTIONS_PER_PACKET = "instructions_per_packet"
PER_SECOND = "_per_second"


MORE, LESS = "more", "less"
# Where it is measured: instructions in the one, seconds in the other.
EXACT, WALL = "exact", "wall"


@dataclass(frozen=True)
class Threshold:
    """What a measurement is held to: `metric` may change for the worse by `limit` (0.05: 5 %).

    `worse` says which way that is: "more" of a cost, "less" of a rate; less by 1 is nothing left.
    """

    metric: str
    limit: float
    reason: str
    worse: str = MORE


@dataclass
class Comparison:
    """Patched over stock: the geometric mean of the pairs' ratios and its interval."""

    metric: str
    lane: str
    worse: str
    stock: float
    patched: float
    ratio: float
    low: float
    high: float
    confidence: float
    pairs: int
    threshold: float
    threshold_reason: str
    word: str
    # Where the difference lies, largest first; only where instructions were counted.
    functions: list[FunctionCost] = field(default_factory=list)

    @property
    def settled(self) -> bool:
        """Whether more pairs need not be taken: "ok" may be on its way to "improved"."""
        best = self.low if self.worse == MORE else 1 / self.high
        inside = best >= 1 / allowed(self.threshold, self.worse)
        return inside if self.word == "ok" else self.word != "inconclusive"


def allowed(limit: float, worse: str) -> float:
    """Return by which factor a figure may be worse: with 0.2 it is 1.2, of a rate 1 / 0.8."""
    return 1 + limit if worse == MORE else 1 / (1 - limit)


def compare(
    stock: Sequence[float],
    patched: Sequence[float],
    threshold: Threshold,
    *,
    lane: str = EXACT,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare paired samples, one of each kernel for the same variation or boot, in order.

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
    margin = student(confidence, count - 1) * spread
    low, high = math.exp(center - margin), math.exp(center + margin)
    return Comparison(
        metric=threshold.metric,
        lane=lane,
        worse=threshold.worse,
        stock=fmean(stock),
        patched=fmean(patched),
        ratio=math.exp(center),
        low=low,
        high=high,
        confidence=confidence,
        pairs=count,
        threshold=threshold.limit,
        threshold_reason=threshold.reason,
        word=_word(math.exp(center), low, high, threshold),
    )


def _word(ratio: float, low: float, high: float, limit: Threshold) -> str:
    """A change needs an interval without 1 and an estimate past the threshold.

    What may be better by any amount, but not worse than is allowed, is ok.
    """
    most = allowed(limit.limit, limit.worse)
    if limit.worse == LESS:
        ratio, low, high = 1 / ratio, 1 / high, 1 / low
    if low > 1 and ratio > most:
        return "regressed"
    if high < 1 and ratio < 1 / most:
        return "improved"
    return "ok" if high <= most else "inconclusive"


def middle(samples: Sequence[float]) -> float:
    """Return the geometric mean of samples, 0 where one of them is not positive."""
    if len(samples) == 1:
        return samples[0]
    return math.exp(fmean(map(math.log, samples))) if min(samples) > 0 else 0.0


def smallest_seen(comparison: Comparison) -> float:
    """Return the smallest change that the comparison could have told from none (0.05: 5 %)."""
    return comparison.high / comparison.ratio - 1
