"""The plugin's options and ini keys, read once and resolved."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from .errors import UsageProblem
from .guest import CPUS, MOST_CPUS

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
    group.addoption("--kernel-report", metavar="DIR", help="where reports go (default: report/)")
    parser.addini("kseries_tree", "default of --kernel-tree")
    parser.addini("kseries_series", "default of --kernel-series")
    parser.addini("kseries_lane", "default of --kernel-lane", default="auto")
    parser.addini("kseries_cpus", "default of --kernel-cpus", default=str(CPUS))
    parser.addini("kseries_config", "config fragments of the project's tests", type="args")
    parser.addini("kseries_allowed", "file of complaints of a kernel that are known and allowed")
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
    lane = config.getoption("--kernel-lane") or str(config.getini("kseries_lane"))
    if lane not in LANES:
        raise UsageProblem(f"kseries_lane={lane}: no such lane; one of {', '.join(LANES)}")
    cpus, _ = chosen("--kernel-cpus", "kseries_cpus")
    if not cpus.isdecimal() or not 1 <= int(cpus) <= MOST_CPUS:
        name = "--kernel-cpus" if config.getoption("--kernel-cpus") else "kseries_cpus"
        raise UsageProblem(f"{name}={cpus}: a guest has 1 to {MOST_CPUS} CPUs")
    report, report_base = chosen("--kernel-report", "kseries_report")
    fragments = [_fragment(word, root) for word in config.getini("kseries_config")]
    fragments += [_fragment(word, here) for word in config.getoption("--kernel-config") or ()]
    known = str(config.getini("kseries_allowed") or "")
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
        tools=tuple(str(name) for name in config.getini("kseries_tools")),
        allowed=(root / known).resolve() if known else None,
    )
