"""Turns what pytest knows of a test's phases into the half of a case, in the worker that ran it.

A test of the series that uses no kernel, and so is no half, counts when it fails.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Any

import pytest

from . import calibrate, ktap, marks
from .baseline import Against
from .collection import case_of, held_to, is_half, kernel_of, kind_of, needs_tree
from .errors import GuestCrashed, GuestTestFailed, KseriesError
from .fixtures import NEXT, RUN, WORKED_ON_STOCK
from .functions import FunctionCost, by_function, differences
from .realtime import floor_key
from .run import Run
from .session import KEY
from .thresholds import lane_of
from .throughput import CONFIDENCE, EXACT, WALL, Comparison, Threshold, compare, smallest_seen
from .verdict import PATCHED, STOCK, Half, Kind, Outcome
from .wall import LEVEL

# The attribute of a test report that carries a half to the controller, as plain data.
ATTRIBUTE = "kseries_half"
# The same for a failure of a test that is no half: the kind and the message of a finding.
FAILURE = "kseries_failure"
# Of its message, so many lines: pytest's own report has them all.
_LINES_SHOWN = 25
# A line is no place for more.
_FUNCTIONS_SHOWN = 4
# What an xdist worker's guests said last, in what the worker sends when it ends.
LAST_WORDS = "kseries_last_words"


class Halves:
    """The hooks around a test, in the process that runs it."""

    def __init__(self) -> None:
        # By case, of stock: whose program did its work, and who passed all checks as well.
        self._worked_on_stock: set[str] = set()
        self._passed_on_stock: dict[str, Run] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> None:
        """Let a half know what comes after it, and a patched one what came before."""
        item.stash[NEXT] = nextitem
        if kernel_of(item.nodeid) == PATCHED:
            item.stash[WORKED_ON_STOCK] = case_of(item.nodeid) in self._worked_on_stock

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """After the patched half's own checks, hold it against what stock did."""
        run = item.stash.get(RUN, None)
        case = case_of(item.nodeid)
        if run is not None and run.kernel == STOCK and run.did_its_work:
            self._worked_on_stock.add(case)
        yield
        if run is None:
            return
        kind, _ = kind_of(item)
        if kind is Kind.MEASURES and _measured(run):
            # Here, where a figure that is not there is an error of this half alone.
            item.stash[SAMPLES] = run.measured(_threshold(item).metric)
            item.stash[FUNCTIONS] = by_function(run.functions())
        if run.kernel == STOCK:
            self._passed_on_stock[case] = run
        elif kind is Kind.SAME and case in self._passed_on_stock:
            _must_be_same(item, self._passed_on_stock[case], run)
        elif kind is Kind.MEASURES and case in self._passed_on_stock:
            _hold(item, case, self._passed_on_stock[case], run)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """In an xdist worker: send what its guests still had to say."""
        output = getattr(session.config, "workeroutput", None)
        if output is not None:
            output[LAST_WORDS] = session.config.stash[KEY].part()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach the half to the report of the phase that decided it."""
        report = yield
        if report.failed and call.excinfo and call.excinfo.errisinstance(KseriesError):
            report.longrepr = str(call.excinfo.value)  # for people, without our own source
        if not is_half(item):
            if report.failed and call.excinfo and needs_tree(item):
                setattr(report, FAILURE, _failure(item, call.excinfo))
            return report
        decided = report.when == "call" or (report.when in ("setup", "teardown") and call.excinfo)
        if decided:
            setattr(report, ATTRIBUTE, _carried(item, call, report))
        return report


def _hold(item: pytest.Item, case: str, stock: Run, run: Run) -> None:
    """Hold a measurement to its threshold, against stock and against an earlier version."""
    threshold, wall = _threshold(item), lane_of(item) == WALL
    lane = WALL if wall else EXACT
    calibrate.must_not_be_finer({case: threshold}, floor_key(item.config.stash[KEY], lane))
    samples = run.measured(threshold.metric)
    comparison = compare(
        stock.measured(threshold.metric),
        samples,
        threshold,
        lane=lane,
        confidence=LEVEL if wall else CONFIDENCE,
    )
    functions = [by_function(one.functions()) for one in (stock, run)]
    comparison.functions = differences(*functions)
    item.stash[COMPARISON] = comparison
    worse = [describe(comparison)] if comparison.word == "regressed" else []
    earlier = item.config.stash[KEY].baseline
    if earlier and not wall:  # real time is only compared in pairs, boot by boot
        against = earlier.against(case, run.history, samples, functions[1], threshold)
        item.stash[AGAINST] = against
        worse += [describe_against(against)] if against and against.word == "regressed" else []
    if worse:
        run.fail("; ".join(worse))


def _threshold(item: pytest.Item) -> Threshold:
    return held_to(item, item.config.stash[KEY])


def describe(comparison: Comparison) -> str:
    """Say a comparison in one line."""
    unseen = f"; an effect below {smallest_seen(comparison) * 100:.2f} % could not have been seen"
    return (
        f"{comparison.metric} {comparison.word}: {comparison.stock:,.1f} -> "
        f"{comparison.patched:,.1f}, {(comparison.ratio - 1) * 100:+.2f} %"
        f" [{(comparison.low - 1) * 100:+.2f}, {(comparison.high - 1) * 100:+.2f}]"
        f" of {comparison.pairs} pairs; at most {comparison.threshold * 100:.1f} %"
        f" {comparison.worse} ({comparison.threshold_reason}){unseen}{_where(comparison)}"
    )


def _where(comparison: Comparison) -> str:
    return f"; by function: {_names(comparison.functions)}" if comparison.functions else ""


def _names(functions: Sequence[FunctionCost]) -> str:
    return ", ".join(f"{f.name} {f.change:+.1f}" for f in functions[:_FUNCTIONS_SHOWN])


def describe_against(against: Against) -> str:
    """Say a comparison with an earlier version in one line."""
    return (
        f"against {against.file}: {describe(against.comparison)}; functions that changed for sure:"
        f" {against.net:+.1f} instructions per packet in all"
        f"{f': {_names(against.functions)}' if against.functions else ''}"
    )


SAMPLES: pytest.StashKey[list[float]] = pytest.StashKey()
FUNCTIONS: pytest.StashKey[dict[str, list[float]]] = pytest.StashKey()
COMPARISON: pytest.StashKey[Comparison] = pytest.StashKey()
AGAINST: pytest.StashKey[Against | None] = pytest.StashKey()


def _must_be_same(item: pytest.Item, stock: Run, patched: Run) -> None:
    differing = [
        f"{name}: stock {stock.figures.get(name)}, patched {patched.figures.get(name)}"
        for name in marks.figures(item)
        if name not in stock.figures or stock.figures[name] != patched.figures.get(name)
    ]
    if differing:
        patched.fail("must be as on stock, but " + "; ".join(differing))


def _carried(
    item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport
) -> dict[str, Any]:
    """Make the plain data that crosses to the controller: case, kind, reason, half, comparison."""
    kind, reason = kind_of(item)
    run = item.stash.get(RUN, None)
    half = Half(
        kernel=str(kernel_of(item.nodeid)),
        nodeid=item.nodeid,
        outcome=_outcome(call, report),
        message=_message(call),
        duration_s=round(report.duration, 3),
    )
    if run is not None:
        half.command, half.lane, half.console = run.command, run.lane, run.console_log
        half.guest_ms, half.figures = run.guest_ms, run.figures
        half.duration_s = run.guest_ms / 1000  # the program ran in the set-up, not in this phase
        half.subtests = [
            {"name": f"{name}{r.name}", "status": r.status.name.lower(), "detail": r.detail}
            for name, report_ in run.named_reports()
            for r in report_.results
        ]
        half.splats = [
            {"kind": s.kind, "title": s.title, "functions": s.functions[:8]} for s in run.splats
        ]
        if kind is Kind.MEASURES and half.outcome is not Outcome.INFRA:
            half.history = run.history
            half.samples = item.stash.get(SAMPLES, [])
            half.runs = [report.figures for report in run.reports]
            half.functions = item.stash.get(FUNCTIONS, {})
    comparison = item.stash.get(COMPARISON, None)
    against = item.stash.get(AGAINST, None)
    return {
        "case": case_of(item.nodeid),
        "kind": kind.value,
        "reason": reason,
        "half": asdict(half) | {"outcome": half.outcome.value},
        "comparison": asdict(comparison) if comparison else None,
        "against": asdict(against) if against else None,
    }


def _failure(item: pytest.Item, excinfo: pytest.ExceptionInfo[BaseException]) -> tuple[str, str]:
    kind = "infra" if excinfo.errisinstance(KseriesError) else "test"
    said = (str(excinfo.value) or excinfo.typename).splitlines()[:_LINES_SHOWN]
    return kind, "\n    ".join([f"{item.nodeid} failed: {said[0]}", *said[1:]])


def _measured(run: Run) -> bool:
    return run.crash is None and all(r.status is ktap.Status.PASSED for r in run.reports)


def _outcome(call: pytest.CallInfo[None], report: pytest.TestReport) -> Outcome:
    if call.excinfo is None:
        return Outcome.PASSED
    if call.excinfo.errisinstance(pytest.skip.Exception):
        return Outcome.SKIPPED
    if report.when == "teardown":
        return Outcome.INFRA
    if call.excinfo.errisinstance(GuestTestFailed):
        return Outcome.FAILED
    if call.excinfo.errisinstance(GuestCrashed):
        return Outcome.CRASHED
    return Outcome.INFRA


def _message(call: pytest.CallInfo[None]) -> str:
    return str(call.excinfo.value) if call.excinfo is not None else ""


def from_report(
    data: dict[str, Any],
) -> tuple[str, Kind, str, Half, Comparison | None, Against | None]:
    """Undo `_carried` in the controller."""
    half = Half(**data["half"] | {"outcome": Outcome(data["half"]["outcome"])})
    comparison = _comparison(data["comparison"]) if data["comparison"] else None
    against = None
    if data["against"]:
        parts = {
            "comparison": _comparison(data["against"]["comparison"]),
            "functions": [FunctionCost(**cost) for cost in data["against"]["functions"]],
        }
        against = Against(**data["against"] | parts)
    return data["case"], Kind(data["kind"]), data["reason"], half, comparison, against


def _comparison(data: dict[str, Any]) -> Comparison:
    functions = [FunctionCost(**cost) for cost in data["functions"]]
    return Comparison(**data | {"functions": functions})
