"""What can be told of builds without a build: options that fell out, errors, keys."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kseries import build, compiler
from kseries.build import Builder, Image
from kseries.compiler import first_error
from kseries.errors import DoesNotCompile, InfraError, UsageProblem
from kseries.fragments import fallen_out
from kseries.series import Series, load
from kseries.source import Source, resolve
from kseries.tree import Tree

from .fakes import DATA, Remembering, make_series, make_tree, write_files

SRC = Path("/cache/trees/0123456789abcdef/src")
ERROR = (
    "drivers/net/tun.c:1321:36: error: \u2018queue\u2019 undeclared (first use in this function)"
)


@pytest.mark.parametrize(
    ("wanted", "got", "lost"),
    [
        ("CONFIG_TUN=y", "CONFIG_TUN=y", []),
        ("CONFIG_TUN=y", "# CONFIG_TUN is not set", ["CONFIG_TUN=y (it is not set)"]),
        ("CONFIG_TUN=y", "", ["CONFIG_TUN=y (it is not set)"]),
        ("CONFIG_TUN=y", "CONFIG_TUN=m", ["CONFIG_TUN=y (it is m)"]),
        ("CONFIG_TUN=y", "CONFIG_TUN_X=y", ["CONFIG_TUN=y (it is not set)"]),
        ("# CONFIG_TUN is not set", "", []),
        ("# CONFIG_TUN is not set", "# CONFIG_TUN is not set", []),
        ("# CONFIG_TUN is not set", "CONFIG_TUN=y", ["CONFIG_TUN is not set (it is y)"]),
        ("CONFIG_TUN=n", "# CONFIG_TUN is not set", []),
        ("CONFIG_HZ=100", "CONFIG_HZ=250", ["CONFIG_HZ=100 (it is 250)"]),
        ('CONFIG_CMD="a b"', 'CONFIG_CMD="a b"', []),
        # The last line on an option wins.
        ("CONFIG_TUN=y\n# CONFIG_TUN is not set", "", []),
        ("# CONFIG_TUN is not set\nCONFIG_TUN=y", "", ["CONFIG_TUN=y (it is not set)"]),
        ("CONFIG_HZ=100\nCONFIG_HZ=250", "CONFIG_HZ=250", []),
        ("# a word on CONFIG_TUN=y", "", []),
        ("  CONFIG_TUN=y  ", "CONFIG_TUN=y", []),
    ],
)
def test_fallen_out(wanted: str, got: str, lost: list[str]) -> None:
    assert fallen_out(wanted, got) == lost


def test_fallen_out_names_each() -> None:
    wanted = "CONFIG_A=y\nCONFIG_B=y\nCONFIG_C=y\n"
    assert len(fallen_out(wanted, "CONFIG_B=y\n")) == 2


def test_first_error_of_a_recorded_compiler() -> None:
    log = (DATA / "build/tun-syntax-error.log").read_text()
    assert first_error(log, SRC) == f"{ERROR}; did you mean \u2018sigqueue\u2019?"


def test_first_error_of_a_recorded_linker() -> None:
    log = (DATA / "build/link.log").read_text()
    assert first_error(log, SRC) == "l.c:(.text+0xa): undefined reference to `missing_helper'"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        ("../net/a.c:3:1: error: x\n", "net/a.c:3:1: error: x"),
        (
            "net/a.c:3: fatal error: b.h: No such file\n",
            "net/a.c:3: fatal error: b.h: No such file",
        ),
        ('ERROR: modpost: "f" undefined!\n', 'ERROR: modpost: "f" undefined!'),
        ("a.c:1:1: warning: error: is a word\n", "a.c:1:1: warning: error: is a word"),
        (
            "make: *** No rule to make target 'x'.  Stop.\n",
            "make: *** No rule to make target 'x'.  Stop.",
        ),
        ("one\ntwo\n", "two"),
        ("", "make said nothing"),
    ],
)
def test_first_error_of_other_logs(log: str, expected: str) -> None:
    assert first_error(log, SRC) == expected


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "linux")


@pytest.fixture
def series(tmp_path: Path) -> Series:
    return load("p", base=make_series(tmp_path / "p").parent)


def _builder(root: Path, *fragments: Path) -> Builder:
    tree = Tree(resolve(str(root), root.parent, Remembering()))
    tree.sync(Remembering())
    return Builder(tree, fragments, Remembering())


def _fragment(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.usefixtures("tools")
def test_key_changes_with_tree_series_config_and_compiler(
    root: Path, series: Series, tmp_path: Path, tools: Path
) -> None:
    config = _fragment(tmp_path / "a.config", "CONFIG_TUN=y\n")
    keys = [
        _builder(root, config).key(None),
        _builder(root, config).key(series),
        _builder(root, config).key(series.prefix(1)),
        _builder(root).key(None),
        _builder(root, _fragment(tmp_path / "b.config", "CONFIG_TUN=n\n")).key(None),
    ]
    write_files(root, {"init/main.c": "int changed;\n"})
    keys.append(_builder(root, config).key(None))
    (tools / "gcc").write_text("#!/bin/sh\necho 'gcc 13'\n")
    compiler.compiler.cache_clear()
    keys.append(_builder(root, config).key(None))
    (tools / "ld").write_text("#!/bin/sh\necho 'ld 3'\n")
    compiler.linker.cache_clear()
    keys.append(_builder(root, config).key(None))
    assert len(set(keys)) == len(keys)


@pytest.mark.usefixtures("tools")
def test_key_is_the_same_for_the_same(root: Path, series: Series, tmp_path: Path) -> None:
    one = _fragment(tmp_path / "a.config", "CONFIG_TUN=y\n")
    two = _fragment(tmp_path / "elsewhere.config", "CONFIG_TUN=y\n")
    assert _builder(root, one).key(series) == _builder(root, two).key(series)


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize("line", ["KASAN=y", "CONFIG_X = y", "hello world"])
def test_a_fragment_with_a_line_that_is_no_option(root: Path, tmp_path: Path, line: str) -> None:
    fragment = _fragment(tmp_path / "a.config", f"# CONFIG_Y=y\n\nCONFIG_TUN=y\n{line}\n")
    with pytest.raises(UsageProblem, match=r"a.config: line 4 is no option: "):
        _builder(root, fragment)


@pytest.mark.usefixtures("tools")
def test_a_fragment_that_is_no_text(root: Path, tmp_path: Path) -> None:
    (tmp_path / "a.config").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageProblem, match=r"a.config: not to be read"):
        _builder(root, tmp_path / "a.config")


def test_an_option_that_is_commented_out_is_not_wanted() -> None:
    assert fallen_out("# CONFIG_Y=y\n", "") == []


def test_a_fragment_that_is_not_there(root: Path, tmp_path: Path) -> None:
    with pytest.raises(
        UsageProblem, match=r"--kernel-config=.*/no\.config: no such config fragment"
    ):
        _builder(root, tmp_path / "no.config")


MAKE = """\
#!/bin/sh
# Stands in for make: "compiles" a tree whose ring.c decides what happens.
for word; do
    case $word in
    O=*) obj=${word#O=};;
    --dry-run)
        echo dry-run >> "$obj/targets"
        echo "set -e; echo '  CC      drivers/net/ring.o'; gcc -c ring.c"
        echo "set -e; echo '  AR      drivers/net/built-in.a'; ar ring.o"
        exit 2;;
    esac
done
shift $(($# - 1))
[ -e "$obj/.building" ] || exit 1
echo "$1" >> "$obj/targets"
case $1 in
tinyconfig) echo "# CONFIG_TUN is not set" > "$obj/.config";;
prepare) ;;
olddefconfig) grep -v CONFIG_GONE "$obj/.config" > "$obj/.new"; mv "$obj/.new" "$obj/.config";;
*)
    if grep -q "$BREAKS" "$obj/../src/drivers/net/ring.c"; then
        echo "$obj/../src/drivers/net/ring.c:3:1: error: ${ERROR:-no such thing}"
        echo "make[1]: *** [Makefile:1: drivers/net/ring.o] Error 1"
        exit 2
    fi
    mkdir -p "$obj/arch/x86/boot" "$obj/include/config"
    cp "$obj/../src/drivers/net/ring.c" "$obj/arch/x86/boot/bzImage"
    echo "  CC      drivers/net/ring.o"
    if grep -q "${WARNS:-nothing}" "$obj/../src/drivers/net/ring.c"; then
        echo "$obj/../src/drivers/net/ring.c:4:1: warning: not so well"
    fi
    echo vmlinux > "$obj/vmlinux"
    touch "$obj/vmlinux.a"
    echo 6.12.99 > "$obj/include/config/kernel.release";;
esac
"""


@pytest.fixture
def made(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A make that breaks at what BREAKS says, and no base config."""
    (tools / "make").write_text(MAKE)
    monkeypatch.setenv("BREAKS", "nothing")
    monkeypatch.setattr(build, "_compiler_choice", tuple)


def _built(root: Path, kernel: str, series: Series | None, *fragments: Path) -> Image:
    builder = _builder(root, *fragments)
    return builder.image(kernel, series)


def _targets(own_cache: Path) -> list[str]:
    (found,) = own_cache.glob("work/*/obj-*/targets")
    return found.read_text().split()


@pytest.mark.usefixtures("made")
def test_an_image_is_built_once(root: Path, series: Series, own_cache: Path) -> None:
    stock = _built(root, "stock", None)
    patched = _built(root, "patched", series)
    assert "return -1;" in stock.bzimage.read_text()
    assert "return -11;" in patched.bzimage.read_text()
    assert (stock.release, stock.compiler, stock.kernel) == ("6.12.99", "gcc 12.2.0", "stock")
    assert all(path.is_file() for path in (stock.vmlinux, stock.config))
    assert _targets(own_cache) == [
        *("tinyconfig", "olddefconfig", "prepare", "dry-run", "bzImage"),
        *("olddefconfig", "bzImage"),
    ]
    assert _built(root, "stock", None) == stock
    assert len(_targets(own_cache)) == 7


@pytest.mark.usefixtures("made")
def test_a_first_build_says_how_many_objects_there_are(root: Path, series: Series) -> None:
    """A later one builds few of them, and does not take the time to count."""
    progress = Remembering()
    tree = Tree(resolve(str(root), root.parent, progress))
    builder = Builder(tree, [], progress)
    builder.image("stock", None)
    builder.image("patched", series)
    said = [line for line in progress.said if "objects" in line]
    assert said == ["building stock: 1 of about 2 objects", "building patched: 1 objects"]


@pytest.mark.usefixtures("made")
def test_an_image_that_was_deleted_is_built_again(root: Path, own_cache: Path) -> None:
    stock = _built(root, "stock", None)
    (stock.folder / "image.json").unlink()
    assert _built(root, "stock", None).key == stock.key
    assert _targets(own_cache).count("bzImage") == 2


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize(("name", "text"), [("image.json", "{"), ("bzImage", None)])
def test_an_image_that_is_damaged_is_built_again(
    root: Path, own_cache: Path, name: str, text: str | None
) -> None:
    stock = _built(root, "stock", None)
    (stock.folder / name).unlink()
    if text:
        (stock.folder / name).write_text(text)
    assert _built(root, "stock", None).bzimage.is_file()
    assert _targets(own_cache).count("bzImage") == 2


@pytest.mark.usefixtures("made")
def test_what_a_killed_build_wrote_is_made_again(root: Path, own_cache: Path) -> None:
    """Killed after tinyconfig, in the middle of an object, the second time it was built."""
    fragment = _fragment(root.parent / "a.config", "CONFIG_TUN=y\n")
    stock = _built(root, "stock", None, fragment)
    (stock.folder / "image.json").unlink()
    (obj,) = own_cache.glob("work/*/obj-*")
    assert not (obj / ".building").exists()
    (obj / "source").symlink_to(obj.parent / "src")
    (obj / "whole.o").touch()
    os.utime(obj / "whole.o", ns=(1, 1))
    (obj / ".building").touch()
    (obj / "drivers").mkdir()
    (obj / "drivers/half.o").write_text("half an ob")
    (obj / ".config").write_text("# CONFIG_TUN is not set\n")
    again = _built(root, "stock", None, fragment)
    assert "CONFIG_TUN=y" in again.config.read_text()
    assert (obj / "whole.o").exists()
    assert not (obj / "drivers/half.o").exists()
    assert not (obj / ".building").exists()
    assert (obj / "source/Makefile").exists()


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("how", ["image", "try_files"])
def test_a_build_that_fails_keeps_what_it_made(
    root: Path, series: Series, how: str, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "return -11")
    builder = _builder(root)
    if how == "image":
        with pytest.raises(DoesNotCompile):
            builder.image("patched", series)
    else:
        assert builder.try_files(series, ["drivers/net/ring.c"])
    (obj,) = own_cache.glob("work/*/obj-*")
    assert not (obj / ".building").exists()


@pytest.mark.usefixtures("made")
def test_options_that_fall_out_with_the_series_are_its_doing(
    root: Path, series: Series, tmp_path: Path
) -> None:
    fragment = _fragment(tmp_path / "a.config", "CONFIG_TUN=y\nCONFIG_GONE=y\n")
    with pytest.raises(DoesNotCompile, match=r"^with the series, .*\n    CONFIG_GONE=y"):
        _built(root, "patched", series, fragment)


@pytest.mark.usefixtures("made")
@pytest.mark.parametrize("ours", [True, False])
def test_only_a_users_tree_is_looked_at_again(
    root: Path, ours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree of ours is not waited for where the image is there: another run may build for long."""
    source = Source(root, "tiny", ours=ours, digest="0123456789abcdef" if ours else "")
    stock = Builder(Tree(source), [], Remembering()).image("stock", None)
    waited = []

    @contextmanager
    def locked(name: str) -> Iterator[None]:
        waited.append(name)
        yield

    monkeypatch.setattr("kseries.cache.locked", locked)
    assert Builder(Tree(source), [], Remembering()).image("stock", None) == stock
    assert bool(waited) is not ours


@pytest.mark.usefixtures("made")
def test_options_that_fall_out_are_named(root: Path, tmp_path: Path) -> None:
    fragment = _fragment(tmp_path / "a.config", "CONFIG_TUN=y\nCONFIG_GONE=y\n")
    with pytest.raises(UsageProblem, match=r"fell out .*\n    CONFIG_GONE=y \(it is not set\)$"):
        _built(root, "stock", None, fragment)


@pytest.mark.usefixtures("made")
def test_files_are_tried_with_a_prefix(
    root: Path, series: Series, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    monkeypatch.setenv("BREAKS", "return -11")
    builder, ring = _builder(root), ["drivers/net/ring.c"]
    said = builder.try_files(series.prefix(1), [*ring, "drivers/net/none.c"])
    assert said.endswith("drivers/net/ring.c:3:1: error: no such thing")
    assert _targets(own_cache)[-1] == "drivers/net/ring.o"
    assert builder.try_files(series.prefix(1), ["drivers/net/none.c"]) == ""
    monkeypatch.setenv("BREAKS", "nothing")
    monkeypatch.setenv("WARNS", "return 1;")
    said = builder.try_files(series.prefix(3), ring)
    assert said.endswith("drivers/net/ring.c:4:1: warning: not so well")
    before = _targets(own_cache)
    assert builder.try_files(series.prefix(3), ring) == said
    assert _targets(own_cache) == before  # what came of it was kept


@pytest.mark.usefixtures("made")
def test_a_full_disk_is_no_patchs_fault(
    root: Path, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "return -11")
    monkeypatch.setenv("ERROR", "No space left on device")
    with pytest.raises(InfraError, match="No space left"):
        _builder(root).try_files(series.prefix(1), ["drivers/net/ring.c"])


@pytest.mark.parametrize(("breaks", "blamed"), [("return -11", 1), ("return 1;", 3)])
@pytest.mark.usefixtures("made")
def test_a_series_that_does_not_compile(
    root: Path,
    series: Series,
    breaks: str,
    blamed: int,
    monkeypatch: pytest.MonkeyPatch,
    own_cache: Path,
) -> None:
    monkeypatch.setenv("BREAKS", breaks)
    with pytest.raises(DoesNotCompile) as caught:
        _built(root, "patched", series)
    assert caught.value.patch == f"000{blamed}.patch"
    first, second, third = str(caught.value).splitlines()
    subject = series.patches[blamed - 1].subject
    assert first == (
        f'the series does not compile, since patch {blamed}/3, "{subject}" (000{blamed}.patch):'
    )
    assert second.endswith("drivers/net/ring.c:3:1: error: no such thing")
    assert third == f"    whole log: {own_cache}/failed-patched.log"
    assert "error: no such thing" in (own_cache / "failed-patched.log").read_text()


@pytest.mark.usefixtures("made")
def test_what_stock_breaks_too_is_no_patchs_fault(
    root: Path, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "int ring")
    with pytest.raises(DoesNotCompile, match="no single patch could be blamed") as caught:
        _built(root, "patched", series)
    assert caught.value.patch is None


@pytest.mark.usefixtures("made")
def test_a_stock_that_does_not_compile_is_infra(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", "int ring")
    with pytest.raises(InfraError, match="the stock kernel does not compile: "):
        _built(root, "stock", None)
