"""Each patch stands alone: with it and those before it, what the series touches compiles."""

from __future__ import annotations

import pytest
from kseries.session import KEY, KernelSession
from kseries.verdict import PATCHED


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test for each prefix, the whole series included."""
    session = metafunc.config.stash.get(KEY, None)
    count = len(session.series.patches) if session else 0
    metafunc.parametrize("prefix", range(1, count + 1), ids=lambda k: f"prefix-{k}")


def test_prefix_compiles(kernel_session: KernelSession, prefix: int) -> None:
    series = kernel_session.series
    kernel_session.image(PATCHED)  # first: it leaves the objects that this configuration has
    touched = {name for patch in series.patches for name in patch.files if name.endswith(".c")}
    said = kernel_session.builder.try_files(series.prefix(prefix), sorted(touched))
    patch = series.patches[prefix - 1]
    assert not said, f'with patch {prefix}, "{patch.subject}" ({patch.name}): {said}'
