"""Killed before and after every outside call, with Secrets in a folder: nothing is lost or bought twice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from istio_pca.directory import DirectorySecrets
from kill_sweep import RUNS, Kind, Place, sweep
from pca_emulator import Emulator, Scenario
from reliability_rows import KILL_POINTS


@pytest.fixture(scope="module")
def authority() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


@pytest.mark.parametrize("run", RUNS)
def test_killed(wheel: Path, tmp_path: Path, authority: Emulator, run: str) -> None:
    """The law of tests/kill_sweep.py, with Secrets in a folder."""
    environment = {"PYTHONPATH": str(wheel), **authority.environment()}

    def empty(name: str, kind: Kind) -> Place:
        folder = tmp_path / name
        return Place(DirectorySecrets(folder, "istio-system"), str(folder), environment, kind)

    assert sweep(run, empty, authority, "istio-system") == KILL_POINTS[run]
