"""What a kernel asks of its guest, read from its config: detectors cost memory, and want words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Needs:
    """Memory, a factor for deadlines, words for the kernel's command line, a look for leaks."""

    memory_mib: int = 512
    patience: int = 1
    words: tuple[str, ...] = ()
    leaks: bool = False


def of_config(text: str) -> Needs:
    """Read a .config.

    A detector makes many instructions of each access to memory, or of each lock. KASAN keeps a
    byte for each eight of memory, and what is freed for a while; kmemleak keeps a record of each
    allocation. KASAN would say no more than one thing in the life of a kernel. With five levels of
    page tables it takes good addresses for wild ones when a timer interrupts identify_cpu(), which
    has cleared for a moment what says that there are five.
    """
    on = {line.removesuffix("=y") for line in text.splitlines() if line.endswith("=y")}
    kasan, leaks = "CONFIG_KASAN" in on, "CONFIG_DEBUG_KMEMLEAK" in on
    every_access = kasan or "CONFIG_KCSAN" in on
    return Needs(
        memory_mib=1024 if kasan or leaks else 512,
        patience=4 if every_access else 2 if "CONFIG_PROVE_LOCKING" in on else 1,
        words=("kasan_multi_shot", "no5lvl") if kasan else (),
        leaks=leaks,
    )
