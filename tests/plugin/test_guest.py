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
