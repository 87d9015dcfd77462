"""What the marks of a test say. Each takes its arguments as the function below of its name does."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import pytest

from .throughput import EXACT, INSTRUCTIONS_PER_PACKET

# Guest seconds that a program may take unless its mark says otherwise.
DEADLINE_S = 60.0

_Said = TypeVar("_Said")


@dataclass(frozen=True)
class Case:
    """What `kernel_case` says."""

    kind: str
    reason: str
    figures: tuple[str, ...]


@dataclass(frozen=True)
class Program:
    """What `kernel_program` says: of guest seconds, and of one variation or more."""

    words: tuple[str, ...]
    deadline_s: float
    variations: tuple[str, ...]
    alone: bool


@dataclass(frozen=True)
class Measurement:
    """What `throughput` says. The limits are those that were given, by name."""

    metric: str
    limits: dict[str, float]
    reason: str
    lane: str


def kernel_case(kind: str, reason: str = "", figures: Sequence[str] = ()) -> Case:
    """What a test of both kernels claims."""
    return Case(str(kind), str(reason), tuple(figures))


def kernel_program(
    *name_and_args: str,
    deadline_s: float = DEADLINE_S,
    variations: Sequence[str] = (),
    alone: bool = False,
) -> Program:
    """The program that runs in the guest."""
    words = tuple(word for part in name_and_args for word in str(part).split())
    if not words:
        raise TypeError("it names no program")
    if not 0 < float(deadline_s) < math.inf:
        raise ValueError(f"deadline_s={deadline_s}: a number of seconds above 0")
    return Program(words, float(deadline_s), tuple(variations) or ("",), bool(alone))


def throughput(
    metric: str = INSTRUCTIONS_PER_PACKET,
    *,
    max_increase: float | None = None,
    max_decrease: float | None = None,
    reason: str = "",
    lane: str = EXACT,
) -> Measurement:
    """What is measured, and how much worse than on stock it may be."""
    limits = {"max_increase": max_increase, "max_decrease": max_decrease}
    given = {name: limit for name, limit in limits.items() if limit is not None}
    return Measurement(str(metric), given, str(reason), str(lane))


def case(item: pytest.Item) -> Case | None:
    """Return what the test's `kernel_case` says, None without one. Raises UsageError."""
    return _said(item, kernel_case)


def figures(item: pytest.Item) -> tuple[str, ...]:
    """Return the figures that a test of the kind "same" compares. Raises UsageError."""
    said = case(item)
    return said.figures if said else ()


def program(item: pytest.Item) -> Program | None:
    """Return what the test's `kernel_program` says, None without one. Raises UsageError."""
    return _said(item, kernel_program)


def measurement(item: pytest.Item) -> Measurement | None:
    """Return what the test's `throughput` says, None without one. Raises UsageError."""
    return _said(item, throughput)


def _said(item: pytest.Item, make: Callable[..., _Said]) -> _Said | None:
    mark = item.get_closest_marker(make.__name__)
    if mark is None:
        return None
    try:
        return make(*mark.args, **mark.kwargs)
    except (TypeError, ValueError) as error:
        takes = str(inspect.signature(make)).partition(" -> ")[0]
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{make.__name__}: {error}; it takes {takes}"
        ) from error
