"""Nothing that changes the device may leave a queue stopped over a ring with room."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import DEVICES, QDISCS, few
from .shown import must_wait

ACTIONS = (
    *("grow", "shrink", "zero", "detach_attach", "reopen", "reopen_grow", "reopen_carrier"),
    *("link", "link_read", "link_vhost"),
    *("carrier", "carrier_read", "carrier_vhost", "carrier_grow"),
    *("qdisc_to_noqueue", "qdisc_replace", "delete", "move"),
)
BUSY_ACTIONS = (
    *("grow", "shrink", "zero", "link", "carrier", "qdisc_replace", "move"),
    *("detach_full", "detach_read", "detach_dark", "reopen_full", "reopen_kept", "reopen_dark"),
    "delete",
)


@pytest.mark.kernel_case("keeps", reason="a reconfigured device goes on as on stock")
@pytest.mark.kernel_program(
    "reconfigure --dev {dev} --qdisc {qdisc} --len {length} --action {action} --state {state}"
)
@pytest.mark.scenarios(
    crossed=("length", "action", "state"),
    dev=DEVICES,
    qdisc=("fq_codel", "pfifo_fast"),
    length=(8, 32, 64),
    action=ACTIONS,
    state=("empty", "half", "full", "stopped"),
)
def test_reconfigure(
    kernel_run: Run, dev: str, qdisc: str, length: int, action: str, state: str
) -> None:
    kernel_run.check()
    if state in ("full", "stopped") and action != "detach_attach":
        must_wait(kernel_run, "backlog_before")


@pytest.mark.kernel_case("keeps", reason="a reconfigured device goes on as on stock")
@pytest.mark.kernel_program(
    "reconfigure --dev tap --qdisc fq_codel --len {length} --action {action} --state stopped"
)
@pytest.mark.parametrize("action", ["grow", "shrink", "link"])
@pytest.mark.parametrize("length", [1, 2])
def test_shortest_ring(kernel_run: Run, length: int, action: str) -> None:
    kernel_run.check()
    must_wait(kernel_run, "backlog_before")


@pytest.mark.kernel_case("keeps", reason="what vhost-net gives back changes the ring as well")
@pytest.mark.kernel_program(
    "vhost_release --dev {dev} --qdisc {qdisc} --len {length} --offer {offer}"
)
@pytest.mark.scenarios(
    dev=DEVICES,
    qdisc=few(QDISCS, "fq_codel", "noqueue"),
    length=(2, 16, 64, 500),
    offer=(1, 10),
)
def test_vhost_release(kernel_run: Run, dev: str, qdisc: str, length: int, offer: int) -> None:
    kernel_run.check()
    if qdisc != "noqueue":
        must_wait(kernel_run, "backlog_before")


@pytest.mark.kernel_case("keeps", reason="who sleeps is woken, or told that the device is gone")
@pytest.mark.kernel_program(
    "reconfigure_busy --dev {dev} --qdisc {qdisc} --len {length} --action {action} --full {full}"
)
@pytest.mark.scenarios(
    crossed=("length", "action"),
    dev=DEVICES,
    qdisc=("fq_codel", "pfifo_fast"),
    length=(8, 64),
    action=BUSY_ACTIONS,
    full=(0, 1),
)
def test_reconfigure_busy(
    kernel_run: Run, dev: str, qdisc: str, length: int, action: str, full: int
) -> None:
    kernel_run.check()
    must_wait(kernel_run, "sender_sleeps")


# pfifo_fast holds as many frames as the ring: of one that short nobody sleeps. It cannot shrink.
@pytest.mark.kernel_case("keeps", reason="who sleeps is woken, or told that the device is gone")
@pytest.mark.kernel_program(
    "reconfigure_busy --dev {dev} --qdisc fq_codel --len 1 --action {action} --full {full}"
)
@pytest.mark.scenarios(
    crossed=("action", "full"),
    dev=DEVICES,
    action=tuple(action for action in BUSY_ACTIONS if action not in ("shrink", "reopen_kept")),
    full=(0, 1),
)
def test_busy_with_one_slot(kernel_run: Run, dev: str, action: str, full: int) -> None:
    kernel_run.check()
    must_wait(kernel_run, "sender_sleeps")


@pytest.mark.kernel_case("keeps", reason="who waits to write is told that the device is up")
@pytest.mark.kernel_program("up_writer --dev {dev} --queues {queues} --len {length}")
@pytest.mark.parametrize("length", [1, 64])
@pytest.mark.parametrize("queues", [1, 2])
@pytest.mark.parametrize("dev", DEVICES)
def test_up_writer(kernel_run: Run, dev: str, queues: int, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="with noqueue nobody waits, whatever happens to the ring")
@pytest.mark.kernel_program(
    "noqueue_full --dev {dev} --reader {reader} --len {length} --action {action}"
)
@pytest.mark.scenarios(
    dev=DEVICES,
    reader=("read", "vhost"),
    length=(2, 64),
    action=("shrink", "link", "carrier", "given_back", "attach", "detach"),
)
def test_noqueue_full(kernel_run: Run, dev: str, reader: str, length: int, action: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "keeps", reason="where there is no file frames are dropped, and none waits"
)
@pytest.mark.kernel_program("no_file --dev {dev} --reader {reader} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    dev=DEVICES, reader=("read", "vhost"), qdisc=("fq_codel", "pfifo_fast", "mq"), length=(8, 64)
)
def test_no_file(kernel_run: Run, dev: str, reader: str, qdisc: str, length: int) -> None:
    kernel_run.check()
    must_wait(kernel_run, "sender_sleeps")


@pytest.mark.kernel_case("keeps", reason="what is refused changes nothing")
@pytest.mark.kernel_program("refused_open --part {part} --dev {dev} --qdisc {qdisc} --len {length}")
@pytest.mark.scenarios(
    part=("open", "attach"), dev=DEVICES, qdisc=("fq_codel", "noqueue"), length=(1, 16)
)
def test_refused_open(kernel_run: Run, part: str, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("keeps", reason="under noqueue no file finds its queue stopped")
@pytest.mark.kernel_program(
    "inherited_queue --how {how} --dev {dev} --qdisc {qdisc} --len {length}"
)
@pytest.mark.scenarios(
    how=("detach", "close"), dev=DEVICES, qdisc=("fq_codel", "pfifo_fast"), length=(1, 16)
)
def test_inherited_queue(kernel_run: Run, how: str, dev: str, qdisc: str, length: int) -> None:
    kernel_run.check()
    must_wait(kernel_run, "backlog_before")


@pytest.mark.kernel_case("keeps", reason="a device that goes tells all who wait for it")
@pytest.mark.kernel_program("deleted_readers --dev {dev} --readers {readers} --detached {detached}")
@pytest.mark.scenarios(dev=DEVICES, readers=(2, 5), detached=(0, 1))
def test_deleted_readers(kernel_run: Run, dev: str, readers: int, detached: int) -> None:
    kernel_run.check()
