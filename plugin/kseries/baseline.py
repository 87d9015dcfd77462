"""An earlier version of the series, by the verdict.json of its run: what costs more since then."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import UsageProblem
from .functions import ByFunction, FunctionCost, certain
from .throughput import Comparison, Threshold, compare

# Of verdict.json, which is written in verdict.py: docs/verdict.schema.json.
SCHEMA_VERSION = 2
# In the functions that changed for sure, more than this many instructions per packet are a
# finding: less is how a compiler arranges the same code. docs/statistics.md has the figures.
LEAST_NET = 5.0
NOT_COMPARED = (
    "not compared: it was not measured then, or with other variations, or after other programs in"
    " its guest. Run that version with the same tests and options"
)


def histories(plan: Mapping[str, Sequence[Sequence[str]]]) -> dict[str, str]:
    """Digest for each test of a guest what that guest has run by its end, itself included.

    Which programs a guest ran before moves a figure by some tenths of a percent.
    """
    digest, found = hashlib.sha256(), {}
    for test, commands in plan.items():
        digest.update(json.dumps([list(argv) for argv in commands]).encode())
        found[test] = digest.hexdigest()[:16]
    return found


@dataclass
class Against:
    """A case on patched, now against then: the whole, and `net`, what the sure changes add up to.

    In `comparison`, stock stands for the earlier version. `functions` are those that changed for
    sure, the largest change first.
    """

    file: str
    comparison: Comparison
    word: str
    net: float = 0.0
    functions: list[FunctionCost] = field(default_factory=list)


@dataclass(frozen=True)
class Baseline:
    """What an earlier run measured, by case, and what it was measured with."""

    path: Path
    key: Mapping[str, str]
    cases: Mapping[str, Mapping[str, Any]]

    def must_fit(self, key: Mapping[str, str]) -> None:
        """Raise UsageProblem unless the figures were made with the same tools and tree."""
        differing = [
            f"    {name}: {self.key.get(name, 'not recorded')} then, {value} now"
            for name, value in key.items()
            if self.key.get(name) != value
        ]
        if differing:
            raise UsageProblem(
                f"--kernel-baseline={self.path}: its figures cannot be compared with these:\n"
                + "\n".join(differing)
                + "\n    Run that version of the series again, here."
            )

    def against(
        self,
        case: str,
        history: str,
        samples: Sequence[float],
        functions: ByFunction,
        threshold: Threshold,
    ) -> Against | None:
        """Compare a case with what it was; None where it was not measured then, or otherwise.

        Otherwise is with other variations, or after other programs in its guest: see histories().
        """
        then = (self.cases.get(case) or {}).get("patched") or {}
        if not history or then.get("history") != history or not then.get("samples"):
            return None
        found = Against(str(self.path), compare(then["samples"], samples, threshold), "")
        found.functions = certain(then["functions"], functions)
        found.net = round(sum(cost.change for cost in found.functions), 2)
        found.word = found.comparison.word
        if found.net > LEAST_NET:
            found.word = "regressed"
        elif found.net < -LEAST_NET and found.word != "regressed":
            found.word = "improved"
        return found


def load(path: Path) -> Baseline:
    """Read a verdict.json. Raises UsageProblem for anything else."""
    try:
        data = json.loads(path.read_text())
        if data["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema_version {data['schema_version']}, not {SCHEMA_VERSION}")
        cases = {case["name"]: case for case in data["cases"]}
        key = dict(data["measured_with"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageProblem(
            f"--kernel-baseline={path}: no verdict.json of a run with measurements: {error!r}"
        ) from error
    return Baseline(path, key, cases)
