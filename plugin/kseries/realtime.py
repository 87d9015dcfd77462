"""Measuring in real time on this machine: alone on it, while it is quiet, kernels built alike."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from functools import partial

from . import host, wall
from .build import Image
from .errors import InfraError, KseriesError
from .guest import Guest, Ran
from .session import KernelSession
from .throughput import EXACT
from .verdict import KERNELS, STOCK
from .wall import Scenario

# Options named of two configs that differ.
_OPTIONS_SHOWN = 5


def walled(
    session: KernelSession,
    case: str,
    plan: Callable[[], Scenario],
    sample: Callable[[Ran, str], float | None],
) -> Scenario:
    """Measure a case in real time, and with it all else that is planned so; once.

    What kept that from its end is every such case's `trouble`.
    """
    if case not in session.walled:
        planned = session.wall_plan if case in session.wall_plan else {case: plan}
        wanted = {name: one() for name, one in planned.items()}
        session.wall_plan = {}
        session.walled |= wanted
        kernels = {name: name for name in KERNELS}
        try:
            measure(session, wanted, sample, kernels, session.settings.wall_most_s)
        except KseriesError as error:
            for one in wanted.values():
                one.trouble = None if one.over else error
    return session.walled[case]


def measure(
    session: KernelSession,
    wanted: Mapping[str, Scenario],
    sample: Callable[[Ran, str], float | None],
    kernels: Mapping[str, str],
    most_s: float = math.inf,
) -> None:
    """Measure scenarios in place; `kernels` says which kernel each side of the pairs boots.

    No other guest runs meanwhile: this process's own end before, other runs are waited for.
    `most_s` is wall.measure()'s. What it was measured under goes to session.circumstances.

    Raises InfraError where the two were not built alike, or the machine changed between boots.
    """
    stock, patched = (session.image(kernels[name]) for name in KERNELS)
    must_be_alike(stock, patched)
    lane, _ = session.wall_lane
    assert lane is not None
    session.part_early()
    seed = session.settings.wall_seed
    if seed is None:
        seed = time.time_ns() % 1_000_000
    busiest = 0.0
    machine: dict[str, str] = {}

    def boot(kernel: str) -> Guest:
        nonlocal busiest
        busiest = max(busiest, host.wait_quiet(session.progress))
        host.must_be_as(machine, host.circumstances(stock.config))
        image = session.image(kernels[kernel])
        return session.booted(partial(session.guest_of, image, lane))

    session.machine.alone(session.progress)
    try:
        machine |= host.circumstances(stock.config)
        session.circumstances = dict(machine)
        wall.measure(wanted, boot, sample, seed, session.progress.step, most_s)
        if still := sum(not one.over for one in wanted.values()):
            text = f"{still} of {len(wanted)} measurements in real time were open"
            session.progress.step(f"--kernel-wall-minutes are over: {text}", done=True)
            session.circumstances["when_time_was_over"] = text
    finally:
        session.machine.release()
        session.circumstances |= {
            "lane": lane.value,
            "seed": str(seed),
            "cpus_used_by_others": f"{busiest:.2f}",
        }


def floor_key(session: KernelSession, lane: str) -> dict[str, str]:
    """Return what the floor of a figure depends on: in real time the machine as well."""
    key = session.measured_with
    if lane == EXACT:
        return key
    machine = host.circumstances(session.image(STOCK).config)
    where, _ = session.wall_lane
    return key | {
        "lane": where.value if where else "none",
        "cpus": str(session.settings.cpus),
        **{name: machine.get(name, "") for name in ("host_cpu", "host_cpus", "governor")},
    }


def must_be_alike(stock: Image, patched: Image) -> None:
    """Raise InfraError where two images were not built by one compiler with one config."""
    differing = []
    if stock.compiler != patched.compiler:
        differing.append(f"    compiler: {stock.compiler}, and {patched.compiler} for patched")
    before, after = (set(image.config.read_text().splitlines()) for image in (stock, patched))
    for name, more in (("stock", before - after), ("patched", after - before)):
        only = sorted(line for line in more if "CONFIG_" in line)
        differing += [f"    only in {name}'s config: {line}" for line in only[:_OPTIONS_SHOWN]]
    if differing:
        raise InfraError(
            "stock and patched were not built alike: a difference in real time might be that, and"
            " not the code. Where the series itself adds or changes an option, it cannot be"
            " measured so.\n" + "\n".join(differing)
        )
