"""No lost wake and no late one, with sender and reader really in parallel on small rings."""

from __future__ import annotations

import random

import pytest
from kseries.run import Run

from .matrix import Point, Values, few, points

SPACE: dict[str, Values] = {
    "dev": ("tun", "tap"),
    "reader": few(("read", "vhost", "iouring"), "read", "vhost"),
    "length": (1, 2, 4, 16),
    "senders": (1, 2),
}
LONG_SPACE: dict[str, Values] = {
    "dev": ("tun", "tap"),
    "reader": ("read", "poll", "readv", "vhost", "iouring"),
    "length": (1, 2, 3, 4, 16, 31),
    "senders": (1, 2, 3),
}
# The likeliest places for a wake to be lost (slow senders) or to come late (swift ones), with
# seeds of their own.
HOT: tuple[Point, ...] = (
    {"dev": "tap", "reader": "read", "length": 1, "senders": 1, "trap": 7},
    {"dev": "tap", "reader": "read", "length": 4, "senders": 1, "trap": 0},
    {"dev": "tap", "reader": "read", "length": 1, "senders": 2, "trap": 7},
)
LONG_MS = 10000


def _default(seed: int) -> list[Point]:
    chosen = [point | {"seed": seed} for point in points(False, SPACE)]
    chosen += [point | {"seed": seed + 1 + i} for i, point in enumerate(HOT)]
    return [{"trap": 4} | point | {"frames": 8000, "ms": 4000} for point in chosen]


def _long(seed: int, minutes: int) -> list[Point]:
    draw = random.Random(seed)
    space = points(True, LONG_SPACE)
    drawn = [draw.choice(space) for _ in range(minutes * 60000 // LONG_MS)]
    return [
        point
        | {
            "seed": draw.randrange(1 << 31),
            "trap": draw.randrange(9),
            "frames": 1 << 30,
            "ms": LONG_MS,
        }
        for point in drawn
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" not in metafunc.fixturenames:
        return
    option = metafunc.config.option
    seed = int(option.soak_seed)
    chosen = _long(seed, option.soak_minutes) if option.soak_minutes else _default(seed)
    metafunc.parametrize(
        list(chosen[0]),
        [list(point.values()) for point in chosen],
        ids=["{dev}-{reader}-{length}-{senders}-seed{seed}".format(**point) for point in chosen],
    )


@pytest.mark.kernel_case("fixes", reason="the driver drops what a reader is too slow for")
@pytest.mark.kernel_program(
    "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --senders {senders}"
    " --seed {seed} --frames {frames} --ms {ms} --trap {trap}",
    alone=True,
)
def test_soak(
    kernel_run: Run,
    dev: str,
    reader: str,
    length: int,
    senders: int,
    seed: int,
    trap: int,
    frames: int,
    ms: int,
) -> None:
    kernel_run.check()


# Each frame is one reader's alone, and who clears a slot may be the other one.
@pytest.mark.kernel_case("fixes", reason="the driver drops what the readers are too slow for")
@pytest.mark.kernel_program(
    "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --readers 2"
    " --seed {fixed} --frames 8000 --ms 3000 --trap 0",
    alone=True,
)
@pytest.mark.scenarios(
    dev=("tun", "tap"), reader=("read", "readv"), length=(2, 32, 64), fixed=(1, 2)
)
def test_two_readers(kernel_run: Run, dev: str, reader: str, length: int, fixed: int) -> None:
    kernel_run.check()


# The same for devices whose rings have no queue: nothing here waits for room, on any.
@pytest.mark.kernel_case("keeps", reason="a frame is one reader's alone, on every device")
@pytest.mark.kernel_program(
    "shared_file --dev {dev} --reader {reader} --len {length} --resize {resize}", alone=True
)
@pytest.mark.scenarios(
    dev=("macvtap", "ipvtap", "tap"),
    reader=("read", "vhost", "readv"),
    length=(2, 4, 64),
    resize=(0, 1),
)
def test_shared_file(kernel_run: Run, dev: str, reader: str, length: int, resize: int) -> None:
    kernel_run.check()


@pytest.mark.kernel_case("fixes", reason="the driver drops what the reader is too slow for")
@pytest.mark.kernel_program(
    "soak --dev {dev} --reader {reader} --qdisc fq_codel --len {length} --queue 1"
    " --frames 5000 --ms 3000 --trap 7",
    alone=True,
)
@pytest.mark.scenarios(dev=("tun", "tap"), reader=("read", "vhost"), length=(1, 2))
def test_second_queue(kernel_run: Run, dev: str, reader: str, length: int) -> None:
    kernel_run.check()
