"""Killed before and after every outside call, with Secrets in a folder: nothing is lost or bought twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from istio_pca.directory import DirectorySecrets
from istio_pca.layout import GATEWAY
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


NAMES = ("shop.example.com",)


@pytest.fixture
def gateway(wheel: Path, tmp_path: Path, authority: Emulator) -> Callable[[str], Place]:
    environment = {"PYTHONPATH": str(wheel), **authority.environment()}

    def made(name: str) -> Place:
        store = DirectorySecrets(tmp_path / name, "ingress")
        return Place(store, str(tmp_path / name), environment, "shop", GATEWAY, NAMES)

    return made


def of_gateway(authority: Emulator, **more: object) -> dict[str, object]:
    wish = {"namespace": "ingress", "secretName": "shop", "dnsNames": list(NAMES), **more}
    return config(authority, cacerts={"enabled": False}, gateways=[wish])


def test_killed_while_issuing(place: Callable[[str], Place], authority: Emulator) -> None:
    """The first certificate: `cacerts` is absent or whole at every instant, and one is billed."""
    assert sweep(place, authority, config(authority), {}) == KILL_POINTS["first certificate"]


def test_killed_while_renewing(place: Callable[[str], Place], authority: Emulator) -> None:
    """A renewal: the old bundle stays in force until the new one is written, and one more is billed."""
    wish = config(authority, cacerts={"validity": "90d"})

    assert sweep(place, authority, wish, config(authority)) == KILL_POINTS["renewal"]


def test_killed_while_issuing_for_a_gateway(gateway: Callable[[str], Place], authority: Emulator) -> None:
    """The same law for a gateway's certificate."""
    assert sweep(gateway, authority, of_gateway(authority), {}) == KILL_POINTS["first certificate of a gateway"]


def test_killed_while_renewing_for_a_gateway(gateway: Callable[[str], Place], authority: Emulator) -> None:
    """The gateway serves the old one until the new one is written whole."""
    wish = of_gateway(authority, validity="30d")

    assert sweep(gateway, authority, wish, of_gateway(authority)) == KILL_POINTS["renewal of a gateway"]
