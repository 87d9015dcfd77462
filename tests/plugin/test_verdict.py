"""The verdict: the whole table of judge(), row by row, and the words and sentence of a run."""

from __future__ import annotations

import itertools

import pytest
from kseries.halves import describe
from kseries.throughput import Threshold, compare
from kseries.verdict import (
    GOOD,
    KERNELS,
    NEUTRAL,
    Case,
    Finding,
    Half,
    Kind,
    Outcome,
    Verdict,
    Word,
    assemble,
    judge,
)

OUTCOMES = ("passed", "failed", "crashed", "skipped", "infra", "-")
# A row for each outcome on stock, a column for each on patched, both in the order of OUTCOMES;
# "-" is a half that did not run.
KEEPS = """
    kept         broken       broken       skipped      infra        incomplete
    stock-fails  stock-fails  stock-fails  skipped      infra        incomplete
    stock-fails  stock-fails  stock-fails  ?            infra        incomplete
    skipped      ?            ?            skipped      infra        incomplete
    infra        infra        infra        infra        infra        infra
    incomplete   incomplete   incomplete   incomplete   infra        -
"""
TABLE = {
    Kind.FIXES: """
    unproven     broken       broken       skipped      infra        incomplete
    fixed        unfixed      broken       skipped      infra        incomplete
    stock-fails  stock-fails  stock-fails  ?            infra        incomplete
    skipped      ?            ?            skipped      infra        incomplete
    infra        infra        infra        infra        infra        infra
    incomplete   incomplete   incomplete   incomplete   infra        -
""",
    Kind.KEEPS: KEEPS,
    Kind.SAME: KEEPS,
    Kind.CHANGES: KEEPS.replace("kept", "changed"),
    # A measurement without its comparison did not measure.
    Kind.MEASURES: KEEPS.replace("kept", "incomplete"),
}


def _half(kernel: str, outcome: str, **more: str) -> Half | None:
    if outcome == "-":
        return None
    return Half(kernel, f"test_x[{kernel}]", Outcome(outcome), **more)  # type: ignore[arg-type]


def _case(kind: Kind, stock: str, patched: str, name: str = "t.py::test_x") -> Case:
    return Case(name, kind, "why", _half("stock", stock), _half("patched", patched))


def _rows() -> list[tuple[Kind, str, str, str]]:
    rows = []
    for kind, table in TABLE.items():
        words = [line.split() for line in table.strip().splitlines()]
        for stock, patched in itertools.product(range(6), range(6)):
            word = words[stock][patched]
            if word not in "-?":
                rows.append((kind, OUTCOMES[stock], OUTCOMES[patched], word))
    return rows


@pytest.mark.parametrize(("kind", "stock", "patched", "word"), _rows())
def test_judge(kind: Kind, stock: str, patched: str, word: str) -> None:
    assert judge(kind, _half("stock", stock), _half("patched", patched)).value == word


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize(
    ("stock", "patched"), [("skipped", "crashed"), ("skipped", "failed"), ("crashed", "skipped")]
)
def test_a_skip_hides_nothing(kind: Kind, stock: str, patched: str) -> None:
    assert judge(kind, _half("stock", stock), _half("patched", patched)) not in GOOD | NEUTRAL


@pytest.mark.parametrize(
    ("ratio", "word"), [(1.0, "ok"), (1.5, "regressed"), (0.5, "improved"), (0.0, "inconclusive")]
)
@pytest.mark.parametrize("patched", ["passed", "failed"])
def test_judge_a_measurement(ratio: float, word: str, patched: str) -> None:
    samples = [ratio * 100.0] * 3 if ratio else [10.0, 100.0, 1000.0]
    comparison = compare([100.0] * 3, samples, Threshold("m", 0.25, "r"))
    half = _half("patched", patched)
    assert judge(Kind.MEASURES, _half("stock", "passed"), half, comparison).value == word


@pytest.mark.parametrize("patched", ["passed", "failed"])
def test_a_measurement_of_a_stock_that_fails(patched: str) -> None:
    comparison = compare([100.0] * 3, [100.0] * 3, Threshold("m", 0.25, "r"))
    stock = _half("stock", "failed")
    assert judge(Kind.MEASURES, stock, _half("patched", patched), comparison) is Word.STOCK_FAILS


def test_every_word_is_good_or_bad_or_neither() -> None:
    bad = set(Word) - GOOD - NEUTRAL
    assert not GOOD & NEUTRAL
    assert bad == {
        *(Word.BROKEN, Word.UNFIXED, Word.UNPROVEN, Word.STOCK_FAILS),
        *(Word.INCOMPLETE, Word.INFRA, Word.REGRESSED),
    }


def _verdict(*cases: Case, **more: object) -> Verdict:
    verdict = Verdict(
        series="patches",
        tree="linux",
        dirty=None,
        lane="tcg",
        lane_reason="no KVM",
        cpus=2,
        qemu="QEMU 7",
        command="pytest",
        patches=["ring: keep"],
        cases=list(cases),
    )
    for name, value in more.items():
        setattr(verdict, name, value)
    return verdict


FIXED = _case(Kind.FIXES, "failed", "passed")
KEPT = _case(Kind.KEEPS, "passed", "passed")
BROKEN = _case(Kind.KEEPS, "passed", "failed")
UNPROVEN = _case(Kind.FIXES, "passed", "passed")
INFRA = _case(Kind.KEEPS, "passed", "infra")
HALF = _case(Kind.KEEPS, "passed", "-")
SKIPPED = _case(Kind.KEEPS, "skipped", "skipped")
NO_APPLY = Finding("DoesNotApply", "patch 2/9 does not apply:\n    error: x", "0002.patch")
DISK = Finding("infra", "unpacking failed: no space")


@pytest.mark.parametrize(
    ("verdict", "good", "only_infra", "sentence"),
    [
        (
            _verdict(KEPT, FIXED, FIXED),
            True,
            False,
            "The series does what it claims and nothing it touches broke: 2 fixed, 1 kept.",
        ),
        (
            _verdict(FIXED, SKIPPED),
            True,
            False,
            "The series does what it claims and nothing it touches broke: 1 fixed, 1 skipped.",
        ),
        (_verdict(FIXED, BROKEN), False, False, "The series is not good: 1 fixed, 1 broken."),
        (_verdict(UNPROVEN), False, False, "The series is not good: 1 unproven."),
        (
            _verdict(FIXED, INFRA, HALF),
            False,
            True,
            "The series could not be judged, the machinery failed: 1 fixed, 1 incomplete, 1 infra.",
        ),
        (
            _verdict(BROKEN, INFRA),
            False,
            False,
            "The series is not good: 1 broken, 1 infra.",
        ),
        (
            _verdict(findings=[NO_APPLY]),
            False,
            False,
            "The series is not good: patch 2/9 does not apply.",
        ),
        (
            _verdict(findings=[DISK]),
            False,
            True,
            "The series could not be judged: unpacking failed: no space.",
        ),
        (_verdict(FIXED, findings=[DISK, NO_APPLY]), False, False, None),
        (
            _verdict(FIXED, BROKEN, interrupted=True),
            False,
            False,
            "Interrupted: what ran until then is no verdict.",
        ),
        (_verdict(FIXED, interrupted=True), False, False, None),
        (_verdict(), False, False, "No case of the series ran: no verdict."),
    ],
)
def test_verdict(verdict: Verdict, good: bool, only_infra: bool, sentence: str | None) -> None:
    assert (verdict.good, verdict.only_infra) == (good, only_infra)
    if sentence is not None:
        assert verdict.sentence() == sentence


def test_skipped_cases_alone_show_nothing() -> None:
    assert "does what it claims" not in _verdict(SKIPPED, SKIPPED).sentence()


def test_infra_only_in_json() -> None:
    assert _verdict(INFRA).to_json()["infra_only"] is True
    assert _verdict(FIXED).to_json()["infra_only"] is False
    assert _verdict(SKIPPED).to_json()["infra_only"] is False
    assert _verdict(INFRA, interrupted=True).to_json()["infra_only"] is False
    assert _verdict(INFRA, BROKEN).to_json()["infra_only"] is False


def test_the_worst_comes_first() -> None:
    cases = [INFRA, HALF, UNPROVEN, BROKEN, FIXED, SKIPPED]
    assert _verdict(*cases).bad() == [BROKEN, UNPROVEN, HALF, INFRA]


def test_cross_table() -> None:
    verdict = _verdict(FIXED, FIXED, KEPT, HALF)
    assert verdict.cross_table() == {
        ("failed", "passed"): 2,
        ("passed", "passed"): 1,
        ("passed", "not run"): 1,
    }
    assert verdict.to_json()["cross_table"][0] == {
        "stock": "failed",
        "patched": "passed",
        "cases": 2,
    }


def test_assemble_puts_halves_together_in_any_order() -> None:
    comparison = compare([1.0, 1.0], [1.0, 1.0], Threshold("m", 0.25, "r"))
    halves = [
        (name, Kind.MEASURES, "why", _half(kernel, "passed"), comparison if last else None, None)
        for name, kernel, last in [
            ("b", "patched", True),
            ("a", "stock", False),
            ("b", "stock", False),
            ("a", "patched", True),
        ]
    ]
    cases = assemble((n, k, r, half, c, a) for n, k, r, half, c, a in halves if half)
    assert [case.name for case in cases] == ["b", "a"]
    for case in cases:
        assert [half.kernel for name in KERNELS if (half := case.half(name))] == list(KERNELS)
        assert case.comparison is comparison
        assert case.word is Word.OK


def test_cost_is_never_called_throughput() -> None:
    measured = _case(Kind.MEASURES, "passed", "passed")
    measured.comparison = compare(
        [100.0] * 3, [110.0] * 3, Threshold("instructions_per_packet", 0.25, "r")
    )
    sentence = _verdict(measured, KEPT).speed_sentence()
    assert sentence == (
        "Cost against stock in guest instructions per packet: 1 ok."
        " Real-time throughput: not measured here."
    )
    assert _verdict(KEPT).speed_sentence() == (
        "Cost: not measured here. Real-time throughput: not measured here."
    )


def test_describe_a_comparison() -> None:
    limit = Threshold("stops", 0.25, "they wait")
    assert describe(compare([100.0] * 3, [110.0] * 3, limit)) == (
        "stops ok: 100.0 -> 110.0, +10.00 % [+10.00, +10.00] of 3 pairs;"
        " at most 25.0 % more (they wait); an effect below 0.00 % could not have been seen"
    )
    # Logs -0.2, 0, 0.2 around 1.2: the margin is 4.30265 * 0.2 / sqrt(3), a factor of 1.6435.
    wide = [120.0 * 0.818730753, 120.0, 120.0 * 1.221402758]
    said = describe(compare([100.0] * 3, wide, limit))
    assert "inconclusive" in said
    assert said.endswith("; an effect below 64.35 % could not have been seen")
