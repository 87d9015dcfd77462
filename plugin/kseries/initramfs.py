"""The root of a guest: the agent, the programs, a console. Nothing of the host is in it."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from virtme.cpiowriter import CpioWriter

from . import cache
from .compiler import compiled
from .errors import UsageProblem

# The C that is the plugin's own.
AGENT = Path(__file__).parent / "agent"
# Besides PATH: where daemons and administrators' tools lie.
_MORE_PATH = ("/usr/local/sbin", "/usr/sbin", "/sbin")
# A line of ldd: "NAME => FILE (ADDRESS)", or "FILE (ADDRESS)" of the dynamic loader.
_LIBRARY = re.compile(r"^\s*(?:\S+ => )?(/\S+) \(0x", re.MULTILINE)
# Where the host's loader looks besides its own folders.
_LOADER_CACHE = Path("/etc/ld.so.cache")


def build_programs(folder: Path) -> list[Path]:
    """Build the programs of a folder with a Makefile (`make -C DIR OUTPUT=...`), in the cache.

    Returns every executable that the build left in OUTPUT, which is another one as soon as a file
    of the folder comes, goes or is renamed: no program stays behind there when its source has gone.
    Raises UsageProblem when it fails.
    """
    files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))
    name = hashlib.sha256("\0".join([str(folder), *files]).encode()).hexdigest()[:16]
    output = cache.root() / "programs" / name
    with cache.locked(f"programs-{name}"), cache.disk_errors(f"building {folder}"):
        output.mkdir(parents=True, exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS")}
        done = subprocess.run(
            ["make", "-C", str(folder), f"-j{os.cpu_count()}", f"OUTPUT={output}"],
            env=environment,
            capture_output=True,
            text=True,
        )
    if done.returncode:
        raise UsageProblem(f"the guest programs of {folder} do not build:\n{done.stderr[-1500:]}")
    return sorted(p for p in output.iterdir() if p.is_file() and os.access(p, os.X_OK))


def host_tools(names: Sequence[str]) -> dict[str, bytes]:
    """Return the host's programs of these names with the shared libraries that each one needs.

    The keys are paths in the guest: /bin for a program, for a library where the host has it. A
    program that the host lacks, or whose libraries it lacks, is left out: its tests say so.
    """
    contents: dict[str, bytes] = {}
    for name in names:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_MORE_PATH])
        found = shutil.which(name, path=path)
        if found is None:
            continue
        libraries = _libraries(found)
        if libraries is None:
            continue
        contents[f"bin/{name}"] = Path(found).read_bytes()
        contents |= {library.lstrip("/"): Path(library).read_bytes() for library in libraries}
        if libraries and _LOADER_CACHE.is_file():
            contents[str(_LOADER_CACHE).lstrip("/")] = _LOADER_CACHE.read_bytes()
    return contents


def _libraries(program: str) -> list[str] | None:
    """Return the files that the loader takes for a program, [] for a static one.

    None when one of them is missing.
    """
    said = subprocess.run(
        ["ldd", program], env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True
    )
    return None if "=> not found" in said.stdout else _LIBRARY.findall(said.stdout)


def make(programs: Sequence[Path], more: Mapping[str, bytes] | None = None) -> Path:
    """Make an initramfs with the agent as /init and `programs` in /bin; cached by content.

    `more` are files by their path in it; a program goes before one of them.
    """
    contents = {
        **(more or {}),
        "init": _agent(),
        **{f"bin/{p.name}": p.read_bytes() for p in programs},
    }
    digest = hashlib.sha256()
    for name in sorted(contents):
        digest.update(f"{name}\0".encode() + hashlib.sha256(contents[name]).digest())
    path = cache.root() / "initramfs" / f"{digest.hexdigest()[:16]}.cpio.gz"
    if path.is_file():
        return path
    with cache.locked("initramfs"), cache.disk_errors("writing the guest's initramfs"):
        path.parent.mkdir(exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}")
        with part.open("wb") as raw, gzip.GzipFile("", "wb", 1, raw, mtime=0) as packed:
            writer = CpioWriter(packed)
            for folder in _folders(contents):
                writer.mkdir(folder.encode(), 0o755)
            writer.mkchardev(b"dev/console", (5, 1), 0o600)
            for name in sorted(contents):
                writer.write_file(name.encode(), body=contents[name], mode=0o755)
            writer.write_trailer()
        part.replace(path)
    return path


def _folders(names: Iterable[str]) -> list[str]:
    """Return the folders of an initramfs with these files, each one after the one it lies in."""
    folders = {"bin", "dev", "proc", "sys", "tmp", "run"}
    for name in names:
        folders |= {str(parent) for parent in PurePosixPath(name).parents}
    return sorted(folders - {"."})


def with_batch(initramfs: Path, commands: Sequence[Sequence[str]], path: Path) -> None:
    """Write `path`: the initramfs with a file /batch, a line a command, as the agent wants it.

    The kernel unpacks one archive after the other, so that the big one is not packed again.
    """
    text = "".join(f"{' '.join(argv)}\n" for argv in commands)
    packed = io.BytesIO()
    with gzip.GzipFile("", "wb", 1, packed, mtime=0) as file:
        writer = CpioWriter(file)
        writer.write_file(b"batch", body=text.encode(), mode=0o644)
        writer.write_trailer()
    path.write_bytes(initramfs.read_bytes() + packed.getvalue())


def _agent() -> bytes:
    """Compile the guest's init."""
    return compiled([AGENT / "init.c"], ["-static"]).read_bytes()
