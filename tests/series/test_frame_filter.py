"""Frames that the device's owner filters out are dropped, counted, and stop nothing."""

from __future__ import annotations

import pytest
from kseries.run import Run


@pytest.mark.kernel_case(
    "same", figures=("filtered", "accepted"), reason="a filter comes before the ring"
)
@pytest.mark.kernel_program(
    "frame_filter --dev {dev} --reader {reader} --qdisc {qdisc} --len 16 --filter {which}"
)
@pytest.mark.parametrize("qdisc", ["fq_codel", "noqueue"])
@pytest.mark.parametrize("reader", ["read", "vhost"])
@pytest.mark.parametrize(
    ("dev", "which"),
    [
        *[("tap", "mac"), ("tap", "socket"), ("tap", "shorten"), ("tap", "ebpf"), ("tap", "whole")],
        *[("tap", "both"), ("tap", "mac_socket"), ("tun", "ebpf"), ("tun", "whole")],
    ],
)
def test_frame_filter(kernel_run: Run, dev: str, which: str, reader: str, qdisc: str) -> None:
    kernel_run.check()


@pytest.mark.kernel_case(
    "same", figures=("filtered", "accepted"), reason="a filter comes before a ring without slots"
)
@pytest.mark.kernel_program("frame_filter --dev {dev} --qdisc {qdisc} --len 0 --filter {which}")
@pytest.mark.parametrize("qdisc", ["fq_codel", "noqueue"])
@pytest.mark.parametrize(("dev", "which"), [("tap", "mac"), ("tap", "socket"), ("tun", "ebpf")])
def test_filter_before_no_slot(kernel_run: Run, dev: str, which: str, qdisc: str) -> None:
    kernel_run.check()
