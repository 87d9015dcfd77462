"""Who is to blame where a guest is gone: its kernel, or what runs it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from kseries import launch
from kseries.build import Image
from kseries.errors import GuestCrashed, InfraError
from kseries.guest import Guest
from kseries.lane import Lane

REFUSES = "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory"
WARNS = "qemu-system-x86_64: warning: TCG doesn't support requested feature"


def _image(folder: Path) -> Image:
    (folder / "config").write_text("CONFIG_TINY=y\n")
    return Image(folder, "patched", "0" * 16, "6.12.99", "gcc", 1.0)


def _booted(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Guest:
    """Boot what a shell script does in virtme-ng's place."""
    monkeypatch.setattr(launch, "command", lambda *_, **__: ["/bin/sh", "-c", script])
    guest = Guest(_image(folder), Lane.TCG, folder / "root", folder / "logs", "patched-1")
    try:
        guest.boot()
    finally:
        guest.close()
    return guest


# virtme-ng ends with 0 also where its QEMU ended with 1.
def test_a_qemu_that_refuses_is_infra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfraError) as caught:
        _booted(tmp_path, monkeypatch, f'echo "{REFUSES}" >&2')
    assert str(caught.value).startswith("patched kernel: QEMU or virtme-ng ended while booting")
    assert REFUSES in str(caught.value)


def test_a_guest_without_a_port_is_infra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InfraError, match="kseries: no port to the host"):
        _booted(tmp_path, monkeypatch, "echo 'kseries: no port to the host'")


def test_a_reset_is_the_kernels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = f'echo "{WARNS}" >&2; printf "one\\r\\ntwo\\r\\n"'
    with pytest.raises(GuestCrashed, match="the guest reset or powered off") as caught:
        _booted(tmp_path, monkeypatch, script)
    assert caught.value.kind == "reset"
    assert (tmp_path / "logs/console-patched-1.log").read_text() == "one\ntwo\n"


WARNING = "WARNING: CPU: 0 PID: 1 at net/core/dev.c:1 dev_xmit+0x1/0x2"


@pytest.mark.parametrize(
    ("said", "kinds"),
    [("", ["reset"]), (WARNING, ["warning", "reset"]), ("Oops: 0000 [#1]", ["oops"])],
)
def test_what_ends_a_guest_is_told_apart_from_what_it_said_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, kinds: list[str]
) -> None:
    port = f"""
import socket, sys
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
port, _ = server.accept()
port.sendall(b"hello 1\\n")
port.recv(99)
print({said!r})
"""
    monkeypatch.setattr(
        launch,
        "command",
        lambda *args, **_: [sys.executable, "-c", port, f"{args[5]}/port"],
    )
    guest = Guest(_image(tmp_path), Lane.TCG, tmp_path / "root", tmp_path / "logs", "patched-1")
    guest.boot()
    ran = guest.run(["program"], 1000)
    guest.close()
    assert ran.ended is None
    assert [splat.kind for splat in ran.splats] == kinds


SERVES = """
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
port, _ = server.accept()
port.sendall(b"hello 1\\n")
for line in port.makefile():
    _, number, deadline, *argv = line.split()
    if argv[0] == "crashes":
        break
    if argv[0] == "loud":
        os.write(1, b"." * (1 << 20))
    if argv[0] == "warns":
        print(WARNING, flush=True)
    port.sendall(f"out {number} {argv[0]} is number {number}\\nend {number} exit 0 1\\n".encode())
    if argv[0] == "late":
        time.sleep(0.2)
        print(WARNING, flush=True)
    if argv[0] == "dies":
        break
"""


def _serving(
    folder: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...] = ("patched",)
) -> list[Guest]:
    """Boot guests that answer with the program's name and its number."""
    script = SERVES.replace("WARNING", repr(WARNING))
    monkeypatch.setattr(
        launch,
        "command",
        lambda *args, **_: [sys.executable, "-c", script, f"{args[5]}/port"],
    )
    guests = [
        Guest(_image(folder), Lane.TCG, folder / "root", folder / "logs", name) for name in names
    ]
    for guest in guests:
        guest.boot()
    return guests


def test_what_was_begun_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (guest,) = _serving(tmp_path, monkeypatch)
    guest.begin(["a"], 1000)
    guest.begin(["a"], 1000)
    lines = [guest.run([name], 1000).lines for name in "aab"]
    guest.close()
    assert lines == [["a is number 1"], ["a is number 2"], ["b is number 3"]]


def test_what_was_begun_for_another_is_not_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (guest,) = _serving(tmp_path, monkeypatch)
    guest.begin(["warns"], 1000)
    rans = [guest.run(["a"], 1000), guest.run(["a"], 1000)]
    guest.begin(["a"], 1000)
    rans.append(guest.run(["a"], 999))
    guest.close()
    assert [ran.lines for ran in rans] == [
        ["a is number 2"],
        ["a is number 3"],
        ["a is number 5"],
    ]
    # Yet what the kernel said is not lost with it.
    assert [len(ran.splats) for ran in rans] == [1, 0, 0]


def test_what_is_said_late_is_told_with_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _serving(tmp_path, monkeypatch, ("stock", "patched"))
    second.meanwhile = first.listen
    assert first.run(["late"], 1000).splats == []
    for _ in range(2000):
        assert second.run(["a"], 1000).splats == []
        if first.scanner.splats:
            break
    assert [splat.kind for splat in first.run(["b"], 1000).splats] == ["warning"]
    for guest in (first, second):
        guest.close()


# A console takes some kilobytes; a guest that nobody listens to would stand still there.
def test_a_guest_goes_on_while_another_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _serving(tmp_path, monkeypatch, ("stock", "patched"))
    first.begin(["loud"], 1000)
    second.meanwhile = first.listen
    for _ in range(2000):
        assert second.run(["a"], 1000).ended
        if first.console_log.stat().st_size >= 1 << 20:
            break
    assert first.console_log.stat().st_size == 1 << 20
    assert first.run(["loud"], 1000).lines == ["loud is number 1"]
    for guest in (first, second):
        guest.close()


def test_a_guest_that_died_meanwhile_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _serving(tmp_path, monkeypatch, ("stock", "patched"))
    assert first.run(["dies"], 1000).ended
    while first.listen():
        pass
    ran = first.run(["a"], 1000)
    assert [splat.kind for splat in ran.splats] == ["reset"]
    second.begin(["crashes"], 1000)
    with pytest.raises(GuestCrashed, match="did not live to run b") as caught:
        second.run(["b"], 1000)
    assert caught.value.kind == "reset"
    second.close()
