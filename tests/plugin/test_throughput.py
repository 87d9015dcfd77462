"""Comparisons of paired samples, held against the formula worked out here by itself."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kseries.errors import UsageProblem
from kseries.throughput import LESS, MORE, Comparison, Threshold, compare

# Student's t, two-sided 95 %, by degrees of freedom: any table of the distribution.
T95 = {1: 12.7062, 2: 4.30265, 3: 3.18245, 4: 2.77645, 9: 2.26216}
# Thresholds are symmetric in the ratio: 25 % more is as far as 20 % less.
LIMIT = Threshold("instructions_per_packet", 0.25, "waiting senders spin")


def _of_ratios(ratios: list[float], limit: Threshold = LIMIT) -> Comparison:
    stock = [100.0 + 7 * number for number in range(len(ratios))]
    pairs = zip(stock, ratios, strict=True)
    return compare(stock, [before * ratio for before, ratio in pairs], limit)


def _interval(ratios: list[float]) -> tuple[float, float, float]:
    logs = [math.log(ratio) for ratio in ratios]
    count = len(logs)
    mean = sum(logs) / count
    variance = sum((log - mean) ** 2 for log in logs) / (count - 1)
    margin = T95[count - 1] * math.sqrt(variance / count)
    return math.exp(mean), math.exp(mean - margin), math.exp(mean + margin)


@pytest.mark.parametrize(
    "ratios",
    [
        [1.1, 1.2],
        [1.0, 1.01, 1.02],
        [0.9, 1.1, 1.0, 1.05],
        [1.3, 1.31, 1.29, 1.32, 1.3],
        [0.5, 2.0, 0.7, 1.4, 1.0, 1.1, 0.9, 1.2, 0.8, 1.0],
    ],
)
def test_interval(ratios: list[float]) -> None:
    found = _of_ratios(ratios)
    assert (found.ratio, found.low, found.high) == pytest.approx(_interval(ratios), rel=1e-4)
    assert found.pairs == len(ratios)


def test_a_known_interval() -> None:
    # Logs -h, 0, h: mean 0, deviation h, so the margin is 4.30265 h / sqrt(3).
    found = _of_ratios([math.exp(-0.01), 1.0, math.exp(0.01)])
    assert found.ratio == pytest.approx(1.0)
    assert found.high == pytest.approx(math.exp(0.0248414), rel=1e-6)
    assert found.low == pytest.approx(math.exp(-0.0248414), rel=1e-6)


def test_pairs_are_paired() -> None:
    # The variations differ by far more than the kernels do.
    found = compare([100, 1000, 10000], [110, 1101, 11000], LIMIT)
    assert found.high - found.low < 0.01


def test_what_it_tells() -> None:
    found = compare([100.0, 200.0], [110.0, 220.0], LIMIT)
    assert (found.metric, found.threshold) == ("instructions_per_packet", 0.25)
    assert found.threshold_reason == "waiting senders spin"
    assert (found.stock, found.patched) == pytest.approx((150.0, 165.0))


@pytest.mark.parametrize(
    ("ratios", "word"),
    [
        ([1.0, 1.0, 1.0], "ok"),
        ([1.10, 1.11, 1.09], "ok"),  # a change, inside the threshold
        ([0.90, 0.91, 0.89], "ok"),
        ([1.30, 1.31, 1.29], "regressed"),
        ([1.26, 1.26, 1.26], "regressed"),
        ([1.24, 1.24, 1.24], "ok"),
        ([0.70, 0.71, 0.69], "improved"),
        ([0.79, 0.79, 0.79], "improved"),
        ([0.81, 0.81, 0.81], "ok"),
        ([1.0, 1.5, 2.5], "inconclusive"),  # past the threshold, but no change is sure
        ([1.15, 1.2, 1.25], "inconclusive"),  # inside, but it may be beyond
        ([0.4, 1.0, 1.1], "inconclusive"),
        ([0.75, 0.8, 0.9], "ok"),  # perhaps better than that, but surely not worse
        ([0.74, 0.78, 0.83], "improved"),
    ],
)
def test_word(ratios: list[float], word: str) -> None:
    assert _of_ratios(ratios).word == word


@pytest.mark.parametrize("worse", [MORE, LESS])
@pytest.mark.parametrize(
    ("ratios", "settled"),
    [
        ([1.0, 1.0, 1.0], True),
        ([1.3, 1.3, 1.3], True),
        ([0.7, 0.7, 0.7], True),
        ([0.75, 0.8, 0.9], False),  # ok, perhaps improved
        ([1.15, 1.2, 1.25], False),  # inconclusive
    ],
)
def test_what_more_pairs_could_tell(ratios: list[float], settled: bool, worse: str) -> None:
    ratios = ratios if worse == MORE else [1 / ratio for ratio in ratios]
    limit = 0.25 if worse == MORE else 0.2  # a factor of 1.25 in both
    assert _of_ratios(ratios, Threshold("m", limit, "r", worse)).settled is settled


def test_the_threshold_decides() -> None:
    ratios = [1.10, 1.11, 1.09]
    assert _of_ratios(ratios, Threshold("m", 0.05, "r")).word == "regressed"
    assert _of_ratios(ratios, Threshold("m", 0.15, "r")).word == "ok"


@pytest.mark.parametrize(("stock", "patched"), [([], []), ([1], [1]), ([1, 2], [1]), ([1], [1, 2])])
def test_what_is_no_pairs(stock: list[float], patched: list[float]) -> None:
    with pytest.raises(UsageProblem, match=f"not {len(stock)} and {len(patched)} samples"):
        compare(stock, patched, LIMIT)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_what_is_not_positive(bad: float) -> None:
    with pytest.raises(UsageProblem, match="instructions_per_packet is not positive"):
        compare([1.0, bad], [1.0, 1.0], LIMIT)
    with pytest.raises(UsageProblem, match="is not positive"):
        compare([1.0, 1.0], [bad, 1.0], LIMIT)


RATIOS = st.lists(st.floats(0.2, 5.0), min_size=2, max_size=8)


@given(RATIOS)
def test_the_estimate_lies_in_its_interval(ratios: list[float]) -> None:
    found = _of_ratios(ratios)
    assert found.low <= found.ratio * (1 + 1e-9)
    assert found.ratio <= found.high * (1 + 1e-9)


@given(RATIOS)
def test_better_and_worse_mirror_each_other(ratios: list[float]) -> None:
    stock = [100.0] * len(ratios)
    patched = [100.0 * ratio for ratio in ratios]
    mirror = {"regressed": "improved", "improved": "regressed"}
    there, back = compare(stock, patched, LIMIT), compare(patched, stock, LIMIT)
    assert back.ratio == pytest.approx(1 / there.ratio)
    on_the_edge = any(
        edge == pytest.approx(limit)
        for edge in (there.ratio, there.low, there.high)
        for limit in (1.25, 1 / 1.25, 1.0)
    )
    if on_the_edge:
        return
    assert mirror.get(there.word) == (back.word if back.word in mirror else None)
    assert there.settled == back.settled
    # Both ways inside is the only ok that more pairs leave as it is.
    assert (there.settled and "ok" in (there.word, back.word)) == (there.word == back.word == "ok")
