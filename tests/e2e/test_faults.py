"""Every fault of the Kubernetes API on every call of a first certificate, and states of a cluster that forbid it."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.faulty_api import FaultyApi, faulty_api
from e2e.kubernetes import apply, exists, kubectl, namespace, remove_namespaces, wait
from in_process import command
from istio_pca import kube as adapter
from istio_pca.cluster import ClusterSecrets
from istio_pca.errors import TransientError
from istio_pca.kube import Namespace
from kill_sweep import Place
from pca_emulator import Emulator, Scenario
from reliability_rows import ENDLESS, KUBERNETES, KUBERNETES_CALLS, NEWS, STATES

NAMESPACE = "fault-test"


@dataclass(frozen=True)
class Story:
    """The command line in this process, on the cluster behind the proxy; and the store as it really is."""

    api: FaultyApi
    emulator: Emulator
    place: Place
    kubeconfig: Path
    capsys: pytest.CaptureFixture[str]

    def ensure(self, retry_for: str = "30s", **cacerts: Any) -> tuple[int, dict[str, Any]]:
        """Exit code, and the last line of the log."""
        settings = {"namespace": NAMESPACE, **cacerts}
        wish = {"certificateAuthorityArn": self.emulator.ca_arn, "retryFor": retry_for, "cacerts": settings}
        cluster = ("--kubeconfig", str(self.kubeconfig))
        return command(self.capsys, self.place.environment, wish, "ensure", "--output", "json", *cluster)

    def finishes(self, bought: int, **cacerts: Any) -> None:
        """Without a fault the next run makes all good, and one certificate has been bought since then."""
        self.api.reset()
        assert self.ensure(**cacerts)[0] == 0
        bundle = self.place.good()
        assert bundle is not None
        assert bundle.serial == self.emulator.issued[-1].serial
        assert self.place.store.read("cacerts-pending") is None
        assert len(self.emulator.issued) == bought


@pytest.fixture(scope="module")
def aws() -> Iterator[Emulator]:
    with Emulator(Scenario(keys=("EC_prime256v1",))) as running:
        yield running


@pytest.fixture(scope="module")
def api(cluster: None) -> Iterator[FaultyApi]:
    with faulty_api() as running:
        yield running


@pytest.fixture(scope="module")
def room(cluster: None) -> Iterator[None]:
    namespace(NAMESPACE)
    yield
    remove_namespaces(NAMESPACE)


@pytest.fixture
def story(
    room: None,
    api: FaultyApi,
    aws: Emulator,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Story:
    monkeypatch.setattr(adapter, "_TIMEOUT", (1, 1))  # ten seconds in each of many rows would only be waited for
    store = ClusterSecrets(Namespace(NAMESPACE, kubeconfig=os.environ["KUBECONFIG"]))
    for name in ("cacerts", "cacerts-pending"):
        found = store.read(name)
        if found:
            store.delete(found)
    api.reset()
    return Story(api, aws, Place(store, "cluster", aws.environment()), api.kubeconfig(tmp_path), capsys)


def carry_out(story: Story, kind: str, when: int | str, expected: int, retry_for: str) -> None:
    """A run under the fault, then one without: the first ends as expected, and together they buy one certificate."""
    bought = len(story.emulator.issued)
    story.api.reset(kind, when)

    status, last = story.ensure(retry_for)

    assert status == expected, last
    assert status == 0 or (last["exitCode"] == status and last["message"] and last["hint"])
    assert story.place.good() or not story.place.data()
    story.finishes(bought + 1)


def test_the_calls(story: Story) -> None:
    """A first certificate makes these calls: a new one is a new column of the table."""
    assert story.ensure()[0] == 0

    assert tuple(story.api.calls) == KUBERNETES_CALLS


@pytest.mark.parametrize("number", range(len(KUBERNETES_CALLS)), ids=lambda n: f"{n} {KUBERNETES_CALLS[n]}")
@pytest.mark.parametrize("kind", KUBERNETES)
def test_once(story: Story, kind: str, number: int) -> None:
    """What passes is survived in the same run; what does not leaves a journal from which the next goes on."""
    news = KUBERNETES_CALLS[number] in NEWS

    carry_out(story, kind, number, 0 if news else KUBERNETES[kind].once, "30s")


@pytest.mark.parametrize("name", sorted(set(KUBERNETES_CALLS)))
@pytest.mark.parametrize("kind", ENDLESS)
def test_without_end(story: Story, kind: str, name: str) -> None:
    """It is given up when the window is over, with the exit code that says what to do."""
    carry_out(story, kind, name, 0 if name in NEWS else KUBERNETES[kind].always, "1s")


def test_retry_after(story: Story) -> None:
    """A wait that the API server asks for is handed on with the error; the retry policy keeps it."""
    store = ClusterSecrets(Namespace(NAMESPACE, kubeconfig=str(story.kubeconfig)))
    story.api.reset("429", 0)

    with pytest.raises(TransientError) as told:
        store.read("cacerts")

    assert told.value.retry_after == 1


def test_the_missing_namespace(story: Story) -> None:
    """It is named, with the command that makes it; nothing is bought."""
    bought = len(story.emulator.issued)

    status, last = story.ensure(namespace="nowhere")

    assert status == STATES["the namespace is missing"]
    assert "kubectl create namespace nowhere" in last["hint"]
    assert len(story.emulator.issued) == bought


def test_the_namespace_that_ends(story: Story) -> None:
    """While it is being deleted nothing can be made in it: told, and nothing is bought."""
    metadata = {"name": "stays", "namespace": "ending", "finalizers": ["istio-pca/test"]}
    namespace("ending")
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata})
    kubectl("delete", "namespace", "ending", "--wait=false")
    bought = len(story.emulator.issued)
    try:
        status, last = story.ensure(namespace="ending")
    finally:
        nobody = json.dumps({"metadata": {"finalizers": None}})
        kubectl("patch", "configmap", "stays", "-n", "ending", "--type", "merge", "-p", nobody)

    assert status == STATES["the namespace is being deleted"]
    assert "ending" in last["message"]
    assert len(story.emulator.issued) == bought


def test_a_policy_in_the_way(story: Story) -> None:
    """A ValidatingAdmissionPolicy's own words are told; when it is gone, the paid certificate is used."""
    name = "no-cacerts-here"
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    selector = {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}
    constraints = {"resourceRules": [rule], "namespaceSelector": selector}
    validation = {"expression": "object.metadata.name != 'cacerts'", "message": "ask the platform team"}
    kinds = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    apply(
        {
            **kinds,
            "kind": "ValidatingAdmissionPolicy",
            "spec": {"failurePolicy": "Fail", "matchConstraints": constraints, "validations": [validation]},
        },
        {
            **kinds,
            "kind": "ValidatingAdmissionPolicyBinding",
            "spec": {"policyName": name, "validationActions": ["Deny"]},
        },
    )
    probe = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cacerts", "namespace": NAMESPACE}}
    bought = len(story.emulator.issued)
    try:
        wait("the policy to be in force", lambda: not _would_create(probe))
        status, last = story.ensure()
    finally:
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            kubectl("delete", kind, name)
    wait("the policy to be gone", lambda: _would_create(probe))

    assert status == STATES["a ValidatingAdmissionPolicy refuses cacerts"]
    assert "ask the platform team" in last["message"]
    story.finishes(bought + 1)


def _would_create(document: dict[str, Any]) -> bool:
    return bool(kubectl("create", "--dry-run=server", "-o", "name", "-f", "-", given=json.dumps(document), check=False))


def test_immutable(story: Story) -> None:
    """It cannot be renewed, which is seen before a certificate is bought; while it is not due it is kept."""
    assert story.ensure()[0] == 0
    kubectl("patch", "secret", "cacerts", "-n", NAMESPACE, "--type", "merge", "-p", '{"immutable": true}')
    bought, before = len(story.emulator.issued), story.place.data()

    assert story.ensure()[0] == 0
    status, last = story.ensure(validity="90d")

    assert status == STATES["cacerts is immutable, and due"]
    assert f"kubectl delete secret -n {NAMESPACE} cacerts" in last["hint"]
    assert (len(story.emulator.issued), story.place.data()) == (bought, before)


def deleting(name: str) -> Callable[[], object]:
    return functools.partial(kubectl, "delete", "secret", name, "-n", NAMESPACE)


def test_deleted_between_read_and_write(story: Story) -> None:
    """A renewal whose old Secret goes away makes the new one all the same, with the certificate that it bought."""
    assert story.ensure()[0] == 0
    bought = len(story.emulator.issued)
    story.api.reset(when="PUT cacerts", happens=deleting("cacerts"))

    assert story.ensure(validity="90d")[0] == STATES["cacerts is deleted between read and write"]
    story.finishes(bought + 1, validity="90d")


def test_journal_deleted(story: Story) -> None:
    """Its key is gone with it, so another certificate has to be bought; the run ends well."""
    bought = len(story.emulator.issued)
    story.api.reset(when="PUT cacerts-pending", happens=deleting("cacerts-pending"))

    assert story.ensure()[0] == STATES["the journal is deleted in mid-run"]
    story.finishes(bought + 2)


def test_events(story: Story) -> None:
    """What happened stands as Events on cacerts: issued, refused; a kept one is no news."""
    kubectl("delete", "events", "--all", "-n", NAMESPACE)
    assert story.ensure()[0] == 0
    assert story.ensure()[0] == 0
    kubectl("patch", "secret", "cacerts", "-n", NAMESPACE, "--type", "merge", "-p", '{"data": {"ca-key.pem": "YQ=="}}')
    _, last = story.ensure()

    found = json.loads(kubectl("get", "events", "-n", NAMESPACE, "-o", "json"))["items"]
    told = {(one["type"], one["reason"]) for one in found if one["involvedObject"]["name"] == "cacerts"}
    assert told == {("Normal", "Issued"), ("Warning", "Refused")}
    assert any(last["message"] in one["message"] and last["hint"] in one["message"] for one in found)
    assert "Refused" in kubectl("events", "-n", NAMESPACE, "--for", "secret/cacerts")
    assert exists("secret", "cacerts", NAMESPACE)
