"""IPv6 multicast: many groups and several senders come to an end, with and without a reader."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

PROGRAM = (
    "multicast6 --to {to} --dev {dev} --qdisc {qdisc} --len {length} --senders {senders}"
    " --sndbuf {sndbuf} --each 100 --on {kernel}"
)


@pytest.mark.kernel_case("fixes", reason="several senders at once are faster than one reader")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("to", "length", "senders"),
    to=("reader", "relay", "local"),
    dev=DEVICES,
    qdisc=("fq_codel", "pfifo_fast"),
    length=(1, 16),
    senders=(4, 8),
    sndbuf=(0, 2048),
)
def test_no_driver_drop(
    kernel_run: Run, to: str, dev: str, qdisc: str, length: int, senders: int, sndbuf: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="what the ring can take is delivered as on stock")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    to=("reader", "relay", "local"),
    dev=("tap",),
    qdisc=("fq_codel",),
    length=(1000,),
    senders=(4,),
    sndbuf=(0,),
)
def test_finishes(
    kernel_run: Run, to: str, dev: str, qdisc: str, length: int, senders: int, sndbuf: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes",
    reason="where nobody reads, senders wait for room in their socket instead of losing frames,"
    " and members of their groups on the same machine wait with them; one queue without a reader"
    " is enough, since one root qdisc serves them all",
)
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    to=("unread", "partly"),
    dev=DEVICES,
    qdisc=("fq_codel",),
    length=(16,),
    senders=(4,),
    sndbuf=(8192,),
)
def test_unread_device(
    kernel_run: Run, to: str, dev: str, qdisc: str, length: int, senders: int, sndbuf: int
) -> None:
    kernel_run.check()
