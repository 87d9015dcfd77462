"""Stop and wake, searched completely by spin: the bundled protocol holds, each step is needed.

`pytest tests/model -rP` prints the number of states of each search, and each interleaving that was
found. docs/model.md tells how to read one.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

MODEL = Path(__file__).with_name("stop_wake.pml")

# What memory does to the order of things; the names are explained in the model.
ORDERS = {"kernel": (), "reorder": ("REORDER",), "x86": ("X86",)}
SIZES = [(1, 1), (2, 1), (2, 2), (3, 2)]
# What goes wrong with each step taken out, by the first word of the last thing that happens.
VARIANTS = {
    "NO_SECOND_LOOK": "STALL",
    "NO_BARRIER_AFTER_STOP": "STALL",
    "NO_BARRIER_IN_READER": "STALL",
    "WAKE_WITHOUT_LOOK": "BUSY",
    "LOOK_WITHOUT_LOCK": "BUSY",
    "NO_WAKE": "STALL",
    "V7": "BUSY",
    "LATE_DROP": "DROP",
}
# set_bit() is a locked instruction there, and the barrier behind it emits none.
NO_INSTRUCTION_ON_X86 = "NO_BARRIER_AFTER_STOP"

# A search takes less than a second. This only ends one that would never come back.
DEADLINE_S = 120
MAX_DEPTH = 100_000
NARRATED = re.compile(r"\s*((?:sender|reader|memory): .*|STALL: .*)")


class SearchFailed(RuntimeError):
    """A search did not come to a result: neither verified nor refuted."""


class Refuted(AssertionError):
    """Spin has found an interleaving that breaks the protocol; the message has it."""


@dataclass(frozen=True)
class Checker:
    """Spin, a compiler, and a folder to work in."""

    folder: Path

    def verify(
        self,
        *defines: str,
        shortest: bool = False,
        cycles: bool = False,
        max_depth: int = MAX_DEPTH,
    ) -> int:
        """Search the model with these macros and return the number of states.

        `shortest` searches breadth first, for an interleaving that has nothing to spare. `cycles`
        looks for runs that never end; without it, for assertions and states at rest.

        Raises:
            Refuted: an error was found.
            SearchFailed: the search was not complete, or could not be made.
        """
        options = [f"-D{define}" for define in defines]
        # The model is small enough to do without reductions, and to compile for longer than to run.
        how = ["-DNOREDUCE", "-DMEMLIM=1024", "-DNP" if cycles else "-DSAFETY"]
        how += ["-DBFS"] if shortest else []
        shutil.copy(MODEL, self.folder)
        trail = self.folder / f"{MODEL.name}.trail"
        trail.unlink(missing_ok=True)
        self._run("spin", *options, "-a", MODEL.name)
        self._run("gcc", "-w", "-O0", *how, "-o", "pan", "pan.c")
        arguments = ["-w18"] if shortest else ["-w18", f"-m{max_depth}"]
        said = self._run("./pan", *arguments, *(["-l"] if cycles else []))

        errors = re.search(r"errors: (\d+)", said)
        states = re.search(r"^\s*(\d+) states, stored", said, re.MULTILINE)
        if not errors or not states:
            raise SearchFailed(f"the checker's summary is missing:\n{said}")
        if trail.exists():
            if not (shortest or cycles):
                # The same error, told in as few steps as there can be.
                return self.verify(*defines, shortest=True)
            raise Refuted(self._interleaving(options, said))
        incomplete = [
            words
            for words in ("max search depth too small", "Search not completed", "out of memory")
            if words in said
        ]
        if incomplete or errors[1] != "0" or "Full statespace search" not in said:
            raise SearchFailed(f"the search was not complete: {', '.join(incomplete)}\n{said}")
        return int(states[1])

    def _interleaving(self, options: list[str], said: str) -> str:
        """Tell what spin found, as the model narrates it."""
        replay = self._run("spin", *options, "-T", "-B", "-t", MODEL.name, check=False)
        steps = [found[1] for line in replay.splitlines() if (found := NARRATED.fullmatch(line))]
        what = re.search(r"^pan:\d+: (.*)", said, re.MULTILINE)
        head = f"{what[1] if what else 'an error'}, with {' '.join(options)}; the interleaving:"
        return "\n".join([head, *(f"    {step}" for step in steps or replay.splitlines())])

    def _run(self, *command: str, check: bool = True) -> str:
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={**os.environ, "LC_ALL": "C"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=DEADLINE_S,
        )
        if check and done.returncode:
            raise SearchFailed(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}")
        return done.stdout


@pytest.fixture
def checker(tmp_path: Path) -> Checker:
    for tool in ("spin", "gcc"):
        if not shutil.which(tool):
            pytest.fail(
                f"{tool} is not installed, and the model is not checked without it: run "
                f"`make setup`, or install the package {tool}",
                pytrace=False,
            )
    return Checker(tmp_path)


def size(ring: int, batch: int = 1, frames: int = 6) -> tuple[str, ...]:
    return (f"RING={ring}", f"BATCH={batch}", f"FRAMES={frames}")


def searched(what: str, states: int, record: Callable[[str, object], None]) -> None:
    record("states", states)
    print(f"{what}: {states} states, all there are, and no error")


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(("ring", "batch"), SIZES)
def test_never_stalls_never_busy_never_drops(
    checker: Checker,
    order: str,
    ring: int,
    batch: int,
    record_property: Callable[[str, object], None],
) -> None:
    states = checker.verify(*size(ring, batch), *ORDERS[order])
    searched(f"ring of {ring}, cleared by {batch}, {order}", states, record_property)


@pytest.mark.parametrize("ring", [1, 2])
def test_every_run_ends(
    checker: Checker, ring: int, record_property: Callable[[str, object], None]
) -> None:
    states = checker.verify(*size(ring, frames=4), cycles=True)
    searched(f"ring of {ring}, no cycle", states, record_property)


@pytest.mark.parametrize("ring", [1, 2])
def test_a_queue_that_runs_over_a_full_ring_is_busy_once(
    checker: Checker, ring: int, record_property: Callable[[str, object], None]
) -> None:
    states = checker.verify(*size(ring), "START_FULL", "BUSY_ALLOWED=1")
    searched(f"ring of {ring}, full to begin with", states, record_property)
    with pytest.raises(Refuted, match="BUSY"):
        checker.verify(*size(ring), "START_FULL", shortest=True)


# The rules of x86 allow less than the kernel's: what is found there need not be looked for again.
@pytest.mark.parametrize(("ring", "order"), [(1, "kernel"), (2, "x86")])
@pytest.mark.parametrize("variant", VARIANTS)
def test_a_step_taken_out_is_found(checker: Checker, variant: str, ring: int, order: str) -> None:
    rules = ORDERS["kernel" if variant == NO_INSTRUCTION_ON_X86 else order]
    with pytest.raises(Refuted) as caught:
        # As many frames as it takes to fill the ring twice, and one too many.
        checker.verify(*size(ring, frames=2 * ring + 2), variant, *rules, shortest=True)
    found = str(caught.value)
    print(found)
    last = found.splitlines()[-1].strip().removeprefix("sender: ")
    assert last.startswith(VARIANTS[variant]), found


def test_x86_needs_no_instruction_for_the_barrier_after_the_stop(
    checker: Checker, record_property: Callable[[str, object], None]
) -> None:
    states = checker.verify(*size(1), NO_INSTRUCTION_ON_X86, "X86")
    searched("x86 without the barrier after the stop", states, record_property)


@pytest.mark.parametrize("ring", [1, 2])
def test_one_sender_has_no_need_of_the_wake_after_the_second_look(
    checker: Checker, ring: int, record_property: Callable[[str, object], None]
) -> None:
    states = checker.verify(*size(ring), "START_NOT_WAKE")
    searched(f"ring of {ring}, start instead of wake", states, record_property)


def test_v7_hides_the_late_wake_behind_busy_and_does_not_stall(
    checker: Checker, record_property: Callable[[str, object], None]
) -> None:
    states = checker.verify(*size(1), "V7", "BUSY_ALLOWED=255")
    searched("v7, if BUSY is no fault", states, record_property)


def test_a_search_cut_short_proves_nothing(checker: Checker) -> None:
    with pytest.raises(SearchFailed, match="max search depth too small"):
        checker.verify(*size(1), max_depth=50)


def test_a_model_that_does_not_compile_is_no_result(checker: Checker) -> None:
    with pytest.raises(SearchFailed, match=r"spin .*exit"):
        checker.verify("RING=")
