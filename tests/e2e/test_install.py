"""The main job on a real cluster: our chart makes `cacerts`, and Istio's own istiod signs workloads with it."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store

from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.kubernetes import exists, get, helm, kubectl, pods, result, secret_data, wait

HELMS = ("helm3", "helm4")
ISSUE = ["AssumeRoleWithWebIdentity", "DescribeCertificateAuthority", "IssueCertificate", "GetCertificate"]
FILES = {"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"}


def verified_to(root: bytes, chain: list[bytes]) -> x509.Certificate:
    """The leaf, after a TLS peer's check of it up to this root alone."""
    certificates = [certificate for part in chain for certificate in x509.load_pem_x509_certificates(part)]
    leaf, *others = certificates
    anything = ExtensionPolicy.permit_all()
    ca = anything.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    workload = anything.require_present(x509.SubjectAlternativeName, Criticality.AGNOSTIC, None)
    policy = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(root)))
    verifier = policy.extension_policies(ca_policy=ca, ee_policy=workload).build_client_verifier()
    verifier.verify(leaf, others)
    return leaf


def signs_workloads(authority: str) -> None:
    """istiod signs with our intermediate, and a peer that trusts only the private root believes it."""
    chain = istiod.workload_certificate()
    leaf = verified_to(emulated_aws.root_pem(authority), chain)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    intermediate = x509.load_pem_x509_certificate(secret_data("cacerts", NAMESPACE)["ca-cert.pem"])

    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://cluster.local/ns/default/sa/default"]
    assert leaf.issuer == intermediate.subject
    leaf.verify_directly_issued_by(intermediate)


def job_pod() -> dict[str, object]:
    (pod,) = pods(f"job-name={RELEASE}", NAMESPACE)
    return pod


def seconds_in_container() -> float:
    state = job_pod()["status"]["containerStatuses"][0]["state"]["terminated"]  # type: ignore[index]  # JSON
    return (datetime.fromisoformat(state["finishedAt"]) - datetime.fromisoformat(state["startedAt"])).total_seconds()


@pytest.mark.parametrize("version", HELMS)
def test_install(mesh: None, chart: Chart, gate: Path, version: str) -> None:
    """`helm install`, then Istio: a workload's certificate chains to the private root. `helm test` agrees."""
    answer = chart.install(version)

    assert set(secret_data("cacerts", NAMESPACE)) == FILES
    assert list(dict.fromkeys(emulated_aws.calls())) == ISSUE
    assert emulated_aws.calls().count("IssueCertificate") == 1
    assert not exists("secret", "cacerts-pending", NAMESPACE)
    phases, seconds = result(RELEASE, NAMESPACE)["phases"], seconds_in_container()
    print(f"\n{version} first install: phases {phases}, container {seconds:.0f} s")
    notes = re.search(r"^  volumes:.*?ROOT_CA_DIR: \S+", answer.stdout, re.MULTILINE | re.DOTALL)
    assert notes is not None
    assert yaml.safe_load(notes[0]) == istiod.GATE

    istiod.install(version, gate)
    istiod.ready()
    signs_workloads("rsa-2")

    assert helm(version, "test", RELEASE, "-n", NAMESPACE).returncode == 0


def test_istiod_first(mesh: None, chart: Chart, gate: Path) -> None:
    """With the gate, an istiod that is installed first waits, and starts by itself once the Secret is there."""
    istiod.install("helm4", gate)

    def waiting() -> bool:
        events = kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "reason=FailedMount", "-o", "name")
        return bool(events)

    wait("the kubelet to miss the Secret", waiting)
    assert not get("deployment", "istiod", NAMESPACE)["status"].get("readyReplicas")

    chart.install("helm4")

    istiod.ready("300s")  # the kubelet tries again after up to two minutes
    assert not exists("secret", "istio-ca-secret", NAMESPACE)  # where istiod keeps a CA of its own invention
    signs_workloads("rsa-2")


@pytest.mark.parametrize("version", HELMS)
def test_again_keeps(mesh: None, chart: Chart, version: str) -> None:
    """A second `helm upgrade --install` asks AWS nothing and changes nothing."""
    chart.upgrade(version)
    before = get("secret", "cacerts", NAMESPACE)
    emulated_aws.order("reset")

    chart.upgrade(version)

    assert emulated_aws.calls() == []
    assert get("secret", "cacerts", NAMESPACE) == before
    print(f"\n{version} keep: phases {result(RELEASE, NAMESPACE)['phases']}, container {seconds_in_container():.0f} s")


@pytest.mark.parametrize("version", HELMS)
def test_failed_then_repaired(mesh: None, chart: Chart, version: str) -> None:
    """With a disabled CA the install fails at once and Helm prints why; after the repair the same command succeeds."""
    emulated_aws.order("status", authority="rsa-2", status="DISABLED")

    failed = chart.install(version, check=False)

    assert failed.returncode != 0
    assert "is DISABLED, not ACTIVE" in failed.stdout + failed.stderr
    ended = job_pod()["status"]["containerStatuses"][0]["state"]["terminated"]  # type: ignore[index]  # JSON
    assert ended["exitCode"] == 12
    assert ended["message"].startswith("AuthorityCannot: the private CA arn:")
    assert not exists("secret", "cacerts", NAMESPACE)
    condition = get("job", RELEASE, NAMESPACE)["status"]["conditions"][-1]
    assert (condition["type"], condition["reason"]) == ("Failed", "PodFailurePolicy")

    emulated_aws.order("status", authority="rsa-2", status="ACTIVE")
    chart.upgrade(version)

    assert set(secret_data("cacerts", NAMESPACE)) == FILES


@pytest.mark.parametrize(
    ("authority", "algorithm"),
    [
        ("rsa-1", "RSA_2048"),
        ("rsa-2", "RSA_3072"),
        ("rsa-2", "EC_prime256v1"),
        ("ec-2", "EC_secp384r1"),
        ("ec-2", "RSA_2048"),
        ("rsa-3", "RSA_2048"),
        ("ec-3", "EC_prime256v1"),
    ],
)
def test_kinds(mesh: None, chart: Chart, gate: Path, authority: str, algorithm: str) -> None:
    """RSA and EC under RSA and EC, one to three levels deep: istiod takes and signs with each."""
    chart.install("helm4", authority, cacerts={"keyAlgorithm": algorithm})
    istiod.install("helm4", gate)
    istiod.ready()

    signs_workloads(authority)


def test_renewal_keeps_the_root(mesh: None, chart: Chart) -> None:
    """Another wish gets another certificate in the same Secret; root-cert.pem stays byte for byte."""
    chart.install("helm4")
    before = secret_data("cacerts", NAMESPACE)
    uid = get("secret", "cacerts", NAMESPACE)["metadata"]["uid"]

    chart.upgrade("helm4", cacerts={"validity": "90d"})
    after = secret_data("cacerts", NAMESPACE)

    assert after["root-cert.pem"] == before["root-cert.pem"]
    assert {name for name in FILES if after[name] != before[name]} == {"ca-cert.pem", "ca-key.pem", "cert-chain.pem"}
    assert get("secret", "cacerts", NAMESPACE)["metadata"]["uid"] == uid
    assert not exists("secret", "cacerts-pending", NAMESPACE)


def test_restricted_namespace(mesh: None, chart: Chart) -> None:
    """The namespace enforces the Pod Security Standard "restricted" in every test here; this one makes sure of it."""
    assert get("namespace", NAMESPACE, "")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    rejected = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "x", "image": "x"}]},
    }

    assert "violates PodSecurity" in _apply_error(rejected)

    chart.install("helm4")
    assert job_pod()["status"]["phase"] == "Succeeded"  # type: ignore[index]  # JSON


def _apply_error(document: object) -> str:
    from e2e.kubernetes import run

    return run("kubectl", "apply", "-n", NAMESPACE, "-f", "-", given=json.dumps(document), check=False).stderr
