"""Whoever the frames come from: the qdisc holds them, or the sender is told, as it ought to be."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, LEDGER, QDISCS, Graded, Point

PROGRAM = "producers --dev {dev} --qdisc {qdisc} --len {length} --senders {senders}"
SENDERS = (1, 2, 4)
LENGTHS = (1, 64)
HOLDING = ("fq_codel", "pfifo_fast")


@pytest.mark.kernel_case("fixes", reason="the driver drops what the ring cannot hold")
@pytest.mark.kernel_program(PROGRAM + " --producer {producer}", deadline_s=20)
@pytest.mark.scenarios(
    crossed=("producer", "length", "senders"),
    producer=("packet", "udp", "pktgen_queue"),
    dev=DEVICES,
    qdisc=HOLDING,
    # What pfifo_fast holds is as much as the ring, and each sender needs its share of it.
    length=(8, 64),
    senders=SENDERS,
)
def test_through_the_qdisc(
    kernel_run: Run, producer: str, dev: str, qdisc: str, length: int, senders: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="pktgen's frames are dropped, and are errors to it")
@pytest.mark.kernel_program(PROGRAM + " --producer pktgen")
# Few: starting pktgen and taking it down takes a second.
@pytest.mark.scenarios(dev=DEVICES, qdisc=HOLDING, length=(64,), senders=Graded((1,), once=(4,)))
def test_pktgen_tries_again(
    kernel_run: Run, dev: str, qdisc: str, length: int, senders: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes", reason="a stopped queue refuses what the driver used to drop and to count"
)
@pytest.mark.kernel_program(PROGRAM + " --producer bypass --kernel {kernel}")
@pytest.mark.scenarios(dev=DEVICES, qdisc=HOLDING, length=LENGTHS, senders=SENDERS)
def test_past_the_qdisc(kernel_run: Run, dev: str, qdisc: str, length: int, senders: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what has come too fast")
@pytest.mark.kernel_program(
    "producers --producer bypass --dev {dev} --qdisc {qdisc} --len {length} --senders {senders}"
    " --beside-reader 2000"
)
@pytest.mark.scenarios(dev=DEVICES, qdisc=HOLDING, length=(1, 2), senders=(2, 4))
def test_several_past_the_qdisc(
    kernel_run: Run, dev: str, qdisc: str, length: int, senders: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("same", figures=LEDGER, reason="noqueue drops as stock does")
@pytest.mark.kernel_program(
    "producers --producer {producer} --dev {dev} --qdisc noqueue --len {length} --senders {senders}"
)
@pytest.mark.scenarios(
    producer=("packet", "bypass", "udp"), dev=DEVICES, length=LENGTHS, senders=SENDERS
)
def test_noqueue(kernel_run: Run, producer: str, dev: str, length: int, senders: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="with noqueue pktgen counts errors and goes on")
@pytest.mark.kernel_program(
    "producers --producer {producer} --dev {dev} --qdisc noqueue --senders {senders}"
)
@pytest.mark.parametrize(
    ("producer", "dev", "senders"), [("pktgen", "tun", 4), ("pktgen_queue", "tap", 1)]
)
def test_noqueue_pktgen(kernel_run: Run, producer: str, dev: str, senders: int) -> None:
    kernel_run.check()


def xdp(point: Point) -> pytest.MarkDecorator:
    """Of several senders the driver may drop two frames in one call, and count one."""
    one = ("sent", "delivered", "driver_drops", "tx_dropped", "rx_dropped")
    return pytest.mark.kernel_case(
        "same",
        figures=one if point["senders"] == 1 else ("sent", "delivered", "driver_drops"),
        reason="XDP frames are nothing to the queue",
    )


@pytest.mark.kernel_program(
    "producers --producer xdp --dev tap --reader {reader} --qdisc {qdisc} --len {length}"
    " --senders {senders}"
)
@pytest.mark.scenarios(
    crossed=("qdisc", "length", "senders"),
    kind=xdp,
    reader=("read", "vhost"),
    qdisc=QDISCS,
    length=LENGTHS,
    senders=SENDERS,
)
def test_xdp(kernel_run: Run, reader: str, qdisc: str, length: int, senders: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what XDP frames have left no room for")
@pytest.mark.kernel_program(
    "xdp_ring --part {part} --reader {reader} --qdisc {qdisc} --len {length} --back {back}"
)
@pytest.mark.scenarios(
    part=("waits", "refused"),
    reader=("read", "vhost"),
    qdisc=HOLDING,
    length=(8, 64),
    back=(0, 1),
)
def test_ring_full_of_xdp(
    kernel_run: Run, part: str, reader: str, qdisc: str, length: int, back: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="XDP frames never stop the queue")
@pytest.mark.kernel_program(
    "xdp_ring --part runs --reader {reader} --qdisc {qdisc} --len {length} --back {back}"
)
@pytest.mark.scenarios(back=(0, 1), reader=("read", "vhost"), qdisc=QDISCS, length=LENGTHS)
def test_xdp_stops_nothing(
    kernel_run: Run, back: int, reader: str, qdisc: str, length: int
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what XDP frames have left no room for")
@pytest.mark.kernel_program("xdp_ring --part beside --qdisc fq_codel --len {length}")
@pytest.mark.parametrize("length", [1, 2])  # stock loses for certain
def test_xdp_beside(kernel_run: Run, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="of a bulk that does not fit, one drop is counted")
@pytest.mark.kernel_program("xdp_ring --part bulk --reader {reader} --qdisc {qdisc} --len {length}")
@pytest.mark.parametrize("length", [1, 4, 16, 64])
@pytest.mark.parametrize(("reader", "qdisc"), [("read", "fq_codel"), ("vhost", "noqueue")])
def test_xdp_bulk(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="an XDP frame is destroyed as one")
@pytest.mark.kernel_program(
    "xdp_ring --part destroyed --dev tap --reader {reader} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(reader=("read", "vhost"), qdisc=("fq_codel", "noqueue"), length=(2, 16, 64))
def test_xdp_destroyed(kernel_run: Run, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()
