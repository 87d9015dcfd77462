"""Gives the tests of the series their cases: a pairwise covering choice, or the full matrix."""

from __future__ import annotations

import pytest

from .matrix import points


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="every combination of the scenarios, not a choice that covers each pair",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "scenarios(kind=None, **dimensions): cases over these dimensions, chosen by --full-matrix;"
        " kind makes the kernel_case mark of a point",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    mark = metafunc.definition.get_closest_marker("scenarios")
    if mark is None:
        return
    dimensions = {name: value for name, value in mark.kwargs.items() if name != "kind"}
    kind = mark.kwargs.get("kind")
    metafunc.parametrize(
        list(dimensions),
        [
            pytest.param(
                *point.values(),
                id="-".join(map(str, point.values())),
                marks=[kind(point)] if kind else [],
            )
            for point in points(metafunc.config.getoption("--full-matrix"), dimensions)
        ],
    )
