"""Killed before and after every outside call, one point at a time, then run again: nothing is lost or bought twice.

The points are taken from a recorded run, so that a new call is covered by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from istio_pca.bundle import KEY, ROOT, read
from istio_pca.checks import problems
from pca_emulator import Emulator, Scenario
from wire.conftest import Cli
from wire.test_ensure import config, files

SCRIPT = Path(__file__).with_name("killable.py")


@pytest.fixture(scope="module")
def authority() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


def killed(cli: Cli, wish: dict[str, Any], point: str = "") -> tuple[int, list[str]]:
    """Exit status (negative: the signal), and the calls that were made."""
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(cli.wheel),
        "ISTIO_PCA_CONFIG": json.dumps(wish),
        **cli.environment,
    }
    command = [sys.executable, "-P", str(SCRIPT), str(cli.folder / "out"), *filter(None, [point])]
    answer = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)
    return answer.returncode, answer.stdout.split()


def good(cli: Cli) -> bool:
    bundle, defects = read(files(cli))
    return bundle is not None and not defects and not problems(bundle, datetime.now(UTC))


def sweep(cli: Cli, emulator: Emulator, wish: dict[str, Any], prepare: Any) -> int:
    """Kill a fresh run at every point of the recorded one; returns how many points there were."""
    wheel, folder = cli.wheel, cli.folder

    def place(name: str) -> Cli:
        made = Cli(wheel, folder / name, cli.environment)
        prepare(made)
        return made

    status, calls = killed(place("recorded"), wish)
    assert status == 0
    points = [f"{side}:{number}" for number in range(1, len(calls) + 1) for side in ("before", "after")]
    for point in points:
        one = place(point.replace(":", "-"))
        before = files(one) if (one.secrets / "cacerts").exists() else {}
        bought = len(emulator.issued)

        status, made = killed(one, wish, point)

        assert status == -signal.SIGKILL, point
        assert made == calls[: len(made)], point
        there = (one.secrets / "cacerts").exists()
        assert there or not before, f"{point}: the old bundle is gone"
        assert not there or good(one), f"{point}: a bad bundle"
        one.result("ensure", **wish)
        after = files(one)
        assert good(one), point
        assert len(emulator.issued) == bought + 1, f"{point}: bought {len(emulator.issued) - bought}"
        assert not (one.secrets / "cacerts-pending").exists(), point
        assert emulator.issued[-1].certificate.public_key() == read(after)[0].key.public_key(), point  # type: ignore[union-attr]  # good
        assert not before or (after[ROOT] == before[ROOT] and after[KEY] != before[KEY]), point
    return len(points)


def test_killed_while_issuing(cli: Cli, authority: Emulator) -> None:
    """The first certificate: `cacerts` is absent or whole at every instant, and one is billed."""
    cli.environment = authority.environment()

    points = sweep(cli, authority, config(authority), lambda _: None)

    print(f"\n{points} points")
    assert points >= 2 * 9


def test_killed_while_renewing(cli: Cli, authority: Emulator) -> None:
    """A renewal: the old bundle stays in force until the new one is written, and one more is billed."""
    cli.environment = authority.environment()
    wish = config(authority, cacerts={"validity": "90d"})

    points = sweep(cli, authority, wish, lambda made: made.result("ensure", **config(authority)))

    print(f"\n{points} points")
    assert points >= 2 * 10
