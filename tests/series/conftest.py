"""Gives the tests of the series their cases: a pairwise covering choice, or the full matrix."""

from __future__ import annotations

import secrets

import pytest

from .matrix import points


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="all the combinations of the scenarios, not a choice that covers each pair",
    )
    parser.addoption(
        "--soak-seed",
        metavar="N|random",
        default="1",
        help="seed of the soak (default: 1); random picks one and prints it",
    )
    parser.addoption(
        "--soak-minutes",
        metavar="N",
        type=int,
        default=0,
        help="soak for about N minutes, with scenarios that the seed draws",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "scenarios(kind=None, crossed=None, **dimensions): cases over these dimensions, chosen by"
        " --full-matrix; kind makes the kernel_case mark of a point, crossed names the dimensions"
        " that the full matrix combines in full (all of them)",
    )
    # xdist hands the controller's options to its workers: all of them get the same seed.
    if config.option.soak_seed == "random":
        config.option.soak_seed = str(secrets.randbelow(1 << 31))
    if not config.option.soak_seed.isdecimal():
        raise pytest.UsageError(f"--soak-seed={config.option.soak_seed}: a number, or random")


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed, minutes = config.option.soak_seed, config.option.soak_minutes
    again = f" --soak-minutes={minutes}" if minutes else ""
    return [f"soak: again with --soak-seed={seed}{again}"] if again or seed != "1" else []


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("scenarios")
    if mark is None:
        return
    dimensions = dict(mark.kwargs)
    kind = dimensions.pop("kind", None)
    crossed = dimensions.pop("crossed", None)
    full = metafunc.config.getoption("--full-matrix")
    metafunc.parametrize(
        list(dimensions),
        [
            pytest.param(
                *point.values(),
                id="-".join(map(str, point.values())),
                marks=[kind(point)] if kind else [],
            )
            for point in points(full, dimensions, crossed)
        ],
    )
