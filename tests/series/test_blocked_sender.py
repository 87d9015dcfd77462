"""A stuck reader blocks senders, which used to lose frames; what gets them going again."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES

PROGRAM = (
    "blocked_sender --expect {kernel} --dev {dev} --qdisc {qdisc} --len {length} --via {via}"
    " --how {how}"
)
REASON = "frames wait in the qdisc and count against the sender's socket; stock drops them"


@pytest.mark.kernel_case("changes", reason=REASON)
@pytest.mark.kernel_program(PROGRAM)
@pytest.mark.scenarios(
    crossed=("length", "via", "how"),
    dev=DEVICES,
    qdisc=("fq_codel", "pfifo_fast"),
    length=(16, 64),
    via=("packet", "udp"),
    how=("wake", "poll", "dontwait", "signal", "kill", "delete"),
)
def test_blocked_sender(
    kernel_run: Run, dev: str, qdisc: str, length: int, via: str, how: str
) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="nothing waits, and the ring's frames are nobody's")
@pytest.mark.kernel_program(
    "blocked_sender --dev {dev} --qdisc noqueue --len {length} --via {via} --how {how}"
)
@pytest.mark.scenarios(dev=DEVICES, length=(16, 64), via=("packet", "udp"), how=("wake", "poll"))
def test_noqueue_never_blocks(kernel_run: Run, dev: str, length: int, via: str, how: str) -> None:
    kernel_run.check()


# pfifo_fast holds as many frames as the ring: of one that short, fewer than a socket may have.
@pytest.mark.kernel_case("changes", reason=REASON)
@pytest.mark.kernel_program(
    "blocked_sender --expect {kernel} --qdisc fq_codel --len {length} --reader {reader}"
)
@pytest.mark.parametrize("reader", ["poll", "readv", "vhost"])
@pytest.mark.parametrize("length", [1])
def test_reader_of_any_kind(kernel_run: Run, length: int, reader: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes", reason="a thread that sends to its own device waits for itself; stock drops"
)
@pytest.mark.kernel_program(
    "blocked_sender --expect {kernel} --dev {dev} --qdisc fq_codel --len {length} --via {via}"
    " --how {how}"
)
@pytest.mark.scenarios(
    dev=DEVICES, length=(1, 64), via=("packet", "udp"), how=("alarm", "dontwait")
)
def test_own_reader(kernel_run: Run, dev: str, length: int, via: str, how: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes",
    reason="the frames that wait hold the socket of a sender that is gone, and its netns,"
    " until they are read",
)
@pytest.mark.kernel_program("blocked_sender --expect {kernel} --len 16 --via {via} --how netns")
@pytest.mark.parametrize("via", ["packet", "udp"])
def test_netns_of_a_blocked_sender(kernel_run: Run, via: str) -> None:
    kernel_run.check()
