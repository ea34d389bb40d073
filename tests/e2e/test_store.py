"""The port SecretStore on a real API server, by the real client: its laws, and what a cluster adds."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from e2e.kubernetes import kubectl, namespace, remove_namespaces
from istio_pca.cluster import ClusterSecrets
from istio_pca.errors import ConfigError, DeniedError, RefusedError
from istio_pca.kube import Namespace
from istio_pca.ports import Announcement
from store_laws import SECRET, StoreLaws

NAMESPACE = "store-test"


@pytest.fixture(scope="module")
def place(cluster: None) -> Iterator[str]:
    namespace(NAMESPACE)
    yield NAMESPACE
    remove_namespaces(NAMESPACE)


@pytest.fixture
def store(place: str) -> ClusterSecrets:
    kubectl("delete", "secrets", "--all", "-n", place)
    return ClusterSecrets(Namespace(place, kubeconfig=os.environ["KUBECONFIG"]))


class TestLaws(StoreLaws):
    """Of the port, on a real API server."""


def test_latest_news(store: ClusterSecrets) -> None:
    """Of all that was announced of this Secret the newest, whole seconds exact; of another Secret nothing."""
    now = datetime.now(UTC).replace(microsecond=0)
    older = Announcement("shop", "Issued", "first", now - timedelta(seconds=90))
    newest = Announcement("shop", "Denied", "then not", now, warning=True)
    for news in (newest, older, Announcement("other", "Issued", "of another", now + timedelta(seconds=5))):
        store.announce(news)

    assert store.latest_news("shop") == newest
    assert store.latest_news("cacerts-of-nobody") is None


def test_a_namespace_that_is_not_there(place: str) -> None:
    """It is refused, with the way out; it is not waited for."""
    nowhere = ClusterSecrets(Namespace("nowhere", kubeconfig=os.environ["KUBECONFIG"]))

    assert nowhere.read("cacerts") is None
    with pytest.raises(RefusedError) as caught:
        nowhere.create(SECRET)
    assert "kubectl create namespace nowhere" in caught.value.hint


def test_who_may_not(place: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A ServiceAccount without a Role is denied, and the error names the verb and the Secret."""
    token = kubectl("create", "token", "default", "-n", place).strip()
    server = kubectl("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    authority = "jsonpath={.clusters[0].cluster.certificate-authority-data}"
    ca = kubectl("config", "view", "--minify", "--flatten", "--raw", "-o", authority)
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, "certificate-authority-data": ca}}],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    file = tmp_path_factory.mktemp("kube") / "config"
    file.touch(mode=0o600)
    file.write_text(json.dumps(config))

    with pytest.raises(DeniedError) as caught:
        ClusterSecrets(Namespace(place, kubeconfig=str(file))).read("cacerts")

    assert f"GET secrets {place}/cacerts" in caught.value.message
    assert token not in repr(caught.value)


def test_no_cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kubeconfig that leads nowhere is bad config."""
    with pytest.raises(ConfigError):
        ClusterSecrets(Namespace("x", kubeconfig=str(tmp_path_factory.mktemp("none") / "config")))
