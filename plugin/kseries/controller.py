"""The controller's part of a run: check, build, gather the halves, make the verdict, report."""

from __future__ import annotations

import shlex
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from . import calibrate
from .baseline import NOT_COMPARED
from .collection import LEFT_OUT, case_of, commands_of, held_to, is_half, kernel_of
from .errors import KseriesError, SeriesFinding, UsageProblem
from .halves import ATTRIBUTE, FAILURE, LAST_WORDS, from_report
from .lane import Lane, qemu_version
from .progress import OnTerminal
from .realtime import floor_key
from .report import REPORTS, data, terminal
from .session import KernelSession
from .thresholds import lane_of
from .throughput import EXACT, WALL
from .verdict import PATCHED, STOCK, Case, Finding, Kernel, Verdict, assemble


class Controller:
    """Registered with a tree, where pytest is controller or alone."""

    def __init__(self, config: pytest.Config, session: KernelSession) -> None:
        self._config = config
        self._session = session
        self._halves: dict[str, dict[str, object]] = {}
        self._findings: list[Finding] = []
        # Of tests that are no halves.
        self._failures: list[Finding] = []
        self._verdict: Verdict | None = None
        # What a calibration found, by the file that keeps it.
        self._floors: dict[Path, list[calibrate.Floor]] = {}
        self._files: list[str] = []
        self._unwritten = ""
        self._began = time.monotonic()

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Check what can be checked before anything long begins."""
        plugins = session.config.pluginmanager
        if reporter := plugins.get_plugin("terminalreporter"):
            capture = plugins.get_plugin("capturemanager")
            aloud = capture.global_and_fixture_disabled if capture else nullcontext
            self._session.progress = OnTerminal(reporter, aloud)
        if session.config.option.collectonly:
            return
        if self._done(self._session.check):
            self._done(self._check_report)

    def _check_report(self) -> None:
        """Say before anything long where no report could be written. Nothing is made yet."""
        folder = self._session.settings.report
        there = next(path for path in (folder, *folder.parents) if path.exists())
        try:
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise UsageProblem(f"--kernel-report={folder}: cannot be written: {error}") from error

    def _forget_last(self) -> None:
        """Take the last run's verdict away: if this one comes to none, there is none."""
        folder = self._session.settings.report
        shutil.rmtree(folder / "logs", ignore_errors=True)
        (folder / data.FILE).unlink(missing_ok=True)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        """Build before the first test, once for all workers; nothing runs when that fails."""
        if session.config.option.collectonly:
            return None
        distributed = session.config.pluginmanager.has_plugin("dsession")
        if not distributed and not any(map(is_half, session.items)):
            return None
        if self._findings:
            return True
        if session.testsfailed:
            return None
        if distributed and self._session.settings.calibrate:
            raise pytest.UsageError("--kernel-calibrate has the machine to itself: without -n")
        if not self._done(self._forget_last) or not self._done(self._session.prepare):
            return True
        measured = {
            case_of(item.nodeid): item
            for item in session.items
            if lane_of(item) and kernel_of(item.nodeid) == STOCK
        }
        if self._session.settings.calibrate:
            self._done(lambda: self._calibrate(measured))
            return True
        if measured:  # under xdist only a worker knows of any, and checks each
            self._done(lambda: self._check_floors(measured))
            self._session.begin_measuring()
        if distributed:
            self._session.close()  # the workers boot guests of their own
        return None

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_make_scheduler(
        self, config: pytest.Config, log: object
    ) -> LoadScopeScheduling:
        """Give both halves of a case to the same worker."""
        return ByCase(config, log)

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take what an xdist worker's guests said last."""
        output = getattr(node, "workeroutput", None) or {}
        self._add_last_words(output.get(LAST_WORDS, ()))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather the halves; a later phase (an error in the teardown) outranks an earlier one.

        And gather what else of the series' tests failed.
        """
        data = getattr(report, ATTRIBUTE, None)
        if data is not None:
            self._halves[report.nodeid] = data
        failure = getattr(report, FAILURE, None)
        if failure is not None:
            self._failures.append(Finding(*failure))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Make the verdict, write every report of it, and let it set the exit status."""
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._add_last_words(self._session.part())
        self._session.close()
        usage = exitstatus in (pytest.ExitCode.USAGE_ERROR, pytest.ExitCode.INTERNAL_ERROR)
        ran_nothing = not self._halves and not self._findings and not self._failures
        if usage or session.config.option.collectonly or ran_nothing:
            return
        interrupted = exitstatus == pytest.ExitCode.INTERRUPTED and not self._findings
        verdict = self._make_verdict(interrupted)
        self._verdict = verdict
        folder = self._session.settings.report
        try:
            self._files = [name for write in REPORTS for name in write(verdict, folder)]
        except OSError as error:
            self._unwritten = f"the report in {folder} is not whole: {error}"
        if not interrupted and (self._unwritten or not verdict.good):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table and the sentence, or what a calibration found."""
        if self._floors:
            terminal.print_floors(self._floors, terminalreporter)
        if self._verdict is not None:
            verbose = self._config.get_verbosity() > 0
            folder = self._session.settings.report
            terminal.print_summary(
                self._verdict, terminalreporter, folder, self._files, verbose=verbose
            )
            if self._unwritten:
                terminalreporter.write_line(self._unwritten, red=True)

    def _check_floors(self, measured: Mapping[str, pytest.Item]) -> None:
        state = self._session
        for lane in (EXACT, WALL):
            held = {
                case: held_to(item, state)
                for case, item in measured.items()
                if lane_of(item) == lane
            }
            calibrate.must_not_be_finer(held, floor_key(state, lane))

    def _calibrate(self, measured: Mapping[str, pytest.Item]) -> None:
        """Measure the floors of cases, each with its stock half, and keep them."""
        if not measured:
            raise UsageProblem("--kernel-calibrate: nothing that was collected is measured")
        state = self._session
        exact = {
            case: calibrate.Measured(commands_of(item), held_to(item, state))
            for case, item in measured.items()
            if lane_of(item) == EXACT
        }
        state.close()
        found = {EXACT: calibrate.exact(state, exact)}
        if state.wall_lane[0] is not None:
            wanted = {case: plan() for case, plan in state.wall_plan.items()}
            found[WALL] = calibrate.real_time(state, wanted)
        for lane, floors in found.items():
            if floors:
                self._floors[calibrate.store(floor_key(state, lane), floors)] = floors

    def _add_last_words(self, findings: Iterable[tuple[str, str]]) -> None:
        known = {(finding.kind, finding.message) for finding in self._findings}
        self._findings += [Finding(*f) for f in map(tuple, findings) if f not in known]

    def _done(self, step: Callable[[], None]) -> bool:
        """Take a step of the session; what stops it is a usage error or becomes a finding."""
        try:
            step()
        except UsageProblem as error:
            raise pytest.UsageError(str(error)) from error
        except (KseriesError, OSError) as error:
            kind = type(error).__name__ if isinstance(error, SeriesFinding) else "infra"
            self._findings.append(Finding(kind, str(error), getattr(error, "patch", None)))
            return False
        return True

    def _make_verdict(self, interrupted: bool) -> Verdict:
        session = self._session
        # Where the tree could not even be had, the finding says so, and there is nothing to name.
        source = session.source if "source" in vars(session) else None
        cases = assemble(from_report(data) for data in self._halves.values())
        earlier = session.settings.baseline
        booted = cases or "lane" in vars(session)
        lane, reason = session.lane if booted else (Lane.TCG, "nothing was booted")
        return Verdict(
            series=session.settings.series,
            tree=source.name if source else session.settings.tree,
            dirty=source.dirty if source else None,
            lane=lane.value,
            lane_reason=reason,
            cpus=session.settings.cpus,
            qemu=qemu_version(),
            command=shlex.join(["pytest", *self._config.invocation_params.args]),
            patches=[patch.subject for patch in session.series.patches] if source else [],
            kernels=[
                self._kernel(name, cases) for name in sorted({h for c in cases for h in _ran(c)})
            ],
            cases=cases,
            rows=session.rows,
            findings=[*self._findings, *self._failures, *_nothing_compared(earlier, cases)],
            baseline=str(earlier) if earlier else "",
            interrupted=interrupted,
            circumstances=session.circumstances,
            measured_with=session.measured_with if cases else {},
            duration_s=time.monotonic() - self._began,
        )

    def _kernel(self, name: str, cases: list[Case]) -> Kernel:
        image = self._session.image(name)
        halves = [half for case in cases if (half := case.half(name))]
        patches = self._session.series.patches if name == PATCHED else ()
        return Kernel(
            name=name,
            release=image.release,
            key=image.key,
            compiler=image.compiler,
            image=str(image.bzimage),
            config=str(image.config),
            patches=[patch.name for patch in patches],
            consoles=sorted({half.console for half in halves if half.console}),
        )


class ByCase(LoadScopeScheduling):  # type: ignore[misc]
    """xdist's scope scheduling, with a case as the scope."""

    def _split_scope(self, nodeid: str) -> str:
        return case_of(nodeid)


class WithoutTree:
    """Without a tree: one line that says how to run the tests that were left out."""

    def pytest_terminal_summary(
        self, terminalreporter: pytest.TerminalReporter, config: pytest.Config
    ) -> None:
        """Say how many tests need a kernel, and how to give them one."""
        count = config.stash.get(LEFT_OUT, 0)
        if count:
            terminalreporter.write_line(
                f"kseries: {count} tests need a kernel and were left out;"
                " run them with --kernel-tree=PATH (or debian, or v6.12.N)"
            )


def _nothing_compared(earlier: Path | None, cases: Sequence[Case]) -> list[Finding]:
    """Find that an earlier version was given, and no measurement had its like there."""
    exact = [case for case in cases if case.comparison and case.comparison.lane == EXACT]
    if earlier is None or not cases or any(case.against for case in exact):
        return []
    said = f"{NOT_COMPARED} ({len(exact)} cases)" if exact else "nothing of the exact lane was run"
    return [Finding("infra", f"--kernel-baseline={earlier}: {said}")]


def _ran(case: Case) -> list[str]:
    return [half.kernel for half in (case.stock, case.patched) if half]
