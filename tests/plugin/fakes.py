"""A kernel tree of a few lines, a series for it, and guests that replay recorded output."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from kseries import console
from kseries.build import Image
from kseries.errors import GuestCrashed, InfraError
from kseries.guest import Ended, Guest, Ran
from kseries.lane import Lane
from kseries.needs import Needs
from kseries.session import KEY, KernelSession
from kseries.verdict import KERNELS

DATA = Path(__file__).parent / "data"
RING = "int ring(int full)\n{\n\tif (full)\n\t\treturn -1;\n\treturn 0;\n}\n"
TREE = {
    "Makefile": "# SPDX-License-Identifier: GPL-2.0\nVERSION = 6\nPATCHLEVEL = 12\n"
    "SUBLEVEL = 99\nEXTRAVERSION =\nNAME = Tiny\n",
    "Kconfig": 'mainmenu "tiny"\n',
    "scripts/kconfig/Makefile": "# nothing\n",
    "arch/x86/Kconfig": "config X86\n",
    "init/main.c": "int main(void)\n{\n\treturn 0;\n}\n",
    "drivers/net/ring.c": RING,
    "drivers/net/ring.h": "int ring(int full);\n",
    "drivers/net/old.c": "int old;\n",
    ".gitignore": "*.o\n/vmlinux\n",
}
GIT = ("git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")

FIRST = """\
From 1111111111111111111111111111111111111111 Mon Sep 17 00:00:00 2001
From: A Writer <a@example.org>
Date: Mon, 5 Jan 2026 10:00:00 +0100
Subject: [PATCH net-next v7 1/3] ring: keep what does not fit

The caller can try again.
---
 drivers/net/ring.c | 2 +-
 1 file changed, 1 insertion(+), 1 deletion(-)

diff --git a/drivers/net/ring.c b/drivers/net/ring.c
index 1111111..2222222 100644
--- a/drivers/net/ring.c
+++ b/drivers/net/ring.c
@@ -1,6 +1,6 @@
 int ring(int full)
 {
 \tif (full)
-\t\treturn -1;
+\t\treturn -11;
 \treturn 0;
 }
"""
SECOND = """\
From 2222222222222222222222222222222222222222 Mon Sep 17 00:00:00 2001
From: A Writer <a@example.org>
Date: Mon, 5 Jan 2026 10:00:01 +0100
Subject: [PATCH net-next v7 2/3] ring: add a wake and
 drop the old file

---
diff --git a/drivers/net/wake.c b/drivers/net/wake.c
new file mode 100644
index 0000000..3333333
--- /dev/null
+++ b/drivers/net/wake.c
@@ -0,0 +1 @@
+int wake;
diff --git a/drivers/net/old.c b/drivers/net/old.c
deleted file mode 100644
index 4444444..0000000
--- a/drivers/net/old.c
+++ /dev/null
@@ -1 +0,0 @@
-int old;
"""
THIRD = """\
From 3333333333333333333333333333333333333333 Mon Sep 17 00:00:00 2001
From: A Writer <a@example.org>
Date: Mon, 5 Jan 2026 10:00:02 +0100
Subject: [PATCH net-next v7 3/3] ring: wake

---
diff --git a/drivers/net/ring.c b/drivers/net/ring.c
index 2222222..5555555 100644
--- a/drivers/net/ring.c
+++ b/drivers/net/ring.c
@@ -2,5 +2,5 @@ int ring(int full)
 {
 \tif (full)
 \t\treturn -11;
-\treturn 0;
+\treturn 1;
 }
"""
SIGNATURE = "-- \n2.43.0\n\n"
PATCHES = (FIRST + SIGNATURE, SECOND + SIGNATURE, THIRD + SIGNATURE)
# A patch for lines that the tree does not have.
STRAY = FIRST.replace("return -1;", "return -7;").replace("1/3] ring: keep", "1/1] ring: lose")


def write_files(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def git(root: Path, *args: str) -> str:
    done = subprocess.run(
        [*GIT, "-C", str(root), *args], capture_output=True, text=True, check=True
    )
    return done.stdout


def make_tree(root: Path, *, in_git: bool = False) -> Path:
    """Make a folder that passes for a kernel tree."""
    write_files(root, TREE)
    if in_git:
        git(root, "init", "-q", "-b", "main")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", "tiny")
    return root


def make_series(folder: Path, patches: Iterable[str] = PATCHES) -> Path:
    """Make a series folder: 0001.patch and so on, with its order file."""
    files = {f"{n:04}.patch": text for n, text in enumerate(patches, 1)}
    return write_files(folder, files | {"series": "".join(f"{name}\n" for name in files)})


def listing(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Take down all of a tree: mode, mtime and content of every file and folder, .git included."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


class Remembering:
    """A Progress that keeps what it was told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def step(self, text: str, *, done: bool = False) -> None:
        self.said.append(f"{text}." if done else text)


@dataclass
class Replay:
    """Stands in for a Guest: each program's output and end come from DATA, none from a kernel.

    A program is called by its recording: "wake" replays ktap/wake.KERNEL.txt, "wake.stock" the one
    of stock on both kernels, "oops" ends the guest with console/oops.log, "reset" without a word;
    "wake|oops" is one for stock and another for patched. `changes` are figures to print otherwise,
    by kernel and name; a figure "dead" is a kernel that does not boot, "no_qemu" how many boots
    QEMU ends, "warns" a kernel that complains while it boots, "leaks" one that says so at its end,
    "stands" how often the machine stands still while it runs a program, "stands_in_boot" while it
    boots: the kernel complains then. "pauses" is the same while it runs one, without a complaint.
    Beside the images' folders a file "asked" has what was begun and run, in order, and one
    "booted" the starts, boots and ends.
    """

    image: Image
    lane: Lane
    console_log: Path
    changes: dict[str, dict[str, int]] = field(default_factory=dict)
    alive: bool = False
    started: bool = False
    at_boot: list[console.Splat] = field(default_factory=list)
    needs: Needs = field(default_factory=Needs)
    stood_still_s: float = 0.0
    _batch: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)

    def start(self) -> None:
        if not self.started:
            self._told("booted", "start")
        self.started = True

    def boot(self) -> None:
        self.start()
        self._told("booted", "boot")
        kernel = self.image.kernel
        if "dead" in self.changes.get(kernel, {}):
            raise GuestCrashed(f"{kernel} kernel: panic while booting", kernel=kernel, kind="panic")
        if self.changes.get(kernel, {}).get("no_qemu"):
            self.changes[kernel]["no_qemu"] -= 1
            raise InfraError(f"{kernel} kernel: QEMU or virtme-ng ended while booting\nmore")
        if "warns" in self.changes.get(kernel, {}):
            self.at_boot = _splats("warning")
        if self._stands("stands_in_boot"):
            self.at_boot = _splats("rcu-stall")
        self.alive = True

    def _stands(self, figure: str) -> bool:
        """Whether the machine stands still once more; from then on the guest says so."""
        left = self.changes.get(self.image.kernel, {})
        if not left.get(figure):
            return False
        left[figure] -= 1
        self.stood_still_s = 21.0
        return True

    def start_batch(self, plan: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._batch = plan
        for commands in plan.values():
            for argv in commands:
                self._asked("begin measuring", argv)

    def end_batch(self) -> dict[str, list[Ran]]:
        rans: dict[str, list[Ran]] = {}
        for name, commands in self._batch.items():
            for argv in commands:
                rans.setdefault(name, []).append(self.run(argv, 1000))
                if rans[name][-1].ended is None:
                    return rans  # as in a Guest, a crash ends the batch
        return rans

    def begin(self, argv: Sequence[str], _deadline_ms: int) -> None:
        self._asked("begin", argv)

    def _asked(self, what: str, argv: Sequence[str]) -> None:
        self._told("asked", what, *argv)

    def _told(self, file: str, what: str, *argv: str) -> None:
        with (self.image.folder.parent / file).open("a") as log:
            log.write(f"{' '.join((what, self.image.kernel, *argv))}\n")

    def run(self, argv: Sequence[str], deadline_ms: int) -> Ran:
        self._asked("run", argv)
        kernel = self.image.kernel
        self._stands("pauses")
        if self._stands("stands"):
            lines, end = recorded("fq_codel.patched")
            return Ran(tuple(argv), lines, end, _splats("rcu-stall"))
        names = argv[0].split("|")
        name = names[KERNELS.index(kernel) % len(names)]
        if name == "reset":  # as in a Guest, of which nothing was left
            self._end()
            return Ran(tuple(argv), [], None, [console.Splat("reset", f"{kernel} kernel: reset")])
        if name == "timeout":
            return Ran(tuple(argv), [], Ended("timeout", 0, deadline_ms))
        if (DATA / "console" / f"{name}.log").is_file():
            splats = _splats(name)
            lines, end = recorded("fq_codel.patched")
            if any(splat.fatal for splat in splats):
                self._end()
                return Ran(tuple(argv), lines[:4], None, splats)
            return Ran(tuple(argv), lines, end, splats)
        lines, end = recorded(name if "." in name else f"{name}.{kernel}")
        for figure, value in self.changes.get(kernel, {}).items():
            lines = [re.sub(rf"^(# figure {figure}) \d+", rf"\1 {value}", line) for line in lines]
        return Ran(tuple(argv), lines, end)

    def part(self) -> list[console.Splat]:
        if "leaks" not in self.changes.get(self.image.kernel, {}):
            return []
        return console.leaks((DATA / "console/kmemleak.txt").read_text().splitlines())

    def close(self) -> None:
        self._end()

    def _end(self) -> None:
        # By itself as well: who counts close() counts what the session asked for.
        if self.started:
            self._told("booted", "close")
        self.alive = self.started = False


def _splats(name: str) -> list[console.Splat]:
    """Return what the scanner finds in a recorded console."""
    scanner = console.Scanner()
    scanner.feed((DATA / "console" / f"{name}.log").read_text())
    return scanner.splats


def recorded(name: str) -> tuple[list[str], Ended]:
    """Read a KTAP recording: its lines and its end."""
    *lines, last = (DATA / "ktap" / f"{name}.txt").read_text().splitlines()
    found = re.fullmatch(r"=== exit (\d+) sig (\d+)", last)
    assert found, last
    if name.startswith("cut-off"):  # the last line there is the end of who killed it
        return lines, Ended("signal", 9, 1500)
    return lines, Ended("exit", int(found[1]), 700)


class ReplayedSession(KernelSession):
    """A session whose kernels are built and whose guests are Replays."""

    changes: dict[str, dict[str, int]]

    def image(self, kernel: str) -> Image:
        folder = self.settings.report.parent / "images" / kernel
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config").write_text("CONFIG_TINY=y\n")
        key = f"{KERNELS.index(kernel):016}"
        return Image(folder, kernel, key, f"6.12.99-{kernel}", "gcc 12.2.0", 1.0)

    def _new_guest(self, kernel: str, lane: Lane) -> Guest:
        self._boots += 1
        log = self.settings.report / "logs" / f"console-{kernel}-{self._boots}.log"
        return Replay(self.image(kernel), lane, log, self.changes)  # type: ignore[return-value]

    def decoded(self, guest: Guest) -> Path:
        return guest.console_log

    def decoded_trace(self, guest: Guest, splat: console.Splat) -> list[str]:
        del guest  # has no vmlinux to decode by
        return splat.lines


def install(config: pytest.Config, **changes: dict[str, int]) -> None:
    """Replay guests in this pytest process; for the pytest_configure of a test's conftest."""
    session = config.stash.get(KEY, None)
    if session is not None:
        assert set(changes) <= set(KERNELS)
        replay(session, changes)


def replay(session: KernelSession, changes: dict[str, dict[str, int]]) -> ReplayedSession:
    """Make a session one of replays, in place: others hold it already."""
    session.__class__ = ReplayedSession
    assert isinstance(session, ReplayedSession)
    session.changes = changes
    session.__dict__["initramfs"] = Path("/nonexistent")
    session.__dict__["lane"] = (Lane.TCG, "replayed")
    return session
