"""What happens meanwhile to the frames that vhost-net holds."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, QDISCS, few

PROGRAM = "vhost_holds --part {part} --dev {dev} --qdisc {qdisc} --len {length}"
KEEPS = pytest.mark.kernel_case("keeps", reason="what vhost-net holds is not in the ring")


@KEEPS
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("part", "dev", "length"),
    part=("up", "zero", "same", "long", "busy", "detached", "grown", "bad"),
    dev=(*DEVICES, "macvtap"),
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=(4, 64),
)
def test_vhost_holds(kernel_run: Run, part: str, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@KEEPS
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    part=("gone",), dev=DEVICES, qdisc=few(QDISCS, "fq_codel", "noqueue"), length=(4, 64)
)
def test_vhost_delivers_for_nobody(
    kernel_run: Run, part: str, dev: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a macvtap's file outlives its device, queue and link")
@pytest.mark.kernel_program("vhost_holds --part {part} --dev {dev} --len {length}")
@pytest.mark.scenarios(part=("gone", "disabled", "down"), dev=("macvtap", "ipvtap"), length=(4, 64))
def test_macvtap_outlives(kernel_run: Run, part: str, dev: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="a tag that is beside the frame is part of it")
@pytest.mark.kernel_program("vhost_holds --part tagged --dev {dev} --len {length}")
@pytest.mark.parametrize("dev", ["tap", "macvtap"])
@pytest.mark.parametrize("length", [4, 64])
def test_vhost_delivers_tags(kernel_run: Run, dev: str, length: int) -> None:
    kernel_run.check()


@KEEPS
@pytest.mark.kernel_program("vhost_merged --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    crossed=("dev", "length"),
    dev=(*DEVICES, "macvtap"),
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=(4, 64),
)
def test_vhost_merges(kernel_run: Run, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
