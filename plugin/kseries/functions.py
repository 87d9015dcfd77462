"""Guest instructions per packet by function of the kernel, and which functions changed for sure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

# For each function, one value a variation.
ByFunction = Mapping[str, Sequence[float]]
# Functions listed, and the least worth listing, in instructions per packet.
_MOST_LISTED, _LEAST = 20, 0.5
# What must hold of all functions together when each is looked at by itself.
_CONFIDENCE = 0.95


@dataclass(frozen=True)
class FunctionCost:
    """Mean instructions per packet in one function, on two kernels."""

    name: str
    before: float
    after: float

    @property
    def change(self) -> float:
        """What the second one needs more."""
        return self.after - self.before


def student(confidence: float, degrees: int) -> float:
    """Return the quantile of Student's t that a two-sided interval takes."""
    from scipy import stats  # here: it takes a second to import, and most sessions measure nothing

    return float(stats.t.ppf((1 + confidence) / 2, degrees))


def by_function(variations: Sequence[Mapping[str, float]]) -> dict[str, list[float]]:
    """Turn what each variation counted round; absent counts as 0, and the tiniest are left out."""
    names = set().union(*variations)
    found = {name: [round(v.get(name, 0.0), 3) for v in variations] for name in sorted(names)}
    return {name: values for name, values in found.items() if max(values) >= _LEAST}


def differences(before: ByFunction, after: ByFunction) -> list[FunctionCost]:
    """Return the functions whose mean differs, the largest change first."""
    return _sorted(_costs(before, after, _LEAST))[:_MOST_LISTED]


def certain(before: ByFunction, after: ByFunction) -> list[FunctionCost]:
    """Return the functions that changed for certain, the largest change first.

    Each function's interval over the paired variations must exclude 0, at a level that keeps all of
    them together at 95 % (Bonferroni: alpha / functions). What differs only by how the CPUs'
    instructions fell between each other varies with the variations, and stays out.
    """
    costs = _costs(before, after, _LEAST)
    names = before.keys() | after.keys()
    found = []
    for cost in costs:
        pairs = list(zip(*_values(before, after, cost.name), strict=True))
        if len(pairs) < 2:
            return []
        changes = [b - a for a, b in pairs]
        level = 1 - (1 - _CONFIDENCE) / len(names)
        margin = student(level, len(pairs) - 1) * stdev(changes) / math.sqrt(len(pairs))
        if abs(fmean(changes)) > margin:
            found.append(cost)
    return _sorted(found)


def _values(before: ByFunction, after: ByFunction, name: str) -> tuple[Sequence[float], ...]:
    """Return a function's values on both sides: zeros where it is not there."""
    count = max((len(v) for side in (before, after) for v in side.values()), default=0)
    return tuple(side.get(name, [0.0] * count) for side in (before, after))


def _costs(before: ByFunction, after: ByFunction, least: float) -> list[FunctionCost]:
    costs = [
        FunctionCost(name, *(round(fmean(v), 2) for v in _values(before, after, name)))
        for name in before.keys() | after.keys()
    ]
    return [cost for cost in costs if abs(cost.change) >= least]


def _sorted(costs: list[FunctionCost]) -> list[FunctionCost]:
    return sorted(costs, key=lambda cost: (-abs(cost.change), cost.name))
