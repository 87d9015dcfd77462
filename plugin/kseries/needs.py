"""What a kernel asks of its guest, read from its config: detectors cost memory, and want words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """Memory of the guest, words for the kernel's command line, and whether it finds leaks."""

    memory_mib: int = 512
    words: tuple[str, ...] = ()
    leaks: bool = False


def of_config(text: str) -> Needs:
    """Read a .config.

    KASAN keeps a byte for each eight of memory, and what is freed for a while; kmemleak keeps a
    record of each allocation. KASAN would say no more than one thing in the life of a kernel.
    """
    on = {line.removesuffix("=y") for line in text.splitlines() if line.endswith("=y")}
    kasan, leaks = "CONFIG_KASAN" in on, "CONFIG_DEBUG_KMEMLEAK" in on
    return Needs(
        memory_mib=1024 if kasan or leaks else 512,
        words=("kasan_multi_shot",) if kasan else (),
        leaks=leaks,
    )
