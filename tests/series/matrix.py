"""The dimensions of the tests, and how a test takes its cases from them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from allpairspy import AllPairs

DEVICES = ("tun", "tap")
READERS = ("read", "poll", "readv", "vhost")
QDISCS = ("fq_codel", "pfifo_fast", "noqueue")
LENGTHS = (1, 2, 16, 31, 32, 64, 500, 1000)
# Where every frame went: what must be as on stock where there is no qdisc to hold it.
LEDGER = ("sent", "delivered", "driver_drops", "tx_dropped", "qdisc_drops", "enobufs")

Point = dict[str, Any]


def points(full: bool, dimensions: dict[str, Sequence[Any]]) -> list[Point]:
    """Return the points of a space: all of them, or a choice that covers it pairwise.

    In the choice every value of a dimension meets every value of every other one at least once.
    """
    values = list(dimensions.values())
    if full or len(values) < 2:
        chosen: Any = itertools.product(*values)
    else:
        # The longest first: the choice is then no longer than the two longest ask for.
        order = sorted(range(len(values)), key=lambda i: -len(values[i]))
        rows = AllPairs([values[i] for i in order])
        chosen = sorted(
            (tuple(row[order.index(i)] for i in range(len(values))) for row in rows),
            key=lambda point: [values[i].index(value) for i, value in enumerate(point)],
        )
    return [dict(zip(dimensions, point, strict=True)) for point in chosen]


def fixes_or_same(
    reason: str, figures: Sequence[str] = LEDGER
) -> Callable[[Point], pytest.MarkDecorator]:
    """Choose a kind: *fixes* where a qdisc can hold frames, *same* by `figures` under noqueue."""

    def kind(point: Point) -> pytest.MarkDecorator:
        if point["qdisc"] == "noqueue":
            return pytest.mark.kernel_case("same", figures=figures, reason="noqueue stays as it is")
        return pytest.mark.kernel_case("fixes", reason=reason)

    return kind
