"""`--kernel-calibrate`: how far a figure moves when nothing changed, stored for this machine.

In the exact lane stock is held against neutrally edited stock, in the wall lane against itself.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, stdev

from . import cache, neutral, realtime
from .errors import GuestCrashed, GuestTestFailed, InfraError, UsageProblem
from .functions import by_function, certain, student
from .lane import Lane
from .run import Run, good_sample, judged
from .series import Series
from .session import KernelSession
from .throughput import CONFIDENCE, EXACT, MORE, WALL, Threshold, allowed, compare
from .verdict import PATCHED, STOCK
from .wall import Scenario


@dataclass(frozen=True)
class Measured:
    """A case of the exact lane: its commands on stock, and what it is held to."""

    commands: list[list[str]]
    threshold: Threshold


@dataclass(frozen=True)
class Floor:
    """What one case cannot tell from nothing, as a fraction (0.004: 0.4 %).

    `ratios` are what was measured where nothing had changed; `net` are the instructions per packet
    that the functions which changed for sure then added up to.
    """

    case: str
    metric: str
    lane: str
    floor: float
    ratios: list[float]
    net: list[float]


def prediction_floor(ratios: Sequence[float]) -> float:
    """Return the bound that the next such ratio keeps with 95 %, as a fraction.

    |mean| + t s sqrt(1 + 1/n) of the logarithms: the prediction interval of one more observation
    (Hahn and Meeker, Statistical Intervals, 1991, section 4.7).
    """
    logs = [math.log(ratio) for ratio in ratios]
    count = len(logs)
    spread = student(CONFIDENCE, count - 1) * stdev(logs) * math.sqrt(1 + 1 / count)
    return math.exp(abs(fmean(logs)) + spread) - 1


def exact(session: KernelSession, wanted: Mapping[str, Measured]) -> list[Floor]:
    """Measure cases (by name) on stock and on each neutral edit of it.

    Raises InfraError where one of them fails: then there is nothing to compare.
    """
    if not wanted:
        return []
    stock = _batch(session, None, wanted)
    ratios: dict[str, list[float]] = {case: [] for case in wanted}
    nets: dict[str, list[float]] = {case: [] for case in wanted}
    for edit in neutral.edits(session.source.root, session.series):
        edited = _batch(session, edit, wanted)
        for case, one in wanted.items():
            metric, runs = one.threshold.metric, (stock[case], edited[case])
            before, after = (run.measured(metric) for run in runs)
            found = compare(before, after, one.threshold)
            ratios[case].append(found.ratio)
            changes = certain(*(by_function(run.functions()) for run in runs))
            nets[case].append(round(sum(cost.change for cost in changes), 2))
    return [
        Floor(
            case,
            one.threshold.metric,
            EXACT,
            prediction_floor(ratios[case]),
            ratios[case],
            nets[case],
        )
        for case, one in wanted.items()
    ]


def _batch(
    session: KernelSession, edit: Series | None, wanted: Mapping[str, Measured]
) -> dict[str, Run]:
    what = edit.source if edit else "stock as it is"
    image = session.builder.image(STOCK, edit)
    session.progress.step(f"calibrating: {what}", done=True)
    guest = session.guest_of(image, Lane.EXACT)
    try:
        guest.start_batch({case: one.commands for case, one in wanted.items()})
        rans = guest.end_batch()
    finally:
        guest.close()
    found = {}
    for case in wanted:
        try:
            found[case] = judged(session, guest, rans.get(case, []))
            found[case].check()
        except (GuestCrashed, GuestTestFailed, IndexError) as error:
            raise InfraError(f"{case} fails on stock ({what}): {error}") from error
    return found


def real_time(session: KernelSession, wanted: Mapping[str, Scenario]) -> list[Floor]:
    """Measure scenarios (by case) on stock against stock, in as many pairs as there may be."""
    for one in wanted.values():
        one.stop_early = False
        one.commands = dict.fromkeys(one.commands, one.commands[STOCK])
    realtime.measure(session, wanted, good_sample, kernels={STOCK: STOCK, PATCHED: STOCK})
    floors = []
    for case, one in wanted.items():
        found = one.comparison
        if found is None:
            crashed = next(iter(one.crashes.values()), None)
            raise InfraError(
                f"{case} fails on stock in real time: {crashed or one.guests[STOCK].console_log}"
            )
        floor = max(found.high, 1 / found.low) - 1
        floors.append(Floor(case, one.threshold.metric, WALL, floor, [found.ratio], []))
    return floors


def _path(key: Mapping[str, str]) -> Path:
    digest = hashlib.sha256(json.dumps(sorted(key.items())).encode()).hexdigest()[:16]
    return cache.root() / "calibration" / f"{digest}.json"


def store(key: Mapping[str, str], floors: Sequence[Floor]) -> Path:
    """Keep floors for what `key` names, beside those of other cases; return the file."""
    known = load(key) | {floor.case: floor for floor in floors}
    path = _path(key)
    text = json.dumps({"key": dict(key), "floors": [asdict(f) for f in known.values()]}, indent=1)
    cache.replace(path, text.encode() + b"\n")
    return path


def load(key: Mapping[str, str]) -> dict[str, Floor]:
    """Return the floors that are known for `key`, by case; none where nobody calibrated."""
    path = _path(key)
    if not path.is_file():
        return {}
    return {floor["case"]: Floor(**floor) for floor in json.loads(path.read_text())["floors"]}


def must_not_be_finer(held: Mapping[str, Threshold], key: Mapping[str, str]) -> None:
    """Hold the thresholds of cases against the floors known for `key`. Raises UsageProblem."""
    floors = load(key)
    found = [too_fine(floors.get(case), threshold) for case, threshold in held.items()]
    if any(found):
        raise UsageProblem("\n".join(filter(None, found)))


def too_fine(floor: Floor | None, threshold: Threshold) -> str | None:
    """Say why a threshold is refused, or None: it must not be finer than the floor."""
    if floor is None or floor.metric != threshold.metric:
        return None
    if allowed(threshold.limit, threshold.worse) >= 1 + floor.floor:
        return None
    moved = floor.floor if threshold.worse == MORE else 1 - 1 / (1 + floor.floor)
    return (
        f"{floor.case}: a threshold of {threshold.limit * 100:.2f} % on {threshold.metric} is finer"
        f" than this measurement can be: where nothing had changed it moved by up to"
        f" {moved * 100:.2f} % ({floor.lane} lane, --kernel-calibrate). Raise the threshold,"
        " or measure more variations and calibrate again."
    )
