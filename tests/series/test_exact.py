"""The exact lane is exact: two runs of one image and one test print the same bytes."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import pytest
from kseries.guest import Guest
from kseries.lane import Lane
from kseries.session import KernelSession
from kseries.verdict import KERNELS, PATCHED

# Two senders, a reader, timers, wakes: what could differ from run to run is in it.
COMMANDS = (
    "pktgen_rate --dev tap --threads 2 --reader read --qdisc fq_codel --len 100 --count 500"
    " --warm-up 210 --expect-drops 1",
    "pktgen_rate --dev tap --threads 1 --reader vhost --qdisc fq_codel --len 100 --count 500"
    " --warm-up 210 --expect-drops 1",
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Twice on one kernel, or with the full matrix twenty times on both."""
    if "repeats" in metafunc.fixturenames:
        full = metafunc.config.getoption("--full-matrix")
        metafunc.parametrize(
            ("name", "repeats"), [(n, 20) for n in KERNELS] if full else [(PATCHED, 2)]
        )


def test_same_bytes(
    kernel_session: KernelSession,
    name: str,
    repeats: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    outputs = set()
    for first in range(0, repeats, 2):
        with contextlib.ExitStack() as ending:
            if first % 4 == 0:
                ending.enter_context(_busy())
            guests = []
            for nr in range(first, first + 2):
                # What of the host may change: its load, the environment, the folder it was called
                # in, the CPU.
                monkeypatch.setenv("LINES", str(20 + nr))
                monkeypatch.chdir(tmp_path.parents[nr % 2])
                image, folder = kernel_session.image(name), tmp_path / str(nr)
                guest = Guest(image, Lane.EXACT, kernel_session.initramfs, folder, name, pin=nr)
                ending.enter_context(contextlib.closing(guest))
                guest.start_batch({command: [command.split()] for command in COMMANDS})
                guests.append(guest)
            outputs |= {_output(guest) for guest in guests}
    assert len(outputs) == 1, f"{len(outputs)} different outputs of {repeats} runs in {tmp_path}"


def _output(guest: Guest) -> tuple[str, str]:
    """Return the whole console, and what was counted in each function."""
    rans = [ran for mine in guest.end_batch().values() for ran in mine]
    ends = [(ran.ended.how, ran.ended.number) if ran.ended else None for ran in rans]
    assert ends == [("exit", 0)] * len(COMMANDS), f"{ends}: {guest.console_log}"
    return guest.console_log.read_text(), str([sorted(ran.functions.items()) for ran in rans])


@contextlib.contextmanager
def _busy() -> Iterator[None]:
    busy = multiprocessing.Process(target=_burn, daemon=True)
    busy.start()
    try:
        yield
    finally:
        busy.kill()
        busy.join()


def _burn() -> None:
    while True:
        pass
