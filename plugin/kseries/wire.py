"""What a running guest says: its console, the agent's port, and the end of virtme-ng itself."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import socket
import subprocess
import termios
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pexpect
from pexpect.fdpexpect import fdspawn

from . import place
from .console import Scanner
from .errors import InfraError

# How long virtme-ng may take to clean up after its QEMU, in wall seconds.
_VNG_END_S = 5.0
# Leads the guest's process group, and ends it when pytest is gone, however it went.
_GUARD = "read -r _; kill -KILL 0"
_BATCH_LINE = re.compile(r"@kseries (.*)")


class Wire:
    """A virtme-ng, started here, and what comes from it.

    `private` is where launch.command() has QEMU's files. The console goes to `console_log` and
    through `scanner`, QEMU's own words to `qemu_log`. With a `pin` it is a guest of the exact lane:
    kept to one CPU of the host, with no port, and its console in a file.
    """

    def __init__(
        self,
        command: Sequence[str],
        private: Path,
        console_log: Path,
        qemu_log: Path,
        scanner: Scanner,
        pin: int | None,
    ) -> None:
        self.events: list[str] = []  # what the agent said, a line each; whoever reads takes them
        self.ended = False  # by itself: virtme-ng is gone, and all is read
        self.heard = time.monotonic()  # when the agent last spoke
        self._private = private
        self._console_log = console_log
        self._scanner = scanner
        self._exact = pin is not None
        self._port: socket.socket | None = None
        self._partial = b""
        self._console_read = 0  # bytes of the exact lane's console
        environment = os.environ | {"TERM": "dumb"}
        environment["PATH"] = f"{Path(command[0]).parent}:{environment.get('PATH', '')}"
        console_log.parent.mkdir(parents=True, exist_ok=True)
        console_log.write_text("")  # an earlier run's log may have this name
        self._guard = subprocess.Popen(
            ["/bin/sh", "-c", _GUARD],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        console, terminal = _terminal()
        try:
            with qemu_log.open("w") as log:
                self._process = subprocess.Popen(
                    command,
                    env=environment,
                    cwd="/",  # virtme-ng puts it on the kernel's command line
                    stdin=terminal,
                    stdout=terminal,
                    stderr=log,
                    # No session of its own, which pexpect.spawn() would give it: see place.py.
                    process_group=self._guard.pid,
                    preexec_fn=partial(place.on_one_cpu, pin) if pin is not None else None,
                )
        except BaseException as error:
            os.close(console)
            self._end_group()
            if isinstance(error, OSError):
                raise InfraError(f"{command[0]} cannot be started: {error}") from error
            raise
        finally:
            os.close(terminal)
        self._console = fdspawn(console, encoding="utf-8", codec_errors="replace", timeout=None)

    def listen(self, timeout_s: float) -> bool:
        """Read what is there, or comes in time; returns whether anything was."""
        if self._port is None and not self._exact:
            self._connect()
            timeout_s = min(timeout_s, 0.02) if self._port is None else timeout_s
        with selectors.DefaultSelector() as selector:
            if not self.ended:
                selector.register(self._console.child_fd, selectors.EVENT_READ, self._read_console)
            if self._port is not None:
                selector.register(self._port, selectors.EVENT_READ, self._read_port)
            ready = selector.select(min(timeout_s, 0.05) if self._exact else timeout_s)
        for key, _ in ready:
            key.data()
        return (self._exact and self._read_console_file()) or bool(ready)

    def _connect(self) -> None:
        port = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            port.connect(str(self._private / "port"))
        except OSError:
            port.close()  # QEMU is not there yet; the caller watches its process
            return
        self._port = port

    def _read_console(self) -> None:
        try:
            text = self._console.read_nonblocking(1 << 16, timeout=0)
        except pexpect.TIMEOUT:
            return
        except pexpect.EOF:
            self.ended = True
            return
        self._log(text)

    def _read_console_file(self) -> bool:
        """Read what is new in the exact lane's console; returns whether anything was."""
        file = self._private / "console"
        if not file.is_file():
            return False
        with file.open("rb") as console_file:
            console_file.seek(self._console_read)
            data = console_file.read()
        self._console_read += len(data)
        if data:
            self._log(data.decode(errors="replace"))
            self._take(data, _batch_event)
        return bool(data)

    def _log(self, text: str) -> None:
        with self._console_log.open("a") as log:
            log.write(text.replace("\r", ""))  # one from the kernel, one from the terminal
        self._scanner.feed(text)

    def _read_port(self) -> None:
        assert self._port is not None
        try:
            data = self._port.recv(1 << 16)
        except ConnectionResetError:
            data = b""  # QEMU died; its process is looked at below
        if not data:
            self._port.close()
            self._port = None
            self.ended = self._process.poll() is not None
            return
        self._take(data, lambda line: line)

    def _take(self, data: bytes, event: Callable[[str], str | None]) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        self.heard = time.monotonic()
        for line in lines:
            found = event(line.decode(errors="replace").rstrip("\r"))
            if found is not None:
                self.events.append(found)

    def send(self, line: str) -> None:
        """Ask the agent; where QEMU is gone that is heard afterwards."""
        if self._port is not None:
            with contextlib.suppress(OSError):
                self._port.sendall(f"{line}\n".encode())

    def exit(self) -> tuple[int | None, int | None]:
        """Return (exit status, signal) of a virtme-ng that ended."""
        status = self._process.wait()
        return (status, None) if status >= 0 else (None, -status)

    def close(self) -> None:
        """End QEMU by its pid, then virtme-ng, which ends by itself after QEMU."""
        if self._port is not None:
            self._port.close()
            self._port = None
        with contextlib.suppress(OSError, ValueError, pexpect.ExceptionPexpect):
            os.kill(int((self._private / "pid").read_text()), signal.SIGKILL)
            self._console.expect(pexpect.EOF, timeout=_VNG_END_S)
        self._end_group()
        self._process.wait()
        self._console.close()

    def _end_group(self) -> None:
        """End the guard, and with it virtme-ng and QEMU, if they are there."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._guard.pid, signal.SIGKILL)
        self._guard.communicate()


def _terminal() -> tuple[int, int]:
    """Open one that does not echo; return our end and the one to give away."""
    ours, theirs = os.openpty()
    mode = termios.tcgetattr(theirs)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(theirs, termios.TCSANOW, mode)
    return ours, theirs


def _batch_event(line: str) -> str | None:
    found = _BATCH_LINE.search(line)
    return found[1] if found else None
