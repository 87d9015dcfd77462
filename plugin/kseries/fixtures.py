"""The pyramid of fixtures: tree, series, kernel, guest, run. A conftest may override each one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial

import pytest

from . import marks
from .build import Image
from .collection import asked_of, case_of, commands_of, kernel_of, scenario_of
from .errors import KseriesError, UsageProblem
from .guest import Guest
from .run import Run, measure_program, run_program, steadily, wall_program
from .series import Series
from .session import KEY, KernelSession
from .source import Source
from .thresholds import lane_of
from .throughput import EXACT, WALL


@pytest.fixture(scope="session")
def kernel_session(pytestconfig: pytest.Config) -> KernelSession:
    """The run's state in this process; only there with --kernel-tree."""
    return pytestconfig.stash[KEY]


@pytest.fixture(scope="session")
def kernel_tree(kernel_session: KernelSession) -> Source:
    """The pristine tree under test, read only."""
    return kernel_session.source


@pytest.fixture(scope="session")
def kernel_series(kernel_session: KernelSession) -> Series:
    """The series under test."""
    return kernel_session.series


@pytest.fixture
def kernel_image(request: pytest.FixtureRequest, kernel_session: KernelSession) -> Image:
    """The built kernel of this half: stock, then patched."""
    return kernel_session.image(str(request.param))


@pytest.fixture
def kernel_guest(kernel_image: Image, kernel_session: KernelSession) -> Guest:
    """This worker's guest of the kernel: booted once, and again only after a crash."""
    return kernel_session.guest(kernel_image.kernel)


@pytest.fixture
def kernel_run(
    request: pytest.FixtureRequest, kernel_image: Image, kernel_session: KernelSession
) -> Iterator[Run]:
    """Run the program that the test's `kernel_program` mark names; the test calls `check()`.

    It runs here, in the fixture, so that the machinery's trouble is an error of the set-up and
    only what the program said can fail the test.
    """
    kernel, node = kernel_image.kernel, request.node
    worked = node.stash.get(WORKED_ON_STOCK, False)
    lane = lane_of(node)
    if lane == EXACT:
        run = measure_program(kernel_session, kernel, node.nodeid, commands_of(node), worked)
    elif lane == WALL:
        wall_lane, why = kernel_session.wall_lane
        if wall_lane is None:
            pytest.skip(f"real-time throughput: not measured here: {why}")
        plan = partial(scenario_of, node, kernel_session)
        run = wall_program(kernel_session, kernel, case_of(node.nodeid), plan, worked)
    else:
        argv, deadline_ms = asked_of(node)

        def attempt(guest: Guest) -> Run:
            guest.begin(argv, deadline_ms)
            _begin_next(kernel_session, node)
            return run_program(kernel_session, guest, argv, deadline_ms, worked)

        run = steadily(kernel_session, request.getfixturevalue("kernel_guest"), attempt)
    node.stash[RUN] = run
    yield run
    if not run.checked:
        raise UsageProblem(
            f"{request.node.nodeid} never called kernel_run.check(): it shows nothing"
        )


def _begin_next(session: KernelSession, item: pytest.Item) -> None:
    """Start what the test after this one asks of the other guest, so that neither waits.

    What goes wrong here that test meets by itself.
    """
    following = item.stash.get(NEXT, None)
    if following is None or not (_may_have_company(item) and _may_have_company(following)):
        return
    kernel = kernel_of(following.nodeid)
    if kernel is None or kernel == kernel_of(item.nodeid):
        return
    with contextlib.suppress(KseriesError, pytest.UsageError):
        session.guest(kernel).begin(*asked_of(following))


def _may_have_company(item: pytest.Item) -> bool:
    """Whether a test asks one thing of a guest in a functional lane, and not of that one alone."""
    program = marks.program(item)
    runs = "kernel_run" in getattr(item, "fixturenames", ()) and lane_of(item) is None
    return runs and program is not None and not program.alone


# The test after this one, by pytest's word.
NEXT: pytest.StashKey[pytest.Item | None] = pytest.StashKey()
RUN: pytest.StashKey[Run] = pytest.StashKey()
# Of a patched half: whether its program did its work on stock.
WORKED_ON_STOCK: pytest.StashKey[bool] = pytest.StashKey()
