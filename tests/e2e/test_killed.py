"""Killed before and after every outside call, with Secrets in a real cluster: nothing is lost or bought twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from e2e.kubernetes import kubectl, namespace, remove_namespaces
from istio_pca.cluster import ClusterSecrets
from istio_pca.kube import Namespace
from kill_sweep import Place, sweep
from pca_emulator import Emulator, Scenario
from reliability_rows import KILL_POINTS

NAMESPACE = "kill-test"


@pytest.fixture(scope="module")
def authority() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


@pytest.fixture
def place(cluster: None, authority: Emulator) -> Iterator[Callable[[str], Place]]:
    namespace(NAMESPACE)
    store = ClusterSecrets(Namespace(NAMESPACE, kubeconfig=os.environ["KUBECONFIG"]))
    environment = {"KUBECONFIG": os.environ["KUBECONFIG"], **authority.environment()}

    def empty(_: str) -> Place:
        kubectl("delete", "secrets", "--all", "-n", NAMESPACE)
        return Place(store, "cluster", environment)

    yield empty
    remove_namespaces(NAMESPACE)


@pytest.mark.parametrize("run", ["first certificate", "renewal"])
def test_killed(place: Callable[[str], Place], authority: Emulator, run: str) -> None:
    """As in tests/wire/test_killed.py, against the API server."""
    first = {"certificateAuthorityArn": authority.ca_arn, "cacerts": {"namespace": NAMESPACE}}
    again = {**first, "cacerts": {"namespace": NAMESPACE, "validity": "90d"}}

    points = sweep(place, authority, first, {}) if run == "first certificate" else sweep(place, authority, again, first)

    assert points == KILL_POINTS[run]
