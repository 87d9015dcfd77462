"""Every test of the plugin: a cache of its own, and QEMU's version from a stand-in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

# matplotlib and scipy once for all: pytester takes modules back, and numpy loads but once. A figure
# imports more of matplotlib than its backend does.
import matplotlib.backends.backend_svg
import matplotlib.figure  # noqa: F401
import pytest
import scipy.stats  # noqa: F401
from hypothesis import settings
from kseries import compiler, lane

from .projects import ROOT, Project

# Few and quick: these run on busy machines; deadlines would only measure those.
settings.register_profile("kseries", max_examples=25, deadline=None, database=None)
settings.load_profile("kseries")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep every test out of the user's cache, and from the user's git configuration."""
    monkeypatch.setenv("KSERIES_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.delenv("KSERIES_MIRROR", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Put stand-ins for QEMU and a compiler first on the PATH, versions known, also to workers."""
    folder = tmp_path / "tools"
    folder.mkdir()
    said = {"qemu-system-x86_64": "QEMU emulator version 7.2.0", "gcc": "gcc 12.2.0"}
    others = {name: name for name in ("ld", "flex", "bison", "bc", "make", "perl", "xz")}
    for name, words in (said | others).items():
        (folder / name).write_text(f"#!/bin/sh\necho '{words}'\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}{os.pathsep}{ROOT / 'plugin'}")
    remembered = (lane.qemu_version, compiler.compiler, compiler.linker)
    for function in remembered:
        function.cache_clear()
    yield folder
    for function in remembered:
        function.cache_clear()


@pytest.fixture
def project(pytester: pytest.Pytester, tools: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)
    monkeypatch.syspath_prepend(str(ROOT))
    return Project(pytester)
