"""The private work tree: the user's tree is only read, and only what changed is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from kseries import cache
from kseries.errors import DoesNotApply, InfraError, UsageProblem
from kseries.series import Series, load
from kseries.source import Source, resolve
from kseries.tree import Content, Tree, patched_files

from .fakes import (
    PATCHES,
    RING,
    STRAY,
    TREE,
    Remembering,
    git,
    listing,
    make_series,
    make_tree,
    write_files,
)

STOCK = Series((), "stock")
PATCHED_RING = RING.replace("return -1;", "return -11;").replace("return 0;", "return 1;")


@pytest.fixture(params=["plain", "git"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make_tree(tmp_path / "linux", in_git=request.param == "git")


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return load("p", base=make_series(tmp_path / "p").parent)


def _source(root: Path) -> Source:
    return resolve(str(root), root.parent, Remembering())


def _synced(root: Path) -> Tree:
    tree = Tree(_source(root))
    tree.sync(Remembering())
    return tree


def _one(tmp_path: Path, text: str) -> Series:
    return load("one", base=make_series(tmp_path / "one", [text]).parent)


def _changed(tree: Tree, act: Callable[[], object]) -> set[str]:
    """Tell which files of the work tree `act` wrote, removed or made."""
    before = {name: seen for name, seen in listing(tree.src).items() if (tree.src / name).is_file()}
    act()
    after = {name: seen for name, seen in listing(tree.src).items() if (tree.src / name).is_file()}
    return {name for name in before | after if before.get(name) != after.get(name)}


def test_a_copy_has_the_sources(root: Path) -> None:
    tree = _synced(root)
    for name, text in TREE.items():
        if not name.startswith("."):
            assert (tree.src / name).read_text() == text


def test_the_users_tree_is_never_written_to(root: Path, series: Series) -> None:
    (root / "drivers/net/ring.c").chmod(0o444)
    before = listing(root)
    tree = _synced(root)
    tree.apply(series)
    tree.apply(series.prefix(1))
    tree.sync(Remembering())
    tree.apply(STOCK)
    assert listing(root) == before
    assert not tree.src.is_relative_to(root)


def test_a_source_of_ours_is_never_written_to_through_its_links(
    tmp_path: Path, series: Series
) -> None:
    root = make_tree(tmp_path / "linux")
    before = listing(root)
    tree = Tree(Source(root, "tiny", ours=True, digest="0123456789abcdef"))
    tree.sync(Remembering())
    assert tree.key == "0123456789abcdef"
    assert (tree.src / "Kconfig").samefile(root / "Kconfig")
    tree.apply(series)
    assert (tree.src / "drivers/net/ring.c").read_text() == PATCHED_RING
    tree.apply(STOCK)
    assert {name: seen[2] for name, seen in listing(root).items()} == {
        name: seen[2] for name, seen in before.items()
    }
    assert (root / "drivers/net/ring.c").stat().st_mtime_ns == before["drivers/net/ring.c"][1]


def test_apply_writes_what_the_series_touches(root: Path, series: Series) -> None:
    tree = _synced(root)
    touched = {"drivers/net/ring.c", "drivers/net/wake.c", "drivers/net/old.c"}
    assert _changed(tree, lambda: tree.apply(series)) == touched
    assert (tree.src / "drivers/net/ring.c").read_text() == PATCHED_RING
    assert (tree.src / "drivers/net/wake.c").read_text() == "int wake;\n"
    assert not (tree.src / "drivers/net/old.c").exists()


def test_apply_again_writes_nothing(root: Path, series: Series) -> None:
    tree = _synced(root)
    tree.apply(series)
    assert _changed(tree, lambda: tree.apply(series)) == set()
    again = _synced(root)  # as another run finds it
    assert _changed(again, lambda: again.apply(series)) == set()


def test_prefixes_write_only_what_differs(root: Path, series: Series) -> None:
    tree = _synced(root)
    tree.apply(series)
    assert _changed(tree, lambda: tree.apply(series.prefix(2))) == {"drivers/net/ring.c"}
    assert _changed(tree, lambda: tree.apply(series.prefix(1))) == {
        "drivers/net/wake.c",
        "drivers/net/old.c",
    }
    assert (tree.src / "drivers/net/old.c").read_text() == TREE["drivers/net/old.c"]


def test_unapply_gives_the_source_back(root: Path, series: Series) -> None:
    tree = _synced(root)
    before = {name: seen[2] for name, seen in listing(tree.src).items()}
    tree.apply(series)
    tree.apply(STOCK)
    assert {name: seen[2] for name, seen in listing(tree.src).items()} == before


def test_sync_again_copies_nothing(root: Path) -> None:
    tree = _synced(root)
    key = tree.key
    assert _changed(tree, lambda: tree.sync(Remembering())) == set()
    assert tree.key == key


def test_sync_brings_what_the_user_changed(root: Path) -> None:
    tree = _synced(root)
    key = tree.key
    write_files(root, {"init/main.c": "int changed;\n", "init/new.c": "int new;\n"})
    (root / "drivers/net/old.c").unlink()
    changed = _changed(tree, lambda: _synced(root))
    assert changed == {"init/main.c", "init/new.c", "drivers/net/old.c"}
    assert _synced(root).key != key
    assert (tree.src / "init/main.c").read_text() == "int changed;\n"


def test_stock_and_patched_are_of_one_tree(root: Path) -> None:
    tree = _synced(root)
    tree.sync(Remembering())
    write_files(root, {"init/main.c": "int changed;\n"})
    with pytest.raises(InfraError, match="changed while it was being tested"):
        tree.sync(Remembering())


def test_sync_leaves_a_patched_file_to_apply(root: Path, tmp_path: Path) -> None:
    lines = [f"int line{number};\n" for number in range(9)]
    write_files(root, {"init/long.c": "".join(lines)})
    middle = (
        "--- a/init/long.c\n+++ b/init/long.c\n@@ -4,3 +4,3 @@\n"
        " int line3;\n-int line4;\n+int other;\n int line5;\n"
    )
    tree = _synced(root)
    tree.apply(_one(tmp_path, middle))
    write_files(root, {"init/long.c": "".join(["int new;\n", *lines])})
    assert _changed(tree, lambda: _synced(root)) == set()
    tree.apply(_one(tmp_path, middle))
    patched = [line.replace("line4", "other") for line in lines]
    assert (tree.src / "init/long.c").read_text() == "".join(["int new;\n", *patched])


def test_key_is_of_the_content_alone(tmp_path: Path) -> None:
    one, two = make_tree(tmp_path / "a"), make_tree(tmp_path / "b")
    assert _synced(one).key == _synced(two).key
    write_files(two, {"init/main.c": "int other;\n"})
    assert _synced(one).key != _synced(two).key


@pytest.mark.parametrize("name", ["init/main.c", "init/new.c"])
def test_a_dirty_tree_is_taken_as_it_is(tmp_path: Path, name: str) -> None:
    root = make_tree(tmp_path / "linux", in_git=True)
    assert _source(root).dirty is False
    write_files(root, {name: "int dirty;\n"})
    before = listing(root)
    source = _source(root)
    assert source.dirty is True
    assert git(root, "rev-parse", "--short=12", "HEAD").strip() in source.name
    assert (_synced(root).src / name).read_text() == "int dirty;\n"
    assert listing(root) == before


def test_build_products_are_left_out(root: Path) -> None:
    products = {
        "init/main.o": "x",
        "vmlinux": "x",
    }
    write_files(root, products)
    tree = _synced(root)
    for name in products:
        assert not (tree.src / name).exists(), name


def test_build_products_are_left_out_of_a_tree_without_gitignore(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "linux")
    (root / ".gitignore").unlink()
    products = [
        *(".config", "init/main.o", "init/.main.o.cmd", "lib/lib.a", "net/x.ko", "net/x.mod"),
        *("vmlinux", "System.map", "include/config/auto.conf", "include/generated/autoconf.h"),
        *("arch/x86/include/generated/asm/x.h", "modules.order", "scripts/kconfig/x.tab.c"),
    ]
    sources = [
        "scripts/vmlinux",
        "net/config/a.h",
        "net/generated/a.h",
        "arch/x86/kernel/vmlinux.S",
    ]
    write_files(root, dict.fromkeys([*products, *sources], "x"))
    tree = _synced(root)
    assert [name for name in products if (tree.src / name).exists()] == []
    assert [name for name in sources if not (tree.src / name).exists()] == []


def test_a_gitignore_that_leaves_out_all_at_the_top(root: Path) -> None:
    """As a source package of Debian's has it: what is packaged there is debian/ alone."""
    write_files(root, {".gitignore": "*.o\n/*\n!/debian/\n", "init/main.o": "x", "vmlinux": "x"})
    tree = _synced(root)
    assert (tree.src / "init/main.c").is_file()
    assert [name for name in ("init/main.o", "vmlinux") if (tree.src / name).exists()] == []


def test_a_gitignore_that_leaves_out_the_sources(tmp_path: Path) -> None:
    root = make_tree(tmp_path / "linux")
    git(root, "init", "-q")
    write_files(root, {".gitignore": "/*\n"})
    with pytest.raises(UsageProblem, match=r"git lists 0 files of .*, and no Makefile among them"):
        _synced(root)


def test_symbolic_links_stay_links(root: Path) -> None:
    (root / "net").symlink_to("drivers/net")
    tree = _synced(root)
    assert (tree.src / "net").readlink() == Path("drivers/net")
    (root / "net").unlink()
    (root / "net").symlink_to("init")
    tree = _synced(root)
    assert (tree.src / "net").readlink() == Path("init")


def test_scripts_stay_executable(root: Path, tmp_path: Path) -> None:
    (root / "scripts/kconfig/Makefile").chmod(0o755)
    tree = _synced(root)
    patch = (
        "--- a/scripts/kconfig/Makefile\n+++ b/scripts/kconfig/Makefile\n@@ -1 +1 @@\n"
        "-# nothing\n+# something\n"
    )
    tree.apply(_one(tmp_path, patch))
    assert (tree.src / "scripts/kconfig/Makefile").read_text() == "# something\n"
    assert (tree.src / "scripts/kconfig/Makefile").stat().st_mode & 0o777 == 0o755


def test_a_script_that_comes_back_is_executable(root: Path, tmp_path: Path) -> None:
    (root / "scripts/kconfig/Makefile").chmod(0o755)
    tree = _synced(root)
    patch = (
        "diff --git a/scripts/kconfig/Makefile b/scripts/kconfig/Makefile\n"
        "deleted file mode 100755\n--- a/scripts/kconfig/Makefile\n+++ /dev/null\n"
        "@@ -1 +0,0 @@\n-# nothing\n"
    )
    tree.apply(_one(tmp_path, patch))
    tree.apply(STOCK)
    assert (tree.src / "scripts/kconfig/Makefile").stat().st_mode & 0o777 == 0o755


def test_a_new_script_is_executable(root: Path, tmp_path: Path) -> None:
    patch = (
        "diff --git a/scripts/new.sh b/scripts/new.sh\nnew file mode 100755\n"
        "--- /dev/null\n+++ b/scripts/new.sh\n@@ -0,0 +1 @@\n+#!/bin/sh\n"
    )
    tree = _synced(root)
    tree.apply(_one(tmp_path, patch))
    assert (tree.src / "scripts/new.sh").stat().st_mode & 0o111


def test_a_patch_that_does_not_apply_leaves_all_as_it_was(
    root: Path, series: Series, tmp_path: Path
) -> None:
    tree = _synced(root)
    tree.apply(series.prefix(2))
    before = listing(tree.home)
    bad = load("bad", base=make_series(tmp_path / "bad", [*PATCHES[:2], STRAY]).parent)
    with pytest.raises(DoesNotApply) as caught:
        tree.apply(bad)
    assert listing(tree.home) == before
    assert caught.value.patch == "0003.patch"
    message = str(caught.value).splitlines()
    assert message[0] == (
        'patch 3/3 of bad, "ring: lose what does not fit" (0003.patch), does not apply:'
    )
    assert "patch failed: drivers/net/ring.c:1" in message[1]
    assert "--kernel-tree" in message[-1]


def test_there_is_no_fuzz(root: Path, tmp_path: Path) -> None:
    moved = PATCHES[0].replace(" int ring(int full)\n", " int ring(int  full)\n")
    with pytest.raises(DoesNotApply):
        patched_files(root, _one(tmp_path, moved))


def test_a_repository_around_is_not_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: Series
) -> None:
    # In a repository git apply leaves out, without a word, what lies outside the current folder.
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    root = make_tree(tmp_path / "linux")
    assert patched_files(root, series)["drivers/net/ring.c"] == Content(PATCHED_RING.encode())


RENAME = """\
From: A Writer <a@example.org>
Subject: [PATCH] ring: move

---
diff --git a/drivers/net/old.c b/drivers/net/moved.c
similarity index 100%
rename from drivers/net/old.c
rename to drivers/net/moved.c
"""


def test_a_rename(root: Path, tmp_path: Path) -> None:
    assert patched_files(root, _one(tmp_path, RENAME)) == {
        "drivers/net/old.c": None,
        "drivers/net/moved.c": Content(TREE["drivers/net/old.c"].encode()),
    }


def test_a_run_cut_off_in_apply_is_put_right(
    root: Path, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = _synced(root)
    before = {name: seen[2] for name, seen in listing(tree.src).items()}
    replace = cache.replace

    def cut(path: Path, data: bytes, mode: int = 0o644) -> None:
        if not path.is_relative_to(tree.src):
            return replace(path, data, mode)
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("kseries.tree.cache.replace", cut)
        with pytest.raises(KeyboardInterrupt):
            tree.apply(series)
    tree.apply(STOCK)
    assert {name: seen[2] for name, seen in listing(tree.src).items()} == before


def _new_file(name: str, mode: str = "100644", line: str = "new") -> str:
    return (
        f"diff --git a/{name} b/{name}\nnew file mode {mode}\n--- /dev/null\n+++ b/{name}\n"
        f"@@ -0,0 +1 @@\n+{line}\n\\ No newline at end of file\n"
    )


def _deletion(name: str) -> str:
    lines = TREE[name].splitlines()
    return (
        f"diff --git a/{name} b/{name}\ndeleted file mode 100644\n--- a/{name}\n+++ /dev/null\n"
        f"@@ -1,{len(lines)} +0,0 @@\n" + "".join(f"-{line}\n" for line in lines)
    )


# Found with a patch of which a part was lost: each later run of any series ended in an error.
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("drivers/net", "drivers/net is a folder in this tree"),
        ("../new.c", "../new.c is outside of the tree"),
        ("/new.c", "/new.c is outside of the tree"),
        ("Makefile/new.c", "Makefile/new.c: Makefile is no folder in this tree"),
        ("net/new.c", "net/new.c: net is no folder in this tree"),
    ],
)
def test_something_else_stands_there(root: Path, tmp_path: Path, name: str, said: str) -> None:
    (root / "net").symlink_to("drivers/net")
    tree = _synced(root)
    tree.apply(STOCK)
    before = listing(tree.home)
    with pytest.raises(DoesNotApply, match=f"does not apply:\n    {said}\n"):
        tree.apply(_one(tmp_path, _new_file(name)))
    assert listing(tree.home) == before


def test_a_work_tree_with_a_folder_for_a_file_is_put_right(root: Path, series: Series) -> None:
    tree = _synced(root)
    (tree.home / "overlay.json").write_text('["drivers/net"]')
    tree.apply(series)
    assert (tree.src / "drivers/net/ring.c").read_text() == PATCHED_RING


def test_a_file_becomes_a_folder(root: Path, tmp_path: Path) -> None:
    tree = _synced(root)
    before = {name: seen[2] for name, seen in listing(tree.src).items()}
    old = "scripts/kconfig/Makefile"
    tree.apply(_one(tmp_path, _deletion(old) + _new_file(f"{old}/new.c")))
    assert (tree.src / old / "new.c").read_text() == "new"
    tree.apply(STOCK)
    assert {name: seen[2] for name, seen in listing(tree.src).items()} == before


def test_a_folder_becomes_a_file(root: Path, tmp_path: Path) -> None:
    tree = _synced(root)
    before = {name: seen[2] for name, seen in listing(tree.src).items()}
    tree.apply(_one(tmp_path, _deletion("scripts/kconfig/Makefile") + _new_file("scripts/kconfig")))
    assert (tree.src / "scripts/kconfig").read_text() == "new"
    tree.apply(STOCK)
    assert {name: seen[2] for name, seen in listing(tree.src).items()} == before


def test_a_patch_makes_a_symbolic_link(root: Path, tmp_path: Path) -> None:
    tree = _synced(root)
    patch = _new_file("scripts/net", "120000", "../drivers/net")
    tree.apply(_one(tmp_path, patch))
    assert (tree.src / "scripts/net").readlink() == Path("../drivers/net")
    tree.apply(STOCK)
    assert not (tree.src / "scripts/net").is_symlink()


def test_a_patch_changes_a_symbolic_link(root: Path, tmp_path: Path) -> None:
    (root / "net").symlink_to("drivers/net")
    tree = _synced(root)
    patch = (
        "diff --git a/net b/net\n--- a/net\n+++ b/net\n@@ -1 +1 @@\n-drivers/net\n"
        "\\ No newline at end of file\n+scripts\n\\ No newline at end of file\n"
    ).replace("--- a", "index 1..2 120000\n--- a")
    tree.apply(_one(tmp_path, patch))
    assert (tree.src / "net").readlink() == Path("scripts")
    tree.apply(STOCK)
    assert (tree.src / "net").readlink() == Path("drivers/net")


def test_the_folders_of_a_patch_may_have_any_name(root: Path, tmp_path: Path) -> None:
    patch = PATCHES[0].replace(" a/", " linux.orig/").replace(" b/", " linux/")
    patch = "\n".join(line for line in patch.split("\n") if not line.startswith("diff --git"))
    assert "linux.orig/" in patch
    assert list(patched_files(root, _one(tmp_path, patch))) == ["drivers/net/ring.c"]


def test_a_name_that_git_quotes(root: Path, tmp_path: Path) -> None:
    patch = _new_file("drivers/net/NAME").replace("b/drivers/net/NAME", '"b/net/\\303\\274.c"')
    assert list(patched_files(root, _one(tmp_path, patch))) == ["net/\u00fc.c"]


def test_a_damaged_overlay_is_said(root: Path, series: Series) -> None:
    tree = _synced(root)
    (tree.home / "overlay.json").write_text("[")
    with pytest.raises(InfraError, match=r"overlay\.json is damaged .*: delete "):
        tree.apply(series)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KSERIES_CACHE", str(tmp_path))
    (tmp_path / "locks").write_text("a file")
    with pytest.raises(InfraError, match=r"cannot be written: .*KSERIES_CACHE"), cache.locked("x"):
        pass
