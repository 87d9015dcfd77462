"""No drops under a full ring: a qdisc holds what the ring cannot; noqueue drops as stock does."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, LENGTHS, QDISCS, READERS, few, fixes_or_same


# Who reads comes in only after the ring was filled, and is the matter of test_wake_after_consume.
@pytest.mark.scenarios(
    kind=fixes_or_same("the driver drops what the ring cannot hold"),
    crossed=("qdisc", "length"),
    dev=DEVICES,
    reader=few(READERS, "read", "vhost"),
    qdisc=QDISCS,
    length=few(LENGTHS, 1, 32, 500),
)
@pytest.mark.kernel_program("no_drops --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}")
def test_no_drops(kernel_run: Run, dev: str, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the ring cannot hold")
@pytest.mark.kernel_program("no_drops --{how} 1 --dev {dev} --qdisc {qdisc} --len 64")
@pytest.mark.scenarios(how=("one-queue", "persist"), dev=DEVICES, qdisc=("fq_codel", "pfifo_fast"))
def test_opened_as_qemu_does(kernel_run: Run, how: str, dev: str, qdisc: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the ring cannot hold")
@pytest.mark.kernel_program("no_drops --dev {dev} --qdisc default --len {length}")
@pytest.mark.parametrize("length", [16, 500])
@pytest.mark.parametrize("dev", DEVICES)
def test_qdisc_by_default(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a ring of length 0 drops and never stops the queue")
@pytest.mark.kernel_program("no_drops --dev {dev} --reader read --qdisc {qdisc} --len 0")
@pytest.mark.parametrize("qdisc", QDISCS)
@pytest.mark.parametrize("dev", DEVICES)
def test_length_zero(kernel_run: Run, dev: str, qdisc: str) -> None:
    kernel_run.check()
