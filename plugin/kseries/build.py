"""Builds a kernel image of a tree and a series, as an increment on the last build, cached."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache as once
from importlib import resources
from pathlib import Path

from . import cache
from .compiler import compiler, first_error, first_warning, linker, machine_trouble
from .errors import DoesNotCompile, InfraError, UsageProblem, tail
from .fragments import fallen_out, read_fragment
from .progress import Progress
from .series import Series
from .tree import Tree

_OBJECT = re.compile(r"^\s+(CC|AS|HOSTCC|AR|LD)\s")
# The same in what `make --dry-run` says.
_PLANNED = re.compile(r"echo '  (CC|AS|HOSTCC|AR|LD) ")
_NOT_OURS = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "O", "KBUILD_OUTPUT")
_FAILED_OBJECT = re.compile(r"\*\*\* \[[^\]]*: (\S+\.o)\] Error")
_KCONFIG_ERROR = re.compile(r"^\S*Kconfig\S*:\d+:.*", re.M)


@dataclass(frozen=True)
class Image:
    """A built kernel. `folder` holds bzImage, vmlinux, config, build.log and image.json."""

    folder: Path
    kernel: str
    key: str
    release: str
    compiler: str
    built_s: float

    @property
    def bzimage(self) -> Path:
        """The bootable image."""
        return self.folder / "bzImage"

    @property
    def vmlinux(self) -> Path:
        """The same kernel with symbols, for decoding traces."""
        return self.folder / "vmlinux"

    @property
    def config(self) -> Path:
        """Its .config."""
        return self.folder / "config"


class Builder:
    """Builds images of one tree with one configuration.

    `fragments` are config fragments merged in order over tinyconfig and the plugin's base.config.
    """

    def __init__(self, tree: Tree, fragments: Sequence[Path], progress: Progress) -> None:
        self._tree = tree
        self._progress = progress
        base = resources.files("kseries").joinpath("base.config").read_text()
        self._config = base + "".join(read_fragment(path) for path in fragments)
        self._obj = tree.home / f"obj-{_digest(self._config)}"
        self._log = self._obj / "build.log"

    def key(self, series: Series | None) -> str:
        """Name the image that `series` (None: stock) gives: tree, series, config, compiler."""
        return _digest(
            self._tree.key, series.key if series else "", self._config, compiler(), linker()
        )

    def image(self, kernel: str, series: Series | None) -> Image:
        """Return the image of `kernel`, built unless the cache holds it.

        Raises DoesNotApply or DoesNotCompile for a finding on the series, InfraError otherwise.
        """
        # Of a tree that cannot change the image is known at once, whatever else is being built.
        if self._tree.is_settled and (image := self._there(kernel, series)):
            return image
        with cache.locked(f"tree-{self._tree.name}"):
            self._tree.sync(self._progress)
            if image := self._there(kernel, series):
                return image
            self._tree.apply(series or Series((), "stock"))
            with cache.disk_errors(f"building {kernel}"), self._cut_off():
                return self._build(kernel, series, self._folder(series))

    def try_files(self, series: Series, sources: Sequence[str]) -> str:
        """Compile C files of the tree with `series` on it.

        Returns the first error or warning, or "". Files that this configuration leaves out are left
        out, where it was built here. What came of it is kept.
        """
        what = f"compiling {series.source}"
        with cache.locked(f"tree-{self._tree.name}"), cache.disk_errors(what):
            self._tree.sync(self._progress)
            kept = cache.root() / "compiled" / _digest(self.key(series), *sources)
            if kept.is_file():
                return kept.read_text()
            self._tree.apply(series)
            with self._cut_off():
                new = any("Kconfig" in name for patch in series.patches for name in patch.files)
                if new or not (self._obj / ".config").exists():
                    self._configure(series.source, series)
                there = [name for name in sources if (self._tree.src / name).exists()]
                wanted = [str(Path(name).with_suffix(".o")) for name in there]
                if (self._obj / "vmlinux.a").exists():
                    wanted = [name for name in wanted if (self._obj / name).exists()]
                said = self._try(wanted, what) if wanted else ""
            cache.replace(kept, said.encode())
            return said

    def _try(self, objects: Sequence[str], what: str) -> str:
        """Make objects anew; return the first error or warning, or ""."""
        for name in objects:  # one that is up to date would say nothing
            if (self._obj / name).exists():
                os.utime(self._obj / name, (0, 0))
        failed = self._make(objects, what)
        log = self._log.read_text(errors="replace")
        if failed:
            return first_error(log, self._tree.src)
        return first_warning(log, self._tree.src)

    def _folder(self, series: Series | None) -> Path:
        return cache.root() / "images" / self.key(series)

    def _there(self, kernel: str, series: Series | None) -> Image | None:
        """Return the image that the cache holds, whole, or None."""
        folder = self._folder(series)
        try:
            image = Image(folder, kernel, **json.loads((folder / "image.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None
        parts = (image.bzimage, image.vmlinux, image.config)
        return image if all(part.is_file() for part in parts) else None

    def _build(self, kernel: str, series: Series | None, folder: Path) -> Image:
        began = time.monotonic()
        self._configure(kernel, series)
        failed = self._make(["bzImage"], f"building {kernel}", self._objects(kernel))
        if failed:
            self._explain(kernel, series)
        release = (self._obj / "include/config/kernel.release").read_text().strip()
        took = time.monotonic() - began
        image = Image(folder, kernel, folder.name, release, compiler(), took)
        self._keep(image)
        self._progress.step(f"built {kernel} ({release}) in {took:.0f} s", done=True)
        return image

    def _keep(self, image: Image) -> None:
        folder = image.folder
        folder.parent.mkdir(exist_ok=True)
        fresh = Path(tempfile.mkdtemp(prefix=".image-", dir=folder.parent))
        try:
            for name in ("arch/x86/boot/bzImage", "vmlinux", ".config", "build.log"):
                target = fresh / Path(name).name.removeprefix(".")
                shutil.copyfile(self._obj / name, target)
            facts = {k: v for k, v in asdict(image).items() if k not in ("folder", "kernel")}
            (fresh / "image.json").write_text(json.dumps(facts))
            fresh.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.replace(folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    @contextmanager
    def _cut_off(self) -> Iterator[None]:
        """Hold a mark beside the objects; where a killed run left one, what it wrote goes first.

        An object that is half written is newer than its source, and a .config may lack our lines:
        make would take both for good.
        """
        self._obj.mkdir(exist_ok=True)
        mark = self._obj / ".building"
        if mark.exists():
            self._progress.step(f"the last build was cut off: clearing what it left in {self._obj}")
            since = mark.stat().st_mtime_ns
            for folder, _, names in os.walk(self._obj):  # not through the link to the source
                for path in (Path(folder, name) for name in names):
                    if path != mark and path.lstat().st_mtime_ns >= since:
                        path.unlink()
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    def _configure(self, kernel: str, series: Series | None) -> None:
        """Make .config of the fragments; name the options that fell out, and stop.

        Stock goes first: what fails or falls out after that is the series' doing.
        """
        config = self._obj / ".config"
        try:
            if not config.exists():
                self._progress.step(f"configuring {kernel}")
                self._configured("tinyconfig", kernel, series)
                config.write_text(config.read_text() + self._config)
            self._configured("olddefconfig", kernel, series)
            lost = "\n".join(f"    {line}" for line in fallen_out(self._config, config.read_text()))
            if lost and series:
                raise DoesNotCompile(
                    f"with the series, options of the config fragments fall out:\n{lost}"
                )
            if lost:
                raise UsageProblem(
                    "these options of the config fragments fell out (a dependency is missing, or"
                    f" this tree has no such option):\n{lost}"
                )
        except BaseException:
            config.unlink(missing_ok=True)  # the next run starts from the fragments again
            raise

    def _configured(self, target: str, kernel: str, series: Series | None) -> None:
        if not self._make([target], f"configuring {kernel}"):
            return
        said = f"make {target} of the {kernel} kernel fails"
        if series is None:
            raise InfraError(f"{said}:\n{tail(self._log)}")
        log = self._log.read_text(errors="replace")
        error = _KCONFIG_ERROR.search(log)
        first = error[0] if error else first_error(log, self._tree.src)
        raise DoesNotCompile(f"{said}: {first}\n{tail(self._log)}")

    def _objects(self, kernel: str) -> int:
        """Ask make how many objects a first build has; a later one has few, and asks nothing."""
        if (self._obj / "vmlinux.a").exists():
            return 0
        self._make(["prepare"], f"configuring {kernel}")  # if this fails, so does the build
        with self._running("--dry-run", "--keep-going", "bzImage") as make:
            return sum(bool(_PLANNED.search(line)) for line in _lines(make))

    def _make(self, targets: Sequence[str], what: str, total: int = 0) -> int:
        """Run make; returns its status. The log is written anew, lines counted as they come.

        Raises InfraError where the machine is to blame that it failed.
        """
        count = 0
        with self._log.open("w") as log, self._running(*targets) as process:
            for line in _lines(process):
                log.write(line)
                if _OBJECT.match(line):
                    count += 1
                    of = f" of about {total}" if total > count else ""
                    self._progress.step(f"{what}: {count}{of} objects")
            status = process.wait()
        if status and (trouble := machine_trouble(self._log.read_text(errors="replace"))):
            raise InfraError(f"{what} failed: {trouble}\n{tail(self._log)}")
        return status

    @contextmanager
    def _running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Start make on this configuration; whatever it started ends with the block."""
        where = ["-C", str(self._tree.src), f"O={self._obj}"]
        jobs = f"-j{len(os.sched_getaffinity(0)) + 1}"
        process = subprocess.Popen(
            ["make", *where, jobs, *_compiler_choice(), *arguments],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            process_group=0,
        )
        try:
            yield process
        finally:
            _end(process)

    def _explain(self, kernel: str, series: Series | None) -> None:
        """Raise what a failed build means: the first error, its file, the patch that brought it."""
        text = self._log.read_text(errors="replace")
        kept = cache.root() / f"failed-{kernel}.log"
        shutil.copyfile(self._log, kept)
        error = first_error(text, self._tree.src)
        if series is None:
            raise InfraError(f"the {kernel} kernel does not compile: {error}\n{tail(kept)}")
        failed = _FAILED_OBJECT.search(text)
        # What fails only when it is linked, or in a Makefile, has no object to try.
        blamed = self._blame(series, failed[1] if failed else "vmlinux")
        if blamed is None:
            patch, by = None, "no single patch could be blamed"
        else:
            patch = series.patches[blamed - 1]
            by = f'since patch {blamed}/{len(series.patches)}, "{patch.subject}" ({patch.name})'
        raise DoesNotCompile(
            f"the series does not compile, {by}:\n    {error}\n    whole log: {kept}",
            patch=patch.name if patch else None,
            log=kept,
        )

    def _blame(self, series: Series, target: str) -> int | None:
        """Find the shortest prefix with which `target` does not compile, by bisection."""
        good, bad = 0, len(series.patches)
        while bad - good > 1:
            middle = (good + bad) // 2
            self._tree.apply(series.prefix(middle))
            if self._make([target], f"finding the patch: prefix {middle}"):
                bad = middle
            else:
                good = middle
        if good == 0:  # the first patch, or nothing of the series at all
            self._tree.apply(Series((), "stock"))
            if self._make([target], "finding the patch: stock"):
                return None
        return bad


def _environment() -> dict[str, str]:
    """Make's: the same build everywhere, and nothing of a `make` that we may run below."""
    environment = os.environ | {
        "KBUILD_BUILD_USER": "kseries",
        "KBUILD_BUILD_HOST": "kseries",
        "KBUILD_BUILD_VERSION": "1",
        "KBUILD_BUILD_TIMESTAMP": "Thu Jan  1 00:00:00 UTC 1970",
        "CCACHE_DIR": str(cache.root() / "ccache"),
        # Objects of another config are in another folder, and many are the same all the same.
        "CCACHE_NOHASHDIR": "1",
        "LC_ALL": "C",
    }
    return {name: value for name, value in environment.items() if name not in _NOT_OURS}


@once
def _compiler_choice() -> tuple[str, ...]:
    return ("CC=ccache gcc",) if shutil.which("ccache") else ()


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _lines(process: subprocess.Popen[str]) -> Iterator[str]:
    assert process.stdout is not None
    yield from process.stdout


def _end(process: subprocess.Popen[str]) -> None:
    """End make and all it started; only what is ours, by its process group."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
