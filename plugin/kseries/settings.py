"""The plugin's options and ini keys, read once and resolved."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from .errors import UsageProblem
from .guest import CPUS, MOST_CPUS

WALLS = ("auto", "kvm", "tcg", "off")
LANES = ("auto", "kvm", "tcg", "exact")
# Config fragments that come with the plugin, by their file's name.
_CONFIGS = Path(__file__).parent / "configs"


@dataclass(frozen=True)
class Settings:
    """What the user asked for. Paths are absolute but `tree` and `series`, perhaps words."""

    tree: str
    tree_base: Path
    series: str
    series_base: Path
    lane: str
    cpus: int
    fragments: tuple[Path, ...]
    report: Path
    programs: tuple[Path, ...]
    tools: tuple[str, ...] = ()
    allowed: Path | None = None
    wall: str = "auto"
    # In seconds; without a limit infinite.
    wall_most_s: float = math.inf
    # The order of boots, where a run asks for that of an earlier one.
    wall_seed: int | None = None
    baseline: Path | None = None
    calibrate: bool = False
    thresholds: Path | None = None
    rows: Path | None = None


def config_names() -> list[str]:
    """Return the names of the config fragments that come with the plugin."""
    return sorted(path.stem for path in _CONFIGS.glob("*.config"))


def _fragment(word: str, base: Path) -> Path:
    """Find the fragment that a word of `--kernel-config` means: a name goes before a file."""
    if word in config_names():
        return _CONFIGS / f"{word}.config"
    path = base / Path(word).expanduser()
    if not path.is_file():
        raise UsageProblem(
            f"--kernel-config={word}: no such config fragment: {path.resolve()} is no file, and the"
            f" names are {', '.join(config_names())}"
        )
    return path


def add_options(parser: pytest.Parser) -> None:
    """Register the options, each with its ini key."""
    group = parser.getgroup("kernel", "kernel series (pytest-kseries)")
    group.addoption(
        "--kernel-tree",
        metavar="PATH|debian|v6.12.N",
        help="kernel tree to test: a folder (never written to), the distribution's source package,"
        " or a release",
    )
    group.addoption(
        "--kernel-series",
        metavar="DIR|MBOX|A..B",
        help="patch series to test (default: kseries_series, or patches/ of the rootdir)",
    )
    group.addoption(
        "--kernel-lane",
        choices=LANES,
        help="how guests execute: auto (default), kvm, tcg or exact",
    )
    group.addoption(
        "--kernel-cpus",
        metavar="N",
        help=f"CPUs of a guest, but in the exact lane (default: {CPUS})",
    )
    group.addoption(
        "--kernel-config",
        action="append",
        metavar="NAME|FILE",
        help="config fragment merged over the project's own: a file, or one of"
        f" {', '.join(config_names())}, which are kernels that look for bugs; may be repeated",
    )
    group.addoption(
        "--kernel-wall",
        choices=WALLS,
        help="where throughput in real time is measured: auto (default: where KVM works), kvm, tcg"
        " (emulated CPUs) or off",
    )
    group.addoption(
        "--kernel-wall-minutes",
        metavar="N",
        help="begin no more boots for throughput in real time after about N minutes (default: none"
        " but what the answers take); what is open then is inconclusive",
    )
    group.addoption(
        "--kernel-wall-seed",
        metavar="N",
        help="draw the order of boots for throughput in real time from this seed, as a report names"
        " it (default: another one each time)",
    )
    group.addoption(
        "--kernel-baseline",
        metavar="FILE",
        help="verdict.json of an earlier version of the series: what is measured is compared with"
        " that too",
    )
    group.addoption(
        "--kernel-calibrate",
        action="store_true",
        help="instead of judging, measure how far each figure moves when nothing changed, and keep"
        " it: no threshold may be finer",
    )
    group.addoption("--kernel-report", metavar="DIR", help="where reports go (default: report/)")
    parser.addini("kseries_tree", "default of --kernel-tree")
    parser.addini("kseries_series", "default of --kernel-series")
    parser.addini("kseries_lane", "default of --kernel-lane", default="auto")
    parser.addini("kseries_cpus", "default of --kernel-cpus", default=str(CPUS))
    parser.addini("kseries_config", "config fragments of the project's tests", type="args")
    parser.addini("kseries_allowed", "file of complaints of a kernel that are known and allowed")
    parser.addini("kseries_baseline", "default of --kernel-baseline")
    parser.addini("kseries_wall", "default of --kernel-wall", default="auto")
    parser.addini("kseries_wall_minutes", "default of --kernel-wall-minutes")
    parser.addini("kseries_thresholds", "file of what measurements are held to")
    parser.addini("kseries_rows", "file of tables and plots to fill with what was measured")
    parser.addini("kseries_report", "default of --kernel-report", default="report")
    parser.addini(
        "kseries_programs", "folders with a Makefile whose programs go into the guest", "args"
    )
    parser.addini(
        "kseries_tools",
        "programs of the host that go into the guest, with their libraries, where it has them",
        "args",
    )


def load(config: pytest.Config) -> Settings | None:
    """Read the options; None without a kernel tree. Raises UsageProblem for a bad one."""
    root, here = config.rootpath, config.invocation_params.dir

    def chosen(option: str, ini: str) -> tuple[str, Path]:
        given = config.getoption(option)
        return (str(given), here) if given else (str(config.getini(ini)), root)

    tree, tree_base = chosen("--kernel-tree", "kseries_tree")
    if not tree:
        return None
    series, series_base = chosen("--kernel-series", "kseries_series")
    if not series:
        series, series_base = "patches", root
        if not (root / series).is_dir():
            raise UsageProblem(
                f"no series: --kernel-series=DIR|MBOX|A..B, or a patches/ folder in {root}"
            )
    lane = _word(config, "lane", LANES)
    cpus, _ = chosen("--kernel-cpus", "kseries_cpus")
    if not cpus.isdecimal() or not 1 <= int(cpus) <= MOST_CPUS:
        raise UsageProblem(f"{_called(config, 'cpus')}={cpus}: a guest has 1 to {MOST_CPUS} CPUs")
    earlier, earlier_base = chosen("--kernel-baseline", "kseries_baseline")
    report, report_base = chosen("--kernel-report", "kseries_report")
    fragments = [_fragment(word, root) for word in config.getini("kseries_config")]
    fragments += [_fragment(word, here) for word in config.getoption("--kernel-config") or ()]
    return Settings(
        tree=tree,
        tree_base=tree_base,
        series=series,
        series_base=series_base,
        lane=lane,
        cpus=int(cpus),
        fragments=tuple(fragments),
        report=(report_base / report).resolve(),
        programs=tuple((root / name).resolve() for name in config.getini("kseries_programs")),
        allowed=_file(config, "kseries_allowed"),
        wall=_word(config, "wall", WALLS),
        wall_most_s=60 * _minutes(config),
        wall_seed=_seed(config),
        baseline=(earlier_base / earlier).resolve() if earlier else None,
        calibrate=bool(config.getoption("--kernel-calibrate")),
        thresholds=_file(config, "kseries_thresholds"),
        tools=tuple(str(name) for name in config.getini("kseries_tools")),
        rows=_file(config, "kseries_rows"),
    )


def _called(config: pytest.Config, name: str) -> str:
    """Return what a value was given by: the option, or the ini key."""
    option = f"--kernel-{name}"
    return option if config.getoption(option) else f"kseries_{name.replace('-', '_')}"


def _minutes(config: pytest.Config) -> float:
    given = str(config.getoption("--kernel-wall-minutes") or config.getini("kseries_wall_minutes"))
    try:
        minutes = float(given or "inf")
    except ValueError:
        minutes = math.nan
    if not minutes > 0:
        raise UsageProblem(f"{_called(config, 'wall-minutes')}={given}: a number above 0")
    return minutes


def _seed(config: pytest.Config) -> int | None:
    given = config.getoption("--kernel-wall-seed")
    if given and not given.isdecimal():
        raise UsageProblem(f"--kernel-wall-seed={given}: a whole number")
    return int(given) if given else None


def _word(config: pytest.Config, name: str, words: Sequence[str]) -> str:
    """Read an option that is one of a few words; argparse has checked it, but not the ini key."""
    word = str(config.getoption(f"--kernel-{name}") or config.getini(f"kseries_{name}"))
    if word not in words:
        raise UsageProblem(f"kseries_{name}={word}: no such {name}; one of {', '.join(words)}")
    return word


def _file(config: pytest.Config, key: str) -> Path | None:
    name = str(config.getini(key) or "")
    return (config.rootpath / name).resolve() if name else None
