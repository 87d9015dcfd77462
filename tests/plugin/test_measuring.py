"""Thresholds of a file, sequential comparisons in real time, floors, and an earlier version."""

from __future__ import annotations

import json
import random
from collections import Counter
from functools import partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kseries import baseline, calibrate, host, neutral, thresholds, wall
from kseries.build import Image
from kseries.errors import GuestCrashed, GuestTestFailed, InfraError, UsageProblem
from kseries.functions import certain
from kseries.guest import Ended, Ran
from kseries.lane import Lane
from kseries.progress import Silent
from kseries.realtime import floor_key, must_be_alike, walled
from kseries.run import wall_program
from kseries.series import Patch, Series
from kseries.thresholds import LANES
from kseries.throughput import LESS, Threshold, compare
from kseries.tree import patched_files
from kseries.verdict import KERNELS, PATCHED, STOCK

from .fakes import FIRST, TREE, write_files

COST = Threshold("instructions_per_packet", 0.05, "a reason")
RATE = Threshold("received_per_second", 0.05, "a reason", "less")


COMMANDS = {name: [["program"]] for name in KERNELS}


class FakeGuest:
    alive = True
    stood_still_s = 0.0

    def __init__(self, kernel: str) -> None:
        self.kernel = kernel

    def run(self, argv: list[str], _deadline_ms: int) -> Ran:
        return Ran((self.kernel, *argv))

    def close(self) -> None:
        self.alive = False


def _measure(effect: float, noise: float, seed: int, threshold: Threshold = RATE) -> wall.Scenario:
    """Measure a made-up rate: patched is stock times `effect`, each with its own noise."""
    draw = random.Random(seed)
    one = wall.Scenario(COMMANDS, threshold, 60)

    def sample(ran: Ran, metric: str) -> float:
        assert metric == threshold.metric
        true = 1000.0 * (effect if ran.argv[0] == PATCHED else 1.0)
        return true * (1 + draw.gauss(0, noise))

    boot: Any = FakeGuest
    wall.measure({"case": one}, boot, sample, seed, said=str)
    return one


def test_blocks_are_abba_or_baab() -> None:
    drawn = list(islice(wall.blocks(1), 50))
    assert set(drawn) == {
        (STOCK, PATCHED, PATCHED, STOCK),
        (PATCHED, STOCK, STOCK, PATCHED),
    }


def test_it_stops_when_it_is_clear() -> None:
    one = _measure(0.7, 0.01, 1)
    assert one.comparison
    assert (one.comparison.word, one.comparison.pairs) == ("regressed", wall.FIRST_LOOK)
    noisy = _measure(1.0, 0.5, 1)
    assert noisy.comparison
    assert (noisy.comparison.word, noisy.comparison.pairs) == ("inconclusive", wall.MOST_PAIRS)


def test_noise_is_no_change() -> None:
    words = [c.word for seed in range(200) if (c := _measure(1.0, 0.05, seed).comparison)]
    assert len(words) == 200
    # Of 40 at most 3 may be called different; that is 15 of 200.
    assert words.count("regressed") + words.count("improved") <= 4


def test_a_loss_of_a_tenth_is_found() -> None:
    words = [c.word for seed in range(100) if (c := _measure(0.9, 0.05, seed).comparison)]
    assert words.count("regressed") >= 80
    assert "ok" not in words


def test_a_boot_runs_all_variations() -> None:
    commands = {name: [["program", str(rate)] for rate in (100, 400)] for name in KERNELS}
    one = wall.Scenario(commands, RATE, 60)
    boot: Any = FakeGuest
    wall.measure({"case": one}, boot, lambda ran, _metric: float(ran.argv[2]), 1, said=str)
    assert one.samples[STOCK] == pytest.approx([200.0] * wall.FIRST_LOOK)
    assert len(one.runs[STOCK]) == 2 * wall.FIRST_LOOK
    assert one.comparison
    assert one.comparison.word == "ok"


@pytest.mark.parametrize(
    ("most_s", "pairs"), [(1.0, wall.FIRST_LOOK), (700.0, wall.FIRST_LOOK + 2), (1e9, 20)]
)
def test_time_may_be_over_before_it_is_clear(most_s: float, pairs: int) -> None:
    commands = {name: [["program"]] for name in KERNELS}
    open_one, clear = (wall.Scenario(commands, RATE, 60) for _ in range(2))
    now = 0.0
    draw = random.Random(1)

    def boot(kernel: str) -> Any:
        nonlocal now
        now += 50.0  # a block is four: 200 s
        return FakeGuest(kernel)

    def sample(_ran: Ran, _metric: str) -> float:
        return draw.gauss(1000, 300)

    clear.over = True
    scenarios = {"open": open_one, "clear": clear}
    wall.measure(scenarios, boot, sample, 1, str, most_s, clock=lambda: now)
    assert open_one.comparison
    assert (open_one.comparison.word, open_one.comparison.pairs) == ("inconclusive", pairs)
    still = sum(not one.over for one in scenarios.values())
    assert still == (0 if pairs == wall.MOST_PAIRS else 1)


def _failed(_ran: Ran, _metric: str) -> float | None:
    return None


def test_a_failed_run_ends_a_scenario() -> None:
    one = wall.Scenario(COMMANDS, RATE, 60)
    boot: Any = FakeGuest
    wall.measure({"case": one}, boot, _failed, 1, said=str)
    assert one.comparison is None
    # Once on each: who fails is what the halves have to say.
    assert {name: len(runs) for name, runs in one.runs.items()} == {STOCK: 1, PATCHED: 1}


@pytest.mark.parametrize("times", [1, 2])
def test_a_boot_in_which_the_machine_stood_still(times: int) -> None:
    """It is done once more, all of it, and then it is what it is."""
    commands = {name: [["program", str(rate)] for rate in (100, 400)] for name in KERNELS}
    one, left = wall.Scenario(commands, RATE, 60), times

    class Stands(FakeGuest):
        def run(self, argv: list[str], deadline_ms: int) -> Ran:
            nonlocal left
            if left and argv[1] == "400":
                left -= 1
                self.stood_still_s = 21.0
                return Ran((self.kernel, "program", "1600"))
            return super().run(argv, deadline_ms)

    boot: Any = Stands
    wall.measure({"case": one}, boot, lambda ran, _metric: float(ran.argv[2]), 1, said=str)
    samples = Counter(map(round, one.samples[STOCK] + one.samples[PATCHED]))
    assert samples == Counter({200: samples.total() - (times - 1), 400: times - 1})
    assert all(len(one.runs[name]) == 2 * len(one.samples[name]) for name in KERNELS)


@pytest.mark.parametrize("seed", range(4))
def test_a_kernel_that_does_not_boot_ends_what_waits_for_it(seed: int) -> None:
    scenarios = {name: wall.Scenario(COMMANDS, RATE, 60) for name in ("first", "second")}
    booted: Counter[str] = Counter()

    def boot(kernel: str) -> Any:
        booted[kernel] += 1
        if kernel == PATCHED:
            raise GuestCrashed("panic", kernel=kernel, kind="panic")
        return FakeGuest(kernel)

    wall.measure(scenarios, boot, lambda _ran, _metric: 1.0, seed, said=str)
    assert booted[PATCHED] == 1
    for case, one in scenarios.items():
        session: Any = SimpleNamespace(walled={case: one}, wall_lane=(Lane.TCG, "asked for"))
        run = wall_program(session, PATCHED, case, partial(scenarios.__getitem__, case))
        with pytest.raises(GuestCrashed, match="panic"):
            run.check()
        assert one.runs[STOCK]
        assert one.comparison is None


def test_who_fails_late_has_no_comparison() -> None:
    one = wall.Scenario(COMMANDS, RATE, 60)
    draw, boots = random.Random(1), Counter[str]()

    def boot(kernel: str) -> Any:
        boots[kernel] += 1
        if boots[PATCHED] > wall.FIRST_LOOK + 2:
            raise GuestCrashed("panic", kernel=kernel, kind="panic")
        return FakeGuest(kernel)

    noisy = {"case": one}
    wall.measure(noisy, boot, lambda _ran, _metric: draw.gauss(1000, 300), 1, said=str)
    assert len(one.samples[STOCK]) > wall.FIRST_LOOK
    assert one.comparison is None


def test_what_kept_a_measurement_from_its_end_is_every_cases_trouble() -> None:
    one = wall.Scenario(COMMANDS, RATE, 60, trouble=InfraError("QEMU ended"))
    session: Any = SimpleNamespace(walled={"case": one})
    for kernel in KERNELS:
        with pytest.raises(InfraError, match="QEMU ended"):
            wall_program(session, kernel, "case", lambda: one)


@pytest.mark.parametrize("worked_on_stock", [False, True])
def test_who_cannot_run_in_real_time(tmp_path: Path, worked_on_stock: bool) -> None:
    bailed = Ran(("program",), ["Bail out! no device"], Ended("exit", 2, 1))
    image = SimpleNamespace(kernel=PATCHED)
    guest: Any = SimpleNamespace(image=image, lane=Lane.TCG, console_log=tmp_path / "log")
    one = wall.Scenario(COMMANDS, RATE, 60, runs={PATCHED: [bailed]}, guests={PATCHED: guest})
    session: Any = SimpleNamespace(walled={"case": one}, counting=lambda _kernel, _splats: [])
    with pytest.raises(GuestTestFailed if worked_on_stock else InfraError, match="no device"):
        wall_program(session, PATCHED, "case", lambda: one, worked_on_stock).check()


def test_what_is_measured_later_meets_the_same_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "wait_quiet", lambda _progress: 0.0)
    image = _image(tmp_path / "image", "CONFIG_TUN=y\n")

    session: Any = SimpleNamespace(
        image=lambda _kernel: image,
        guest_of=lambda _image, _lane: FakeGuest(STOCK),
        booted=lambda make: make(),
        wall_lane=(Lane.TCG, ""),
        part_early=lambda: None,
        settings=SimpleNamespace(wall_seed=7, wall_most_s=1e9),
        circumstances={},
        machine=SimpleNamespace(alone=lambda _: None, release=lambda: None),
        progress=Silent(),
        wall_plan={},
        walled={},
    )
    # As in an xdist worker, which cannot plan: one by one.
    for case in ("first", "second"):
        one = wall.Scenario(COMMANDS, RATE, 60)
        done = walled(session, case, partial(lambda one: one, one), lambda _ran, _metric: 1.0)
        assert done.trouble is None
        assert done.comparison
    assert (session.circumstances["seed"], session.circumstances["lane"]) == ("7", "tcg")


def test_a_machine_that_changed_is_not_compared(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("CONFIG_HARDENED_USERCOPY=y\n")
    now = host.circumstances(tmp_path / "config")
    host.must_be_as(now | {"load_average": "9.00 9.00 9.00"}, now)
    for before in (now | {"governor": "powersave"}, now | {"smt": "2"}):
        with pytest.raises(InfraError, match="the machine changed"):
            host.must_be_as(before, now)


def _image(folder: Path, config: str, compiler: str = "gcc 12") -> Image:
    folder.mkdir()
    (folder / "config").write_text(config)
    return Image(folder, folder.name, "0" * 16, "6.12.99", compiler, 1.0)


def test_kernels_that_were_not_built_alike_are_not_compared(tmp_path: Path) -> None:
    stock = _image(tmp_path / "stock", "#\n# Linux 6.12\nCONFIG_TUN=y\n# CONFIG_TAP is not set\n")
    same = _image(tmp_path / "same", "# Linux 6.13\nCONFIG_TUN=y\n# CONFIG_TAP is not set\n")
    must_be_alike(stock, same)
    other = _image(tmp_path / "patched", "CONFIG_TUN=y\nCONFIG_TAP=y\n", "gcc 13")
    with pytest.raises(InfraError) as found:
        must_be_alike(stock, other)
    for said in (
        "compiler: gcc 12, and gcc 13 for patched",
        "only in stock's config: # CONFIG_TAP is not set",
        "only in patched's config: CONFIG_TAP=y",
    ):
        assert said in str(found.value)


def test_less_of_a_rate_is_worse() -> None:
    assert compare([100.0] * 3, [80.0, 81.0, 79.0], RATE).word == "regressed"
    assert compare([100.0] * 3, [80.0, 81.0, 79.0], COST).word == "improved"


@pytest.mark.parametrize(("rate", "word"), [(70.1, "ok"), (69.9, "regressed")])
def test_a_decrease_is_one_of_stock(rate: float, word: str) -> None:
    threshold = Threshold("received_per_second", 0.3, "as measured", LESS)
    samples = [rate - 0.01, rate, rate + 0.01]
    assert compare([100.0] * 3, samples, threshold).word == word


ENTRY = '[[threshold]]\nreason = "why"\nmetric = "m"\n'


def _file(folder: Path, text: str) -> tuple[thresholds.Entry, ...]:
    path = folder / "thresholds.toml"
    path.write_text(text)
    return thresholds.load(path)


def test_a_file_of_thresholds(tmp_path: Path) -> None:
    (entry,) = _file(tmp_path, f'{ENTRY}case = "test_a[2-*]"\nmax_decrease = 0.1\n')
    assert (entry.limit, entry.worse, entry.metric, entry.lane) == (0.1, "less", "m", None)
    assert thresholds.fits(entry.case, "test_a[2-read]")
    assert not thresholds.fits(entry.case, "test_a[1-read]")


def test_an_entry_may_be_for_one_lane(tmp_path: Path) -> None:
    text = f'{ENTRY}case = "*"\nmax_decrease = 0.2\n'
    text += f'{ENTRY}case = "*"\nmax_decrease = 0.05\nlane = "kvm"\n'
    text += text.replace('"m"', '"other"').replace("0.05", "0.01")
    mark = pytest.mark.throughput("m", lane="wall").mark
    item: Any = SimpleNamespace(nodeid="test_it.py::test_a", get_closest_marker=lambda _: mark)
    entries = _file(tmp_path, text)
    limits = [thresholds.threshold_of(item, item.nodeid, entries, lane).limit for lane in LANES]
    assert dict(zip(LANES, limits, strict=True)) == {"exact": 0.2, "kvm": 0.05, "tcg": 0.2}


@pytest.mark.parametrize(
    "bad",
    [
        f'{ENTRY}case = "a"\n',
        f'{ENTRY}case = "a"\nmax_increase = 0.0\n',
        f'{ENTRY}case = "a"\nmax_increase = 0.1\nmax_decrease = 0.1\n',
        f'{ENTRY}case = "a"\nmax_decrease = 1.0\n',
        f"{ENTRY}max_increase = 0.1\n",
        *(f'{ENTRY}case = "a"\nmax_increase = {bad}\n' for bad in ("nan", "inf", "true")),
        "threshold = [1]\n",
        f'{ENTRY}case = "a"\nmax_increase = 0.1\nlimit = 1\n',
        f'{ENTRY}case = "a"\nmax_increase = 0.1\nlane = "wall"\n',
        '[[threshold]]\nreason = "b"\ncase = "a"\nmax_increase = 0.1\n',
        "x = 1\n",
        "[[threshold\n",
    ],
)
def test_a_bad_file_of_thresholds(tmp_path: Path, bad: str) -> None:
    with pytest.raises(UsageProblem, match=r"thresholds\.toml"):
        _file(tmp_path, bad)


def test_a_floor_bounds_what_was_seen() -> None:
    ratios = [1.001, 0.999, 1.002, 0.998, 1.0, 1.001, 0.999, 1.0, 1.0]
    floor = calibrate.prediction_floor(ratios)
    assert max(abs(ratio - 1) for ratio in ratios) < floor < 0.005


def test_a_threshold_below_its_floor_is_refused() -> None:
    floor = calibrate.Floor("case", COST.metric, "exact", 0.06, [1.0], [])
    assert "finer" in (calibrate.too_fine(floor, COST) or "")
    assert calibrate.too_fine(floor, Threshold(COST.metric, 0.06, "r")) is None
    assert calibrate.too_fine(None, COST) is None
    said = calibrate.too_fine(floor, Threshold(COST.metric, 0.05, "r", LESS)) or ""
    assert f"moved by up to {(1 - 1 / (1 + floor.floor)) * 100:.2f} %" in said


def test_floors_are_kept_by_what_they_depend_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSERIES_CACHE", str(tmp_path))
    floor = calibrate.Floor("case", "m", "exact", 0.06, [1.0], [])
    calibrate.store({"qemu": "7"}, [floor])
    assert calibrate.load({"qemu": "7"}) == {"case": floor}
    assert calibrate.load({"qemu": "8"}) == {}


def test_floors_in_real_time_are_of_a_machine(tmp_path: Path) -> None:
    stock = _image(tmp_path / "stock", "")
    by_lane: dict[Lane, dict[str, str]] = {}
    for lane in (Lane.KVM, Lane.TCG):
        session: Any = SimpleNamespace(
            measured_with=KEY,
            wall_lane=(lane, ""),
            settings=SimpleNamespace(cpus=2),
            image={STOCK: stock}.__getitem__,
        )
        assert floor_key(session, "exact") == KEY
        by_lane[lane] = floor_key(session, "wall")
    assert by_lane[Lane.KVM] != by_lane[Lane.TCG]
    assert by_lane[Lane.KVM] == KEY | by_lane[Lane.KVM]
    assert by_lane[Lane.KVM]["host_cpus"]


def test_neutral_edits_apply_and_are_enough(tmp_path: Path) -> None:
    files = TREE | {
        "drivers/net/ring.c": "#include <a.h>\n\n" + TREE["drivers/net/ring.c"],
        "drivers/net/Makefile": "obj-y += ring.o\nobj-y += old.o\n",
    }
    root = write_files(tmp_path, files)
    edits = neutral.edits(root, Series((Patch("1", "1", FIRST),), "s"))
    changed = [patched_files(root, edit) for edit in edits]
    assert len(edits) >= 8
    assert all(len(files) == 1 for files in changed)
    linked = next(files for files in changed if "drivers/net/Makefile" in files)
    content = linked["drivers/net/Makefile"]
    assert content
    assert content.data == b"obj-y += old.o\nobj-y += ring.o\n"


def test_what_changed_for_sure() -> None:
    before = {"xmit": [100.0, 101.0, 100.0], "schedule": [500.0, 300.0, 900.0]}
    after = {"xmit": [120.0, 121.0, 120.1], "schedule": [900.0, 310.0, 500.0]}
    assert [(cost.name, round(cost.change)) for cost in certain(before, after)] == [("xmit", 20)]


KEY = {"qemu": "7", "compiler": "gcc"}


def _baseline(folder: Path, **patched: object) -> baseline.Baseline:
    cases = [{"name": "case", "patched": patched}]
    data = {"schema_version": 2, "measured_with": KEY, "cases": cases}
    path = folder / "verdict.json"
    path.write_text(json.dumps(data))
    return baseline.load(path)


def test_twenty_instructions_more_than_before(tmp_path: Path) -> None:
    samples = [9000.0, 9100.0, 9050.0]
    earlier = _baseline(
        tmp_path, history="those", samples=samples, functions={"xmit": [100.0, 101.0, 100.0]}
    )
    more = [value + 20 for value in samples]
    found = earlier.against("case", "those", more, {"xmit": [120.0, 121.0, 120.1]}, COST)
    assert found
    assert (found.comparison.word, found.word) == ("ok", "regressed")
    assert [cost.name for cost in found.functions] == ["xmit"]
    same = earlier.against("case", "those", samples, {"xmit": [100.0, 101.0, 100.0]}, COST)
    assert same
    assert (same.word, same.net) == ("ok", 0)
    assert earlier.against("case", "others", samples, {}, COST) is None


def test_what_a_guest_ran_before_is_its_history() -> None:
    both = baseline.histories({"a": [["x", "1"], ["x", "2"]], "b": [["y"]]})
    assert baseline.histories({"a": [["x", "1"], ["x", "2"]]}) == {"a": both["a"]}
    assert baseline.histories({"a": [["x", "1"], ["x", "3"]]})["a"] != both["a"]
    assert baseline.histories({"b": [["y"]]})["b"] != both["b"]


def test_a_baseline_of_other_tools_is_refused(tmp_path: Path) -> None:
    earlier = _baseline(tmp_path)
    earlier.must_fit(KEY)
    with pytest.raises(UsageProblem, match="qemu: 7 then, 8 now"):
        earlier.must_fit(KEY | {"qemu": "8"})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"schema_version": 2, "cases": []}'),
        '{"schema_version": 2, "cases": [], "measured_with": null}',
        '{"schema_version": 1, "cases": [], "measured_with": {}}',
    ],
)
def test_no_baseline(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    with pytest.raises(UsageProblem, match=r"--kernel-baseline=.*no verdict\.json"):
        baseline.load(tmp_path / "verdict.json")


def test_one_measures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(host, "_LOCK_WAIT_S", 0.0)
    first, second, third = host.MachineLock(), host.MachineLock(), host.MachineLock()
    first.share(Silent())
    second.share(Silent())
    with pytest.raises(InfraError, match="another run measures, or holds guests"):
        third.alone(Silent())
    first.release()
    second.alone(Silent())  # its own share is no obstacle
    second.share(Silent())  # nor does a guest give away what is held alone
    with pytest.raises(InfraError):
        third.share(Silent())
    second.release()
    third.share(Silent())
    third.release()
