"""The model is one of the patches as they are: each function that it models has the same steps.

What it models was copied by hand. A step that goes from the patches, or comes to them, would leave
the model to prove something else; some of them no test on a kernel can miss (docs/model.md).
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from kseries.series import load
from unidiff.patch import PatchSet

PATCHES = Path(__file__).parents[2] / "patches"

# All that each function calls, in order, and what the model has for it.
MODELLED = {
    # consume()
    "tun_ring_consume": [
        "spin_lock",
        "__ptr_ring_consume",
        "__ptr_ring_consume_created_space",
        "spin_unlock",
        "tun_wake_queue",
    ],
    # wake_queue(). Which queue it is, is decided between the barrier and the look at XOFF.
    "tun_wake_queue": [
        "smp_mb",
        "rcu_read_lock",
        "tun_ring_txq",
        "netif_tx_queue_stopped",
        "spin_lock_bh",
        "tun_ring_full",
        "netif_tx_wake_queue",
        "spin_unlock_bh",
        "rcu_read_unlock",
    ],
    # stop_and_look_again(), and the first look of transmit()
    "tun_stop_if_full": [
        "tun_ring_full",
        "netif_tx_stop_queue",
        "smp_mb__after_atomic",
        "tun_ring_full",
        "netif_tx_wake_queue",
    ],
    # transmit(). It looks first, is busy if there is no slot, and unlocks on both ways out.
    "tun_produce_or_stop": [
        "spin_lock",
        "tun_stop_if_full",
        "spin_unlock",
        "tun_prepare_skb",
        "__ptr_ring_produce",
        "tun_stop_if_full",
        "spin_unlock",
    ],
    # The reader's look, and both of the sender's
    "tun_ring_full": ["__ptr_ring_produce_peek"],
}
NO_CALLS = {"if", "unlikely", "likely"}


def _added(path: str) -> str:
    """Return the lines that the bundled series adds to this file, those of all patches in order."""
    return "".join(
        line.value
        for patch in load(str(PATCHES), base=PATCHES).patches
        for patched in PatchSet(patch.text)
        if patched.path == path
        for hunk in patched
        for line in hunk
        if line.is_added
    )


def _calls(text: str, function: str) -> list[str]:
    """Return the names of all that a function calls. All of it must be new in one patch."""
    found = re.findall(rf"^static [^;]*?\b{function}\([^{{;]*\)\n{{\n(.*?)^}}$", text, re.M | re.S)
    assert len(found) == 1, f"{function}() is not one that the series adds as a whole, and once"
    code = re.sub(r"/\*.*?\*/", "", found[0], flags=re.S)
    return [name for name in re.findall(r"\b(\w+)\(", code) if name not in NO_CALLS]


@pytest.mark.parametrize("function", MODELLED)
def test_patches_have_the_steps_of_the_model(function: str) -> None:
    calls = _calls(_added("drivers/net/tun.c"), function)
    assert calls == MODELLED[function], f"{function}() is not what stop_wake.pml models any more"
