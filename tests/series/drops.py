"""What a measurement must not have bought with drops."""

from __future__ import annotations

from kseries.build import Image
from kseries.run import Run
from kseries.verdict import PATCHED


def check_drops(image: Image, run: Run, what: str, *, held: bool = True) -> None:
    """Check a run; where a qdisc holds frames, the patched driver drops none in any variation."""
    run.check()
    lost = run.samples("driver_drops")
    if image.kernel == PATCHED and held and any(lost):
        run.fail(f"the driver dropped {lost} {what}, with a qdisc there")
