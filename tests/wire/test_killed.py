"""Killed before and after every outside call, with Secrets in a folder: nothing is lost or bought twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from istio_pca.directory import DirectorySecrets
from kill_sweep import Place, sweep
from pca_emulator import Emulator, Scenario
from reliability_rows import KILL_POINTS
from wire.test_ensure import config


@pytest.fixture(scope="module")
def authority() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


@pytest.fixture
def place(wheel: Path, tmp_path: Path, authority: Emulator) -> Callable[[str], Place]:
    environment = {"PYTHONPATH": str(wheel), **authority.environment()}
    return lambda name: Place(DirectorySecrets(tmp_path / name, "istio-system"), str(tmp_path / name), environment)


def test_killed_while_issuing(place: Callable[[str], Place], authority: Emulator) -> None:
    """The first certificate: `cacerts` is absent or whole at every instant, and one is billed."""
    assert sweep(place, authority, config(authority), {}) == KILL_POINTS["first certificate"]


def test_killed_while_renewing(place: Callable[[str], Place], authority: Emulator) -> None:
    """A renewal: the old bundle stays in force until the new one is written, and one more is billed."""
    wish = config(authority, cacerts={"validity": "90d"})

    assert sweep(place, authority, wish, config(authority)) == KILL_POINTS["renewal"]
