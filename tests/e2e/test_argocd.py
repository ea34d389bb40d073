"""examples/argocd under a real Argo CD: order, repeated syncs, a change of the config, a failure and its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from cryptography import x509

from e2e import argocd, emulated_aws, istiod
from e2e.argocd import ArgoCD
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.installers import must_be_here
from e2e.kubernetes import (
    Document,
    apply,
    exists,
    get,
    kubectl,
    namespace,
    pods,
    remove_namespaces,
    result,
    secret_data,
    wait,
)


@pytest.fixture
def argo(mesh: None, tmp_path: Path) -> Iterator[ArgoCD]:
    must_be_here("ARGOCD")
    namespace("istio-ingress")
    with argocd.running(tmp_path) as made:
        yield made
    remove_namespaces("istio-ingress")
    istiod.forget_definitions()  # Istio's chart keeps them, and Helm would not have Argo CD's


def created(kind: str, name: str) -> datetime:
    return datetime.fromisoformat(get(kind, name, NAMESPACE)["metadata"]["creationTimestamp"])


def test_example(argo: ArgoCD, chart: Chart) -> None:
    """One sync brings all in order: istiod after `cacerts`, which it signs with, and which nobody tracks or prunes."""
    apply(argocd.example(argo, chart.document()))
    argo.healthy("mesh")

    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]
    assert created("secret", "cacerts") <= created("deployment", "istiod")
    assert issued.strip() in b"".join(istiod.workload_certificate())
    assert not exists("secret", "istio-ca-secret", NAMESPACE)
    assert "cacerts" not in {one["name"] for one in argo.status("mesh")["resources"]}

    apply(argocd.example(argo, chart.document(), "gateway.yaml"))
    argo.healthy("gateway")
    assert pods("istio=gateway", "istio-ingress")
    argo.uninstall("gateway", "mesh")
    assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"] == issued


def test_syncs(argo: ArgoCD, chart: Chart) -> None:
    """A repeated sync keeps; a change of the config is synced by itself, and renews; a broken CA is told."""
    apply(argocd.ours(argo, chart.document(), "argocd"))
    argo.healthy("mesh")
    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]

    emulated_aws.order("reset")
    again = argo.sync("mesh", "again")
    hooks = [one["hookPhase"] for one in again["syncResult"]["resources"] if one["kind"] == "Job"]
    assert hooks == ["Succeeded"], again
    assert result(RELEASE, NAMESPACE)["action"] == "kept"
    assert emulated_aws.calls() == []

    apply(argocd.ours(argo, chart.document(cacerts={"validity": "90d"}), "argocd"))
    argo.refresh("mesh")
    wait("the change to be synced by itself", lambda: secret_data("cacerts", NAMESPACE)["ca-cert.pem"] != issued, 300)
    argo.healthy("mesh")
    renewed = secret_data("cacerts", NAMESPACE)

    emulated_aws.order("status", authority="rsa-2", status="DISABLED")
    apply(argocd.ours(argo, chart.document(cacerts={"validity": "80d"}), "argocd"))
    argo.refresh("mesh")
    assert "exit code 12" in wait("the sync to fail", lambda: failure(argo), 300)
    told = kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "reason=AuthorityCannot", "-o", "name")
    assert told
    assert secret_data("cacerts", NAMESPACE) == renewed


def failure(argo: ArgoCD) -> str:
    """What Argo CD says of the hook that failed, if one did."""
    state = argo.status("mesh").get("operationState", {})
    hooks = [one for one in state.get("syncResult", {}).get("resources", []) if one.get("hookPhase") == "Failed"]
    return " ".join(one["message"] for one in hooks)


def test_helm_hook_mode(argo: ArgoCD, chart: Chart) -> None:
    """The chart's default works too: Argo CD runs the pre-install hook as PreSync, at each sync."""
    apply(argocd.ours(argo, chart.document(), "hook"))
    first = argo.finished("mesh")
    argo.healthy("mesh")

    hooks = [one for one in first["syncResult"]["resources"] if one["kind"] == "Job"]
    assert [(one["hookType"], one["hookPhase"]) for one in hooks] == [("PreSync", "Succeeded")]
    assert exists("secret", "cacerts", NAMESPACE)
    assert exists("cronjob", f"{RELEASE}-renewal", NAMESPACE)


def test_application_set(argo: ArgoCD, chart: Chart) -> None:
    """examples/argocd: an Application for each cluster, with its own name in the config; here the first is synced."""
    document: Document = yaml.safe_load((argocd.EXAMPLES / "applicationset.yaml").read_text())
    blue, green = document["spec"]["generators"][0]["list"]["elements"]
    blue.update(server=argo.server, roleArn=emulated_aws.ROLE)
    template = document["spec"]["template"]["spec"]
    source, values = template["source"], template["source"]["helm"]["valuesObject"]
    source.update(repoURL=f"file://{argo.repository}", path=source.pop("chart"), targetRevision="HEAD")
    here = chart.document()
    values.update(image=here["image"], extraEnv=here["extraEnv"])
    values["config"]["certificateAuthorityArn"] = emulated_aws.arn("rsa-2")
    apply(argocd.cluster("green", green["server"]), document)

    def configs() -> dict[str, str]:
        found = json.loads(kubectl("get", "applications", "-n", argocd.NAMESPACE, "-o", "json"))["items"]
        wanted = {one["metadata"]["name"]: one["spec"]["source"]["helm"]["valuesObject"]["config"] for one in found}
        return {name: config["clusterName"] for name, config in wanted.items()}

    wanted = {f"istio-pca-{name}": name for name in ("blue", "green")}
    wait("the Applications", lambda: configs() == wanted)
    argo.healthy("istio-pca-blue")

    subject = x509.load_pem_x509_certificate(secret_data("cacerts", NAMESPACE)["ca-cert.pem"]).subject
    assert subject.rfc4514_string() == "CN=Istio CA blue,O=Istio"
    kubectl("delete", "applicationset", "istio-pca", "-n", argocd.NAMESPACE, "--timeout=240s")
