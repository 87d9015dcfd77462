"""junit.xml: a suite for each kernel, each KTAP subtest a case, made with junit-xml."""

from __future__ import annotations

import re
from pathlib import Path

from junit_xml import TestCase, TestSuite, to_xml_report_string

from .. import cache
from ..verdict import GOOD, NEUTRAL, STOCK, Case, Half, Kind, Outcome, Verdict, Word

# XML 1.0 has no way to write these; a console log may hold them.
_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(verdict: Verdict, folder: Path) -> list[str]:
    """Write FOLDER/junit.xml. `failure` and `error` stand only where the verdict is bad."""
    suites = []
    for name in ("stock", "patched"):
        halves = [(case, half) for case in verdict.cases if (half := case.half(name))]
        cases = [test for case, half in halves for test in _tests(case, half)]
        if name == "patched":
            cases += [_finding(f.kind, f.message, infra=f.infra) for f in verdict.findings]
        if cases:
            kernel = next((k for k in verdict.kernels if k.name == name), None)
            facts = {"lane": verdict.lane, "verdict": _clean(verdict.sentence())}
            if kernel:
                facts |= {"release": kernel.release, "image": kernel.key}
            suites.append(TestSuite(name, cases, properties=facts))
    text = to_xml_report_string(suites, prettyprint=True)
    cache.replace(folder / "junit.xml", text.encode(errors="replace"))
    return ["junit.xml"]


def _clean(text: str) -> str:
    return _NOT_XML.sub("?", text)


def _tests(case: Case, half: Half) -> list[TestCase]:
    """Make a test case for each subtest; one for the half where they do not tell what is bad."""
    group = case.name.replace("/", ".").replace(".py::", ".")
    message = _clean(half.message)
    expected = case.kind is Kind.FIXES and half.kernel == STOCK and half.outcome is Outcome.FAILED
    tests = []
    told = False  # whether a subtest says already what is bad
    for subtest in half.subtests:
        name = _clean(subtest["name"])
        test = TestCase(name, group, half.duration_s / len(half.subtests))
        if subtest["status"] == "skipped":
            test.add_skipped_info(_clean(subtest["detail"]) or "skipped by the program")
        elif subtest["status"] != "passed" and expected:
            test.add_skipped_info(f"fails on stock, as it must: {case.reason}")
        elif subtest["status"] != "passed":
            told = True
            test.add_failure_info(f"{case.word}: {name}", message)
        tests.append(test)
    bad = case.word not in GOOD | NEUTRAL and not told and _is_to_blame(case, half, expected)
    if bad or not tests:
        whole = TestCase("the whole program", group, half.duration_s)
        if half.outcome is Outcome.SKIPPED:
            whole.add_skipped_info(message or "skipped")
        elif bad and half.outcome is Outcome.INFRA:
            whole.add_error_info("infra: the machinery failed, not the kernel", message)
        elif bad:
            whole.add_failure_info(f"{case.word}", _why(case) or message)
        tests.append(whole)
    return tests


def _is_to_blame(case: Case, half: Half, expected: bool) -> bool:
    """Whether the bad verdict shows at this half: where it failed, or passed and must not."""
    if case.word is Word.INCOMPLETE:
        return True
    if half.outcome is Outcome.PASSED:
        return case.word is Word.UNPROVEN and half.kernel == STOCK
    return not expected


def _why(case: Case) -> str:
    if case.word is Word.UNPROVEN:
        return "a *fixes* case passed on stock: it shows nothing"
    if case.word is Word.INCOMPLETE:
        return "the other half of this case did not run in this session"
    return ""


def _finding(kind: str, message: str, *, infra: bool) -> TestCase:
    test = TestCase(kind, "series")
    message = _clean(message)
    if infra:
        test.add_error_info(message.splitlines()[0], message)
    else:
        test.add_failure_info(message.splitlines()[0], message)
    return test
