"""Macvtap with more files than tx queues: its readers leave every tx queue alone."""

from __future__ import annotations

import pytest
from kseries.run import Run

from .matrix import READERS


@pytest.mark.kernel_case(
    "same",
    figures=("delivered", "written", "tx_dropped"),
    reason="the ring of a file belongs to no tx queue",
)
@pytest.mark.kernel_program(
    "macvtap_files --dev macvtap --reader {reader} --qdisc {qdisc} --len {length} --queues {queues}"
)
@pytest.mark.scenarios(reader=READERS, qdisc=("noqueue", "fq_codel"), length=(1, 32), queues=(1, 3))
def test_macvtap_files(kernel_run: Run, reader: str, qdisc: str, length: int, queues: int) -> None:
    kernel_run.check()
