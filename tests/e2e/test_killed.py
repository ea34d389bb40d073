"""Killed before and after every outside call, with Secrets in a real cluster: nothing is lost or bought twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from e2e.kubernetes import kubectl, namespace, remove_namespaces
from istio_pca.cluster import ClusterSecrets
from istio_pca.kube import Namespace
from kill_sweep import RUNS, Kind, Place, sweep
from pca_emulator import Emulator, Scenario
from reliability_rows import KILL_POINTS

NAMESPACE = "kill-test"


@pytest.fixture(scope="module")
def authority() -> Iterator[Emulator]:
    with Emulator(Scenario(levels=2, keys=("EC_prime256v1",))) as running:
        yield running


@pytest.fixture
def place(cluster: None, authority: Emulator) -> Iterator[Callable[[str, Kind], Place]]:
    namespace(NAMESPACE)
    store = ClusterSecrets(Namespace(NAMESPACE, kubeconfig=os.environ["KUBECONFIG"]))
    environment = {"KUBECONFIG": os.environ["KUBECONFIG"], **authority.environment()}

    def empty(_: str, kind: Kind) -> Place:
        kubectl("delete", "secrets", "--all", "-n", NAMESPACE)
        return Place(store, "cluster", environment, kind)

    yield empty
    remove_namespaces(NAMESPACE)


@pytest.mark.parametrize("run", RUNS)
def test_killed(place: Callable[[str, Kind], Place], authority: Emulator, run: str) -> None:
    """The law of tests/kill_sweep.py, against the API server."""
    assert sweep(run, place, authority, NAMESPACE) == KILL_POINTS[run]
