"""examples/flux under Flux' own controllers: the order, a failed install that is tried again, a change, a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from e2e import emulated_aws, flux, istiod
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.flux import Flux
from e2e.installers import must_be_here
from e2e.kubernetes import apply, exists, get, kubectl, run, secret_data, wait


@pytest.fixture
def controllers(mesh: None, tmp_path: Path) -> Iterator[Flux]:
    must_be_here("FLUX")
    istiod.forget_definitions()  # those of another release would not be taken over
    with flux.running(tmp_path, NAMESPACE) as made:
        yield made
    istiod.forget_definitions()


def test_example(controllers: Flux, charts: str, chart: Chart) -> None:
    """istiod comes after `cacerts`, which Flux has had tested, and signs with it; deleting all leaves `cacerts`."""
    apply(*flux.example(charts, chart.document()))
    controllers.ready("istio-pca", "istio-base", "istiod")

    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]
    (first, *_) = controllers.release("istio-pca")["status"]["history"]
    made = get("deployment", "istiod", NAMESPACE)["metadata"]["creationTimestamp"]
    assert [hook["phase"] for hook in first["testHooks"].values()] == ["Succeeded"]
    assert datetime.fromisoformat(first["lastDeployed"]) < datetime.fromisoformat(made)
    assert issued.strip() in b"".join(istiod.workload_certificate())
    assert not exists("secret", "istio-ca-secret", NAMESPACE)

    controllers.uninstall()
    assert not exists("deployment", "istiod", NAMESPACE)
    assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"] == issued


def test_life(controllers: Flux, charts: str, chart: Chart) -> None:
    """A first install that fails is undone and tried again; a change of the values renews; a broken CA is told."""
    emulated_aws.order("faults", operation="IssueCertificate", kind="failed", calls="1")
    apply(*flux.ours(charts, chart.document()))
    controllers.ready("istio-pca")
    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]
    assert emulated_aws.calls().count("IssueCertificate") == 2
    assert kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "reason=InstallFailed", "-o", "name")

    apply(*flux.ours(charts, chart.document(cacerts={"validity": "90d"})))
    wait("the change", lambda: secret_data("cacerts", NAMESPACE)["ca-cert.pem"] != issued, 300)
    controllers.ready("istio-pca")
    renewed = secret_data("cacerts", NAMESPACE)

    emulated_aws.order("status", authority="rsa-2", status="DISABLED")
    apply(*flux.ours(charts, chart.document(cacerts={"validity": "80d"})))
    assert "pre-upgrade" in controllers.failure("istio-pca")
    told = kubectl("get", "events", "-n", NAMESPACE, "--field-selector", "reason=AuthorityCannot", "-o", "name")
    assert told
    assert secret_data("cacerts", NAMESPACE) == renewed


def test_kinds(controllers: Flux) -> None:
    """Every key of the example is one of Flux'; a wrong one would be refused."""

    def accepted(text: str) -> bool:
        trial = ("kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-")
        return run(*trial, given=text, check=False).returncode == 0

    assert accepted(flux.EXAMPLE)
    assert not accepted(flux.EXAMPLE.replace("remediation:", "remedy:"))
    assert not accepted(flux.EXAMPLE.replace("interval: 1h", "interval: hourly"))


@pytest.mark.parametrize("version", ["helm3", "helm4"])
def test_from_the_registry(charts: str, package: Path, tmp_path: Path, version: str) -> None:
    """What `make package` lays out is a chart to Helm: the very package comes back."""
    helm = os.environ.get(version.upper(), version)
    run(helm, "pull", f"oci://{charts}/charts/{RELEASE}", "--plain-http", "--destination", str(tmp_path))

    assert (tmp_path / package.name).read_bytes() == package.read_bytes()
