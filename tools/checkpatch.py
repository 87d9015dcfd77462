"""Hold the patches and this project's own C against the tree's checkpatch.pl --strict.

Usage: checkpatch.py TREE   (what --kernel-tree takes)
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from kseries.progress import Silent
from kseries.source import resolve

TOP = Path(__file__).resolve().parent.parent


def main() -> int:
    """Return 1 when anything is reported."""
    tree = resolve(sys.argv[1], TOP, Silent()).root
    base = ["perl", str(tree / "scripts/checkpatch.pl"), f"--root={tree}", "--strict"]
    base += ["--terse", "--no-summary"]
    patches = sorted((TOP / "patches").glob("[0-9]*.patch"))
    patches += sorted((TOP / "patches/designs").glob("*/[0-9]*.patch"))
    patches += sorted((TOP / "patches/trials").glob("**/*.patch"))
    folders = ("kselftests", "plugin/kseries/agent", "tests/series/ptr_ring")
    ours = sorted(path for folder in folders for path in (TOP / folder).glob("**/*.[ch]"))
    failed = False
    for arguments in ([*map(str, patches)], ["-f", *map(str, ours)]):
        # It leaves a file in the folder it runs in, and takes a repository there for its own.
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([*base, *arguments], cwd=folder, capture_output=True, text=True)
        failed |= done.returncode != 0 or bool(done.stdout.strip())
        # On stderr is only what spdxcheck.py misses in our environment; its answer counts as good.
        print(done.stdout.replace(f"{TOP}/", ""), end="")
    print(f"checkpatch: {len(patches)} patches, {len(ours)} files: {'not ' if failed else ''}clean")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
