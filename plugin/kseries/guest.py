"""A booted kernel: started through virtme-ng, watched while it lives, asked to run programs.

Results come over a virtio port of their own; the console only goes to a log, through the scanner
that knows what a kernel in trouble says. Every wait watches the process and has a deadline.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import console, initramfs, insns, launch, needs, place
from .build import Image
from .errors import GuestCrashed, InfraError, UsageProblem, read_log, tail
from .lane import Lane
from .stillness import Threads, Watch, now
from .wire import Wire

# What a guest has unless told otherwise, and what base.config allows.
CPUS = 2
MOST_CPUS = 8
# Wall seconds to the agent's first word: 2 to 5 where measured, by TCG on two busy cores 20.
BOOT_DEADLINE_S = 120.0
# The agent speaks once a guest second. This many wall seconds of silence while a program runs
# mean a guest that hangs: it allows a host that gives the guest a sixtieth of a CPU. A kernel that
# is slow gets more of them, since in the exact lane they are the time of its boot, too.
SILENCE_S = 60.0
# After so many, while its CPUs have places, they get the run of the host.
_PLACES_S = 3.0
# How long a dying kernel may take to finish its trace, in wall seconds without a new line.
_LAST_WORDS_S = 1.0
# QEMU's own words for what it ends at (its error_report()), and the agent's for a missing port.
# virtme-ng may end with 0 all the same, as after a guest that reset.
_NOT_THE_GUEST = re.compile(
    r"^(?:qemu-system-\w+: (?!.*(?:warning|info): ).+|kseries: no port .*)", re.M
)
# What the agent itself does instead of a program, and the guest seconds it may take.
_FIND_LEAKS = "@leaks"
_FIND_LEAKS_S = 300


@dataclass
class Ended:
    """How a program ended: `how` is exit, signal, timeout or stuck; time is the guest's."""

    how: str
    number: int
    guest_ms: int


@dataclass
class Ran:
    """What came of one program: its output lines, its end, and what the kernel complained of."""

    argv: tuple[str, ...]
    lines: list[str] = field(default_factory=list)
    ended: Ended | None = None
    splats: list[console.Splat] = field(default_factory=list)
    # Only in the exact lane, between the program's marks: instructions by function, and how often
    # a transmit queue that was stopped was woken.
    functions: dict[str, int] = field(default_factory=dict)
    wakes: int | None = None


class Guest:
    """One boot of one image in one lane. `folder` keeps its console and QEMU's own words.

    `cpus` holds in the functional lanes; the exact one keeps its number, and so its figures.
    `verbose`: its console has all that the kernel says while it boots.
    Guests that run beside each other should differ in `pin`, the host's CPU they begin with, and
    share `watch`.
    """

    def __init__(
        self,
        image: Image,
        lane: Lane,
        root: Path,
        folder: Path,
        label: str,
        *,
        cpus: int = CPUS,
        pin: int = 0,
        verbose: bool = False,
        watch: Watch | None = None,
    ) -> None:
        self.image = image
        self._watch = watch or Watch()
        self._born = now()
        self._threads = Threads(())
        self._verbose = verbose
        self._cpus = CPUS if lane is Lane.EXACT else cpus
        self.lane = lane
        self.console_log = folder / f"console-{label}.log"
        self.scanner = console.Scanner()
        self.alive = False
        self.at_boot: list[console.Splat] = []  # what the kernel complained of before any program
        self.needs = needs.of_config(image.config.read_text())
        self._qemu_log = folder / f"qemu-{label}.log"
        self._initramfs = root
        self._private = Path(tempfile.mkdtemp(prefix="kseries-"))  # short: it names a socket
        self._wire: Wire | None = None
        self._runs = 0
        self._begun: tuple[tuple[str, ...], int] | None = None
        self._told = 0  # so many of the scanner's splats stand in a result
        self._pin = pin
        self._in_places = False  # each of its CPUs is kept to one of the host's
        self._batch: list[tuple[str, Sequence[str]]] = []
        # What else to do while it waits.
        self.meanwhile: Callable[[], object] = lambda: None

    def start(self) -> None:
        """Let it begin to boot, if it has not: boot() waits for it."""
        if self._wire is not None:
            return
        command = launch.command(
            self.image,
            self.lane,
            self._cpus,
            self.needs,
            self._initramfs,
            self._private,
            verbose=self._verbose,
        )
        pin = self._pin if self.lane is Lane.EXACT else None
        self._wire = Wire(
            command, self._private, self.console_log, self._qemu_log, self.scanner, pin
        )

    @property
    def started(self) -> bool:
        """Whether it runs, booted or not, or has run and nobody has been told of its end."""
        return self._wire is not None

    @property
    def stood_still_s(self) -> float:
        """For how many seconds at most the machine stood still since this guest is there.

        A kernel takes that for a CPU that stalls, and a program for a queue that does: what is bad
        by then, or complained of, may come from it.
        """
        return self._watch.since(self._born)

    def boot(self, *, deadline_s: float = BOOT_DEADLINE_S) -> None:
        """Start the guest, if it is not, and wait for its agent: at most `deadline_s` from now.

        Raises GuestCrashed when the kernel dies, InfraError when the machinery does.
        """
        self.start()
        assert self._wire is not None
        events = self._wire.events
        deadline_s *= self.needs.patience
        self._wait(lambda: any(e.startswith("hello ") for e in events), deadline_s, "booting")
        events.clear()
        self.at_boot = list(self.scanner.splats)
        self._told = len(self.at_boot)
        self.alive = True
        pid = self._private / "pid"
        with contextlib.suppress(OSError, ValueError):  # it has ended: whoever listens finds out
            self._threads = Threads(place.threads(pid))
        if self.lane is Lane.TCG and self.needs.patience == 1:
            self._in_places = place.side_by_side(pid, self._pin, self._cpus)

    def run(self, argv: Sequence[str], deadline_ms: int) -> Ran:
        """Run a program, at most `deadline_ms` of guest time, more on a kernel that is slow.

        A fatal splat ends the guest and stands in the result; so does a hang. Raises InfraError
        when QEMU dies of itself.
        """
        self.begin(argv, deadline_ms)
        self._begun = None
        return self._collect(str(self._runs), argv)

    def begin(self, argv: Sequence[str], deadline_ms: int) -> None:
        """Start what run() will be asked for next; what else was begun is forgotten.

        Raises GuestCrashed where that took the guest along.
        """
        wanted = (tuple(argv), deadline_ms)
        if self._begun == wanted:
            return
        _must_be_words(argv)
        if self._begun:
            told = self._told
            forgotten = self.run(*self._begun)
            self._told = told  # what the kernel said of it is not forgotten
            if not self.alive:
                kind = forgotten.splats[-1].kind if forgotten.splats else "hang"
                raise self._crash(kind, f"it did not live to run {' '.join(argv)}")
        self._begun = wanted
        self._runs += 1
        deadline_ms *= self.needs.patience
        assert self._wire is not None
        self._wire.send(f"run {self._runs} {deadline_ms} {' '.join(argv)}")

    def listen(self) -> bool:
        """Take what a guest has said, if it lives; returns whether it said anything.

        One that nobody listens to comes to wait for its console.
        """
        self._watch.stood(self._threads.look())
        return self._wire is not None and not self._wire.ended and self._wire.listen(0)

    def start_batch(self, plan: Mapping[str, Sequence[Sequence[str]]]) -> None:
        """Boot a guest that runs each name's commands and powers off, with nothing coming in."""
        self._batch = [(name, argv) for name, commands in plan.items() for argv in commands]
        for _, argv in self._batch:
            _must_be_words(argv)
        batch = self._private / "batch.cpio.gz"
        initramfs.with_batch(self._initramfs, [argv for _, argv in self._batch], batch)
        self._initramfs = batch
        self.start()

    def end_batch(self) -> dict[str, list[Ran]]:
        """Wait for what start_batch() started; return what came of each command, by name.

        After a crash the result ends with the program that met it.
        """
        rans: dict[str, list[Ran]] = {}
        for name, argv in self._batch:
            rans.setdefault(name, []).append(self._collect(None, argv))
            if self._wire is None:
                return rans  # crashed: the rest did not run
        self._power_off()
        counted = insns.counted(self._private / "insns")
        every = [ran for mine in rans.values() for ran in mine]
        for ran, did in zip(every, counted, strict=False):  # none where QEMU takes no plugin
            ran.functions = did.by_function(insns.Symbols.of(self.image.vmlinux))
            ran.wakes = did.wakes
        return rans

    def part(self) -> list[console.Splat]:
        """Return what a live guest still has to say: late splats, and leaks if it can find them.

        Raises InfraError when it should find leaks and cannot.
        """
        if not self.needs.leaks:
            while self.listen():
                pass
            return self._not_of_standing_still(self.scanner.splats[self._told :])
        ran = self.run([_FIND_LEAKS], _FIND_LEAKS_S * 1000)
        fatal = any(splat.fatal for splat in ran.splats)
        if not fatal and (not ran.ended or (ran.ended.how, ran.ended.number) != ("exit", 0)):
            said = "\n".join(f"    {line}" for line in ran.lines[-5:])
            raise InfraError(f"{self.image.kernel} kernel: no word of its leaks\n{said}")
        # The kernel's own line on the console only says how many there are.
        late = [splat for splat in ran.splats if splat.kind != "leak"]
        return self._not_of_standing_still(late) + console.leaks(ran.lines)

    def _not_of_standing_still(self, splats: list[console.Splat]) -> list[console.Splat]:
        return [s for s in splats if s.kind not in console.STALLS or not self.stood_still_s]

    def close(self) -> None:
        """End the guest."""
        self.alive = False
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()
        shutil.rmtree(self._private, ignore_errors=True)

    def _collect(self, name: str | None, argv: Sequence[str]) -> Ran:
        """Take the events of one program until it ends."""
        assert self._wire is not None
        events = self._wire.events
        ran = Ran(tuple(argv))
        told = self._told

        def ended() -> bool:
            while events:
                kind, _, rest = events.pop(0).partition(" ")
                which, _, rest = rest.partition(" ")
                if name is not None and which != name:
                    continue  # late words of a program already given up
                if kind == "out":
                    ran.lines.append(rest)
                elif kind == "end":
                    how, number, guest_ms = rest.split(" ")
                    ran.ended = Ended(how, int(number), int(guest_ms))
                    return True
            return False

        try:
            self._wait(ended, None, f"running {' '.join(argv)}")
        except GuestCrashed as crash:
            self.close()
            ran.splats = self.scanner.splats[told:]
            if not any(splat.fatal for splat in ran.splats):
                ran.splats.append(console.Splat(crash.kind, str(crash)))
            return ran
        if ran.ended and ran.ended.how == "stuck":
            self.close()  # a process that cannot be killed: not a guest for the next test
        ran.splats = self.scanner.splats[told:]
        self._told += len(ran.splats)
        return ran

    def _wait(self, met: Callable[[], bool], deadline_s: float | None, doing: str) -> None:
        """Listen until `met`; raise as soon as the guest or QEMU is in trouble."""
        wire = self._wire
        assert wire is not None
        began = time.monotonic()
        self._watch.begin()
        silence_s = SILENCE_S * self.needs.patience
        while not met():
            wire.listen(0.2)
            self.meanwhile()
            self._watch.stood(self._threads.look())
            if self._watch.look():
                began = time.monotonic()  # nothing could be said by then
            fatal = next((s for s in self.scanner.splats if s.fatal), None)
            if fatal:
                _last_words(wire)
                raise self._crash(fatal.kind, f"{fatal.kind} while {doing}: {fatal.title}")
            if wire.ended:
                if met():
                    return
                raise self._why_ended(wire, doing)
            now = time.monotonic()
            if self._in_places and now - max(began, wire.heard) > _PLACES_S:
                place.anywhere(self._private / "pid")
                self._in_places = False
            if deadline_s and now > began + deadline_s:
                raise self._crash("hang", f"no sign of life {deadline_s:.0f} s after {doing} began")
            if not deadline_s and now - max(began, wire.heard) > silence_s:
                raise self._crash("hang", f"silent for {silence_s:.0f} s while {doing}")

    def _power_off(self) -> None:
        """Read the console of a guest that ends by itself, to its last line."""
        assert self._wire is not None
        end = time.monotonic() + SILENCE_S
        while not self._wire.ended:
            self._wire.listen(0.2)
            if time.monotonic() > end:
                raise self._crash("hang", "does not power off")

    def _why_ended(self, wire: Wire, doing: str) -> GuestCrashed | InfraError:
        """End the guest; return the exception for a virtme-ng that ended by itself."""
        status, by = wire.exit()
        logs = (self._qemu_log, self.console_log)
        trouble = [m[0] for log in logs if (m := _NOT_THE_GUEST.search(read_log(log)))]
        if status == 0 and not trouble:
            return self._crash("reset", f"the guest reset or powered off by itself while {doing}")
        self.close()
        how = f"killed by signal {by}" if by else f"exit status {status}"
        return InfraError(
            f"{self.image.kernel} kernel: QEMU or virtme-ng ended while {doing} ({how}):"
            f" {'; '.join(trouble) or 'it said no word of it'}\n"
            f"{tail(self._qemu_log)}\n    whole log: {self._qemu_log}"
        )

    def _crash(self, kind: str, what: str) -> GuestCrashed:
        """End the guest; return the exception for it, with the end of its console."""
        self.close()
        message = f"{self.image.kernel} kernel: {what}\n{tail(self.console_log)}"
        return GuestCrashed(
            f"{message}\n    whole console: {self.console_log}",
            kernel=self.image.kernel,
            kind=kind,
        )


def _last_words(wire: Wire) -> None:
    quiet_since = time.monotonic()
    while not wire.ended and time.monotonic() - quiet_since < _LAST_WORDS_S:
        if wire.listen(0.1):
            quiet_since = time.monotonic()


def _must_be_words(argv: Sequence[str]) -> None:
    """The agent takes its requests by lines and words; it knows no quoting."""
    if any(re.search(r"\s", word) or not word for word in argv):
        raise UsageProblem(f"arguments of a guest program hold no white space: {argv}")
