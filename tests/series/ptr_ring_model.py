"""A ptr_ring and a model of it, side by side: what is done to one is done to both."""

from __future__ import annotations

import ctypes
import errno
import itertools
import operator
import signal
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeAlias

PRODUCE_PEEK = "__ptr_ring_produce_peek"
CREATED_SPACE = "__ptr_ring_consume_created_space"

LONGEST = 70
TOO_LONG = 1 << 20  # more pointers than kmalloc gives

Destroy = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def declared(calls: ctypes.CDLL, helpers: frozenset[str]) -> ctypes.CDLL:
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


class Pair:
    """A ring and its model. What is done to one is done to both, and both must do the same.

    `look` is called after each step. A zone around the ring's slots reads as `fill`, and must not
    be written to.
    """

    def __init__(self, calls: ctypes.CDLL, size: int, look: Look, fill: int | None = None) -> None:
        self.calls = calls
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
