"""The pytest plugin: options, registration, and an end that leaves no guest; nothing else."""

from __future__ import annotations

import signal
import threading
from collections.abc import Generator

import pytest

from . import settings
from .collection import Collection
from .controller import Controller, WithoutTree
from .errors import UsageProblem
from .fixtures import (
    kernel_guest,
    kernel_image,
    kernel_run,
    kernel_series,
    kernel_session,
    kernel_tree,
)
from .halves import Halves
from .progress import Silent
from .session import KEY, KernelSession, worker_name

__all__ = [
    "kernel_guest",
    "kernel_image",
    "kernel_run",
    "kernel_series",
    "kernel_session",
    "kernel_tree",
]

# By the first a CI job is cancelled, by the second a terminal goes.
_ENDING = (signal.SIGTERM, signal.SIGHUP)
MARKS = (
    'kernel_case(kind, reason="", figures=()): what a test of both kernels claims: "fixes" (fails'
    ' on stock, passes on patched), "keeps", "same" (the named figures are equal) or "changes"',
    "kernel_program(*name_and_args, deadline_s=60, variations=(), alone=False): the KTAP program"
    " that kernel_run runs in the guest; {param} stands for a parameter of the test",
    'throughput(metric, *, max_increase=... or max_decrease=..., reason=..., lane="exact"):'
    ' measure, and hold patched to stock (0.05: 5 %); lane="wall" is real time',
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register the options."""
    settings.add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks and, by what was asked for, the parts of the plugin."""
    for mark in MARKS:
        config.addinivalue_line("markers", mark)
    config.pluginmanager.register(Collection(), "kseries-collection")
    try:
        chosen = settings.load(config)
    except UsageProblem as error:
        raise pytest.UsageError(str(error)) from error
    if chosen is None:
        config.pluginmanager.register(WithoutTree(), "kseries-without-tree")
        return
    session = KernelSession(chosen, Silent(), worker_name(config))
    config.stash[KEY] = session
    _end_in_order(config)
    config.pluginmanager.register(Halves(), "kseries-halves")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Controller(config, session), "kseries-controller")


def _end_in_order(config: pytest.Config) -> None:
    """Have SIGTERM and SIGHUP do what ctrl-C does: no guest is left."""
    if threading.current_thread() is not threading.main_thread():
        return
    # nohup(1) has SIGHUP ignored.
    wanted = [s for s in _ENDING if signal.getsignal(s) is not signal.SIG_IGN]
    before = {s: signal.signal(s, signal.default_int_handler) for s in wanted}

    def restore() -> None:
        for ending, handler in before.items():
            signal.signal(ending, handler)

    config.add_cleanup(restore)


@pytest.hookimpl(wrapper=True)
def pytest_unconfigure(config: pytest.Config) -> Generator[None]:
    """End the guests of this process, whatever happened before."""
    try:
        yield
    finally:
        session = config.stash.get(KEY, None)
        if session is not None:
            session.close()
