"""The cache folder: sources, work trees, objects, images. Safe to delete, safe to share."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
from filelock import FileLock, Timeout

from .errors import InfraError

# What a first run may ask for: 2.2 GiB were measured with the bundled series (docs/reference.md);
# the rest is for images of other series. tools/setup.sh reads it here.
NEEDED_MIB = 4096


def root() -> Path:
    """Return the cache folder, made if missing; the environment's KSERIES_CACHE overrides it."""
    named = os.environ.get("KSERIES_CACHE")
    path = Path(named) if named else Path(platformdirs.user_cache_dir("pytest-kseries"))
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InfraError(f"cannot make the cache folder {path}: {error}") from error
    return path.resolve()


def key_of(path: Path) -> str:
    """Name what is kept for a user's folder: 16 hex digits."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


def need_space() -> None:
    """Raise InfraError where a first run would not find the disk that it needs."""
    folder = root()
    free = shutil.disk_usage(folder).free >> 20
    if not (folder / "images").is_dir() and free < NEEDED_MIB:
        raise InfraError(
            f"{folder} has {free} MiB free, a first run needs {NEEDED_MIB} MiB: free some, or set"
            " KSERIES_CACHE to a folder on another disk"
        )


@contextmanager
def locked(name: str, timeout_s: float = 3600) -> Iterator[None]:
    """Hold the cache's lock `name`; other processes that want it wait.

    Raises InfraError after `timeout_s`: then somebody has been building for an hour.
    """
    folder = root() / "locks"
    lock = FileLock(folder / f"{name}.lock", timeout=timeout_s)
    try:
        folder.mkdir(exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise InfraError(
            f"waited {timeout_s:.0f} s for {folder / name}.lock: another run holds it"
        ) from error
    except OSError as error:
        raise InfraError(
            f"the cache folder {root()} cannot be written: {error}; KSERIES_CACHE names another"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Turn a full or broken disk under the body into an InfraError that says `what` was done."""
    try:
        yield
    except OSError as error:
        free = shutil.disk_usage(root()).free >> 20
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = (
                f"the disk of {root()} is full ({free} MiB left): free some, or set KSERIES_CACHE"
            )
        else:
            hint = f"{error} ({free} MiB left on the disk of {root()})"
        raise InfraError(f"{what} failed: {hint}") from error


def replace(path: Path, data: bytes, mode: int = 0o644) -> None:
    """Write a file in one step, with a fresh mtime, never through a hard link."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        fresh.write_bytes(data)
        fresh.chmod(mode)
        fresh.replace(path)
    finally:
        fresh.unlink(missing_ok=True)
