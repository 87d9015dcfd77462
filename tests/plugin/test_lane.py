"""Which lane guests execute in, and what a probe guest found."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from kseries import lane
from kseries.errors import UsageProblem
from kseries.lane import NS_PER_INSTRUCTION, Lane, choose, qemu_arguments, qemu_version, why_no_kvm

pytestmark = pytest.mark.usefixtures("tools")


class Probe:
    """A probe guest with a known end, and how often it was booted."""

    def __init__(self, trouble: str | None = None) -> None:
        self.trouble = trouble
        self.boots = 0

    def __call__(self) -> str | None:
        self.boots += 1
        return self.trouble


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    monkeypatch.setattr(lane, "_KVM_DEVICE", path)
    return path


def test_kvm_where_the_probe_boots(device: Path) -> None:
    assert choose("auto", Probe()) == (Lane.KVM, "a probe guest booted with KVM")
    assert choose("kvm", Probe())[0] is Lane.KVM


def test_tcg_where_the_probe_does_not(device: Path) -> None:
    assert choose("auto", Probe("no answer")) == (Lane.TCG, "no KVM: no answer")


def test_a_probe_is_remembered_and_asked_again_where_that_is_damaged(
    device: Path, own_cache: Path
) -> None:
    probe = Probe("no answer")
    assert choose("auto", probe) == choose("auto", probe) == (Lane.TCG, "no KVM: no answer")
    assert probe.boots == 1
    (kept,) = own_cache.glob("kvm-probe-*.json")
    kept.write_text("{")
    assert choose("auto", probe) == (Lane.TCG, "no KVM: no answer")
    assert probe.boots == 2


def test_tcg_without_a_device_asks_no_probe(device: Path) -> None:
    device.unlink()
    probe = Probe()
    assert choose("auto", probe) == (Lane.TCG, f"no KVM: {device} does not exist")
    assert probe.boots == 0


def test_a_device_that_may_not_be_opened(device: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert why_no_kvm() == f"{device} may not be opened by this user"


def test_kvm_asked_for_and_not_there(device: Path) -> None:
    with pytest.raises(UsageProblem, match="--kernel-lane=kvm: no answer"):
        choose("kvm", Probe("no answer"))


@pytest.mark.parametrize("wanted", ["tcg", "exact"])
def test_functional_cases_never_run_in_exact(device: Path, wanted: str) -> None:
    probe = Probe()
    assert choose(wanted, probe) == (Lane.TCG, f"--kernel-lane={wanted}")
    assert probe.boots == 0


@pytest.mark.parametrize("trouble", [None, "no answer"])
def test_a_probe_is_remembered(device: Path, trouble: str | None) -> None:
    probe = Probe(trouble)
    first = choose("auto", probe)
    assert choose("auto", probe) == first
    assert probe.boots == 1


def test_a_probe_is_forgotten_when_the_device_changes(device: Path) -> None:
    probe = Probe()
    choose("auto", probe)
    device.chmod(0o600)
    choose("auto", probe)
    assert probe.boots == 2


def test_a_probe_is_forgotten_when_qemu_changes(device: Path, tools: Path) -> None:
    probe = Probe()
    choose("auto", probe)
    (tools / "qemu-system-x86_64").write_text("#!/bin/sh\necho QEMU emulator version 10\n")
    qemu_version.cache_clear()
    choose("auto", probe)
    assert probe.boots == 2


def test_no_qemu(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(UsageProblem, match="qemu-system-x86_64 is missing: `make setup`"):
        qemu_version()


def test_what_qemu_is_told() -> None:
    assert qemu_arguments(Lane.KVM) == []
    assert qemu_arguments(Lane.TCG) == ["-accel", "tcg,thread=multi"]
    exact = " ".join(qemu_arguments(Lane.EXACT))
    assert "tcg,thread=single" in exact
    assert "base=2026-01-01" in exact
    assert "-rdrand,-rdseed" in exact
    shift = int(exact.partition("shift=")[2].partition(",")[0])
    assert 2**shift == NS_PER_INSTRUCTION
