"""Where a pristine kernel tree comes from: the distribution, a release tarball, or the user."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .errors import InfraError, UsageProblem
from .progress import Progress

DEBIAN_PACKAGE = "linux-source-6.12"
DEBIAN_TARBALL = Path("/usr/src/linux-source-6.12.tar.xz")
# Where releases and their checksums are published; KSERIES_MIRROR names another base (file:// too).
RELEASES = "https://cdn.kernel.org/pub/linux/kernel"
_RELEASE = re.compile(r"v(\d+)\.(\d+)(\.\d+)?")


@dataclass(frozen=True)
class Source:
    """A pristine tree. `ours` says that the cache owns it, so that it never changes.

    `digest` names the content of a tree of ours; of a user's tree it is empty (see tree.py).
    """

    root: Path
    name: str
    ours: bool
    digest: str = ""
    dirty: bool | None = None


def resolve(spec: str, base: Path, progress: Progress) -> Source:
    """Find or fetch what `--kernel-tree` names; `base` is where a relative path starts.

    Raises UsageProblem when there is no such kernel tree, or none can be had from here; InfraError
    when it arrives damaged or cannot be unpacked.
    """
    if spec == "debian":
        return _debian(progress)
    if _RELEASE.fullmatch(spec) and not (base / spec).exists():
        return _release(spec, progress)
    root = (base / Path(spec).expanduser()).resolve()
    _must_be_kernel(root, spec)
    return Source(root, *_describe(root))


def at_commit(source: Source, commit: str, progress: Progress) -> Source:
    """Check a commit of a user's git tree out, into the cache; nothing is written to the tree.

    What was checked out of the same tree before is only brought up to it. Raises InfraError where
    git cannot.
    """
    name = cache.key_of(source.root)
    home = cache.root() / "checkouts" / name
    what = f"checking {commit[:12]} of {source.root} out"
    with cache.locked(f"checkout-{name}"), cache.disk_errors(what):
        (home / "src").mkdir(parents=True, exist_ok=True)
        progress.step(what)
        git = ["git", "-C", str(source.root), f"--work-tree={home / 'src'}"]
        git += ["-c", "core.sparseCheckout=false", "-c", "core.fsmonitor=false"]
        done = subprocess.run(
            [*git, "read-tree", "--reset", "-u", commit],
            env=os.environ | {"GIT_INDEX_FILE": str(home / "index"), "GIT_OPTIONAL_LOCKS": "0"},
            capture_output=True,
            text=True,
        )
        if done.returncode:
            said = "\n".join(f"    {line}" for line in done.stderr.splitlines()[-3:])
            raise InfraError(f"{what} failed:\n{said}\n    The checkout is {home}.")
        _must_be_kernel(home / "src", str(source.root))
    said = f"{source.root} ({version(home / 'src')}, commit {commit[:12]})"
    return Source(home / "src", said, ours=False, dirty=False)


def version(root: Path) -> str:
    """Return a tree's version as its Makefile has it, such as 6.12.117."""
    head = (root / "Makefile").read_text(errors="replace")[:2000]
    parts: dict[str, str] = dict(
        re.findall(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION) *= *(\S*)", head, re.M)
    )
    numbers = [parts.get(k, "") for k in ("VERSION", "PATCHLEVEL", "SUBLEVEL")]
    return ".".join(n for n in numbers if n) + parts.get("EXTRAVERSION", "")


def _must_be_kernel(root: Path, spec: str) -> None:
    if not root.is_dir():
        raise UsageProblem(
            f"--kernel-tree={spec}: {root} is no folder"
            " (a path to a kernel tree, 'debian', or a release such as v6.12.30)"
        )
    wanted = ("Makefile", "Kconfig", "scripts/kconfig", "arch/x86", "init/main.c")
    missing = [name for name in wanted if not (root / name).exists()]
    if missing or not version(root):
        raise UsageProblem(
            f"--kernel-tree={spec}: {root} is no kernel source tree"
            f" ({', '.join(missing) or 'a VERSION in its Makefile'} missing)"
        )


def _describe(root: Path) -> tuple[str, bool, str, bool | None]:
    """Name a user's tree: (name, ours, digest, dirty); dirty is None outside git."""
    name = f"{root} ({version(root)})"
    if not (root / ".git").exists():
        return name, False, "", None
    environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}  # status must not write the index

    def git(*args: str) -> str | None:
        done = subprocess.run(
            ["git", "-C", str(root), *args], capture_output=True, text=True, env=environment
        )
        return done.stdout.strip() if done.returncode == 0 else None

    commit = git("rev-parse", "--short=12", "HEAD")
    status = git("status", "--porcelain")
    if commit is None or status is None:
        return name, False, "", None
    return f"{root} ({version(root)}, commit {commit})", False, "", bool(status)


def _debian(progress: Progress) -> Source:
    if not DEBIAN_TARBALL.is_file():
        raise UsageProblem(
            f"--kernel-tree=debian: {DEBIAN_TARBALL} is missing: apt-get install {DEBIAN_PACKAGE},"
            " or name a release (v6.12.30) or a folder instead"
        )
    asked = subprocess.run(
        ["dpkg-query", "-W", "-f=${Version}", DEBIAN_PACKAGE], capture_output=True, text=True
    )
    package = asked.stdout if asked.returncode == 0 else "unpackaged"
    return _unpacked(DEBIAN_TARBALL, f"{DEBIAN_PACKAGE} {package}", progress)


def _release(spec: str, progress: Progress) -> Source:
    """Take a release tarball, checked against its published SHA-256."""
    number = spec.removeprefix("v")
    mirror = os.environ.get("KSERIES_MIRROR", RELEASES).rstrip("/")
    folder = f"{mirror}/v{number.split('.')[0]}.x"
    name = f"linux-{number}.tar.xz"
    kept = cache.root() / "downloads" / name
    checked = kept.with_name(f"{name}.sha256")  # the published sum that it was checked against
    with cache.locked(f"download-{number}"), cache.disk_errors(f"downloading {name}"):
        known = checked.read_text() if checked.is_file() else None
        if known is None or not kept.is_file() or _sha256(kept) != known:
            wanted = _published_checksum(f"{folder}/sha256sums.asc", name, spec)
            _download(f"{folder}/{name}", kept, spec, progress)
            if _sha256(kept) != wanted:
                kept.unlink()
                raise InfraError(
                    f"--kernel-tree={spec}: {folder}/{name} does not have its published checksum"
                    f" {wanted}: the download was damaged or is not the release; try again"
                )
            cache.replace(checked, wanted.encode())
    return _unpacked(kept, f"linux {number}", progress)


def _published_checksum(url: str, name: str, spec: str) -> str:
    with _open(url, spec) as answer:
        listed = re.search(rf"^([0-9a-f]{{64}})\s+{re.escape(name)}$", answer.read().decode(), re.M)
    if listed is None:
        raise UsageProblem(f"--kernel-tree={spec}: {url} lists no {name}: no such release?")
    return listed[1]


def _download(url: str, target: Path, spec: str, progress: Progress) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_suffix(".part")
    try:
        with _open(url, spec) as answer, part.open("wb") as out:
            done = 0
            while chunk := answer.read(1 << 20):
                out.write(chunk)
                done += len(chunk)
                progress.step(f"downloading {target.name}: {done >> 20} MiB")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _open(url: str, spec: str) -> urllib.response.addinfourl:
    try:
        answer: urllib.response.addinfourl = urllib.request.urlopen(url, timeout=30)
    except (urllib.error.URLError, OSError) as error:
        raise UsageProblem(
            f"--kernel-tree={spec}: {url} cannot be reached ({getattr(error, 'reason', error)});"
            " offline, use --kernel-tree=debian or a folder, or KSERIES_MIRROR=file:///DIR with"
            " the tarball and sha256sums.asc under vN.x/"
        ) from error
    return answer


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpacked(tarball: Path, name: str, progress: Progress) -> Source:
    """Unpack a tarball into the cache, once for its content."""
    digest = _sha256(tarball)[:16]
    root = cache.root() / "sources" / digest
    with cache.locked(f"source-{digest}"), cache.disk_errors(f"unpacking {tarball}"):
        if not root.is_dir():
            root.parent.mkdir(exist_ok=True)
            progress.step(f"unpacking {tarball.name}")
            fresh = Path(tempfile.mkdtemp(prefix=".unpack-", dir=root.parent))
            try:
                done = subprocess.run(
                    ["tar", "-xf", str(tarball), "-C", str(fresh), "--strip-components=1"],
                    capture_output=True,
                    text=True,
                )
                if done.returncode:
                    free = shutil.disk_usage(fresh).free >> 20
                    said = "\n".join(f"    {line}" for line in done.stderr.splitlines()[-3:])
                    raise InfraError(
                        f"unpacking {tarball} failed, {free} MiB are left on the disk of"
                        f" {cache.root()}:\n{said}"
                    )
                fresh.chmod(0o755)
                fresh.replace(root)
            finally:
                shutil.rmtree(fresh, ignore_errors=True)
    _must_be_kernel(root, str(tarball))
    return Source(root, f"{name} ({version(root)})", ours=True, digest=digest)
