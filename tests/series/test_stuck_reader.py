"""A device that nobody reads: who waits for it besides those who send to it."""

from __future__ import annotations

import pytest
from kseries.run import Run


@pytest.mark.kernel_case(
    "changes",
    reason="a program that sends to its own device blocks when its socket's room is used up,"
    " and only it can make room: with blocking sends and one thread it waits for ever",
)
@pytest.mark.kernel_program("stuck_reader --what self --len {length} --on {kernel}")
@pytest.mark.parametrize("length", [1, 16])
def test_waits_for_itself(kernel_run: Run, length: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "changes",
    reason="frames that wait count against the socket the kernel sent them with, and that one"
    " serves other devices as well",
)
@pytest.mark.kernel_program(
    "stuck_reader --what {what} --other-netns {other_netns} --len 16 --stall-ms 500 --on {kernel}"
)
@pytest.mark.parametrize("other_netns", [0, 1])
@pytest.mark.parametrize("what", ["icmp", "reset"])
def test_kernel_sockets(kernel_run: Run, what: str, other_netns: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops, and so nothing waits")
@pytest.mark.kernel_program("long_stop --qdisc fq_codel --len 16")
def test_stopped_for_long(kernel_run: Run) -> None:
    kernel_run.check()
