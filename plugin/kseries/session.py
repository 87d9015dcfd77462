"""What one pytest process holds of a run: the tree, the series, the images, the guests."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import pytest

from . import (
    allowed,
    baseline,
    cache,
    host,
    initramfs,
    probe,
    rows,
    series,
    source,
    thresholds,
    tree,
)
from .build import Builder, Image
from .compiler import compiler
from .console import Splat, decode, decode_lines
from .errors import DoesNotBoot, GuestCrashed, InfraError, KseriesError, UsageProblem
from .guest import Guest, Ran
from .lane import Lane, choose, qemu_version
from .progress import Progress
from .series import Series
from .settings import Settings
from .source import Source
from .stillness import Watch
from .verdict import KERNELS, PATCHED, STOCK
from .wall import Scenario

KEY: pytest.StashKey[KernelSession] = pytest.StashKey()

# What a build and a boot call by name. libelf and the like show up as compile errors.
_TOOLS = ("git", "make", "gcc", "ld", "flex", "bison", "bc", "perl", "tar", "xz")


class KernelSession:
    """Made once in each process (controller and xdist workers alike); everything is lazy."""

    def __init__(self, settings: Settings, progress: Progress, worker: str) -> None:
        self.settings = settings
        self.progress = progress
        self.worker = worker
        self._images: dict[str, Image] = {}
        self._guests: dict[str, Guest] = {}
        self._boots = 0
        self._watch = Watch()
        self._measured: dict[str, dict[str, tuple[list[Ran], Guest]]] = {n: {} for n in KERNELS}
        self._measuring: dict[str, Guest] = {}
        # By kernel and node id, as baseline.histories() has it, what was begun to be measured.
        self.histories: dict[str, dict[str, str]] = {name: {} for name in KERNELS}
        # By kernel and node id, what is to be measured; see Collection.
        self.plan: dict[str, dict[str, list[list[str]]]] = {name: {} for name in KERNELS}
        # By case, what is to be measured in real time, and what was.
        self.wall_plan: dict[str, Callable[[], Scenario]] = {}
        self.walled: dict[str, Scenario] = {}
        self.circumstances: dict[str, str] = {}
        self.machine = host.MachineLock()
        self._late_findings: list[tuple[str, str]] = []
        self._splats: dict[str, set[tuple[str, ...]]] = {name: set() for name in KERNELS}

    @cached_property
    def _checked_out(self) -> Source:
        return source.resolve(self.settings.tree, self.settings.tree_base, self.progress)

    @cached_property
    def _range_of(self) -> Path | None:
        """The git tree that --kernel-series names commits of, if it does."""
        if not series.is_range(self.settings.series, self.settings.series_base):
            return None
        root = self._checked_out.root
        return root if (root / ".git").exists() else None

    @cached_property
    def source(self) -> Source:
        """The pristine tree: what --kernel-tree names, or if it has the series, what it is for."""
        found = self._checked_out
        start = self._range_of and series.begins_in(self.settings.series, self._range_of)
        if not start:
            return found
        if found.dirty:
            self.progress.step(
                f"in neither kernel: what is not committed in {found.root}", done=True
            )
        return source.at_commit(found, start, self.progress)

    @cached_property
    def series(self) -> Series:
        """The series under test. Only commits need the tree, which may be long in coming."""
        return series.load(
            self.settings.series, base=self.settings.series_base, tree=self._range_of
        )

    @cached_property
    def tree(self) -> tree.Tree:
        """The private work tree."""
        return tree.Tree(self.source)

    @cached_property
    def builder(self) -> Builder:
        """Builds images of the work tree with the session's config."""
        return Builder(self.tree, self.settings.fragments, self.progress)

    @cached_property
    def initramfs(self) -> Path:
        """The guests' root, with all programs in it, and the host's tools that are wanted."""
        programs = [
            p for folder in self.settings.programs for p in initramfs.build_programs(folder)
        ]
        return initramfs.make(programs, initramfs.host_tools(self.settings.tools))

    @cached_property
    def lane(self) -> tuple[Lane, str]:
        """The lane of functional cases, and why."""
        return choose(self.settings.lane, self._probe_kvm)

    @cached_property
    def allowed(self) -> tuple[allowed.Allowed, ...]:
        """What the project knows its kernels to complain of."""
        return allowed.load(self.settings.allowed) if self.settings.allowed else ()

    @cached_property
    def wall_lane(self) -> tuple[Lane | None, str]:
        """The lane of measurements in real time, None for no such measurement, and why."""
        wanted = self.settings.wall
        if wanted == "off":
            return None, "--kernel-wall=off"
        if wanted == "tcg":
            return Lane.TCG, "--kernel-wall=tcg"
        lane, why = self.lane
        if lane is Lane.KVM:
            return Lane.KVM, why
        if wanted == "kvm":
            raise UsageProblem(f"--kernel-wall=kvm: {why}")
        return None, f"{why}; --kernel-wall=tcg measures emulated CPUs"

    @cached_property
    def thresholds(self) -> tuple[thresholds.Entry, ...]:
        """What the project's file holds measurements to."""
        return thresholds.load(self.settings.thresholds) if self.settings.thresholds else ()

    @cached_property
    def measured_with(self) -> dict[str, str]:
        """What a figure of the exact lane depends on beside the series: figures' key."""
        image = self.image(STOCK)
        return {
            "qemu": qemu_version(),
            "compiler": image.compiler,
            "config": hashlib.sha256(image.config.read_bytes()).hexdigest()[:16],
            "programs": self.initramfs.name.partition(".")[0],
            "stock": image.key,
        }

    @cached_property
    def baseline(self) -> baseline.Baseline | None:
        """An earlier version of the series, as an earlier run measured it."""
        return baseline.load(self.settings.baseline) if self.settings.baseline else None

    @cached_property
    def rows(self) -> rows.Rows:
        """The tables and plots that the project wants filled."""
        return rows.load(self.settings.rows) if self.settings.rows else rows.Rows()

    def check(self) -> None:
        """Find bad options, missing tools and patches that do not apply, before anything long."""
        missing = [name for name in _TOOLS if shutil.which(name) is None]
        if missing:
            raise UsageProblem(
                f"missing: {', '.join(missing)}: `make setup` installs what is needed (Debian,"
                " Ubuntu), or install them with your distribution's tools"
            )
        qemu_version()
        compiler()
        cache.need_space()
        _ = self.allowed, self.thresholds, self.baseline, self.rows
        tree.patched_files(self.source.root, self.series)

    def prepare(self) -> None:
        """Build both kernels, choose the lanes, and boot both once.

        Raises DoesNotBoot for a patched kernel that does not come up: one message, not one a case.
        What it complains of while it does is kept for part().
        """
        for name in KERNELS:
            self.image(name)
        _ = self.initramfs, self.lane, self.wall_lane
        if self.baseline:
            self.baseline.must_fit(self.measured_with)
        for name in KERNELS:
            self._to_be_booted(name).start()
        for name in KERNELS:
            try:
                guest = self.guest(name)
            except GuestCrashed as crash:
                log = self.decoded(self._guests[name])
                said = f"{crash}\n    decoded: {log}"
                if name == STOCK:
                    raise InfraError(f"the stock kernel does not boot: {said}") from crash
                raise DoesNotBoot(f"the series does not boot: {said}", log=log) from crash
            new = self.counting(name, guest.at_boot)
            if name == PATCHED:
                self._late_findings += self._complaints(guest, new, "while it booted")

    def image(self, kernel: str) -> Image:
        """Return the image of `kernel` (stock or patched), built unless it is cached."""
        if kernel not in self._images:
            wanted = self.series if kernel == PATCHED else None
            self._images[kernel] = self.builder.image(kernel, wanted)
        return self._images[kernel]

    def guest(self, kernel: str) -> Guest:
        """Return this process's guest of `kernel`, booted, or booted anew after a crash."""
        guest = self._guests.get(kernel)
        if guest is not None and guest.alive:
            return guest
        self.progress.step(f"booting {kernel}")
        return self.booted(partial(self._to_be_booted, kernel))

    def _to_be_booted(self, kernel: str) -> Guest:
        """Return the guest of `kernel` that was started, or a new one."""
        guest = self._guests.get(kernel)
        if guest is None or not guest.started:
            guest = self._guests[kernel] = self._new_guest(kernel, self.lane[0])
            guest.meanwhile = self._listen
        return guest

    def booted(self, make: Callable[[], Guest]) -> Guest:
        """Boot a guest; where the machinery fails, say by a QEMU that crashes, try once more.

        And where a machine that stood still may be why the kernel complains. Otherwise, and the
        second time, raises GuestCrashed or InfraError.
        """
        guest = make()
        try:
            _booted(guest)
            if not (guest.at_boot and guest.stood_still_s):
                return guest
            why = stood_still(guest)
        except InfraError as error:
            why = str(error).splitlines()[0]
        except GuestCrashed:
            if not guest.stood_still_s:
                raise
            why = stood_still(guest)
        self.once_more(why)
        guest.close()
        return _booted(make())

    def once_more(self, why: str) -> None:
        """Say that something is done once more."""
        self.progress.step(f"once more: {why}", done=True)

    def renew(self, guest: Guest) -> Guest:
        """Return a new guest of the same kernel, booted; the other's is gone, too."""
        for old in self._guests.values():
            old.close()
        return self.guest(guest.image.kernel)

    def _listen(self) -> None:
        for guest in self._guests.values():
            guest.listen()

    def measured(
        self, kernel: str, nodeid: str, commands: list[list[str]]
    ) -> tuple[list[Ran], Guest]:
        """Run a test's commands in a guest of the exact lane, with all else that is planned for it.

        The guests of both kernels run at once, for each has one CPU's work, and from
        begin_measuring() on. What a crash kept from running, or was not planned, gets a guest of
        its own.
        """
        done = self._measured[kernel]
        while nodeid not in done:
            if kernel not in self._measuring:
                self._start_measuring({kernel: {nodeid: commands}})
            self._end_measuring(kernel)
        return done[nodeid]

    def begin_measuring(self) -> None:
        """Start what is planned for the exact lane, in what all else leaves of the machine.

        Its figures do not depend on when the host gives it time, and functional guests leave some.
        What goes wrong here the first test that is measured meets by itself.
        """
        planned = {name: wanted for name, wanted in self.plan.items() if wanted}
        if planned:
            with contextlib.suppress(KseriesError):
                self._start_measuring(planned)

    def _start_measuring(self, plan: Mapping[str, Mapping[str, list[list[str]]]]) -> None:
        tests = max(len(wanted) for wanted in plan.values())
        self.progress.step(f"measuring {' and '.join(plan)}: {tests} tests in one guest each")
        for kernel, wanted in plan.items():
            guest = self._new_guest(kernel, Lane.EXACT)
            try:
                guest.start_batch(wanted)
            except BaseException:
                guest.close()  # whoever asks for this kernel next meets the trouble itself
                raise
            self._measuring[kernel] = guest
            self.histories[kernel] |= baseline.histories(wanted)

    def _end_measuring(self, kernel: str) -> None:
        guest = self._measuring.pop(kernel)
        try:
            rans = guest.end_batch()
        finally:
            guest.close()
        self._measured[kernel] |= {nodeid: (mine, guest) for nodeid, mine in rans.items()}

    def part_early(self) -> None:
        """Hear what the live guests have to say, and end them: what is measured next is alone.

        What is being measured in the exact lane is waited for.
        """
        for kernel in list(self._measuring):
            with contextlib.suppress(KseriesError):  # its test meets that by itself
                self._end_measuring(kernel)
        self._late_findings += self.part()

    def counting(self, kernel: str, splats: Sequence[Splat]) -> list[Splat]:
        """Return what counts: on patched, what stock did not show in this worker."""
        self._splats[kernel].update(splat.signature for splat in splats)
        splats, _ = allowed.split(splats, self.allowed, datetime.date.today())
        if kernel == STOCK:
            return list(splats)
        return [s for s in splats if s.fatal or s.signature not in self._splats[STOCK]]

    def part(self) -> list[tuple[str, str]]:
        """Hear what the live guests still have to say, and end them: findings (kind, message).

        On patched that is what complaints came after the last program, and, where the kernel has
        kmemleak, what was leaked; before that, what prepare() and part_early() heard. What stock
        has to say only tells what is known.
        """
        findings, self._late_findings = self._late_findings, []
        for name, guest in sorted(self._guests.items(), reverse=True):  # stock first
            if not guest.alive:
                continue
            if guest.needs.leaks:
                self.progress.step(f"looking for leaks on {name}")
            try:
                new = self.counting(name, guest.part())
            except KseriesError as error:
                findings.append(("infra", str(error)))
                continue
            if name == PATCHED:
                findings += self._complaints(guest, new, "at the end")
        self.close()
        return findings

    def _complaints(
        self, guest: Guest, splats: Sequence[Splat], when: str
    ) -> list[tuple[str, str]]:
        """Say as findings what belongs to no case."""
        alike: dict[tuple[str, ...], list[Splat]] = {}
        for splat in splats:
            alike.setdefault(splat.signature, []).append(splat)
        findings = []
        for first, *more in alike.values():
            trace = "\n".join(f"    {line}" for line in self.decoded_trace(guest, first))
            times = f", {len(more) + 1} times" if more else ""
            said = f"{guest.image.kernel} kernel, {first.kind} found {when}{times}"
            findings.append(
                (first.kind, f"{said}: {first.title}\n{trace}\n    console: {guest.console_log}")
            )
        return findings

    def decoded_trace(self, guest: Guest, splat: Splat) -> list[str]:
        """Return the lines of a splat with file and line at each address."""
        return decode_lines(splat.lines, guest.image.vmlinux, self.tree.src)

    def decoded(self, guest: Guest) -> Path:
        """Return a guest's console log with its traces decoded."""
        return decode(guest.console_log, guest.image.vmlinux, self.tree.src)

    def close(self) -> None:
        """End all guests."""
        for guest in [*self._guests.values(), *self._measuring.values()]:
            guest.close()
        self._measuring.clear()
        self.machine.release()

    def _new_guest(self, kernel: str, lane: Lane) -> Guest:
        return self.guest_of(self.image(kernel), lane)

    def guest_of(self, image: Image, lane: Lane, *, verbose: bool = False) -> Guest:
        """Return a new guest of any image, not yet booted; it shares the machine with others."""
        self.machine.share(self.progress)
        self._boots += 1
        label = "-".join(filter(None, (image.kernel, self.worker, str(self._boots))))
        folder = self.settings.report / "logs"
        pin = os.getpid() + self._boots  # another process's guests begin elsewhere
        return Guest(
            image,
            lane,
            self.initramfs,
            folder,
            label,
            cpus=self.settings.cpus,
            pin=pin,
            verbose=verbose,
            watch=self._watch,
        )

    def _probe_kvm(self) -> str | None:
        """Boot the stock kernel with KVM; return what went wrong."""
        self.progress.step("trying /dev/kvm with a probe guest")
        make = partial(self.guest_of, self.image(STOCK), Lane.KVM, verbose=True)
        said = probe.what_fails(guest := make())
        return probe.what_fails(make()) if said and guest.stood_still_s else said


def stood_still(guest: Guest) -> str:
    """Say that the machine stood still since a guest is there."""
    return f"{guest.image.kernel} kernel: the machine stood still for {guest.stood_still_s:.0f} s"


def _booted(guest: Guest) -> Guest:
    try:
        guest.boot()
    except BaseException:
        guest.close()
        raise
    return guest


def worker_name(config: pytest.Config) -> str:
    """Return the xdist worker's name, or "" in the controller and without xdist."""
    return os.environ.get("PYTEST_XDIST_WORKER", "") if hasattr(config, "workerinput") else ""
