"""Wake after consume: a stopped queue runs again by the time the reader has made space."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, LEDGER, LENGTHS, QDISCS, READERS, fixes_or_same


@pytest.mark.scenarios(
    kind=fixes_or_same(
        "the queue never stops, so that nothing waits for the reader", (*LEDGER, "consumed")
    ),
    crossed=("reader", "qdisc", "length"),
    dev=DEVICES,
    reader=READERS,
    qdisc=QDISCS,
    length=LENGTHS,
)
@pytest.mark.kernel_program(
    "wake_after_consume --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}"
)
def test_wake_after_consume(
    kernel_run: Run, dev: str, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="nothing waits for the room that the read makes")
@pytest.mark.kernel_program("wake_after_consume --napi 1 --dev {dev} --reader {reader} --len 16")
@pytest.mark.parametrize(("dev", "reader"), [("tun", "read"), ("tap", "vhost")])
def test_napi(kernel_run: Run, dev: str, reader: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="nothing waits for the room that the read makes")
@pytest.mark.kernel_program("failed_read --dev {dev} --qdisc {qdisc} --len {length} --cut {cut}")
@pytest.mark.scenarios(
    dev=DEVICES, qdisc=("fq_codel", "pfifo_fast", "mq"), length=(1, 2, 32, 500), cut=(0, 1)
)
def test_failed_read(kernel_run: Run, dev: str, qdisc: str, length: int, cut: int) -> None:
    kernel_run.check()
