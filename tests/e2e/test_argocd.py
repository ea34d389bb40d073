"""examples/argocd under a real Argo CD: order, repeated syncs, a change of the config, a failure and its reason."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509

from e2e import argocd, emulated_aws, istiod
from e2e.argocd import ArgoCD
from e2e.conftest import NAMESPACE, RELEASE, ROOT, Chart
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

EXAMPLES = ROOT / "examples" / "argocd"
PLACES = {"istio-pca": ROOT / "chart", "base": istiod.CHARTS / "base"}
PLACES["gateway"] = istiod.CHARTS / "gateway"
PLACES["istiod"] = istiod.CHARTS / "istio-control" / "istio-discovery"


@pytest.fixture
def argo(mesh: None, tmp_path: Path) -> Iterator[ArgoCD]:
    if "ARGOCD" not in os.environ:
        pytest.skip("ARGOCD is not set: there is no Argo CD to start (the node of tests/cluster has one)")
    namespace("istio-ingress")
    with argocd.running(tmp_path) as made:
        for name, place in PLACES.items():
            shutil.copytree(place, made.repository / name)
        made.commit("charts")
        yield made
    remove_namespaces("istio-ingress")
    istiod.forget_definitions()  # Istio's chart keeps them, and Helm would not have Argo CD's


def application(argo: ArgoCD, chart: Chart, file: str = "application.yaml", **config: Any) -> Document:
    """The example with its marked lines changed; the charts come from Git, and know this cluster's images."""
    document: Document = yaml.safe_load((EXAMPLES / file).read_text())
    document["spec"]["destination"]["server"] = argo.server
    for source in document["spec"]["sources"]:
        name = source.pop("chart")
        source.update(repoURL=f"file://{argo.repository}", path=name, targetRevision="HEAD")
        values = source["helm"].setdefault("valuesObject", {})
        if name == "istio-pca":
            ours = json.loads(chart.values("rsa-2", **config).read_text())
            values.update({**ours, "job": values["job"]})
        elif name == "istiod":
            here = istiod.here()
            values.update({**here, "env": {**values["env"], **here.get("env", {})}})
        elif name == "gateway":
            pull = istiod.here()["global"]["imagePullPolicy"]
            values.update(autoscaling={"enabled": False}, service={"type": "ClusterIP"}, imagePullPolicy=pull)
    return document


def created(kind: str, name: str) -> datetime:
    return datetime.fromisoformat(get(kind, name, NAMESPACE)["metadata"]["creationTimestamp"])


def ours(argo: ArgoCD, chart: Chart, mode: str, **config: Any) -> Document:
    """The example without Istio: what concerns us alone."""
    document = application(argo, chart, **config)
    document["spec"]["sources"] = document["spec"]["sources"][:1]
    document["spec"]["sources"][0]["helm"]["valuesObject"]["job"] = {"mode": mode}
    # what it heals by itself right after a sync would become one with the sync that a test asks for
    document["spec"]["syncPolicy"]["automated"]["selfHeal"] = False
    del document["spec"]["syncPolicy"]["retry"]  # one failure is enough to be seen
    return document


def test_example(argo: ArgoCD, chart: Chart) -> None:
    """One sync brings all in order: istiod after `cacerts`, which it signs with, and which nobody tracks or prunes."""
    apply(application(argo, chart))
    argo.healthy("mesh")

    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]
    assert created("secret", "cacerts") <= created("deployment", "istiod")
    assert issued.strip() in b"".join(istiod.workload_certificate())
    assert not exists("secret", "istio-ca-secret", NAMESPACE)
    assert "cacerts" not in {one["name"] for one in argo.status("mesh")["resources"]}

    apply(application(argo, chart, "gateway.yaml"))
    argo.healthy("gateway")
    assert pods("istio=gateway", "istio-ingress")
    argo.uninstall("gateway", "mesh")
    assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"] == issued


def test_syncs(argo: ArgoCD, chart: Chart) -> None:
    """A repeated sync keeps; a change of the config is synced by itself, and renews; a broken CA is told."""
    apply(ours(argo, chart, "argocd"))
    argo.healthy("mesh")
    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]

    emulated_aws.order("reset")
    again = argo.sync("mesh", "again")
    hooks = [one["hookPhase"] for one in again["syncResult"]["resources"] if one["kind"] == "Job"]
    assert hooks == ["Succeeded"], again
    assert result(RELEASE, NAMESPACE)["action"] == "kept"
    assert emulated_aws.calls() == []

    apply(ours(argo, chart, "argocd", cacerts={"validity": "90d"}))
    argo.refresh("mesh")
    wait("the change to be synced by itself", lambda: secret_data("cacerts", NAMESPACE)["ca-cert.pem"] != issued, 300)
    argo.healthy("mesh")
    renewed = secret_data("cacerts", NAMESPACE)

    emulated_aws.order("status", authority="rsa-2", status="DISABLED")
    apply(ours(argo, chart, "argocd", cacerts={"validity": "80d"}))
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
    apply(ours(argo, chart, "hook"))
    first = argo.finished("mesh")
    argo.healthy("mesh")

    hooks = [one for one in first["syncResult"]["resources"] if one["kind"] == "Job"]
    assert [(one["hookType"], one["hookPhase"]) for one in hooks] == [("PreSync", "Succeeded")]
    assert exists("secret", "cacerts", NAMESPACE)
    assert exists("cronjob", f"{RELEASE}-renewal", NAMESPACE)


def test_application_set(argo: ArgoCD, chart: Chart) -> None:
    """examples/argocd: an Application for each cluster, with its own name in the config; here the first is synced."""
    document: Document = yaml.safe_load((EXAMPLES / "applicationset.yaml").read_text())
    blue, green = document["spec"]["generators"][0]["list"]["elements"]
    blue.update(server=argo.server, roleArn=emulated_aws.ROLE)
    template = document["spec"]["template"]["spec"]
    source, values = template["source"], template["source"]["helm"]["valuesObject"]
    source.update(repoURL=f"file://{argo.repository}", path=source.pop("chart"), targetRevision="HEAD")
    here = json.loads(chart.values("rsa-2").read_text())
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
