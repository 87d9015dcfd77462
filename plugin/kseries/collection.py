"""Cases among the collected tests: two halves each, kept together, or left out without a tree."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from functools import partial

import pytest

from . import marks
from .errors import GuestTestFailed
from .lane import Lane
from .session import KEY, KernelSession
from .thresholds import lane_of, threshold_of
from .throughput import EXACT, WALL, Threshold
from .verdict import KERNELS, STOCK, Kind
from .wall import Scenario

KERNEL_FIXTURE = "kernel_image"
SESSION_FIXTURE = "kernel_session"
_HALF = re.compile(rf"\[({'|'.join(KERNELS)})(?=[-\]])")
_PARAMS = re.compile(r"\{(\w+(?:\.\w+)?)\}")


def is_half(item: pytest.Item) -> bool:
    """Whether a test is one half of a case: it uses a kernel of ours, directly or not."""
    return KERNEL_FIXTURE in getattr(item, "fixturenames", ())


def needs_tree(item: pytest.Item) -> bool:
    """Whether a test runs only with a tree: it uses a fixture of ours, all of which rest on one.

    Such a test is a half where it uses a kernel; else it is a plain test.
    """
    return is_half(item) or SESSION_FIXTURE in getattr(item, "fixturenames", ())


def kernel_of(nodeid: str) -> str | None:
    """Return the kernel that a half's node id names, None for any other test."""
    found = _HALF.search(nodeid)
    return found[1] if found else None


def case_of(nodeid: str) -> str:
    """Return the name of the case: the node id without its kernel."""
    return _HALF.sub("[", nodeid, count=1).replace("[-", "[", 1).replace("[]", "", 1)


def partner_of(nodeid: str) -> str | None:
    """Return the node id of the other half."""
    kernel = kernel_of(nodeid)
    if kernel is None:
        return None
    other = KERNELS[1 - KERNELS.index(kernel)]
    return _HALF.sub(f"[{other}", nodeid, count=1)


def kind_of(item: pytest.Item) -> tuple[Kind, str]:
    """Return (kind, reason) of a half, from its `kernel_case` or `throughput` mark.

    Raises UsageError for a half that has neither: a case without a kind shows nothing.
    """
    said = marks.case(item)
    if said is None:
        measured = marks.measurement(item)
        if measured is None:
            raise pytest.UsageError(
                f"{item.nodeid} uses a kernel but says no kind: mark it"
                ' @pytest.mark.kernel_case("fixes"|"keeps"|"same"|"changes", reason=...)'
            )
        return Kind.MEASURES, measured.reason
    claims = {kind.value: kind for kind in Kind if kind is not Kind.MEASURES}
    if said.kind not in claims:
        raise pytest.UsageError(
            f"{item.nodeid}: kernel_case takes one of {', '.join(claims)}, not {said.kind!r}"
        )
    return claims[said.kind], said.reason


def commands_of(item: pytest.Item, kernel: str | None = None) -> list[list[str]]:
    """Return the commands of a test's `kernel_program` mark, one for each of its variations.

    `kernel` asks for those of the other half. Raises UsageError for a test without the mark.
    """
    said = marks.program(item)
    if said is None:
        raise pytest.UsageError(f"{item.nodeid}: no @pytest.mark.kernel_program(NAME ARGS ...)")
    argv = [_fill(word, item, kernel) for word in said.words]
    return [[*argv, *more.split()] for more in said.variations]


def _fill(word: str, item: pytest.Item, kernel: str | None) -> str:
    """Fill a program's argument with the test's parameters, "{length}", and with "{kernel}"."""
    callspec = getattr(item, "callspec", None)
    values: dict[str, object] = dict(callspec.params) if callspec else {}
    values["kernel"] = kernel or values.get(KERNEL_FIXTURE)

    def one(match: re.Match[str]) -> str:
        name, _, attribute = match[1].partition(".")
        if name not in values:
            raise pytest.UsageError(f"{item.nodeid}: kernel_program wants {{{name}}}, no parameter")
        value = values[name]
        return str(getattr(value, attribute) if attribute else value)

    return _PARAMS.sub(one, word)


def scenario_of(item: pytest.Item, session: KernelSession) -> Scenario:
    """Make of either half of a test what the wall lane wants to know of it."""
    return Scenario(
        commands={name: commands_of(item, name) for name in KERNELS},
        threshold=held_to(item, session),
        deadline_s=deadline_of(item),
    )


def held_to(item: pytest.Item, session: KernelSession) -> Threshold:
    """Return what a measurement is held to, in the lane where it is measured here."""
    where = EXACT
    if lane_of(item) == WALL:
        wall_lane, _ = session.wall_lane
        where = (wall_lane or Lane.TCG).value
    return threshold_of(item, case_of(item.nodeid), session.thresholds, where)


def deadline_of(item: pytest.Item) -> float:
    """Return the guest seconds that a test's program may take."""
    said = marks.program(item)
    return said.deadline_s if said else marks.DEADLINE_S


def asked_of(item: pytest.Item) -> tuple[list[str], int]:
    """Return what a test of a functional lane asks of its guest: a command, guest milliseconds."""
    return commands_of(item)[0], round(deadline_of(item) * 1000)


class Collection:
    """The hooks at collection, in every process."""

    def __init__(self) -> None:
        self._collected: dict[str, pytest.Item] = {}

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_make_collect_report(
        self,
    ) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Remember every half before --lf drops those that passed."""
        report = yield
        self._collected |= {i.nodeid: i for i in report.result or () if isinstance(i, pytest.Item)}
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Plan what is measured, so that one guest of the exact lane serves all of it.

        An xdist worker is given its tests one by one and cannot plan.
        """
        state = session.config.stash.get(KEY, None)
        if state is None or hasattr(session.config, "workerinput"):
            return
        for item in session.items:
            kernel = kernel_of(item.nodeid) if is_half(item) else None
            lane = lane_of(item) if kernel else None
            if kernel and lane == EXACT:
                state.plan[kernel][item.nodeid] = commands_of(item)
            elif kernel == STOCK and lane == WALL:
                state.wall_plan[case_of(item.nodeid)] = partial(scenario_of, item, state)

    @pytest.hookimpl(tryfirst=True)
    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give every test that uses a kernel its two halves, the kernel first in its id."""
        if KERNEL_FIXTURE in metafunc.fixturenames:
            metafunc.parametrize(KERNEL_FIXTURE, KERNELS, indirect=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection(self, session: pytest.Session) -> None:
        """Bring the other half in where a node id on the command line names one."""
        if session.config.stash.get(KEY, None) is not None:
            args = session.config.args
            partners = [p for p in map(partner_of, args) if p is not None]
            session.config.args = list(dict.fromkeys([*args, *partners]))

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> Generator[None]:
        """Leave kernel tests out without a tree; else bring halves in and put them side by side."""
        if config.stash.get(KEY, None) is None:
            left_out = [item for item in items if needs_tree(item)]
            if left_out:
                items[:] = [item for item in items if not needs_tree(item)]
                config.hook.pytest_deselected(items=left_out)
                config.stash[LEFT_OUT] = len(left_out)
            return (yield)
        everything = self._collected | {item.nodeid: item for item in items}
        result = yield
        items[:] = _paired(items, everything)
        for item in items:
            if not is_half(item) or kernel_of(item.nodeid) != STOCK:
                continue
            kind, reason = kind_of(item)
            # What the marks get wrong is found before anything is built.
            if marks.program(item):
                commands_of(item)
            if kind is Kind.SAME and not marks.figures(item):
                raise pytest.UsageError(
                    f'{item.nodeid}: kernel_case("same", figures=(...)) names no figure'
                )
            if kind is Kind.FIXES:
                item.add_marker(
                    pytest.mark.xfail(
                        strict=True,
                        raises=GuestTestFailed,
                        reason=f"fails on stock, as it must: {reason}",
                    )
                )
        return result


def _paired(items: Iterable[pytest.Item], everything: dict[str, pytest.Item]) -> list[pytest.Item]:
    """Order items so that each case's halves stand together, stock first."""
    ordered: dict[str, pytest.Item] = {}
    for item in items:
        if not is_half(item):
            ordered[item.nodeid] = item
            continue
        for nodeid in sorted((item.nodeid, partner_of(item.nodeid) or ""), key=_stock_first):
            if nodeid in everything:
                ordered[nodeid] = everything[nodeid]
    return list(ordered.values())


def _stock_first(nodeid: str) -> bool:
    return kernel_of(nodeid) != STOCK


LEFT_OUT: pytest.StashKey[int] = pytest.StashKey()
