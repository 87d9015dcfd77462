"""Gives the tests on kernels their cases: a pairwise covering choice, or the full matrix."""

from __future__ import annotations

import pytest

from .series.matrix import points


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full-matrix",
        action="store_true",
        help="all the combinations of the scenarios, not a choice that covers each pair",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "scenarios(kind=None, crossed=None, **dimensions): cases over these dimensions, chosen by"
        " --full-matrix; kind makes the kernel_case mark of a point, crossed names the dimensions"
        " that the full matrix combines in full (all of them)",
    )


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
