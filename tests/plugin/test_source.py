"""Where a tree comes from: releases through a mirror of files, the distribution, folders."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from kseries import source
from kseries.errors import InfraError, UsageProblem
from kseries.source import at_commit, resolve, version

from .fakes import TREE, Remembering, git, listing, make_tree, write_files


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    return _pack(make_tree(tmp_path / "linux-6.12.99"), tmp_path / "linux-6.12.99.tar.xz")


@pytest.fixture
def mirror(tmp_path: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mirror with one release, in the folders of the real one."""
    folder = tmp_path / "mirror/v6.x"
    folder.mkdir(parents=True)
    tarball.rename(folder / tarball.name)
    _publish(folder, hashlib.sha256((folder / tarball.name).read_bytes()).hexdigest())
    monkeypatch.setenv("KSERIES_MIRROR", (tmp_path / "mirror").as_uri() + "/")
    return folder


def _pack(root: Path, tarball: Path) -> Path:
    subprocess.run(["tar", "-cJf", tarball, "-C", root.parent, root.name], check=True)
    return tarball


def _publish(folder: Path, digest: str) -> None:
    other = "0" * 64
    text = f"-----BEGIN PGP SIGNED MESSAGE-----\n\n{other}  linux-6.12.9.tar.xz\n"
    (folder / "sha256sums.asc").write_text(f"{text}{digest}  linux-6.12.99.tar.xz\n")


def test_a_release(mirror: Path, tmp_path: Path) -> None:
    progress = Remembering()
    found = resolve("v6.12.99", tmp_path, progress)
    assert (found.name, found.ours, found.dirty) == ("linux 6.12.99 (6.12.99)", True, None)
    assert (found.root / "init/main.c").read_text() == TREE["init/main.c"]
    assert "unpacking linux-6.12.99.tar.xz" in progress.said


def test_a_release_is_fetched_once(mirror: Path, tmp_path: Path) -> None:
    first = resolve("v6.12.99", tmp_path, Remembering())
    before = listing(first.root)
    (mirror / "linux-6.12.99.tar.xz").unlink()
    assert resolve("v6.12.99", tmp_path, Remembering()) == first
    (mirror / "sha256sums.asc").unlink()  # as without a network
    assert resolve("v6.12.99", tmp_path, Remembering()) == first
    assert listing(first.root) == before


def test_a_kept_tarball_that_rotted_is_fetched_again(mirror: Path, tmp_path: Path) -> None:
    first = resolve("v6.12.99", tmp_path, Remembering())
    kept = tmp_path / "cache/downloads/linux-6.12.99.tar.xz"
    kept.write_bytes(b"rot")
    assert resolve("v6.12.99", tmp_path, Remembering()) == first
    assert kept.read_bytes() == (mirror / kept.name).read_bytes()


def test_a_wrong_checksum(mirror: Path, tmp_path: Path) -> None:
    _publish(mirror, "1" * 64)
    with pytest.raises(InfraError, match=f"does not have its published checksum {'1' * 64}"):
        resolve("v6.12.99", tmp_path, Remembering())
    assert list((tmp_path / "cache/downloads").iterdir()) == []
    assert not (tmp_path / "cache/sources").exists()


def test_a_release_that_is_not_listed(mirror: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"lists no linux-6\.12\.100\.tar\.xz: no such release"):
        resolve("v6.12.100", tmp_path, Remembering())


def test_a_release_that_is_listed_and_not_there(mirror: Path, tmp_path: Path) -> None:
    (mirror / "linux-6.12.99.tar.xz").unlink()
    with pytest.raises(UsageProblem, match="cannot be reached"):
        resolve("v6.12.99", tmp_path, Remembering())
    assert list((tmp_path / "cache/downloads").iterdir()) == []


def test_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Port 9 of this machine: refused at once, no packet leaves it.
    monkeypatch.setenv("KSERIES_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(UsageProblem) as caught:
        resolve("v6.12.99", tmp_path, Remembering())
    message = str(caught.value)
    assert message.startswith("--kernel-tree=v6.12.99: http://127.0.0.1:9/v6.x/sha256sums.asc")
    assert "cannot be reached" in message
    assert "offline, use --kernel-tree=debian or a folder, or KSERIES_MIRROR=file:///DIR" in message


def test_a_damaged_tarball(mirror: Path, tmp_path: Path) -> None:
    (mirror / "linux-6.12.99.tar.xz").write_bytes(b"no archive")
    _publish(mirror, hashlib.sha256(b"no archive").hexdigest())
    with pytest.raises(
        InfraError, match=r"unpacking .* failed, \d+ MiB are left .*:\n.*\n    tar: "
    ):
        resolve("v6.12.99", tmp_path, Remembering())
    assert list((tmp_path / "cache/sources").iterdir()) == []


def test_a_folder_with_the_name_of_a_release(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "v6.12.99")
    assert resolve("v6.12.99", tmp_path, Remembering()).root == root


def test_debian(
    tarball: Path, tmp_path: Path, tools: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tools / "dpkg-query").write_text("#!/bin/sh\nprintf 6.12.99-1\n")
    (tools / "dpkg-query").chmod(0o755)
    (tools / "xz").unlink()  # the stand-in
    monkeypatch.setattr(source, "DEBIAN_TARBALL", tarball)
    (tmp_path / "debian").mkdir()  # a folder of that name is ./debian
    found = resolve("debian", tmp_path, Remembering())
    assert found.name == "linux-source-6.12 6.12.99-1 (6.12.99)"
    assert found.ours
    with pytest.raises(UsageProblem, match="is no kernel source tree"):
        resolve("./debian", tmp_path, Remembering())


def test_debian_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "DEBIAN_TARBALL", tmp_path / "none.tar.xz")
    with pytest.raises(UsageProblem, match=r"apt-get install linux-source-6\.12"):
        resolve("debian", tmp_path, Remembering())


def test_a_relative_folder_and_one_below_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_tree(tmp_path / "here/linux")
    monkeypatch.setenv("HOME", str(tmp_path / "here"))
    for spec in ("linux", "../here/linux", "~/linux"):
        found = resolve(spec, tmp_path / "here", Remembering())
        assert (found.root, found.ours) == (root, False)
    assert found.name == f"{root} (6.12.99)"


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"--kernel-tree=linx: .*/linx is no folder \(a path to"):
        resolve("linx", tmp_path, Remembering())


@pytest.mark.parametrize("missing", ["Makefile", "Kconfig", "init/main.c"])
def test_no_kernel_tree(tmp_path: Path, missing: str) -> None:
    root = make_tree(tmp_path / "linux")
    (root / missing).unlink()
    with pytest.raises(UsageProblem, match=rf"is no kernel source tree \({missing} missing\)"):
        resolve("linux", tmp_path, Remembering())


def test_a_makefile_of_something_else(tmp_path: Path) -> None:
    root = write_files(make_tree(tmp_path / "linux"), {"Makefile": "all:\n"})
    assert version(root) == ""
    with pytest.raises(UsageProblem, match="a VERSION in its Makefile missing"):
        resolve("linux", tmp_path, Remembering())


@pytest.mark.parametrize(
    ("makefile", "expected"),
    [
        ("VERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 30\nEXTRAVERSION =\n", "6.12.30"),
        ("VERSION = 6\nPATCHLEVEL = 13\nSUBLEVEL = 0\nEXTRAVERSION = -rc2\n", "6.13.0-rc2"),
    ],
)
def test_version(tmp_path: Path, makefile: str, expected: str) -> None:
    (tmp_path / "Makefile").write_text(makefile)
    assert version(tmp_path) == expected


@pytest.mark.parametrize("linked", [False, True])
def test_a_commit_of_a_users_tree(tmp_path: Path, linked: bool) -> None:
    root = make_tree(tmp_path / "linux", in_git=True)
    first = git(root, "rev-parse", "HEAD").strip()
    write_files(root, {"init/main.c": "int changed;\n", "init/new.c": "int new;\n"})
    (root / "drivers/net/old.c").unlink()
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "second")
    if linked:
        git(root, "worktree", "add", "-q", "--detach", str(tmp_path / "linked"))
        root = tmp_path / "linked"
    write_files(root, {"init/main.c": "int edited;\n"})
    before = listing(root)
    there = resolve(str(root), tmp_path, Remembering())
    progress = Remembering()
    found = at_commit(there, first, progress)
    assert found.name == f"{root} (6.12.99, commit {first[:12]})"
    assert (found.ours, found.dirty) == (False, False)
    assert progress.said == [f"checking {first[:12]} of {root} out"]
    assert _files(found.root) == TREE
    stat = (found.root / "Makefile").stat()
    # The next one of that tree rewrites what differs.
    second = at_commit(there, "HEAD", progress)
    assert second.root == found.root
    changed = {"init/main.c": "int changed;\n", "init/new.c": "int new;\n"}
    assert _files(second.root) == TREE | changed | {"drivers/net/old.c": None}
    assert (second.root / "Makefile").stat() == stat
    assert listing(root) == before


def _files(root: Path) -> dict[str, str | None]:
    """Return what is there, and None for what of TREE is not."""
    there = {str(p.relative_to(root)): p.read_text() for p in root.rglob("*") if p.is_file()}
    return dict.fromkeys(TREE) | there


def test_a_checkout_that_was_cut_off(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "linux", in_git=True)
    there = resolve(str(root), tmp_path, Remembering())
    found = at_commit(there, "HEAD", Remembering())
    write_files(root, {"init/main.c": "int changed;\n", "init/new.c": "int new;\n"})
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "second")
    # Files are written first, the index last.
    write_files(found.root, {"init/main.c": "int cha", "init/new.c": ""})
    found = at_commit(there, "HEAD", Remembering())
    assert (found.root / "init/main.c").read_text() == "int changed;\n"
    assert (found.root / "init/new.c").read_text() == "int new;\n"


def test_a_commit_that_git_cannot_check_out(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "linux", in_git=True)
    there = resolve(str(root), tmp_path, Remembering())
    blob = git(root, "rev-parse", "HEAD:init/main.c").strip()
    (root / ".git/objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(InfraError, match=r"checking HEAD of .* out failed:\n    .*"):
        at_commit(there, "HEAD", Remembering())
