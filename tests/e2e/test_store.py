"""The port SecretStore on a real API server, by the real client; for folders see tests/unit/test_directory.py."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from e2e.kubernetes import kubectl, namespace, remove_namespaces
from istio_pca.cluster import ClusterSecrets
from istio_pca.errors import ConfigError, ConflictError, DeniedError, RefusedError
from istio_pca.secret import Secret

NAMESPACE = "store-test"
SECRET = Secret("cacerts", {"ca-key.pem": b"key\x00\xff", "ca-cert.pem": b"cert"}, {"a/b": "1"}, {"l": "2"})


@pytest.fixture(scope="module")
def place(cluster: None) -> Iterator[str]:
    namespace(NAMESPACE)
    yield NAMESPACE
    remove_namespaces(NAMESPACE)


@pytest.fixture
def store(place: str) -> ClusterSecrets:
    kubectl("delete", "secrets", "--all", "-n", place)
    return ClusterSecrets(place, kubeconfig=os.environ["KUBECONFIG"])


def test_what_is_written_is_read(store: ClusterSecrets) -> None:
    """Data, labels, annotations, type and version come back as they were."""
    assert store.read("cacerts") is None

    written = store.create(SECRET)

    assert store.read("cacerts") == written
    assert replace(written, version="", created=None) == SECRET


def test_create_once(store: ClusterSecrets) -> None:
    """Of two that create, the second is told."""
    store.create(SECRET)

    with pytest.raises(ConflictError):
        store.create(SECRET)


def test_replace_only_what_was_seen(store: ClusterSecrets) -> None:
    """Whoever read an older version may not overwrite the newer; nor make anew what was deleted."""
    first = store.create(SECRET)
    second = store.replace(replace(first, data={"ca-key.pem": b"two"}))

    with pytest.raises(ConflictError):
        store.replace(replace(first, data={"ca-key.pem": b"three"}))
    assert store.read("cacerts") == second
    store.delete(second)
    with pytest.raises(ConflictError):
        store.replace(second)


def test_delete_only_what_was_seen(store: ClusterSecrets) -> None:
    """A newer version is not deleted; none there is as good as deleted."""
    first = store.create(SECRET)
    second = store.replace(replace(first, data={"ca-key.pem": b"two"}))

    with pytest.raises(ConflictError):
        store.delete(first)
    store.delete(second)
    store.delete(second)

    assert store.read("cacerts") is None


def test_a_namespace_that_is_not_there(place: str) -> None:
    """It is refused, with the way out; it is not waited for."""
    nowhere = ClusterSecrets("nowhere", kubeconfig=os.environ["KUBECONFIG"])

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
        ClusterSecrets(place, kubeconfig=str(file)).read("cacerts")

    assert f"GET secrets {place}/cacerts" in caught.value.message
    assert token not in repr(caught.value)


def test_no_cluster(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A kubeconfig that leads nowhere is bad config."""
    with pytest.raises(ConfigError):
        ClusterSecrets("x", kubeconfig=str(tmp_path_factory.mktemp("none") / "config"))
