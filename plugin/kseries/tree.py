"""A private work tree of a kernel source, and the series applied to it.

The user's tree is only ever read. The work tree is a copy (hard links where the cache owns the
source), and a file in it is rewritten only when its content changes, so that make rebuilds
what it must and nothing else.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import cache
from .errors import DoesNotApply, InfraError, UsageProblem
from .progress import Progress
from .series import Patch, Series
from .source import Source

# What a build in the user's own tree leaves behind, for a tree that comes without .gitignore: it is
# no source, and some of it breaks a build with O=. All at the top is looked at even so: the
# .gitignore of some of Debian's source packages has a line that says /*.
_PRODUCTS = (
    "!/*",
    ".*",
    "*.o",
    "*.a",
    "*.ko",
    "*.mod",
    "*.cmd",
    "/vmlinux",
    "/System.map",
    "/include/config/",
)
_MORE_PRODUCTS = ("/include/generated/", "/arch/*/include/generated/", "/modules.*", "*.tab.[ch]")


@dataclass(frozen=True)
class Stamp:
    """What a file was when it was last copied: stat and content."""

    size: int
    mtime_ns: int
    sha: str


class Tree:
    """A work tree in the cache for one source."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.name = source.digest or cache.key_of(source.root)
        self.home = cache.root() / "work" / self.name
        self.src = self.home / "src"
        self._overlay = self.home / "overlay.json"
        self.key = source.digest

    @property
    def is_settled(self) -> bool:
        """Whether there is nothing to bring up to the source: it is our own, and laid out."""
        return self.source.ours and self.src.is_dir()

    def sync(self, progress: Progress) -> None:
        """Bring the work tree up to the source, and learn `key`, the hash of its content.

        Raises InfraError where that was another one before: what is built is of one tree.
        """
        before = self.key
        self.home.mkdir(parents=True, exist_ok=True)
        with cache.disk_errors(f"copying {self.source.root}"):
            if self.source.ours:
                self._link(progress)
            else:
                self._copy(progress)
        if before not in ("", self.key):
            raise InfraError(
                f"{self.source.root} changed while it was being tested: stock and patched would not"
                " be of one tree; run it again"
            )

    def apply(self, series: Series) -> None:
        """Make the work tree source plus `series`, from whatever it held before.

        Raises DoesNotApply, with the work tree left as it was.
        """
        wanted = patched_files(self.source.root, series)
        with cache.disk_errors(f"writing {self.src}"):
            before = self._overlaid()
            names = sorted({*before, *wanted})
            # Written first: a run cut off below must still find what to put back.
            cache.replace(self._overlay, json.dumps(names).encode())
            contents = {
                name: wanted[name] if name in wanted else _content(self.source.root / name)
                for name in names
            }
            # A file may stand where a folder was, and the other way round: what goes, goes first.
            for name in sorted(names, key=lambda name: contents[name] is not None):
                _set(self.src, name, contents[name])
            cache.replace(self._overlay, json.dumps(sorted(wanted)).encode())

    def _overlaid(self) -> list[str]:
        """Name the files that are not as in the source, or were not when a run was cut off."""
        if not self._overlay.exists():
            return []
        try:
            names: list[str] = json.loads(self._overlay.read_text())
        except ValueError as error:
            raise InfraError(
                f"{self._overlay} is damaged ({error}): delete {self.home}, it is made again"
            ) from error
        return names

    def _link(self, progress: Progress) -> None:
        if self.src.is_dir():
            return
        progress.step(f"laying out a work tree of {self.source.name}")
        fresh = Path(tempfile.mkdtemp(prefix=".src-", dir=self.home))
        try:
            shutil.copytree(
                self.source.root, fresh, symlinks=True, copy_function=os.link, dirs_exist_ok=True
            )
            fresh.replace(self.src)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _copy(self, progress: Progress) -> None:
        manifest = self.home / "manifest.json"
        try:
            old = {k: Stamp(*v) for k, v in json.loads(manifest.read_text()).items()}
        except (OSError, ValueError, TypeError):
            old = {}
        overlaid = set(self._overlaid())
        new: dict[str, Stamp] = {}
        names = _source_files(self.source.root)
        for name in old.keys() - set(names):
            _set(self.src, name, None)
        for count, name in enumerate(names):
            if count % 2000 == 0:
                progress.step(f"copying {self.source.root}: {count} files")
            path = self.source.root / name
            try:
                stat = path.lstat()
            except FileNotFoundError:
                continue  # git lists it, the user deleted it
            was = old.get(name)
            if was and (was.size, was.mtime_ns) == (stat.st_size, stat.st_mtime_ns):
                new[name] = was
                continue
            content = _content(path)
            if content is None:
                continue  # a submodule's folder, a socket
            sha = hashlib.sha256(content.data).hexdigest()
            said = f"-> {content.data.decode(errors='replace')}" if content.link else sha
            new[name] = Stamp(stat.st_size, stat.st_mtime_ns, said)
            if name not in overlaid:
                _set(self.src, name, content)
        for name in old.keys() - new.keys():
            _set(self.src, name, None)
        listed = {k: (v.size, v.mtime_ns, v.sha) for k, v in new.items()}
        cache.replace(manifest, json.dumps(listed).encode())
        digest = hashlib.sha256()
        for name in sorted(new):
            digest.update(f"{name}\0{new[name].sha}\0".encode())
        self.key = digest.hexdigest()[:16]


@dataclass(frozen=True)
class Content:
    """What a file is: its bytes, and whether it is a script to call, or a symbolic link to them."""

    data: bytes
    executable: bool = False
    link: bool = False


def patched_files(root: Path, series: Series) -> dict[str, Content | None]:
    """Return each file that `series` touches with its new content, None where it is deleted.

    Raises DoesNotApply, naming the first patch that does not apply, and why.
    """
    touched = {name for patch in series.patches for name in patch.files}
    with tempfile.TemporaryDirectory(prefix="kseries-apply-") as folder:
        scratch = Path(folder)
        for name in touched:
            if not _in_the_way(root, name, set()) and (content := _content(root / name)):
                _set(scratch, name, content)
        for number, patch in enumerate(series.patches, 1):
            position = f"patch {number}/{len(series.patches)} of {series.source}"
            for name in patch.files:
                if said := _in_the_way(root, name, touched):
                    raise _does_not_apply(position, patch, said)
            _apply(scratch, patch, position)
        return {name: _content(scratch / name) for name in touched}


def _in_the_way(root: Path, name: str, touched: set[str]) -> str | None:
    """Say what stands in the tree where a patch has the file `name`, unless it is `touched`, too.

    git apply sees only what is touched.
    """
    if Path(name).is_absolute() or ".." in Path(name).parts:
        return f"{name} is outside of the tree"
    for above in list(Path(name).parents)[-2::-1]:
        path = root / above
        if (path.is_symlink() or path.is_file()) and str(above) not in touched:
            return f"{name}: {above} is no folder in this tree"
    path = root / name
    if path.is_dir() and not path.is_symlink():
        below = (file.relative_to(root) for file in path.rglob("*") if not file.is_dir())
        if any(str(file) not in touched for file in below):
            return f"{name} is a folder in this tree"
    return None


def _apply(scratch: Path, patch: Patch, position: str) -> None:
    """Apply one patch exactly (git apply knows no fuzz)."""
    # GIT_DIR points nowhere, so that a repository around the scratch folder is not found.
    environment = os.environ | {"GIT_DIR": str(scratch / ".no-repository"), "LC_ALL": "C"}
    done = subprocess.run(
        ["git", "apply", "--whitespace=nowarn", "-"],
        input=patch.text.encode(errors="surrogateescape"),
        cwd=scratch,
        env=environment,
        capture_output=True,
    )
    if done.returncode:
        raise _does_not_apply(position, patch, done.stderr.decode(errors="replace").strip())


def _does_not_apply(position: str, patch: Patch, said: str) -> DoesNotApply:
    return DoesNotApply(
        f'{position}, "{patch.subject}" ({patch.name}), does not apply:\n'
        + "\n".join(f"    {line}" for line in said.splitlines()[:8])
        + "\n    Rebase it on this tree, or name the tree it was made for with --kernel-tree.",
        patch=patch.name,
    )


def _content(path: Path) -> Content | None:
    if path.is_symlink():
        return Content(os.fsencode(path.readlink()), link=True)
    if not path.is_file():
        return None
    return Content(path.read_bytes(), executable=bool(path.stat().st_mode & 0o100))


def _set(top: Path, name: str, content: Content | None) -> None:
    """Give a file this content, or take it away; leave it alone when it is so already."""
    path = top / name
    if _content(path) == content:
        return
    if content is None:
        path.unlink()
        for above in list(path.relative_to(top).parents)[:-1]:
            if any((top / above).iterdir()):
                break
            (top / above).rmdir()
    elif content.link:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(os.fsdecode(content.data))
    else:
        cache.replace(path, content.data, mode=0o755 if content.executable else 0o644)


def _source_files(root: Path) -> list[str]:
    """List the source files of a user's tree, relative to it; build products are left out.

    Git lists them also where the tree is no repository: an empty one, elsewhere, stands in, so
    that the tree's own .gitignore files say what is a build product.
    """
    with tempfile.TemporaryDirectory(prefix="kseries-git-") as empty:
        command = ["git", "-C", str(root), "ls-files", "-z", "-co", "--exclude-standard"]
        environment = os.environ | {"GIT_OPTIONAL_LOCKS": "0"}
        if not (root / ".git").exists():
            subprocess.run(["git", "init", "-q", "--bare", empty], check=True, capture_output=True)
            environment |= {"GIT_DIR": empty, "GIT_WORK_TREE": str(root)}
            command += [f"--exclude={pattern}" for pattern in (*_PRODUCTS, *_MORE_PRODUCTS)]
        done = subprocess.run(command, capture_output=True, env=environment)
    if done.returncode:
        raise InfraError(f"git cannot list {root}: {done.stderr.decode().strip()}")
    names = set(done.stdout.decode(errors="surrogateescape").split("\0")) - {""}
    if "Makefile" not in names:
        raise UsageProblem(
            f"git lists {len(names)} files of {root}, and no Makefile among them: by its .gitignore"
            " the sources are build products. `git add` them, or mend that file."
        )
    return sorted(names)
