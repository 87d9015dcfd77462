"""Series from a folder, an mbox and a git range."""

from __future__ import annotations

from pathlib import Path

import pytest
from kseries.errors import UsageProblem
from kseries.series import Series, begins_in, load

from .fakes import FIRST, PATCHES, SECOND, THIRD, git, make_series, make_tree, write_files

SUBJECTS = [
    "ring: keep what does not fit",
    "ring: add a wake and drop the old file",
    "ring: wake",
]
COVER = """\
From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001
From: A Writer <a@example.org>
Subject: [PATCH net-next v7 0/3] ring: keep and wake
Message-ID: <0@example.org>

What it is for.

 drivers/net/ring.c | 4 ++--
 1 file changed, 2 insertions(+), 2 deletions(-)

"""
REPLY = """\
From 4444444444444444444444444444444444444444 Mon Sep 17 00:00:00 2001
From: A Reader <r@example.org>
Subject: Re: [PATCH net-next v7 1/3] ring: keep what does not fit
In-Reply-To: <1@example.org>

On Monday, A Writer wrote:
> diff --git a/drivers/net/ring.c b/drivers/net/ring.c
> -\t\treturn -1;

Rather so:

diff --git a/drivers/net/ring.c b/drivers/net/ring.c
--- a/drivers/net/ring.c
+++ b/drivers/net/ring.c
@@ -1 +1 @@
-int ring(int full)
+int ring(long full)

"""


def _load(path: Path) -> Series:
    return load(str(path), base=path.parent)


def _subjects(series: Series) -> list[str]:
    return [patch.subject for patch in series.patches]


def _mbox(path: Path, *mails: str) -> Path:
    path.write_text("".join(mails))
    return path


def test_folder_with_an_order_file(tmp_path: Path) -> None:
    files = {"b.patch": FIRST, "a.patch": SECOND, "c.patch": THIRD, "unused.patch": "no diff"}
    order = "# in this order\nb.patch\n\na.patch -p1  # quilt knows options\nc.patch\n"
    write_files(tmp_path / "p", files | {"series": order})
    series = _load(tmp_path / "p")
    assert [patch.name for patch in series.patches] == ["b.patch", "a.patch", "c.patch"]
    assert _subjects(series) == SUBJECTS


def test_folder_without_an_order_file(tmp_path: Path) -> None:
    write_files(tmp_path / "p", {"0002-x.diff": SECOND, "0001-y.patch": FIRST, "notes.txt": "x"})
    assert _subjects(_load(tmp_path / "p")) == SUBJECTS[:2]


def test_an_order_file_that_names_what_is_not_there(tmp_path: Path) -> None:
    write_files(tmp_path / "p", {"a.patch": FIRST, "series": "a.patch\nz.patch\n"})
    with pytest.raises(UsageProblem, match=r"names z\.patch, which is not in"):
        _load(tmp_path / "p")


def test_files_of_a_patch(tmp_path: Path) -> None:
    series = _load(make_series(tmp_path / "p"))
    assert [patch.files for patch in series.patches] == [
        ("drivers/net/ring.c",),
        ("drivers/net/wake.c", "drivers/net/old.c"),
        ("drivers/net/ring.c",),
    ]


def test_mbox_in_order(tmp_path: Path) -> None:
    assert _subjects(_load(_mbox(tmp_path / "m", *PATCHES))) == SUBJECTS


def test_mbox_with_cover_letter_and_replies_in_any_order(tmp_path: Path) -> None:
    mails = (PATCHES[2], REPLY, PATCHES[0], COVER, PATCHES[1])
    series = _load(_mbox(tmp_path / "m", *mails))
    assert _subjects(series) == SUBJECTS
    assert "int ring(long full)" not in "".join(patch.text for patch in series.patches)


def test_mbox_of_a_single_patch(tmp_path: Path) -> None:
    series = _load(_mbox(tmp_path / "m", FIRST.replace("[PATCH net-next v7 1/3]", "[PATCH]")))
    assert _subjects(series) == SUBJECTS[:1]


def test_mbox_with_a_quoted_printable_mail(tmp_path: Path) -> None:
    head, _, body = PATCHES[0].partition("\n\n")
    body = body.replace("=", "=3D").replace("\treturn -11;", "\tre=\nturn -11;")
    head += "\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable"
    others = PATCHES[1:]
    series = _load(_mbox(tmp_path / "m", f"{head}\n\n{body}", *others))
    assert "+\t\treturn -11;\n" in series.patches[0].text


def test_mbox_that_lacks_a_patch(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="2/3"):
        _load(_mbox(tmp_path / "m", PATCHES[0], PATCHES[2]))


def test_git_range(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux", in_git=True)
    for text in ("one", "two"):
        write_files(tree, {"init/main.c": f"{text}\n"})
        git(tree, "commit", "-q", "-a", "-m", f"init: {text}")
    before = git(tree, "log", "--all", "--format=%H")
    series = load("main~2..main", base=tmp_path, tree=tree)
    assert _subjects(series) == ["init: one", "init: two"]
    assert series.patches[1].files == ("init/main.c",)
    assert git(tree, "log", "--all", "--format=%H") == before
    assert git(tree, "status", "--porcelain") == ""


def test_where_a_range_begins_that_is_checked_out(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux", in_git=True)
    start = git(tree, "rev-parse", "HEAD").strip()
    git(tree, "switch", "-q", "-c", "topic")
    for text in ("one", "two"):
        write_files(tree, {"init/main.c": f"{text}\n"})
        git(tree, "commit", "-q", "-a", "-m", f"init: {text}")
    one = git(tree, "rev-parse", "HEAD~1").strip()
    for spec in ("main..topic", "main..HEAD", "main..", "main...topic", f"{start}..topic~1"):
        assert begins_in(spec, tree) == start
    assert begins_in("topic~1..topic", tree) == one
    # Of a branch that went on meanwhile the part that is not ours is no part of stock.
    git(tree, "switch", "-q", "main")
    write_files(tree, {"init/other.c": "int other;\n"})
    git(tree, "add", "-A")
    git(tree, "commit", "-q", "-m", "init: other")
    assert begins_in("main..topic", tree) is None
    git(tree, "switch", "-q", "topic")
    assert begins_in("main..topic", tree) == start
    git(tree, "switch", "-q", "--detach", start)
    assert begins_in("main..topic", tree) is None


def test_git_range_that_git_does_not_know(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux", in_git=True)
    with pytest.raises(
        UsageProblem, match=r"--kernel-series=main\.\.nothing: git in .* says: fatal"
    ):
        load("main..nothing", base=tmp_path, tree=tree)


def test_an_empty_git_range(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux", in_git=True)
    with pytest.raises(UsageProblem, match="holds no patch"):
        load("main..main", base=tmp_path, tree=tree)


def test_a_range_without_a_git_tree(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"A\.\.B needs --kernel-tree=PATH of a git tree"):
        load("main~1..main", base=tmp_path)


def test_what_is_no_series(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match="--kernel-series=nowhere: no such folder or mbox"):
        load("nowhere", base=tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"--kernel-series=.*: holds no patch"):
        _load(tmp_path)


def test_a_damaged_patch(tmp_path: Path) -> None:
    cut = FIRST[: FIRST.index("-\t\treturn")]
    with pytest.raises(UsageProblem, match=r"patch 0001\.patch is damaged"):
        _load(make_series(tmp_path / "p", [cut]))


def test_a_patch_without_a_diff(tmp_path: Path) -> None:
    with pytest.raises(UsageProblem, match=r"patch 0001\.patch holds no diff"):
        _load(make_series(tmp_path / "p", [COVER]))


def test_a_bare_diff_is_called_by_its_file(tmp_path: Path) -> None:
    series = _load(make_series(tmp_path / "p", [FIRST[FIRST.index("diff --git") :]]))
    assert _subjects(series) == ["0001.patch"]


def test_key_is_of_content_and_order(tmp_path: Path) -> None:
    key = _load(make_series(tmp_path / "a")).key
    assert _load(make_series(tmp_path / "b")).key == key
    assert _load(make_series(tmp_path / "c", [FIRST, THIRD, SECOND])).key != key
    changed = [PATCHES[0].replace("-11", "-12"), *PATCHES[1:]]
    assert _load(make_series(tmp_path / "d", changed)).key != key


def test_key_of_a_patch_that_is_no_utf8(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "p", [])
    patch = SECOND.replace("+int wake;", "+int wake; /* M\u00fcller */")
    (folder / "0001.patch").write_bytes(patch.encode("latin-1"))
    (folder / "series").write_text("0001.patch\n")
    assert len(_load(folder).key) == 16


def test_prefix(tmp_path: Path) -> None:
    series = _load(make_series(tmp_path / "p"))
    assert _subjects(series.prefix(2)) == SUBJECTS[:2]
    assert series.prefix(3).key == series.key
    assert len({series.prefix(count).key for count in range(4)}) == 4


def test_a_comment_that_is_not_utf8_and_a_folder_named_like_a_patch(tmp_path: Path) -> None:
    folder = make_series(tmp_path / "p").parent / "p"
    (folder / "0000.patch").mkdir()
    count = len(load("p", base=tmp_path).patches)
    names = sorted(path.name for path in folder.glob("*.patch") if path.is_file())
    (folder / "series").write_bytes(b"# caf\xe9\n" + "\n".join(names).encode())
    assert len(load("p", base=tmp_path).patches) == count


def test_a_range_is_no_option_of_git(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "linux", in_git=True)
    spec = f"--output={tmp_path}/made..HEAD"
    with pytest.raises(UsageProblem, match="--kernel-series="):
        load(spec, base=tmp_path, tree=tree)
    assert not list(tmp_path.glob("made*"))
