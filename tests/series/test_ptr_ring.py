"""ptr_ring by itself, in user space: the tree's own header does what a model in Python does.

Nothing is built of the kernel and nothing booted: the header, stock and with each prefix of the
series that changes it, is compiled against stand-ins for what it includes (ptr_ring/).
"""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import itertools
import operator
import os
import re
import resource
import signal
import subprocess
import traceback
from collections import deque
from collections.abc import Callable, Sequence
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
from kseries.errors import UsageProblem
from kseries.series import Series, load
from kseries.session import KEY, KernelSession
from kseries.source import Source
from kseries.tree import patched_files

HEADER = "include/linux/ptr_ring.h"
SHIM = Path(__file__).with_name("ptr_ring")
TOP = Path(__file__).resolve().parents[2]
PRODUCE_PEEK = "__ptr_ring_produce_peek"
CREATED_SPACE = "__ptr_ring_consume_created_space"
# What the shim must know of a header, by the name of the helper.
HELPERS = {PRODUCE_PEEK: "HAVE_PRODUCE_PEEK", CREATED_SPACE: "HAVE_CONSUME_CREATED_SPACE"}

LONGEST = 70
TOO_LONG = 1 << 20  # more pointers than kmalloc gives
# Random, since each run that finds nothing has then still looked at something new; a failure
# prints the steps that led to it. Deadlines would only measure busy machines.
SETTINGS = settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)

# A check takes a second or two, and the search for a short example of a failure some more.
CPU_S = 60
DEATHS = {
    "SIGXCPU": f"it did not come to an end, or not in {CPU_S} s of CPU time",
    "SIGSEGV": "it touched what is not its own, such as the other side's cache line",
    "other": "it wrote where nothing of its own is",
}

Destroy = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


# Python warns of a fork in an xdist worker; nothing of it is used in the child.
pytestmark = pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")


# The prefixes


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give each test the prefixes that differ in the header; without a tree it will not run."""
    if "library" not in metafunc.fixturenames:
        return
    session = metafunc.config.stash.get(KEY, None)
    prefixes = _prefixes(_series(session)) if session else [(0, 0)]
    metafunc.parametrize(
        "library",
        prefixes,
        ids=[f"prefix-{a}" if a == b else f"prefix-{a}-to-{b}" for a, b in prefixes],
        indirect=True,
        scope="module",
    )


def _series(session: KernelSession) -> Series:
    """Return the series; only a range of a git tree needs the tree, which may be long in coming."""
    try:
        return load(session.settings.series, base=session.settings.series_base)
    except UsageProblem:
        return session.series


def _prefixes(series: Series) -> list[tuple[int, int]]:
    """Return (first, last) of each run of prefixes that have the same header."""
    count = len(series.patches)
    firsts = [0, *(k for k, patch in enumerate(series.patches, 1) if HEADER in patch.files)]
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
    calls = _declared(ctypes.CDLL(str(folder / "ring.so")), helpers)
    return Library(prefix, helpers, complete, calls)


def _declared(calls: ctypes.CDLL, helpers: frozenset[str]) -> ctypes.CDLL:
    """Give the functions of ring.c and shim.h their types."""
    ring, number, truth = ctypes.c_void_p, ctypes.c_int, ctypes.c_bool
    entry, entries = ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p)
    types: dict[str, tuple[object, list[object]]] = {
        "shim_surround": (None, [ctypes.c_void_p]),
        "shim_arrays": (number, []),
        "shim_complaint": (ctypes.c_char_p, []),
        "ring_guard": (None, [truth]),
        "ring_new": (ring, [number]),
        "ring_free": (None, [ring, Destroy]),
        "ring_produce": (number, [ring, entry]),
        "ring_consume": (entry, [ring]),
        "ring_consume_batched": (number, [ring, entries, number]),
        "ring_unconsume": (None, [ring, entries, number, Destroy]),
        "ring_resize": (number, [ring, number, Destroy]),
        "ring_resize_multiple": (number, [ring, number, Destroy]),
        "ring_empty": (truth, [ring]),
        "ring_size": (number, [ring]),
        "ring_taken": (None, [ring, ctypes.POINTER(truth)]),
    }
    if PRODUCE_PEEK in helpers:
        types["ring_produce_peek"] = (number, [ring])
    if CREATED_SPACE in helpers:
        types["ring_consume_created_space"] = (None, [ring, number, ctypes.POINTER(truth)])
    for name, (result, arguments) in types.items():
        function = getattr(calls, name)
        function.restype, function.argtypes = result, arguments
    return calls


# The model


class Model:
    """What a ring holds. Consumed slots are cleared a batch at a time, and at the ring's end."""

    def __init__(self, size: int) -> None:
        self.entries: deque[int] = deque()
        self._set_size(size)

    def _set_size(self, size: int) -> None:
        self.size = size
        # Two cache lines of pointers, unless that is more than half of the ring.
        self.batch = 16 if size >= 32 else 1
        self.head = 0  # the slot of the oldest entry
        self._rearranged()

    def _rearranged(self) -> None:
        self.uncleared = 0  # slots before the head that are consumed and still look taken
        self.created: list[bool] = []  # of each consume since: whether it cleared slots

    def taken(self) -> list[bool]:
        """Say of each slot whether it looks taken."""
        slots = [False] * self.size
        for k in range(-self.uncleared, len(self.entries)):
            slots[(self.head + k) % self.size] = True
        return slots

    def room(self) -> int:
        return self.size - len(self.entries) - self.uncleared

    def produce(self, entry: int) -> int:
        if not self.room():
            return -errno.ENOSPC
        self.entries.append(entry)
        return 0

    def consume(self) -> int | None:
        if not self.entries:
            return None
        self.head += 1
        self.uncleared += 1
        clears = self.uncleared == self.batch or self.head == self.size
        if clears:
            self.uncleared = 0
            self.head %= self.size
        self.created.append(clears)
        return self.entries.popleft()

    def unconsume(self, batch: Sequence[int]) -> list[int]:
        """Put entries back, the last one first; return those that find no room."""
        left = list(batch)
        if self.size:
            self._rearranged()
            while left and self.room():
                self.entries.appendleft(left.pop())
                self.head = (self.head - 1) % self.size
        return left[::-1]

    def resize(self, size: int) -> list[int]:
        """Change the size; return the youngest entries, which find no room."""
        kept = list(self.entries)
        self.entries = deque(kept[:size])
        self._set_size(size)
        return kept[size:]

    def created_space(self, most: int) -> list[bool]:
        """Say for each number of consumes up to `most` whether one of the last cleared slots."""
        last = self.created[len(self.created) - most :]
        return list(itertools.accumulate(reversed(last), operator.or_, initial=False))


Look: TypeAlias = "Callable[[Pair], None]"
Check: TypeAlias = Callable[["Library", Look], None]


class Pair:
    """A ring and its model. What is done to one is done to both, and both must do the same.

    `look` is called after each step. A zone around the ring's slots reads as `fill`, and must not
    be written to.
    """

    def __init__(self, library: Library, size: int, look: Look, fill: int | None = None) -> None:
        self.calls = library.calls
        self.look = look
        self._next = 0
        self._destroyed: list[int] = []
        self._destroy = Destroy(self._take)
        self._arrays = self.calls.shim_arrays()
        self.calls.shim_surround(fill)
        self.ring = self.calls.ring_new(size)
        self.model = Model(size)
        self.must_be_same()

    def fresh(self) -> int:
        """Return an entry that was not there before."""
        self._next += 8
        return self._next

    def produce(self) -> bool:
        entry = self.fresh()
        expected = self.model.produce(entry)
        assert self.calls.ring_produce(self.ring, entry) == expected
        self.look(self)
        return expected == 0

    def consume(self) -> int | None:
        expected = self.model.consume()
        assert self.calls.ring_consume(self.ring) == expected
        self.look(self)
        return expected

    def consume_batched(self, count: int) -> list[int]:
        expected = [e for e in (self.model.consume() for _ in range(count)) if e is not None]
        batch = (ctypes.c_void_p * count)()
        assert self.calls.ring_consume_batched(self.ring, batch, count) == len(expected)
        assert batch[: len(expected)] == expected
        assert not any(batch[len(expected) :])
        self.look(self)
        return expected

    def unconsume(self, entries: Sequence[int]) -> None:
        expected = self.model.unconsume(entries)
        batch = (ctypes.c_void_p * len(entries))(*entries)
        self.calls.ring_unconsume(self.ring, batch, len(entries), self._destroy)
        assert self._take_destroyed() == expected
        self.look(self)

    def resize(self, size: int, *, multiple: bool = False) -> None:
        call = self.calls.ring_resize_multiple if multiple else self.calls.ring_resize
        if size == TOO_LONG:
            assert call(self.ring, size, self._destroy) == -errno.ENOMEM
            expected = []
        else:
            assert call(self.ring, size, self._destroy) == 0
            expected = self.model.resize(size)
        assert self._take_destroyed() == expected
        self.look(self)

    def go_to(self, offset: int) -> None:
        """Produce and consume until the head is there."""
        while self.model.head != offset:
            self.produce()
            self.consume()

    def fill(self) -> None:
        while self.produce():
            pass

    def drain(self) -> None:
        while self.consume() is not None:
            pass

    def must_be_same(self) -> None:
        """Hold all that can be seen of the ring against the model."""
        assert self.calls.ring_size(self.ring) == self.model.size
        slots = (ctypes.c_bool * self.model.size)()
        self.calls.ring_taken(self.ring, slots)
        assert slots[:] == self.model.taken()
        assert self.calls.ring_empty(self.ring) == (not self.model.entries)
        assert self.calls.shim_complaint() is None

    def close(self) -> None:
        """Destroy the ring, and with it what is left in it."""
        self.calls.ring_free(self.ring, self._destroy)
        assert self._take_destroyed() == list(self.model.entries)
        assert self.calls.shim_complaint() is None
        assert self.calls.shim_arrays() == self._arrays

    def _take(self, entry: int) -> None:
        self._destroyed.append(entry)
        if len(self._destroyed) > 2 * LONGEST:  # no ring and no batch holds so many
            signal.raise_signal(signal.SIGXCPU)

    def _take_destroyed(self) -> list[int]:
        taken = self._destroyed[:]
        self._destroyed.clear()
        return taken


# What is looked at after each step


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
        pair = Pair(library, size, look)
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
    pair = Pair(library, 0, look)
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
        self.pair = Pair(self.library, size, self.look, fill)
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
