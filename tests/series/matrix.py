"""The scenarios of the tests: devices, readers, qdiscs and ring lengths."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

DEVICES = ("tun", "tap")
READERS = ("read", "poll", "readv", "vhost")
QDISCS = ("fq_codel", "pfifo_fast", "noqueue")
LENGTHS = (1, 2, 16, 31, 32, 64, 500, 1000)
# Where every frame went: what must be as on stock where there is no qdisc to hold it.
LEDGER = ("sent", "delivered", "driver_drops", "tx_dropped", "qdisc_drops", "enobufs")


@dataclass(frozen=True)
class Scenario:
    """One point of the product; as words it is the end of a test's id."""

    dev: str
    reader: str
    qdisc: str
    length: int

    def __str__(self) -> str:
        return f"{self.dev}-{self.reader}-{self.qdisc}-{self.length}"


def product(
    devices: Sequence[str] = DEVICES,
    readers: Sequence[str] = READERS,
    qdiscs: Sequence[str] = QDISCS,
    lengths: Sequence[int] = LENGTHS,
) -> list[Scenario]:
    """Return every scenario of these."""
    return [Scenario(*p) for p in itertools.product(devices, readers, qdiscs, lengths)]


def cases(
    scenarios: Sequence[Scenario], *, fixes: str, figures: Sequence[str] = LEDGER
) -> list[Any]:
    """Return pytest parameters with their kinds.

    A real qdisc can hold what the ring cannot: *fixes*, for the reason given. Under noqueue
    nothing may change: *same*, by `figures`.
    """
    kinds = {
        True: pytest.mark.kernel_case("same", figures=figures, reason="noqueue stays as it is"),
        False: pytest.mark.kernel_case("fixes", reason=fixes),
    }
    return [pytest.param(s, id=str(s), marks=kinds[s.qdisc == "noqueue"]) for s in scenarios]
