"""Debug kernels: their config by a name, what they need of a guest, what they find."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from kseries import console, needs
from kseries.console import Scanner, decode_lines
from kseries.fragments import fallen_out
from kseries.settings import config_names

from .fakes import DATA
from .projects import CHECK, HEAD, KEEPS, ROOT, Project

CONFIGS = ROOT / "plugin/kseries/configs"
GOOD = HEAD + KEEPS.format("wake.patched", "goes_on", CHECK)
LEAKED = (DATA / "console/kmemleak.txt").read_text().splitlines()
RACE = "BUG: KCSAN: data-race in {} / {}\n\nwrite to 0xffff888007654321 of 8 bytes by task 7:\n"


def _fragments(run: pytest.RunResult, project: Project) -> list[Path]:
    """What the session of a run took for its fragments; a conftest wrote it down."""
    assert run.ret == 0
    return [Path(line) for line in (project.path / "fragments").read_text().splitlines()]


@pytest.fixture
def noted(project: Project) -> Project:
    """Note the fragments of each run."""
    project.tests(GOOD)
    conftest = project.path / "conftest.py"
    conftest.write_text(
        f"{conftest.read_text()}\n"
        "    from kseries.session import KEY\n"
        "    names = config.stash[KEY].settings.fragments\n"
        "    (config.rootpath / 'fragments').write_text('\\n'.join(map(str, names)))\n"
    )
    return project


def test_a_name_is_a_fragment_of_the_plugin(noted: Project) -> None:
    run = noted.run("--kernel-config=lockdep", "--kernel-config=kcsan")
    assert _fragments(run, noted) == [CONFIGS / "lockdep.config", CONFIGS / "kcsan.config"]


def test_a_name_goes_before_a_file_of_that_name(noted: Project) -> None:
    (noted.path / "debug").write_text("CONFIG_TUN=y\n")
    assert _fragments(noted.run("--kernel-config=debug"), noted) == [CONFIGS / "debug.config"]
    assert _fragments(noted.run("--kernel-config=./debug"), noted) == [noted.path / "debug"]


def test_a_name_in_the_ini_file(noted: Project) -> None:
    noted.pytester.makeini("[pytest]\nkseries_config = mine.config lockdep\n")
    (noted.path / "mine.config").write_text("CONFIG_TUN=y\n")
    wanted = [noted.path / "mine.config", CONFIGS / "lockdep.config"]
    assert _fragments(noted.run(), noted) == wanted


def test_help_names_them(project: Project) -> None:
    said = " ".join(project.run("--help", tree=None).stdout.str().split())
    assert "debug, kcsan, lockdep" in said


@pytest.mark.parametrize("name", config_names())
def test_no_fragment_contradicts_itself_or_knows_a_series(name: str) -> None:
    text = (CONFIGS / f"{name}.config").read_text()
    assert fallen_out(text, text) == []
    assert not [word for word in ("TUN", "TAP", "VHOST") if f"CONFIG_{word}" in text]


def test_the_light_one_is_part_of_the_heavy_one() -> None:
    light, heavy = (
        {line for line in (CONFIGS / f"{name}.config").read_text().splitlines() if "=y" in line}
        for name in ("lockdep", "debug")
    )
    assert light < heavy


@pytest.mark.parametrize(
    ("name", "memory", "patience", "leaks"),
    [("lockdep", 512, 2, False), ("kcsan", 512, 4, False), ("debug", 1024, 4, True)],
)
def test_what_they_need(name: str, memory: int, patience: int, leaks: bool) -> None:
    needed = needs.of_config((CONFIGS / f"{name}.config").read_text())
    assert (needed.memory_mib, needed.patience, needed.leaks) == (memory, patience, leaks)
    assert needed.words == (("kasan_multi_shot", "no5lvl") if name == "debug" else ())


def test_an_option_that_is_off_needs_nothing() -> None:
    assert needs.of_config("# CONFIG_KASAN is not set\nCONFIG_KASAN_X=y\n") == needs.Needs()


def test_leaks() -> None:
    found = console.leaks(LEAKED)
    assert len(found) == sum(line.startswith("unreferenced object") for line in LEAKED) > 1
    assert {splat.kind for splat in found} == {"leak"}
    assert found[0].lines[0] == found[0].title
    assert found[0].signature == (
        "leak",
        "__alloc_skb",
        "alloc_skb_with_frags",
        "sock_alloc_send_pskb",
    )
    assert found[0].signature == found[1].signature


def test_no_leaks() -> None:
    assert console.leaks([]) == []


def test_a_race_is_named_by_its_two_places() -> None:
    one, two = Scanner(), Scanner()
    one.feed(RACE.format("f", "g.isra.0") + " g+0x1/0x2\n h+0x1/0x2\n")
    two.feed(RACE.format("f", "g") + " f+0x1/0x2\n i+0x1/0x2\n")
    assert one.splats[0].signature == two.splats[0].signature == ("kcsan", "f", "g")


def test_a_race_with_nobody_known() -> None:
    scanner = Scanner()
    scanner.feed("BUG: KCSAN: data-race in f+0x12/0x34\n f+0x12/0x34\n g+0x1/0x2\n")
    assert scanner.splats[0].signature == ("kcsan", "f")


def test_lines_decode_one_by_one(tmp_path: Path) -> None:
    script = tmp_path / "scripts/decode_stacktrace.sh"
    assert decode_lines(["f+0x1/0x2"], tmp_path / "vmlinux", tmp_path) == ["f+0x1/0x2"]
    script.parent.mkdir()
    script.write_text('sed "s,^,$1 $2 ,"\n')
    decoded = decode_lines(["f+0x1/0x2", "Code: 90 <c3>", "g"], tmp_path / "vmlinux", tmp_path)
    assert decoded == [f"{tmp_path}/vmlinux {tmp_path} {line}" for line in ("f+0x1/0x2", "g")]


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_leak_is_a_finding(project: Project, workers: tuple[str, ...]) -> None:
    project.replay(patched={"leaks": 1})
    project.tests(GOOD)
    assert project.run(*workers, apart=bool(workers)).ret == 1
    verdict = project.verdict()
    (finding,) = verdict["findings"]
    assert finding["kind"] == "leak"
    assert finding["message"].startswith("patched kernel, leak found at the end")
    assert "unreferenced object" in finding["message"]
    assert not verdict["good"]
    assert not verdict["infra_only"]
    assert set(project.words().values()) == {"kept"}


def test_every_complaint_may_be_a_finding() -> None:
    schema = json.loads((ROOT / "docs/verdict.schema.json").read_text())
    kinds = schema["$defs"]["finding"]["properties"]["kind"]["enum"]
    assert {kind for kind, _ in console._KINDS} <= set(kinds)


def test_a_leak_that_stock_has_too_is_none(project: Project) -> None:
    project.replay(stock={"leaks": 1}, patched={"leaks": 1})
    project.tests(GOOD)
    assert project.run().ret == 0
    assert project.verdict()["findings"] == []
