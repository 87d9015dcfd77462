"""The guest's root: the programs that are built, and the host's tools with their libraries."""

from __future__ import annotations

import gzip
import subprocess
from pathlib import Path

import pytest
from kseries import initramfs, settings

SAY = '#include <stdio.h>\nint main(void) { return puts("said") < 0; }\n'


def compiled(folder: Path, name: str, *flags: str) -> Path:
    source = folder / f"{name}.c"
    source.write_text(SAY)
    subprocess.run(["gcc", "-o", str(folder / name), str(source), *flags], check=True)
    return folder / name


def unpacked(path: Path, folder: Path) -> Path:
    """Unpack what are plain files in an initramfs; the cpio is of the "newc" format."""
    data = gzip.decompress(path.read_bytes())
    at = 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, length = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + length - 1].decode()
        body = at + (110 + length + 3) // 4 * 4
        if name == "TRAILER!!!":
            return folder
        target = folder / name
        if mode & 0o170000 == 0o040000:
            target.mkdir()  # fails unless the folder it lies in came before it
        elif mode & 0o170000 == 0o100000:
            target.write_bytes(data[body : body + size])
            target.chmod(mode & 0o777)
        at = body + (size + 3) // 4 * 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def test_a_tool_runs_with_what_it_brings(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(tmp_path, "say")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    tools = initramfs.host_tools(["say"])
    unpacked(initramfs.make([], tools), root)
    loaders = [name for name in tools if "/ld-" in f"/{name}"]
    libraries = {str((root / name).parent) for name in tools if ".so" in name}
    assert len(loaders) == 1
    done = subprocess.run(
        [root / loaders[0], "--library-path", ":".join(libraries), root / "bin/say"],
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (0, "said\n")
    assert all(not name.startswith("/") for name in tools)


def test_a_static_tool_brings_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled(tmp_path, "say", "-static")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert list(initramfs.host_tools(["say"])) == ["bin/say"]


def test_a_missing_tool_is_left_out() -> None:
    assert initramfs.host_tools(["no-such-tool-anywhere"]) == {}


def test_a_tool_without_its_library_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled(tmp_path, "libgone.so", "-shared", "-fPIC", "-Dmain=gone")
    compiled(tmp_path, "say", f"-L{tmp_path}", "-Wl,--no-as-needed", "-lgone")
    (tmp_path / "libgone.so").unlink()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert initramfs.host_tools(["say"]) == {}


def test_a_program_goes_before_a_tool_of_its_name(tmp_path: Path, root: Path) -> None:
    program = tmp_path / "say"
    program.write_text("ours")
    unpacked(initramfs.make([program], {"bin/say": b"the host's"}), root)
    assert (root / "bin/say").read_text() == "ours"


def test_cached_by_content(tmp_path: Path) -> None:
    one = initramfs.make([], {"usr/lib/a/b": b"1"})
    assert initramfs.make([], {"usr/lib/a/b": b"1"}) == one
    assert len({one, initramfs.make([], {"usr/lib/a/b": b"2"}), initramfs.make([])}) == 3


def test_the_tools_are_named_in_the_ini_file(pytester: pytest.Pytester) -> None:
    pytester.makeini(
        "[pytest]\nkseries_tree = tree\nkseries_series = series\nkseries_tools = iperf3 ping\n"
    )
    loaded = settings.load(pytester.parseconfig())
    assert loaded is not None
    assert loaded.tools == ("iperf3", "ping")


def test_a_program_goes_with_its_source(tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "Makefile").write_text(
        "all: $(patsubst %.sh,$(OUTPUT)/%,$(wildcard *.sh))\n"
        "$(OUTPUT)/%: %.sh\n\tinstall -m 755 $< $@\n"
    )
    (folder / "old.sh").write_text("#!/bin/sh\n")
    assert [program.name for program in initramfs.build_programs(folder)] == ["old"]
    (folder / "old.sh").rename(folder / "new.sh")
    assert [program.name for program in initramfs.build_programs(folder)] == ["new"]
