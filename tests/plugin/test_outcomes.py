"""From what the programs print to the verdict of each case."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from kseries.lane import Lane
from kseries.verdict import KERNELS, PATCHED, STOCK

from tools.judge import red

from . import fakes
from .fakes import git, listing, make_tree, write_files
from .projects import CHECK, CONFTEST, FIXES, HEAD, KEEPS, RING, Project, errors


def test_all_good(project: Project) -> None:
    project.tests(RING)
    result = project.run()
    result.assert_outcomes(passed=5, xfailed=2)
    assert result.ret == 0
    assert project.words() == {
        "test_ring[wake]": "fixed",
        "test_ring[fq_codel]": "fixed",
        "test_soak": "kept",
    }
    verdict = project.verdict()
    assert verdict["good"] is True
    assert verdict["sentence"] == (
        "The series does what it claims and nothing it touches broke: 2 fixed, 1 kept."
    )
    assert verdict["qemu"] == "QEMU emulator version 7.2.0"
    assert (verdict["lane_reason"], verdict["cpus"]) == ("replayed", 2)
    assert [kernel["patches"] for kernel in verdict["kernels"]] == [
        ["0001.patch", "0002.patch", "0003.patch"],
        [],
    ]
    assert sorted(path.name for path in project.report.iterdir()) == [
        *("junit.xml", "review.md", "review.txt", "verdict.json"),
    ]
    result.stdout.fnmatch_lines(
        [
            "*= kernel series =*",
            "test       kind   stock     patched   verdict",
            "test_ring  fixes  2 failed  2 passed  2 fixed",
            "test_soak  keeps  1 passed  1 passed  1 kept",
            verdict["sentence"],
            "again:  pytest --kernel-tree=linux",
            "report: report/ (verdict.json, junit.xml, review.txt, review.md): good",
        ]
    )


PLAIN = """
def test_exports(kernel_series):
    assert not kernel_series.patches, "nothing may be patched\\nat all"

def test_of_something_else():
    assert False
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_test_without_a_kernel_is_a_finding(project: Project, workers: int) -> None:
    project.tests(RING + PLAIN)
    result = project.run(f"-n{workers}", apart=bool(workers))
    assert result.ret == 1
    verdict = project.verdict()
    assert verdict["good"] is verdict["infra_only"] is False
    assert verdict["sentence"].startswith(
        "The series is not good: test_it.py::test_exports failed: nothing may be patched"
    )
    (finding,) = verdict["findings"]
    assert finding["kind"] == "test"
    assert "at all" in finding["message"]
    assert red(verdict) == ["test_it.py::test_exports"]


def test_nothing_but_a_test_without_a_kernel(project: Project) -> None:
    project.tests(PLAIN)
    project.run("-k", "exports")
    assert not project.verdict()["good"]
    assert "failed: nothing may be patched" in (project.report / "junit.xml").read_text()


def test_trouble_of_a_test_without_a_kernel(project: Project) -> None:
    project.tests(
        """
        from kseries.errors import InfraError

        def test_disk(kernel_tree):
            raise InfraError("the disk is full")
        """
    )
    project.run()
    assert project.verdict()["infra_only"] is True


def test_what_stock_said_is_in_the_verdict(project: Project) -> None:
    project.tests(RING)
    project.run("-k", "wake")
    (case,) = project.verdict()["cases"]
    stock = case["stock"]
    assert case["reason"] == "the driver drops"
    assert stock["nodeid"] == "test_it.py::test_ring[stock-wake]"
    assert stock["command"] == "wake"
    assert stock["message"].startswith("stock kernel, wake: not ok: the queue stops as the last")
    assert stock["figures"]["driver_drops"] == 104
    assert [s["status"] for s in stock["subtests"]].count("failed") == 5
    assert (stock["guest_ms"], stock["lane"]) == (700, "tcg")


def test_pytests_own_words_for_a_fixes_case(project: Project) -> None:
    project.tests(RING)
    result = project.run("-k", "wake", "-v", "-rx")
    result.stdout.fnmatch_lines(
        [
            "*test_ring?stock-wake? XFAIL*",
            "*test_ring?patched-wake? PASSED*",
            "XFAIL *test_ring?stock-wake? - fails on stock, as it must: the driver drops*",
        ]
    )


def test_unproven(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.patched", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(["*XPASS(strict)*fails on stock, as it must: it drops*"])
    assert result.ret == 1
    assert project.words() == {"test_x": "unproven"}


def test_unfixed(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.stock", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, xfailed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "unfixed"}


def test_broken(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.patched|wake.stock", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "broken"}
    assert project.verdict()["sentence"] == "The series is not good: 1 broken."


def test_stock_fails(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.stock|wake.patched", "x", CHECK))
    assert project.run().ret == 1
    assert project.words() == {"test_x": "stock-fails"}


SAME = (
    HEAD
    + """
@case("same", reason="noqueue", figures=({}))
@program("noqueue")
def test_x(kernel_run):
    kernel_run.check()
"""
)


def test_same(project: Project) -> None:
    project.tests(SAME.format('"sent", "driver_drops"'))
    assert project.run().ret == 0
    assert project.words() == {"test_x": "kept"}


def test_same_with_a_figure_that_differs(project: Project) -> None:
    project.replay(patched={"driver_drops": 95})
    project.tests(SAME.format('"sent", "driver_drops", "tx_dropped"'))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert project.words() == {"test_x": "broken"}
    message = project.verdict()["cases"][0]["patched"]["message"].splitlines()[0]
    assert message == ("patched: must be as on stock, but driver_drops: stock 96, patched 95")


def test_same_does_not_look_at_other_figures(project: Project) -> None:
    project.replay(patched={"driver_drops": 95})
    project.tests(SAME.format('"sent",'))
    assert project.run().ret == 0


def test_same_with_a_figure_that_nobody_prints(project: Project) -> None:
    project.tests(SAME.format('"sent", "colour"'))
    assert project.run().ret == 1
    assert "colour: stock None, patched None" in (project.report / "verdict.json").read_text()


def test_same_without_figures(project: Project) -> None:
    project.tests(SAME.format(""))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "names no figure" in result.stderr.str()
    assert not project.report.exists()


def test_changes(project: Project) -> None:
    text = """
@case("changes", reason="a stuck reader now blocks")
@program("parity")
def test_x(kernel_image, kernel_run):
    kernel_run.check()
    if kernel_run.figures["backlog"] != (0 if kernel_image.kernel == "stock" else 40):
        kernel_run.fail("the backlog is another")
"""
    project.tests(HEAD + text)
    assert project.run().ret == 0
    assert project.words() == {"test_x": "changed"}


@pytest.mark.parametrize("splat", ["panic", "oops", "soft-lockup", "warning", "rcu-stall"])
def test_a_crash_never_satisfies_a_fixes_case(project: Project, splat: str) -> None:
    project.tests(HEAD + FIXES.format(f"{splat}|wake.patched", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, passed=1)
    assert result.ret == 1
    assert project.halves("test_x") == ("crashed", "passed")
    assert project.words() == {"test_x": "stock-fails"}


def test_a_hang_never_satisfies_a_fixes_case(project: Project) -> None:
    project.tests(HEAD + FIXES.format("timeout|wake.patched", "x", CHECK))
    project.run().assert_outcomes(failed=1, passed=1)
    assert project.halves("test_x") == ("crashed", "passed")
    assert "did not end after 60.0 guest seconds" in (project.report / "verdict.json").read_text()


def test_a_reset_on_patched_is_broken_whatever_reset_stock(project: Project) -> None:
    project.tests(
        HEAD
        + KEEPS.format("reset|wake.patched", "a", CHECK)
        + KEEPS.format("wake.patched|reset", "b", CHECK)
    )
    project.run()
    assert project.words() == {"test_a": "stock-fails", "test_b": "broken"}


@pytest.mark.parametrize("figure", ["nothing", "instructions_per_packet"])
def test_a_measurement_without_its_figure(project: Project, figure: str) -> None:
    project.tests(
        COST.replace('"cost"', f'"{figure}"').format("wake.patched")
        + KEEPS.format("wake.patched", "x", CHECK)
    )
    result = project.run()
    assert result.ret == 1
    assert project.words() == {"test_cost": "infra", "test_x": "kept"}
    result.stdout.fnmatch_lines([f"infra: test_cost: the program printed no figure for {figure}*"])


def test_a_message_comes_without_our_own_source(project: Project) -> None:
    project.tests(
        HEAD + KEEPS.format("cut-off.patched", "x", CHECK) + KEEPS.format("oops", "y", CHECK)
    )
    said = project.run().stdout.str()
    assert "the program died" in said
    assert "oops while running" in said
    assert "kseries/run.py" not in said
    assert "raise InfraError" not in said


def test_the_line_of_a_bad_case_is_of_its_bad_half(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("timeout|oops", "x", CHECK))
    result = project.run()
    result.stdout.fnmatch_lines(["stock-fails: test_x: stock kernel: timeout|oops did not end*"])


def test_a_crash_on_patched_is_broken(project: Project) -> None:
    project.tests(HEAD + FIXES.format("wake.stock|oops", "x", CHECK))
    result = project.run()
    result.assert_outcomes(failed=1, xfailed=1)
    assert project.words() == {"test_x": "broken"}
    (case,) = project.verdict()["cases"]
    assert case["patched"]["splats"][0]["kind"] == "oops"
    assert case["patched"]["message"].startswith(
        "patched kernel, oops while running wake.stock|oops"
    )


def test_a_splat_that_stock_has_too_does_not_count(project: Project) -> None:
    text = KEEPS.format("warning", "x", CHECK) + KEEPS.format("wake.patched|warning", "y", CHECK)
    project.tests(HEAD + text + KEEPS.format("wake.patched|rcu-stall", "z", CHECK))
    assert project.run().ret == 1
    assert project.halves("test_x") == ("crashed", "passed")
    assert project.halves("test_y") == ("passed", "passed")
    assert project.halves("test_z") == ("passed", "crashed")


TROUBLES = {"usage": "could not run: no device", "cut-off": "the program died of signal 9"}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("half", ["stock", "both"])
def test_infra_is_an_error_and_no_failure(project: Project, trouble: str, half: str) -> None:
    bad = f"{trouble}.patched"
    project.tests(
        HEAD + FIXES.format(f"{bad}|wake.patched" if half == "stock" else bad, "x", CHECK)
    )
    result = project.run()
    expected = {"errors": 1, "passed": 1} if half == "stock" else {"errors": 2}
    result.assert_outcomes(**expected)
    assert result.ret == 1
    assert project.words() == {"test_x": "infra"}
    verdict = project.verdict()
    assert (verdict["infra_only"], verdict["good"]) == (True, False)
    result.stdout.fnmatch_lines(["report: *: infra: the machinery failed, not the series"])


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_program_that_could_run_on_stock_has_found_something(
    project: Project, trouble: str
) -> None:
    bad = f"{trouble}.patched"
    fixes = FIXES.format(f"wake.stock|{bad}", "x", CHECK)
    project.tests(HEAD + fixes + KEEPS.format(f"wake.patched|{bad}", "y", CHECK))
    result = project.run()
    result.assert_outcomes(failed=2, passed=1, xfailed=1)
    assert result.ret == 1
    assert project.words() == {"test_x": "unfixed", "test_y": "broken"}
    for case in project.verdict()["cases"]:
        said, *_ = case["patched"]["message"].splitlines()
        assert said.startswith(f"patched kernel, {case['patched']['command']}: {TROUBLES[trouble]}")
        assert said.endswith(" (not so on stock)")


@pytest.mark.parametrize(
    ("stock", "outcome"), [("oops", "crashed"), ("timeout", "crashed"), ("opt_in.stock", "skipped")]
)
def test_a_stock_that_did_not_do_its_work_shows_no_trouble_to_be_new(
    project: Project, stock: str, outcome: str
) -> None:
    project.tests(HEAD + KEEPS.format(f"{stock}|usage.patched", "x", CHECK))
    assert project.run().ret == 1
    assert project.halves("test_x") == (outcome, "infra")


def test_a_measurement_that_could_be_made_on_stock(project: Project) -> None:
    cost = COST.replace('"cost"', '"first_wake"')
    project.tests(cost.format("wake.patched|usage.patched"))
    assert project.run().ret == 1
    assert project.halves("test_cost") == ("passed", "failed")
    assert project.words() == {"test_cost": "broken"}


def test_a_test_that_never_checks_shows_nothing(project: Project) -> None:
    project.tests(HEAD + KEEPS.format("wake.patched", "x", "pass"))
    result = project.run()
    assert result.ret == 1
    assert project.words() == {"test_x": "infra"}
    assert "never called kernel_run.check()" in result.stdout.str()


def test_a_test_that_names_no_program(project: Project) -> None:
    project.tests(HEAD + '@case("keeps")\ndef test_x(kernel_run):\n    kernel_run.check()\n')
    result = project.run()
    assert result.ret == 1
    assert "no @pytest.mark.kernel_program(NAME ARGS ...)" in result.stdout.str()


def test_a_test_may_use_the_guest_itself(project: Project) -> None:
    text = """
@case("keeps", reason="as it was")
def test_x(kernel_guest, kernel_tree, kernel_series):
    assert kernel_guest.run(["wake.patched"], 1000).ended.number == 0
    assert len(kernel_series.patches) == 3
    assert kernel_tree.name.endswith("(6.12.99)")
"""
    project.tests(HEAD + text)
    assert project.run().ret == 0
    assert project.words() == {"test_x": "kept"}


def test_a_conftest_may_override_a_fixture(project: Project) -> None:
    conftest = CONFTEST.format(changes="") + (
        "\n@pytest.fixture\ndef kernel_guest(kernel_guest):\n"
        "    kernel_guest.changes = {'patched': {'sent': 1}}\n    return kernel_guest\n"
    )
    project.pytester.makeconftest(conftest)
    project.tests(SAME.format('"sent",'))
    assert project.run().ret == 1
    assert project.words() == {"test_x": "broken"}


RACE = '@case("keeps")\n@program("{0}.patched", alone=True)\ndef test_{1}(kernel_run):\n    {2}\n\n'
ASKED = """\
begin stock fq_codel
begin patched fq_codel
run stock fq_codel
begin patched fq_codel
begin stock wake
run patched fq_codel
begin stock wake
begin patched wake
run stock wake
begin patched wake
run patched wake
begin stock wake.patched
run stock wake.patched
begin patched wake.patched
run patched wake.patched
begin stock wake
begin patched wake
run stock wake
begin patched wake
run patched wake
"""


def test_both_guests_work_at_once_but_for_who_wants_to_be_alone(project: Project) -> None:
    project.tests(
        HEAD
        + FIXES.format("fq_codel", "a", CHECK)
        + FIXES.format("wake", "b", CHECK)
        + RACE.format("wake", "c", CHECK)
        + FIXES.format("wake", "d", CHECK)
    )
    assert project.run().ret == 0
    assert (project.path / "images/asked").read_text() == ASKED


NUMBERS = ("one", "two", "three")
COST = (
    HEAD
    + """
@pytest.mark.throughput("cost", max_increase=0.25, reason="it waits")
@program("{}", variations=("one", "two", "three"))
def test_cost(kernel_run):
    kernel_run.check()
"""
)


@pytest.mark.parametrize(
    ("patched", "word", "ret"), [(110, "ok", 0), (130, "regressed", 1), (60, "improved", 0)]
)
def test_a_measurement(project: Project, patched: int, word: str, ret: int) -> None:
    project.replay(stock={"first_wake": 100}, patched={"first_wake": patched})
    project.tests(COST.replace('"cost"', '"first_wake"').format("wake.patched"))
    assert project.run().ret == ret
    assert project.words() == {"test_cost": word}
    (case,) = project.verdict()["cases"]
    assert case["stock"]["samples"] == [100.0] * 3
    assert case["patched"]["samples"] == [float(patched)] * 3
    assert case["comparison"]["ratio"] == pytest.approx(patched / 100)
    assert case["patched"]["lane"] == "exact"


def test_measuring_begins_before_what_comes_first(project: Project) -> None:
    project.replay(stock={"first_wake": 100}, patched={"first_wake": 100})
    cost = COST.replace('"cost"', '"first_wake"').format("wake.patched")
    project.tests(cost.replace(HEAD, HEAD + FIXES.format("fq_codel", "a", CHECK)))
    assert project.run().ret == 0
    asked = (project.path / "images/asked").read_text().splitlines()
    planned = [f"{kernel} wake.patched {n}" for kernel in ("stock", "patched") for n in NUMBERS]
    assert asked[:6] == [f"begin measuring {one}" for one in planned]
    assert asked[6] == "begin stock fq_codel"
    assert [line for line in asked if "wake" in line][6:] == [f"run {one}" for one in planned]


def test_an_earlier_version_is_compared_or_it_is_said(project: Project) -> None:
    project.replay(stock={"first_wake": 100}, patched={"first_wake": 110})
    project.tests(COST.replace('"cost"', '"first_wake"').format("wake.patched"))
    assert project.run().ret == 0
    earlier = project.verdict()
    assert earlier["baseline"] == ""
    file = project.path / "earlier.json"
    file.write_text(json.dumps(earlier))
    same = project.run(f"--kernel-baseline={file}")
    assert same.ret == 0
    same.stdout.fnmatch_lines(["*against *earlier.json: first_wake ok: 110.0 -> 110.0*"])
    earlier["cases"][0]["patched"]["history"] = "another"
    file.write_text(json.dumps(earlier))
    other = project.run(f"--kernel-baseline={file}")
    assert other.ret == 1
    other.stdout.fnmatch_lines(["*--kernel-baseline=*: not compared: it was not measured then*"])
    assert project.verdict()["baseline"] == str(file)


FLOOR = """
def pytest_sessionstart(session):
    from kseries import calibrate
    floor = calibrate.Floor("test_it.py::test_cost", "first_wake", "exact", 0.3, [1.0], [])
    patch = pytest.MonkeyPatch()
    patch.setattr(calibrate, "load", lambda key: {floor.case: floor})
    session.config.add_cleanup(patch.undo)
"""


def test_a_threshold_below_its_floor(project: Project) -> None:
    project.pytester.makeconftest(CONFTEST.format(changes="") + FLOOR)
    project.tests(COST.replace('"cost"', '"first_wake"').format("wake.patched"))
    refused = "test_cost: a threshold of 25.00 % on first_wake is finer than this measurement can"
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert refused in "".join(errors(result))
    # Only a worker has the tests: it refuses each as it comes to it.
    result = project.run("-n1", apart=True)
    assert result.ret == 1
    (case,) = project.verdict()["cases"]
    assert case["verdict"] == "infra"
    assert refused in case["patched"]["message"]


def test_no_calibration_by_several_processes(project: Project) -> None:
    project.tests(COST.replace('"cost"', '"first_wake"').format("wake.patched"))
    result = project.run("--kernel-calibrate", "-n1", apart=True)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--kernel-calibrate has the machine to itself: without -n" in errors(result)


def test_a_crash_ends_a_batch_and_not_the_measurements_after_it(project: Project) -> None:
    text = COST.replace('"cost"', '"first_wake"').format("wake.patched|oops")
    more = text.removeprefix(HEAD).replace("wake.patched|oops", "wake.patched")
    project.tests(text + more.replace("test_cost", "test_more"))
    result = project.run()
    result.assert_outcomes(passed=3, failed=1)
    assert project.words() == {"test_cost": "broken", "test_more": "ok"}
    logs = [case["patched"]["console"].rpartition("/")[2] for case in project.verdict()["cases"]]
    assert len(set(logs)) == 2


@pytest.mark.parametrize("program", ["wake.patched", "oops|wake.patched"])
def test_both_kernels_are_measured_at_once(
    project: Project, monkeypatch: pytest.MonkeyPatch, program: str
) -> None:
    calls = []

    class Noted(fakes.Replay):
        def start_batch(self, plan: Mapping[str, Sequence[Sequence[str]]]) -> None:
            calls.append(f"{self.image.kernel} starts")
            super().start_batch(plan)

        def close(self) -> None:
            if self.lane is Lane.EXACT:
                calls.append(f"{self.image.kernel} ends")
            super().close()

    monkeypatch.setattr(fakes, "Replay", Noted)
    project.tests(COST.replace('"cost"', '"first_wake"').format(program))
    # A crash of stock's leaves nobody to ask for patched's.
    project.run("-x")
    assert calls == ["stock starts", "patched starts", "stock ends", "patched ends"]


# What a developer has checked out before posting: the branch with the series on it.
def test_a_range_of_what_is_checked_out(project: Project) -> None:
    root = make_tree(project.path / "mine", in_git=True)
    start = git(root, "rev-parse", "--short=12", "HEAD").strip()
    git(root, "am", "-q", *sorted(map(str, (project.path / "patches").glob("*.patch"))))
    write_files(root, {"init/main.c": "int edited;\n"})
    project.tests(RING)
    before = listing(root)
    result = project.run("--kernel-series=HEAD~3..", tree="mine")
    assert result.ret == 0
    assert f"in neither kernel: what is not committed in {root}" in result.stdout.lines
    verdict = project.verdict()
    assert (verdict["tree"], verdict["dirty"]) == (f"{root} (6.12.99, commit {start})", False)
    assert verdict["patches"] == [
        git(root, "log", "-1", "--format=%s", f"HEAD~{n}").strip() for n in (2, 1, 0)
    ]
    assert listing(root) == before
    # Where it is not checked out, all that is there is stock.
    git(root, "checkout", "-q", "-f", "--detach", start)
    write_files(root, {"init/main.c": "int edited;\n"})
    assert project.run("--kernel-series=HEAD..main", tree="mine").ret == 0
    assert project.verdict()["dirty"] is True


def test_a_series_that_does_not_boot(project: Project) -> None:
    project.replay(patched={"dead": 1})
    project.tests(RING)
    result = project.run()
    assert result.ret == 1
    result.assert_outcomes()
    (finding,) = project.verdict()["findings"]
    assert finding["kind"] == "DoesNotBoot"
    assert finding["message"].startswith("the series does not boot: patched kernel: panic while")
    assert project.verdict()["infra_only"] is False


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "two workers"])
@pytest.mark.parametrize("stock", [{}, {"warns": 1}], ids=["new", "stock does so too"])
def test_what_a_kernel_complains_of_while_it_boots(
    project: Project, stock: dict[str, int], workers: tuple[str, ...]
) -> None:
    project.replay(stock=stock, patched={"warns": 1})
    project.tests(RING)
    assert project.run(*workers, apart=bool(workers)).ret == (not stock)
    found = [(f["kind"], f["message"].split(":")[0]) for f in project.verdict()["findings"]]
    said = ("warning", "patched kernel, warning found while it booted")
    assert found == ([] if stock else [said])


def test_both_kernels_boot_at_once(project: Project) -> None:
    project.tests(RING)
    assert project.run().ret == 0
    booted = (project.path / "images/booted").read_text().splitlines()
    assert booted[:4] == ["start stock", "start patched", "boot stock", "boot patched"]
    assert sorted(booted[4:]) == ["close patched", "close stock"]


def test_a_qemu_that_crashes_gets_another_try(project: Project) -> None:
    project.replay(patched={"no_qemu": 1})
    project.tests(RING)
    result = project.run()
    assert result.ret == 0
    said = "once more: patched kernel: QEMU or virtme-ng ended while booting"
    assert result.stdout.lines.count(said) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"patched": {"no_qemu": 2}}, "patched kernel: QEMU or virtme-ng ended while booting"),
        ({"stock": {"dead": 1}}, "the stock kernel does not boot: "),
    ],
    ids=["a QEMU that always crashes", "a stock kernel that does not boot"],
)
def test_a_boot_that_is_infra(
    project: Project, changes: dict[str, dict[str, int]], said: str
) -> None:
    project.replay(**changes)
    project.tests(RING)
    assert project.run().ret == 1
    (finding,) = project.verdict()["findings"]
    assert finding["kind"] == "infra"
    assert finding["message"].startswith(said)
    assert project.verdict()["infra_only"] is True
    booted = (project.path / "images/booted").read_text().splitlines()
    for kernel in KERNELS:
        starts, ends = (booted.count(f"{what} {kernel}") for what in ("start", "close"))
        assert starts == ends > 0


STOOD_STILL = "once more: {} kernel: the machine stood still for 21 s"


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("capture", ["fd", "sys", "no"])
@pytest.mark.parametrize("when", ["stands", "stands_in_boot"])
def test_what_is_bad_on_a_machine_that_stood_still_is_tried_again(
    project: Project, kernel: str, capture: str, when: str
) -> None:
    """On new guests, both of them: they stood still together. It is said, captured or not."""
    project.replay(**{kernel: {when: 1}})
    project.tests(RING)
    result = project.run(f"--capture={capture}", apart=True)
    assert result.ret == 0
    assert result.stdout.lines.count(STOOD_STILL.format(kernel)) == 1
    booted = (project.path / "images/booted").read_text().splitlines()
    for name in KERNELS:
        times = 2 if when == "stands" or name == kernel else 1
        assert booted.count(f"boot {name}") == booted.count(f"close {name}") == times


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_is_bad_again_and_again_is_bad(project: Project, kernel: str) -> None:
    """It is tried three times in all: a machine that always stands still hides nothing."""
    project.replay(**{kernel: {"stands": 3}})
    project.tests(HEAD + KEEPS.format("wake.patched", "x", CHECK))
    result = project.run()
    assert result.ret == 1
    assert result.stdout.lines.count(STOOD_STILL.format(kernel)) == 2
    assert project.words() == {"test_x": "stock-fails" if kernel == STOCK else "broken"}
    assert "crashed" in project.halves("test_x")


def test_what_is_good_is_not_tried_again(project: Project) -> None:
    """But what is bad later in the same guest is: a stall may be told late."""
    project.replay(patched={"pauses": 1})
    later = FIXES.format("wake.patched|oops", "later", CHECK)
    project.tests(HEAD + KEEPS.format("wake.patched", "x", CHECK))
    assert project.run().ret == 0
    booted = (project.path / "images/booted").read_text().splitlines()
    assert all(booted.count(f"boot {name}") == 1 for name in KERNELS)
    project.tests(HEAD + KEEPS.format("wake.patched", "x", CHECK) + later)
    result = project.run()
    assert result.ret == 1
    assert result.stdout.lines.count(STOOD_STILL.format(PATCHED)) == 1
