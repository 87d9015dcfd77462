"""The summary at the end of pytest's own output."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from ..baseline import NOT_COMPARED
from ..calibrate import Floor
from ..halves import describe, describe_against
from ..throughput import EXACT
from ..verdict import Verdict
from . import table

# More bad cases than this are a pattern that the table shows better; all are in verdict.json.
_MOST_SHOWN = 20


def print_summary(
    verdict: Verdict,
    out: pytest.TerminalReporter,
    folder: Path,
    files: Sequence[str],
    *,
    verbose: bool,
) -> None:
    """Print the table, what is bad, what was measured, and the verdict with how to get it again."""
    out.section("kernel series")
    dirty = ", with uncommitted changes" if verdict.dirty else ""
    out.write_line(f"series: {verdict.series} ({table.patches(verdict)})")
    out.write_line(f"tree:   {verdict.tree}{dirty}")
    out.write_line(f"lane:   {verdict.guests} ({verdict.lane_reason}); {verdict.qemu}")
    if verdict.cases:
        shown = [table.case_row(c) for c in verdict.cases] if verbose else table.rows(verdict)
        out.write_line("")
        for line in table.text(shown):
            out.write_line(line)
    for finding in verdict.findings:
        out.write_line("")
        out.write_line(finding.message, red=True)
    bad = verdict.bad()
    if bad:
        out.write_line("")
        for case in bad[:_MOST_SHOWN]:
            out.write_line(f"{case.word}: {table.short(case)}: {table.first_line(case)}", red=True)
        if len(bad) > _MOST_SHOWN:
            out.write_line(f"... and {len(bad) - _MOST_SHOWN} more, all in verdict.json")
    measured = [case for case in verdict.cases if case.comparison]
    if measured:
        out.write_line("")
        for case in measured:
            assert case.comparison is not None
            out.write_line(f"{table.short(case)}: {describe(case.comparison)}")
            if case.against is not None:
                out.write_line(f"    {describe_against(case.against)}")
            elif verdict.baseline and case.comparison.lane == EXACT:
                out.write_line(f"    against {verdict.baseline}: {NOT_COMPARED}")
    out.write_line("")
    out.write_line(verdict.sentence(), bold=True, green=verdict.good, red=not verdict.good)
    if verdict.cases:
        out.write_line(verdict.speed_sentence())
    out.write_line(f"again:  {verdict.command}")
    shown_folder = os.path.relpath(folder)
    shown_folder = str(folder) if shown_folder.startswith("..") else shown_folder
    out.write_line(f"report: {shown_folder}/ ({', '.join(files)}): {_status(verdict)}")


def print_floors(floors: Mapping[Path, Sequence[Floor]], out: pytest.TerminalReporter) -> None:
    """Print what a calibration found, by the file that keeps it: no threshold may be finer."""
    out.section("kernel series: calibration")
    for file, found in floors.items():
        for floor in found:
            span = f"{min(floor.ratios) - 1:+.2%} to {max(floor.ratios) - 1:+.2%}"
            most = max(map(abs, floor.net), default=0.0)
            net = f"; functions that changed for sure: {most:.1f}" if floor.net else ""
            out.write_line(
                f"{floor.case.rpartition('::')[2]}: {floor.metric} ({floor.lane} lane): floor"
                f" {floor.floor:.2%}; where nothing changed {span} in {len(floor.ratios)}"
                f" comparison{'s' * (len(floor.ratios) != 1)}{net}"
            )
        out.write_line(f"kept in {file}: thresholds below these floors are refused")


def _status(verdict: Verdict) -> str:
    """Say the exit status in words: good, a finding on the series, or the machinery's fault."""
    if verdict.good:
        return "good"
    if verdict.interrupted:
        return "interrupted"
    if not verdict.bad() and not verdict.findings:
        return "nothing was shown"
    return "infra: the machinery failed, not the series" if verdict.only_infra else "not good"
