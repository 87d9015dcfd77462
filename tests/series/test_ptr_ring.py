"""ptr_ring by itself, in user space: the tree's own header does what a model in Python does.

Nothing is built of the kernel and nothing booted: the header, stock and with each prefix of the
series that changes it, is compiled against stand-ins for what it includes (ptr_ring/).
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import itertools
import os
import re
import resource
import signal
import subprocess
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from kseries.series import Series, load
from kseries.session import KEY
from kseries.source import Source
from kseries.tree import patched_files

from .ptr_ring_model import CREATED_SPACE, LONGEST, PRODUCE_PEEK, TOO_LONG, Look, Pair, declared

HEADER = "include/linux/ptr_ring.h"
SHIM = Path(__file__).with_name("ptr_ring")
TOP = Path(__file__).resolve().parents[2]
# What the shim must know of a header, by the name of the helper.
HELPERS = {PRODUCE_PEEK: "HAVE_PRODUCE_PEEK", CREATED_SPACE: "HAVE_CONSUME_CREATED_SPACE"}

# Random, since each run that finds nothing has then still looked at something new; a failure
# prints the steps that led to it. Deadlines would only measure busy machines.
SETTINGS = settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)

# A check takes a second or two, and the search for a short example of a failure some more.
CPU_S = 60
DEATHS = {
    "SIGXCPU": f"it did not come to an end, or not in {CPU_S} s of CPU time",
    "SIGSEGV": "it touched what is not its own, such as the other side's cache line,"
    " or a slot without a lock",
    "other": "it wrote where nothing of its own is",
}

# Python warns of a fork in an xdist worker; nothing of it is used in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


# The prefixes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the prefixes that differ in the header; without a tree it will not run."""
    if "library" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash.get(KEY, None)
    prefixes = _prefixes(session.series) if session else [(0, 0)]
    metafunc.parametrize(
        "library",
        prefixes,
        ids=[f"prefix-{a}" if a == b else f"prefix-{a}-to-{b}" for a, b in prefixes],
        indirect=True,
        scope="module",
    )


def _prefixes(series: Series) -> list[tuple[int, int]]:
    """Return (first, last) of each run of prefixes that have the same header."""
    count = len(series.patches)
    firsts = [0, *series.changing([HEADER])]
    return [(first, after - 1) for first, after in itertools.pairwise([*firsts, count + 1])]


@dataclass(frozen=True)
class Library:
    """The header of a prefix, compiled."""

    prefix: str
    helpers: frozenset[str]
    complete: bool  # the whole of the bundled series, which has all helpers
    calls: ctypes.CDLL

    def needs(self, helper: str) -> None:
        """Skip the test where the header does not have a helper."""
        if helper not in self.helpers:
            assert not self.complete, f"{self.prefix} has lost {helper}()"
            pytest.skip(f"{self.prefix} has no {helper}()")


@pytest.fixture(scope="module")
def library(
    request: pytest.FixtureRequest,
    kernel_tree: Source,
    kernel_series: Series,
    tmp_path_factory: pytest.TempPathFactory,
) -> Library:
    first, last = request.param
    prefix = "prefix 0 (stock)" if first == 0 else f"prefix {first}"
    text = (kernel_tree.root / HEADER).read_bytes()
    if first:
        content = patched_files(kernel_tree.root, kernel_series.prefix(first))[HEADER]
        assert content is not None, f"{prefix} deletes {HEADER}"
        text = content.data
    defined = rf"^static inline .*\b({'|'.join(HELPERS)})\("
    helpers = frozenset(re.findall(defined, text.decode(), re.M))
    folder = tmp_path_factory.mktemp(f"ptr_ring-{first}")
    (folder / HEADER).parent.mkdir(parents=True)
    (folder / HEADER).write_bytes(text)
    command = ["gcc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror=implicit-function-declaration"]
    command += ["-D__KERNEL__", "-D__aligned(bytes)=__attribute__((__aligned__(bytes)))"]
    command += [f"-D{HELPERS[name]}" for name in sorted(helpers)]
    command += [f"-I{folder / 'include'}", f"-I{SHIM}", "-o", str(folder / "ring.so")]
    command += map(str, sorted(SHIM.glob("*.c")))
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{prefix}: {HEADER} does not compile:\n{done.stderr}"
    if last > first:
        prefix += f" (to {last})"
    whole = last == len(kernel_series.patches)
    complete = whole and kernel_series.key == load("patches", base=TOP).key
    calls = declared(ctypes.CDLL(str(folder / "ring.so")), helpers)
    return Library(prefix, helpers, complete, calls)


# What is looked at after each step

Check: TypeAlias = Callable[[Library, Look], None]


def nothing(pair: Pair) -> None:
    pass


def produce_peek(pair: Pair) -> None:
    """It says what the next produce would."""
    expected = 0 if pair.model.room() else -errno.ENOSPC
    assert pair.calls.ring_produce_peek(pair.ring) == expected


def created_space(pair: Pair, most: int = LONGEST + 5) -> None:
    """It tells of any number of consumes just gone whether they freed a slot."""
    count = min(len(pair.model.created), most)
    said = (ctypes.c_bool * (count + 1))()
    pair.calls.ring_consume_created_space(pair.ring, count, said)
    assert said[:] == pair.model.created_space(count)


def created_space_of_last(pair: Pair) -> None:
    """It tells so of the last consume, which is what most callers ask."""
    created_space(pair, 1)


# Steps in a fixed order, and in any


def walk(library: Library, look: Look) -> None:
    """Fill and empty a ring of every size from every offset, and let it end there."""
    for size in range(LONGEST + 1):
        pair = Pair(library.calls, size, look)
        for offset in range(size):
            pair.go_to(offset)
            pair.fill()
            pair.must_be_same()
            batch = pair.consume_batched(offset + 1)
            pair.produce()  # in the way of one of the batch, where it finds room
            pair.unconsume(batch)
            pair.must_be_same()
            pair.drain()
            pair.must_be_same()
        assert pair.produce() == (size > 0)
        pair.unconsume([pair.fresh()])
        pair.must_be_same()
        pair.close()


def resizes(library: Library, look: Look) -> None:
    """Give a ring of every size every other size, from offsets and fillings that vary."""
    pair = Pair(library.calls, 0, look)
    sizes = range(LONGEST + 1)
    for size, (other, multiple) in itertools.product(
        sizes, zip(sizes, itertools.cycle((False, True)))
    ):
        pair.resize(size)
        pair.go_to(other % size if size else 0)
        pair.fill()
        pair.consume_batched(other // 2)
        pair.resize(other, multiple=multiple)
        pair.must_be_same()
        pair.consume()
        pair.must_be_same()
        pair.fill()
        pair.must_be_same()
        pair.drain()
        pair.must_be_same()
    pair.close()


class AnyOrder(RuleBasedStateMachine):
    """Everything that a ring is used for, in any order."""

    def __init__(self, library: Library, look: Look) -> None:
        super().__init__()
        self.library = library
        self.look = look
        self.batch: list[int] = []  # the last one taken out, as long as it can go back
        self.pair: Pair

    sizes = st.integers(0, LONGEST)
    counts = st.integers(1, LONGEST + 5)

    @initialize(size=sizes, offset=sizes, fill=st.sampled_from([None, 0xA5A5]))
    def begin(self, size: int, offset: int, fill: int | None) -> None:
        self.library.calls.ring_guard(True)
        self.pair = Pair(self.library.calls, size, self.look, fill)
        for _ in range(offset):
            self.pair.produce()
            self.pair.consume()

    @rule(count=counts)
    def produce(self, count: int) -> None:
        for _ in range(count):
            self.pair.produce()

    @rule(count=counts)
    def consume(self, count: int) -> None:
        for _ in range(count):
            self.pair.consume()

    @rule(count=st.integers(0, LONGEST + 5))
    def consume_batched(self, count: int) -> None:
        self.batch = self.pair.consume_batched(count)

    @rule(used=counts)
    def unconsume_the_rest(self, used: int) -> None:
        """Give back what of the last batch was not used, as vhost does."""
        self.pair.unconsume(self.batch[used - 1 :])
        self.batch = []

    @rule(count=st.integers(0, LONGEST + 5))
    def unconsume_others(self, count: int) -> None:
        self.pair.unconsume([self.pair.fresh() for _ in range(count)])

    @rule(size=sizes, multiple=st.booleans())
    def resize(self, size: int, multiple: bool) -> None:
        self.pair.resize(size, multiple=multiple)

    @rule(multiple=st.booleans())
    def resize_beyond_memory(self, multiple: bool) -> None:
        self.pair.resize(TOO_LONG, multiple=multiple)

    @rule(size=sizes)
    def replace(self, size: int) -> None:
        self.pair.close()
        self.begin(size, 0, None)

    @invariant()
    def same(self) -> None:
        self.pair.must_be_same()


def in_any_order(library: Library, look: Look) -> None:
    """Let hypothesis choose the steps."""

    class Bound(AnyOrder):
        def __init__(self) -> None:
            super().__init__(library, look)

    run_state_machine_as_test(Bound, settings=SETTINGS)


def apart(library: Library, check: Check, look: Look) -> None:
    """Run a check in a process of its own: a wrong ring writes anywhere, or loops for ever."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        faulthandler.disable()
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        said = ""
        try:
            check(library, look)
        except BaseException:
            said = traceback.format_exc()
        with os.fdopen(writing, "w") as pipe:
            pipe.write(said)
        os._exit(bool(said))
    os.close(writing)
    try:
        with os.fdopen(reading) as pipe:
            said = pipe.read()
    except BaseException:
        os.kill(child, signal.SIGKILL)
        raise
    finally:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        name = signal.Signals(-status).name
        said += f"{name}: {DEATHS.get(name, DEATHS['other'])}"
    if status:
        pytest.fail(f"{HEADER} of {library.prefix}:\n{said}", pytrace=False)


# The tests


def test_every_size_and_offset(library: Library) -> None:
    apart(library, walk, nothing)


def test_every_size_to_every_size(library: Library) -> None:
    apart(library, resizes, nothing)


def test_any_order(library: Library) -> None:
    apart(library, in_any_order, nothing)


def test_produce_peek_at_every_size_and_offset(library: Library) -> None:
    library.needs(PRODUCE_PEEK)
    apart(library, walk, produce_peek)


def test_produce_peek_in_any_order(library: Library) -> None:
    library.needs(PRODUCE_PEEK)
    apart(library, in_any_order, produce_peek)


def test_created_space_at_every_size_and_offset(library: Library) -> None:
    library.needs(CREATED_SPACE)
    apart(library, walk, created_space_of_last)


def test_created_space_in_any_order(library: Library) -> None:
    library.needs(CREATED_SPACE)
    apart(library, in_any_order, created_space)
