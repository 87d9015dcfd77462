"""A patch series: its patches in order, from a folder, an mbox or a git range."""

from __future__ import annotations

import email
import email.policy
import hashlib
import mailbox
import os
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from unidiff.errors import UnidiffParseError
from unidiff.patch import PatchSet

from .errors import UsageProblem

_SUBJECT_PREFIX = re.compile(r"^\s*(\[[^\]]*\]\s*)+")
_PART_OF_SERIES = re.compile(r"\[[^\]]*?(\d+)/(\d+)[^\]]*\]")


@dataclass(frozen=True)
class Patch:
    """One patch: `name` is how messages call it, `text` what `git apply` reads."""

    name: str
    subject: str
    text: str

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Paths it touches, old and new names alike, relative to the top of the tree."""
        found: dict[str, None] = {}
        for patched in PatchSet(self.text):
            for name in (patched.source_file, patched.target_file):
                if name != "/dev/null":
                    # Without its first folder, whatever that is called, as git apply has it.
                    name = _unquoted(name)
                    found[name.partition("/")[2] or name] = None
        return tuple(found)


@dataclass(frozen=True)
class Series:
    """Patches in order. `source` says for people where they came from."""

    patches: tuple[Patch, ...]
    source: str

    @cached_property
    def key(self) -> str:
        """Content hash (16 hex digits) over the patches' texts, words and diffs, in order."""
        digest = hashlib.sha256()
        for patch in self.patches:
            digest.update(hashlib.sha256(_bytes(patch.text)).digest())
        return digest.hexdigest()[:16]

    def changing(self, files: Iterable[str]) -> list[int]:
        """Return the lengths of the prefixes whose last patch touches one of `files`."""
        wanted = set(files)
        return [k for k, patch in enumerate(self.patches, 1) if wanted & set(patch.files)]

    def prefix(self, count: int) -> Series:
        """Return the first `count` patches as a series."""
        return Series(self.patches[:count], f"{self.source} (first {count})")


def _unquoted(name: str) -> str:
    """Undo git's quoting of a name with bytes that are no ASCII (core.quotePath)."""
    if len(name) < 2 or (name[0], name[-1]) != ('"', '"'):
        return name
    return os.fsdecode(name[1:-1].encode().decode("unicode_escape").encode("latin-1"))


def _bytes(text: str) -> bytes:
    """Undo the reading of a patch, which need not be UTF-8."""
    return text.encode(errors="surrogateescape")


def is_range(spec: str, base: Path) -> bool:
    """Whether `--kernel-series` names commits, for which the tree is needed, and no path."""
    return ".." in spec and not (base / spec).exists()


def load(spec: str, *, base: Path, tree: Path | None = None) -> Series:
    """Load what `--kernel-series` names: DIR, MBOX or A..B.

    `base` is where a relative path starts; `tree` is the git tree a range is looked up in.
    Raises UsageProblem for anything that is no series.
    """
    path = (base / spec).resolve()
    if path.is_dir():
        series = Series(tuple(_from_folder(path)), spec)
    elif path.is_file():
        series = Series(tuple(_from_mbox(path)), spec)
    elif is_range(spec, base) and tree is not None:
        series = Series(tuple(_from_range(spec, tree)), spec)
    else:
        raise UsageProblem(
            f"--kernel-series={spec}: no such folder or mbox"
            + ("" if tree else ", and a range A..B needs --kernel-tree=PATH of a git tree")
        )
    if not series.patches:
        raise UsageProblem(f"--kernel-series={spec}: holds no patch")
    return series


def _patch(name: str, text: str) -> Patch:
    """Make a Patch of an e-mail or a bare diff; reject what holds no diff."""
    try:
        holds_diff = bool(PatchSet(text))
    except UnidiffParseError as error:
        raise UsageProblem(f"patch {name} is damaged: {error}") from error
    if not holds_diff and "\nrename from " not in text and "\nold mode " not in text:
        raise UsageProblem(f"patch {name} holds no diff")
    subject = email.message_from_string(text, policy=email.policy.default).get("Subject") or name
    return Patch(name, _SUBJECT_PREFIX.sub("", " ".join(subject.split())), text)


def _from_folder(folder: Path) -> list[Patch]:
    order = folder / "series"
    if order.is_file():
        lines = (
            line.split("#")[0].strip() for line in order.read_text(errors="replace").splitlines()
        )
        names = [line.split()[0] for line in lines if line]
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise UsageProblem(f"{order} names {missing[0]}, which is not in {folder}")
    else:
        names = sorted(
            path.name
            for path in folder.iterdir()
            if path.suffix in (".patch", ".diff") and path.is_file()
        )
    return [_patch(name, (folder / name).read_text(errors="surrogateescape")) for name in names]


def _from_mbox(path: Path) -> list[Patch]:
    """Read the patch mails of an mbox, in the order their [PATCH k/n] tells."""
    found: list[tuple[int, Patch]] = []
    total = 0
    box = mailbox.mbox(path, create=False)
    try:
        for position, message in enumerate(box):
            subject = " ".join(str(message.get("Subject", "")).split())
            payload = message.get_payload(decode=True)
            text = payload.decode(errors="surrogateescape") if isinstance(payload, bytes) else ""
            if "\ndiff --git " not in text and not text.startswith("diff --git "):
                continue  # a cover letter, or a reply
            if re.match(r"re:", subject, re.IGNORECASE):
                continue
            part = _PART_OF_SERIES.search(subject)
            total = max(total, int(part[2]) if part else 0)
            name = _SUBJECT_PREFIX.sub("", subject) or f"mail {position + 1}"
            headed = f"Subject: {subject}\n\n{text}"
            found.append((int(part[1]) if part else position, _patch(name, headed)))
    finally:
        box.close()
    numbers = {number for number, _ in found}
    lost = [f"{k}/{total}" for k in range(1, total + 1) if k not in numbers]
    if lost:
        raise UsageProblem(f"{path} lacks patch {', '.join(lost)} of the series")
    return [patch for _, patch in sorted(found, key=lambda pair: pair[0])]


def begins_in(spec: str, tree: Path) -> str | None:
    """Return the commit that a range A..B starts from, if `tree` has some of it checked out.

    None where it has none, so that what is checked out is what the range is for. Raises
    UsageProblem for what git does not know.
    """
    commits = ("rev-list", "--end-of-options", spec)
    if _git(spec, tree, *commits, "^HEAD") == _git(spec, tree, *commits):
        return None
    ends = _git(spec, tree, "rev-parse", "--revs-only", "--end-of-options", spec).split()
    known = [end.removeprefix("^") for end in ends if end.startswith("^")]
    own = [end for end in ends if not end.startswith("^")]
    return _git(spec, tree, "merge-base", *known, *own).strip()


def _from_range(spec: str, tree: Path) -> list[Patch]:
    """Read the commits of a git range A..B, oldest first, without touching the tree."""
    asked = ("rev-list", "--reverse", "--no-merges", "--end-of-options", spec)
    commits = _git(spec, tree, *asked).split()
    texts = [
        _git(spec, tree, "format-patch", "-1", "--stdout", "--no-signature", c) for c in commits
    ]
    return [_patch(c[:12], text) for c, text in zip(commits, texts, strict=True)]


def _git(spec: str, tree: Path, *args: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(tree), *args],
        capture_output=True,
        text=True,
        errors="surrogateescape",
    )
    if done.returncode:
        raise UsageProblem(f"--kernel-series={spec}: git in {tree} says: {done.stderr.strip()}")
    return done.stdout
