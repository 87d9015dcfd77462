"""The dimensions of the tests, and how a test takes its cases from them.

Without --full-matrix a test runs a choice: each pair of values of any two dimensions occurs in some
case. Where a dimension has many values, only the telling ones (`Graded.pairs`) take part in that;
of the others some have a case each (`Graded.once`) and some have none (`Graded.rest`).

With --full-matrix a test runs every combination of the dimensions it names as `crossed`, or of all
of them if it names none. The others are dealt out over these evenly, and the choice comes on top,
so that their pairs occur as well. What is left out of the product are dimensions that the code
under test cannot combine with the rest:

- tun and tap are one transmit path and one ring. Apart from the length of the frames nothing of
  the device's kind reaches it, and test_tap_tun_parity compares the two.
- Who reads matters to when the queue is woken, not to how it is stopped. So the product of reader,
  qdisc and length is that of test_wake_after_consume, which looks at both.
- A qdisc is to the driver one that holds frames, or noqueue. The kinds differ in how the core calls
  the driver (past the empty qdisc or not, with or without a lock, from a class), not in what a
  resize or vhost-net meets.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from allpairspy import AllPairs


@dataclass(frozen=True)
class Graded:
    """Values of a dimension by how often the choice has them; the full matrix has them all.

    Those `apart` have one case in both: they say nothing new, and take long.
    Beside one of `once` stand, in turn, the telling values of the other dimensions, or those that
    `beside` has for a dimension of that name.
    """

    pairs: tuple[Any, ...]
    once: tuple[Any, ...] = ()
    rest: tuple[Any, ...] = ()
    apart: tuple[Any, ...] = ()
    beside: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Any]:
        return iter((*self.pairs, *self.once, *self.rest, *self.apart))


Values = Sequence[Any] | Graded
Point = dict[str, Any]


def few(values: Values, *pairs: Any) -> Graded:
    """Grade `values`: `pairs` are the telling ones, each of the others has one case."""
    graded = values if isinstance(values, Graded) else Graded(tuple(values))
    once = tuple(value for value in values if value not in (*pairs, *graded.apart))
    return replace(graded, pairs=pairs, once=once, rest=())


DEVICES = ("tun", "tap")
READERS = ("read", "poll", "readv", "vhost", "epoll", "iouring")
# One frame at a time: as many frames are consumed as were asked for.
SINGLE_READERS = tuple(reader for reader in READERS if reader != "vhost")
# mq is on a device of one queue here, which could have more.
QDISCS = ("fq_codel", "pfifo_fast", "noqueue", "fq", "prio", "mq")
HOLDING = tuple(qdisc for qdisc in QDISCS if qdisc != "noqueue")
# From 32 on slots are cleared 16 at a time, below that one by one; each lap ends with a clearing.
# 500 and 1000 are the defaults of tun and tap. Length 0 has tests of its own.
LENGTHS = Graded(
    pairs=(1, 2, 17, 31, 32, 500),
    once=(3, 4, 15, 16, 33, 64, 1000),
    apart=(4096,),
    beside={"qdisc": HOLDING},
)
# Where every frame went: what must be as on stock where there is no qdisc to hold it.
LEDGER = ("sent", "delivered", "driver_drops", "tx_dropped", "qdisc_drops", "enobufs")


def points(
    full: bool, dimensions: Mapping[str, Values], crossed: Sequence[str] | None = None
) -> list[Point]:
    """Return the points of a space: the full matrix of it, or the choice.

    `crossed` names the dimensions that are combined in full in the full matrix: all, if None.
    """
    graded = {
        name: values if isinstance(values, Graded) else Graded(tuple(values))
        for name, values in dimensions.items()
    }
    chosen = _pairwise([values.pairs for values in graded.values()])
    chosen += _once(graded)
    if full:
        rows = _product(graded, list(graded) if crossed is None else crossed)
        chosen = list(dict.fromkeys([*rows, *chosen]))
    order = [list(values) for values in graded.values()]
    chosen.sort(key=lambda row: [order[i].index(value) for i, value in enumerate(row)])
    return [dict(zip(graded, row, strict=True)) for row in chosen]


def _pairwise(values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Let every value of a dimension meet every value of every other one at least once."""
    if len(values) < 2:
        return list(itertools.product(*values))
    # The longest first: the choice is then no longer than the two longest ask for.
    order = sorted(range(len(values)), key=lambda i: -len(values[i]))
    rows: Any = AllPairs([values[i] for i in order])
    return [tuple(row[order.index(i)] for i in range(len(values))) for row in rows]


def _once(graded: dict[str, Graded]) -> list[tuple[Any, ...]]:
    """Give each value that asks for it a row, with ever other values beside it."""
    rows = []
    for name, values in graded.items():
        others = [values.beside.get(other, graded[other].pairs) for other in graded]
        for turn, value in enumerate((*values.once, *values.apart)):
            row = [other[(turn + i) % len(other)] for i, other in enumerate(others)]
            row[list(graded).index(name)] = value
            rows.append(tuple(row))
    return rows


def _product(graded: dict[str, Graded], crossed: Sequence[str]) -> list[tuple[Any, ...]]:
    """Combine the crossed dimensions in full, and deal out the values of the others."""
    rows = []
    common = {
        name: [value for value in values if value not in values.apart]
        for name, values in graded.items()
    }
    for row in itertools.product(*(enumerate(common[name]) for name in crossed)):
        at = dict(zip(crossed, row, strict=True))
        turn = sum(place for place, _ in row)
        rows.append(
            tuple(
                at[name][1] if name in at else values[(turn + i) % len(values)]
                for i, (name, values) in enumerate(common.items())
            )
        )
    return rows


def fixes_or_same(
    reason: str, figures: Sequence[str] = LEDGER
) -> Callable[[Point], pytest.MarkDecorator]:
    """Choose a kind: *fixes* where a qdisc can hold frames, *same* by `figures` under noqueue."""

    def kind(point: Point) -> pytest.MarkDecorator:
        if point["qdisc"] == "noqueue":
            return pytest.mark.kernel_case("same", figures=figures, reason="noqueue stays as it is")
        return pytest.mark.kernel_case("fixes", reason=reason)

    return kind
