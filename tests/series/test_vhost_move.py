"""vhost-net moved to another device: what it has taken of the first one goes back there."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, QDISCS, few

PROGRAM = "vhost_move --dev {dev} --to {to} --qdisc {qdisc} --len {length} --extra {extra}"


@pytest.mark.kernel_case("keeps", reason="a frame belongs to the device that it was sent to")
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("dev", "to", "length", "extra"),
    dev=DEVICES,
    to=(*DEVICES, "macvtap"),
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=(2, 64, 500),
    extra=(0, 40),
)
def test_vhost_move(
    kernel_run: Run, dev: str, to: str, qdisc: str, length: int, extra: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="what finds no slot is destroyed, one by one")
@pytest.mark.kernel_program(
    "vhost_move --dev {dev} --to {to} --qdisc {qdisc} --len {length} --refill 1"
)
@pytest.mark.scenarios(
    crossed=("dev", "to"),
    dev=DEVICES,
    to=(*DEVICES, "macvtap", "ipvtap"),
    qdisc=("fq_codel", "noqueue"),
    length=(16, 64, 500),
)
def test_vhost_move_from_a_full_ring(
    kernel_run: Run, dev: str, to: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="a ring that was filled while detached is full as well")
@pytest.mark.kernel_program("vhost_move --how requeue --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel", "fq"), length=(2, 16, 64))
def test_vhost_requeue(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="what is no tun, tap, macvtap or ipvtap has no ring")
@pytest.mark.kernel_program("vhost_socket --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(dev=DEVICES, qdisc=("fq_codel", "noqueue"), length=(4, 16, 64))
def test_vhost_socket(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
