"""Turns what pytest knows of a test's phases into the half of a case, in the worker that ran it."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from typing import Any

import pytest

from . import ktap
from .collection import case_of, is_half, kernel_of, kind_of
from .errors import GuestCrashed, GuestTestFailed
from .fixtures import RUN
from .run import Run
from .session import KEY
from .throughput import (
    INSTRUCTIONS_PER_PACKET,
    Comparison,
    FunctionCost,
    Threshold,
    compare,
    differences,
    mean_by_function,
)
from .verdict import PATCHED, STOCK, Half, Kind, Outcome

# The attribute of a test report that carries a half to the controller, as plain data.
ATTRIBUTE = "kseries_half"
# A line is no place for more.
_FUNCTIONS_SHOWN = 4
# What an xdist worker's guests said last, in what the worker sends when it ends.
LAST_WORDS = "kseries_last_words"


class Halves:
    """The hooks around a test, in the process that runs it."""

    def __init__(self) -> None:
        self._stock: dict[str, Run] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None]:
        """After the patched half's own checks, hold it against what stock did."""
        yield
        run = item.stash.get(RUN, None)
        if run is None:
            return
        kind, _ = kind_of(item)
        case = case_of(item.nodeid)
        if run.kernel == STOCK:
            self._stock[case] = run
        elif kind is Kind.SAME and case in self._stock:
            _must_be_same(item, self._stock[case], run)
        elif kind is Kind.MEASURES and case in self._stock:
            stock = self._stock[case]
            comparison = compare(
                stock.samples(threshold_of(item).metric),
                run.samples(threshold_of(item).metric),
                threshold_of(item),
            )
            comparison.functions = differences(
                mean_by_function(stock.functions()), mean_by_function(run.functions())
            )
            item.stash[COMPARISON] = comparison
            if comparison.word == "regressed":
                run.fail(describe(comparison))

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
        if not is_half(item):
            return report
        decided = report.when == "call" or (report.when in ("setup", "teardown") and call.excinfo)
        if decided:
            setattr(report, ATTRIBUTE, _carried(item, call, report))
        return report


def threshold_of(item: pytest.Item) -> Threshold:
    """Read a test's `throughput` mark."""
    mark = item.get_closest_marker("throughput")
    if mark is None or "max_increase" not in mark.kwargs or not mark.kwargs.get("reason"):
        raise pytest.UsageError(
            f"{item.nodeid}: throughput(metric, max_increase=..., reason=...) needs all three"
        )
    metric = str(mark.args[0]) if mark.args else INSTRUCTIONS_PER_PACKET
    return Threshold(metric, float(mark.kwargs["max_increase"]), str(mark.kwargs["reason"]))


def describe(comparison: Comparison) -> str:
    """Say a comparison in one line."""
    unseen = ""
    if comparison.word == "inconclusive":
        smallest = comparison.high / comparison.ratio - 1
        unseen = f"; an effect below {smallest * 100:.2f} % could not have been seen"
    return (
        f"{comparison.metric} {comparison.word}: {comparison.stock:,.1f} -> "
        f"{comparison.patched:,.1f}, {(comparison.ratio - 1) * 100:+.2f} %"
        f" [{(comparison.low - 1) * 100:+.2f}, {(comparison.high - 1) * 100:+.2f}]"
        f" of {comparison.pairs} pairs; at most {comparison.threshold * 100:+.1f} %"
        f" ({comparison.threshold_reason}){unseen}{_where(comparison)}"
    )


def _where(comparison: Comparison) -> str:
    shown = [f"{f.name} {f.change:+.1f}" for f in comparison.functions[:_FUNCTIONS_SHOWN]]
    return f"; by function: {', '.join(shown)}" if shown else ""


COMPARISON: pytest.StashKey[Comparison] = pytest.StashKey()


def _must_be_same(item: pytest.Item, stock: Run, patched: Run) -> None:
    mark = item.get_closest_marker("kernel_case")
    names = tuple(mark.kwargs.get("figures", ())) if mark else ()
    if not names:
        raise pytest.UsageError(
            f'{item.nodeid}: kernel_case("same", figures=(...)) names no figure'
        )
    differing = [
        f"{name}: stock {stock.figures.get(name)}, patched {patched.figures.get(name)}"
        for name in names
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
            half.samples = run.samples(threshold_of(item).metric) if _measured(run) else []
            half.functions = {
                name: round(count, 2) for name, count in mean_by_function(run.functions()).items()
            }
    comparison = item.stash.get(COMPARISON, None) if half.kernel == PATCHED else None
    return {
        "case": case_of(item.nodeid),
        "kind": kind.value,
        "reason": reason,
        "half": asdict(half) | {"outcome": half.outcome.value},
        "comparison": asdict(comparison) if comparison else None,
    }


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


def from_report(data: dict[str, Any]) -> tuple[str, Kind, str, Half, Comparison | None]:
    """Undo `_carried` in the controller."""
    half = dict(data["half"])
    half["outcome"] = Outcome(half["outcome"])
    comparison = None
    if data["comparison"]:
        functions = [FunctionCost(**cost) for cost in data["comparison"]["functions"]]
        comparison = Comparison(**data["comparison"] | {"functions": functions})
    return data["case"], Kind(data["kind"]), data["reason"], Half(**half), comparison
