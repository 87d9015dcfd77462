"""The options of the soak."""

from __future__ import annotations

import secrets

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--soak-seed",
        metavar="N|random",
        default="1",
        help="seed of the soak (default: 1); random picks one and prints it",
    )
    parser.addoption(
        "--soak-minutes",
        metavar="N",
        type=int,
        default=0,
        help="soak for about N minutes, with scenarios that the seed draws",
    )


def pytest_configure(config: pytest.Config) -> None:
    # xdist hands the controller's options to its workers: all of them get the same seed.
    if config.option.soak_seed == "random":
        config.option.soak_seed = str(secrets.randbelow(1 << 31))
    if not config.option.soak_seed.isdecimal():
        raise pytest.UsageError(f"--soak-seed={config.option.soak_seed}: a number, or random")


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed, minutes = config.option.soak_seed, config.option.soak_minutes
    again = f" --soak-minutes={minutes}" if minutes else ""
    return [f"soak: again with --soak-seed={seed}{again}"] if again or seed != "1" else []
