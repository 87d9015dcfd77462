"""One program's run in a guest, and what the test may ask of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from . import console, ktap, realtime
from .errors import GuestCrashed, GuestTestFailed, InfraError
from .guest import Guest, Ran
from .lane import NS_PER_INSTRUCTION
from .session import KernelSession, stood_still
from .throughput import INSTRUCTIONS_PER_PACKET, PER_SECOND, middle
from .wall import Scenario

# Exit statuses of the contract in docs/writing-tests.md; 4 for skip is kselftest's.
_SKIPPED, _BAILED_OUT = 4, 2
# How often a program runs at most, on a machine that stands still again and again.
_TRIES = 3


@dataclass
class Run:
    """What came of a program, or of its variations, in real time boot by boot, on one kernel."""

    kernel: str
    command: str
    lane: str
    console_log: str
    reports: list[ktap.Report]
    # Instructions by function, for each report; only in the exact lane.
    counted: list[dict[str, int]] = field(default_factory=list)
    guest_ms: int = 0
    splats: list[console.Splat] = field(default_factory=list)
    failure: str = ""
    crash: GuestCrashed | None = None
    checked: bool = False
    # Of the exact lane: what its guest had run by then, see baseline.histories().
    history: str = ""
    # So many reports make one sample of a measurement: all variations, in real time.
    together: int = 1

    def named_reports(self) -> list[tuple[str, ktap.Report]]:
        """The reports, each with a prefix that tells variations apart where there are several."""
        several = len(self.reports) > 1
        return [(f"variation {n}: " if several else "", r) for n, r in enumerate(self.reports, 1)]

    @property
    def did_its_work(self) -> bool:
        """Whether the programs came to a result, good or bad."""
        return self.crash is None and not self.skipped

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return self.crash is None and not self.failure

    @property
    def skipped(self) -> bool:
        """Whether there was nothing for the programs to do."""
        return all(report.status is ktap.Status.SKIPPED for report in self.reports)

    @property
    def figures(self) -> dict[str, int]:
        """The figures that the program printed; of several variations, the first one's."""
        return self.reports[0].figures if self.reports else {}

    def samples(self, metric: str) -> list[float]:
        """`metric` of each run.

        "instructions_per_packet" is guest instructions, over all CPUs, per delivered packet;
        "NAME_per_second" is the figure NAME over the figure elapsed_ns; any other name is a figure
        of the program.
        """
        if metric == INSTRUCTIONS_PER_PACKET and self.counted:
            return [sum(functions.values()) for functions in self.functions()]
        return [_sample(report.figures, metric) for report in self.reports]

    def measured(self, metric: str) -> list[float]:
        """Return what is compared in pairs: a sample for each variation, in real time each boot."""
        runs = self.samples(metric)
        return [middle(runs[at : at + self.together]) for at in range(0, len(runs), self.together)]

    def functions(self) -> list[dict[str, float]]:
        """Instructions per delivered packet by function, for each variation; [] uncounted."""
        if not self.counted:
            return []
        return [
            {name: count / _delivered(report.figures) for name, count in counted.items()}
            for report, counted in zip(self.reports, self.counted, strict=True)
        ]

    def check(self) -> None:
        """Raise GuestCrashed or GuestTestFailed unless every result is "ok"."""
        __tracebackhide__ = True
        self.checked = True
        if self.crash is not None:
            raise self.crash
        if self.failure:
            raise GuestTestFailed(self.failure)
        if self.skipped:
            why = self.reports[0].results[0].detail or "the program skipped itself"
            pytest.skip(f"{self.kernel}: {why}")

    def fail(self, message: str) -> None:
        """Fail for what the test itself found in the figures."""
        __tracebackhide__ = True
        self.checked = True
        raise GuestTestFailed(f"{self.kernel}: {message}\n    program: {self.command}")


def _delivered(figures: dict[str, int]) -> int:
    if not figures.get("delivered"):
        raise InfraError(f"the program delivered nothing, by its figures: {figures}")
    return figures["delivered"]


def _sample(figures: dict[str, int], metric: str) -> float:
    try:
        if metric == INSTRUCTIONS_PER_PACKET:
            return figures["elapsed_ns"] / NS_PER_INSTRUCTION / figures["delivered"]
        if metric.endswith(PER_SECOND):
            return figures[metric.removesuffix(PER_SECOND)] * 1e9 / figures["elapsed_ns"]
        return float(figures[metric])
    except (KeyError, ZeroDivisionError) as error:
        raise InfraError(
            f"the program printed no figure for {metric}: {sorted(figures)}"
        ) from error


def steadily(session: KernelSession, guest: Guest, attempt: Callable[[Guest], Run]) -> Run:
    """Return what `attempt` makes of a guest; what is bad there is tried again on new guests.

    That is, where the machine stood still since the guest is there; _TRIES times in all.
    """
    for _ in range(_TRIES - 1):
        try:
            run = attempt(guest)
            if run.good or not guest.stood_still_s:
                return run
        except (GuestCrashed, InfraError):
            if not guest.stood_still_s:
                raise
        session.once_more(stood_still(guest))
        guest = session.renew(guest)
    return attempt(guest)


def run_program(
    session: KernelSession,
    guest: Guest,
    argv: Sequence[str],
    deadline_ms: int,
    worked_on_stock: bool = False,
) -> Run:
    """Run a program in a live guest of a functional lane, at most `deadline_ms` of its time."""
    return judged(session, guest, [guest.run(argv, deadline_ms)], worked_on_stock)


def measure_program(
    session: KernelSession,
    kernel: str,
    nodeid: str,
    commands: list[list[str]],
    worked_on_stock: bool = False,
) -> Run:
    """Run a test's commands, one for each of its variations, in a guest of the exact lane."""
    rans, guest = session.measured(kernel, nodeid, commands)
    run = judged(session, guest, rans, worked_on_stock)
    run.history = session.histories[kernel][nodeid]
    return run


def wall_program(
    session: KernelSession,
    kernel: str,
    case: str,
    plan: Callable[[], Scenario],
    worked_on_stock: bool = False,
) -> Run:
    """Measure a case in real time, with all else that is planned so; return one kernel's runs.

    `plan` says what of this one, where nothing is planned.
    Raises InfraError where that did not come to its end.
    """
    done = realtime.walled(session, case, plan, good_sample)
    commands, crash = done.commands[kernel], done.crashes.get(kernel)
    if done.trouble:
        raise done.trouble
    if done.runs[kernel]:
        run = judged(session, done.guests[kernel], done.runs[kernel], worked_on_stock)
    else:
        lane, _ = session.wall_lane
        run = Run(kernel, " ".join(commands[0]), lane.value if lane else "", "", [])
    run.crash = run.crash or crash
    run.together = len(commands)
    return run


def good_sample(ran: Ran, metric: str) -> float | None:
    """Return the metric of a run, None of one that failed in any way."""
    report = ktap.parse(ran.lines)
    ended = ran.ended and (ran.ended.how, ran.ended.number) == ("exit", 0)
    if ran.splats or not ended or report.status is not ktap.Status.PASSED:
        return None
    return _sample(report.figures, metric)


def judged(
    session: KernelSession, guest: Guest, rans: Sequence[Ran], worked_on_stock: bool = False
) -> Run:
    """Make a Run of what came of one or more programs in a guest.

    A program that could do its work on stock and cannot here, with all else alike, has found
    something; otherwise its trouble is an InfraError.
    """
    kernel = guest.image.kernel
    reports = [ktap.parse(ran.lines) for ran in rans]
    run = Run(
        kernel,
        command=" ".join(rans[0].argv),
        lane=guest.lane.value,
        console_log=str(guest.console_log),
        reports=reports,
        counted=[ran.functions for ran in rans] if all(ran.functions for ran in rans) else [],
        guest_ms=sum(ran.ended.guest_ms for ran in rans if ran.ended),
        splats=[splat for ran in rans for splat in ran.splats],
    )
    for ran, report in zip(rans, reports, strict=True):
        if ran.wakes is not None:
            report.figures.setdefault("wakes", ran.wakes)
    # What ended a guest counts, whatever ended stock's before.
    new = session.counting(kernel, run.splats)
    new = new or [ran.splats[-1] for ran in rans if ran.ended is None and ran.splats]
    if new:
        log = session.decoded(guest)
        run.console_log = str(log)
        message = _splat_message(run, new[0], session.decoded_trace(guest, new[0]))
        run.crash = GuestCrashed(message, kernel=kernel, kind=new[0].kind)
        return run
    for ran, report in zip(rans, reports, strict=True):
        run.crash = run.crash or _hang(run, ran)
        where, said = _told(run, ran)
        trouble, found = _could_not_run(ran, report), _found(report)
        if trouble and not worked_on_stock:
            raise InfraError(f"{where}: {trouble}\n{said}")
        failure = f"{trouble} (not so on stock)" if trouble else found
        if failure and not run.failure:
            run.failure = f"{where}: {failure}\n{said}"
    return run


def _splat_message(run: Run, splat: console.Splat, lines: Sequence[str]) -> str:
    trace = "\n".join(f"    {line}" for line in lines)
    return (
        f"{run.kernel} kernel, {splat.kind} while running {run.command}: {splat.title}\n{trace}\n"
        f"    signature: {', '.join(splat.signature)}\n    whole console: {run.console_log}"
    )


def _hang(run: Run, ran: Ran) -> GuestCrashed | None:
    """Say that a program did not end by itself: the kernel let it hang past its deadline."""
    if ran.ended is None or ran.ended.how not in ("timeout", "stuck"):
        return None
    word = "did not end" if ran.ended.how == "timeout" else "cannot even be killed"
    said = "\n".join(f"    {line}" for line in ktap.telling(ran.lines))
    return GuestCrashed(
        f"{run.kernel} kernel: {' '.join(ran.argv)} {word} after {ran.ended.guest_ms / 1000:.1f}"
        f" guest seconds\n{said}\n    who waited for what: {run.console_log}",
        kernel=run.kernel,
        kind="hang",
    )


def _told(run: Run, ran: Ran) -> tuple[str, str]:
    """Say what ran where, and what it said."""
    said = [*ktap.telling(ran.lines), f"console: {run.console_log}"]
    return f"{run.kernel} kernel, {' '.join(ran.argv)}", "\n".join(f"    {line}" for line in said)


def _found(report: ktap.Report) -> str:
    """Say what a program found, "" when that was nothing."""
    failures = [f"{f.name}{f': {f.detail}' if f.detail else ''}" for f in report.failures()]
    return f"not ok: {'; '.join(failures)}" if failures else ""


def _could_not_run(ran: Ran, report: ktap.Report) -> str:
    """Say what kept a program from its work, "" where nothing did, or it hung: see _hang."""
    ended = ran.ended
    if ended is None:
        return "no word of its end"
    if report.bailed_out is not None or (ended.how, ended.number) == ("exit", _BAILED_OUT):
        return f"could not run: {report.bailed_out or 'bad usage'}"
    if ended.how in ("timeout", "stuck") or report.failures():
        return ""
    if ended.how == "signal":
        return f"the program died of signal {ended.number}"
    if report.status is ktap.Status.CUT_OFF:
        return report.not_whole
    if ended.number not in (0, _SKIPPED):
        return f'exit status {ended.number} without a "not ok"'
    return ""
