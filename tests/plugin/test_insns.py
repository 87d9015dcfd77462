"""What the plugin of QEMU wrote, and the symbols that its addresses are."""

from __future__ import annotations

import subprocess
from pathlib import Path

from kseries.insns import USER, Counted, Symbols, arguments, counted

# Functions in the order of their addresses, as nm prints them; the first has an alias.
SOURCE = """
	.text
	.globl first, alias, netif_tx_wake_queue, __netif_schedule
	.type first, @function
first:
alias:
	ret
	.p2align 4
netif_tx_wake_queue:
	ret
	.p2align 4
__netif_schedule:
	ret
"""


def _object(folder: Path, source: str = SOURCE) -> Path:
    path = folder / "vmlinux"
    subprocess.run(["as", "-o", path, "-"], input=source, text=True, check=True)
    return path


def test_what_is_between_the_marks_is_counted(tmp_path: Path) -> None:
    out = tmp_path / "insns"
    out.write_text(
        "program\nprogram\nsection\nffff0010 30\nuser 7\nentered 2\n"
        "section\nffff0010 3\nffff0020 1\nuser 1\nentered 1\nprogram\nsection\nuser 0\n"
    )
    none, both, last = counted(out)
    assert none == Counted()
    assert (both.blocks, both.outside, both.wakes) == ({0xFFFF0010: 33, 0xFFFF0020: 1}, 8, 3)
    assert last.wakes is None  # a kernel that has no function for it
    assert counted(tmp_path / "none") == []


def test_blocks_add_up_by_function(tmp_path: Path) -> None:
    symbols = Symbols(_object(tmp_path))
    did = Counted(outside=5)
    did.blocks.update({0x0: 2, 0x10: 3, 0x14: 4, 0x20: 1})
    by_function = did.by_function(symbols)
    assert by_function["netif_tx_wake_queue"] == 7
    assert by_function[USER] == 5
    assert sum(by_function.values()) == 15


def test_wakes_are_counted_where_there_is_a_function_for_it(tmp_path: Path) -> None:
    (said,) = arguments(Path("lib.so"), tmp_path / "out", _object(tmp_path))[1:]
    assert said.endswith(",from=0x10,until=0x20,to=0x20")
    (tmp_path / "inlined").mkdir()
    inlined = _object(tmp_path / "inlined", SOURCE.replace("netif_tx_wake_queue", "other"))
    (said,) = arguments(Path("lib.so"), tmp_path / "out", inlined)[1:]
    assert said == f"lib.so,out={tmp_path / 'out'}"


def test_a_function_ends_where_another_begins(tmp_path: Path) -> None:
    symbols = Symbols(_object(tmp_path))
    assert symbols.span("first") == symbols.span("alias") == (0, 0x10)
    assert symbols.span("__netif_schedule") == (0x20, 0x21)
    assert symbols.span("missing") is None
