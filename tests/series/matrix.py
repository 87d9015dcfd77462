"""The scenarios of the tests: devices, readers, qdiscs and ring lengths of series-facts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest

DEVICES = ("tun", "tap")
READERS = ("read", "poll", "readv", "vhost")
QDISCS = ("fq_codel", "pfifo_fast", "noqueue")
LENGTHS = (1, 2, 16, 31, 32, 64, 500, 1000)
# What stock does under a full ring, and what must not change where no qdisc can hold a packet.
FIGURES = ("sent", "delivered", "driver_drops", "tx_dropped", "qdisc_drops", "enobufs")


@dataclass(frozen=True)
class Scenario:
    """One point of the product."""

    dev: str
    reader: str
    qdisc: str
    length: int

    def __str__(self) -> str:
        return f"{self.dev}-{self.reader}-{self.qdisc}-{self.length}"


PRODUCT = [Scenario(*point) for point in itertools.product(DEVICES, READERS, QDISCS, LENGTHS)]


def cases(wanted: str, **same: object) -> list[object]:
    """Return pytest parameters: `fixes` where a qdisc can hold packets, noqueue is `same`.

    `wanted` is the reason of the fixes cases; `same` the keywords of the same cases' mark.
    """
    return [
        pytest.param(
            scenario,
            id=str(scenario),
            marks=pytest.mark.kernel_case("same", reason="noqueue stays as it is", **same)
            if scenario.qdisc == "noqueue"
            else pytest.mark.kernel_case("fixes", reason=wanted),
        )
        for scenario in PRODUCT
    ]
