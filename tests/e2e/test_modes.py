"""Other ways in: objects applied by kubectl, and one release that holds everything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from e2e import emulated_aws, installers, istiod
from e2e.conftest import ELSEWHERE, NAMESPACE, RELEASE, Chart
from e2e.installers import ByKubectl
from e2e.kubernetes import (
    due_now,
    exists,
    get,
    helm,
    kubectl,
    namespace,
    remove_namespaces,
    result,
    run_now,
    secret_data,
)


def test_kubectl_apply(mesh: None, chart: Chart, package: Path) -> None:
    """`helm template | kubectl apply` in mode plain: the Job runs once for a config, and once more for another."""

    def apply(**config: object) -> str:
        return ByKubectl(package).applied(chart.document(**config))

    first = apply()
    issued = secret_data("cacerts", NAMESPACE)["ca-cert.pem"]
    started = get("job", first, NAMESPACE)["status"]["startTime"]

    assert apply() == first
    assert get("job", first, NAMESPACE)["status"]["startTime"] == started
    assert apply(cacerts={"validity": "90d"}) != first
    assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"] != issued
    assert emulated_aws.calls().count("IssueCertificate") == 2


@pytest.fixture
def umbrella(tmp_path: Path, package: Path, chart: Chart) -> tuple[Path, list[str]]:
    """The example, and the values that a user and this cluster have to give."""
    folder = installers.umbrella(tmp_path / "umbrella", package)
    given = tmp_path / "given.yaml"
    known = {"istio-pca": chart.document(), "istiod": istiod.here(), "gateway": istiod.gateway_here()}
    given.write_text(json.dumps(known))
    return folder, ["--namespace", NAMESPACE, "--values", str(given)]


@pytest.mark.parametrize("hook", ["pre", "post"])
def test_umbrella(mesh: None, umbrella: tuple[Path, list[str]], hook: str) -> None:
    """examples/umbrella: one release brings ours and Istio; istiod starts, and signs with our intermediate alone."""
    folder, arguments = umbrella
    istiod.forget_definitions()
    try:
        helm("helm4", "install", "mesh", str(folder), *arguments, "--set", f"istio-pca.job.hook={hook}")
        istiod.ready("300s")  # a Pod whose Secret was missing is tried again after up to two minutes
        chain = b"".join(istiod.workload_certificate())

        assert secret_data("cacerts", NAMESPACE)["ca-cert.pem"].strip() in chain
        assert not exists("secret", "istio-ca-secret", NAMESPACE)
    finally:
        helm("helm4", "uninstall", "mesh", "-n", NAMESPACE, "--wait", check=False)
        istiod.forget_definitions()


def test_umbrella_with_a_gateway(mesh: None, umbrella: tuple[Path, list[str]], tmp_path: Path) -> None:
    """The second step of the example: the upgrade keeps the CA, brings a gateway, and issues its certificate."""
    folder, arguments = umbrella
    istiod.forget_definitions()
    wanted = {"namespace": NAMESPACE, "secretName": "shop-credential", "dnsNames": ["shop.example.com"]}
    given = tmp_path / "gateway.yaml"
    given.write_text(json.dumps({"gateway": {"enabled": True}, "istio-pca": {"config": {"gateways": [wanted]}}}))
    try:
        helm("helm4", "install", "mesh", str(folder), *arguments)
        istiod.ready()
        issued = secret_data("cacerts", NAMESPACE)
        helm("helm4", "upgrade", "mesh", str(folder), *arguments, "--values", str(given))
        kubectl("rollout", "status", "deployment/istio-ingressgateway", "-n", NAMESPACE, "--timeout=180s")

        assert secret_data("cacerts", NAMESPACE) == issued
        assert get("secret", "shop-credential", NAMESPACE)["type"] == "kubernetes.io/tls"
    finally:
        helm("helm4", "uninstall", "mesh", "-n", NAMESPACE, "--wait", check=False)
        istiod.forget_definitions()


def test_switched_off(mesh: None, umbrella: tuple[Path, list[str]]) -> None:
    """`istio-pca.enabled: false` takes all of ours out of the release."""
    folder, arguments = umbrella
    rendered = helm("helm4", "template", "mesh", str(folder), *arguments, "--set", "istio-pca.enabled=false").stdout

    labels = [(one["metadata"].get("labels") or {}) for one in yaml.safe_load_all(rendered) if one]
    assert [one for one in labels if one.get("app.kubernetes.io/name") == "istio-pca"] == []


def test_rollback(mesh: None, chart: Chart) -> None:
    """`helm rollback` issues nothing: the CA is not a part of the release's history."""
    chart.install("helm4")
    chart.upgrade("helm4", cacerts={"validity": "90d"})
    before = secret_data("cacerts", NAMESPACE)
    emulated_aws.order("reset")

    helm("helm4", "rollback", RELEASE, "1", "-n", NAMESPACE)

    assert secret_data("cacerts", NAMESPACE) == before
    assert emulated_aws.calls() == []


@pytest.mark.parametrize(("version", "flag"), [("helm3", "--atomic"), ("helm4", "--rollback-on-failure")])
def test_rolled_back_by_itself(mesh: None, chart: Chart, package: Path, version: str, flag: str) -> None:
    """An install that fails leaves no release, and says why; the same command succeeds after the repair."""
    emulated_aws.order("status", authority="rsa-2", status="DISABLED")
    arguments = ("install", RELEASE, str(package), "-n", NAMESPACE, "--values", str(chart.values("rsa-2")), flag)

    failed = helm(version, *arguments, check=False)

    assert failed.returncode != 0
    assert "is DISABLED, not ACTIVE" in failed.stdout + failed.stderr
    assert RELEASE not in helm(version, "list", "--all-namespaces", "--short").stdout.split()
    emulated_aws.order("status", authority="rsa-2", status="ACTIVE")
    helm(version, *arguments)
    assert exists("secret", "cacerts", NAMESPACE)


def test_a_release_in_another_namespace(mesh: None, chart: Chart, package: Path) -> None:
    """The Job is where the release is; the Secret, and what may be done to it, where istiod is."""
    namespace(ELSEWHERE, **{"pod-security.kubernetes.io/enforce": "restricted"})
    try:
        values = str(chart.values("rsa-2"))
        helm("helm4", "install", RELEASE, str(package), "-n", ELSEWHERE, "--values", values)
        issued = secret_data("cacerts", NAMESPACE)
        run_now(f"{RELEASE}-renewal", "now", ELSEWHERE)

        assert result("now", ELSEWHERE)["action"] == "kept"
        assert secret_data("cacerts", NAMESPACE) == issued
        assert not exists("secret", "cacerts", ELSEWHERE)
        assert helm("helm4", "test", RELEASE, "-n", ELSEWHERE).returncode == 0
    finally:
        helm("helm4", "uninstall", RELEASE, "-n", ELSEWHERE, check=False)
        remove_namespaces(ELSEWHERE)


def test_two_revisions(mesh: None, chart: Chart, gate: Path) -> None:
    """Two istiods beside each other sign under the one intermediate, and both are asked after a renewal."""
    chart.install("helm4")
    istiod.install("helm4", gate)
    istiod.install("helm4", gate, "--set", "revision=canary", name="istiod-canary")
    try:
        istiod.ready()
        istiod.ready(name="istiod-canary")
        due_now("cacerts", NAMESPACE)
        run_now(f"{RELEASE}-renewal", "renew", NAMESPACE)
        intermediate = secret_data("cacerts", NAMESPACE)["ca-cert.pem"].strip()

        assert result("renew", NAMESPACE)["istiodConfirmed"] is True
        for name in ("istiod", "istiod-canary"):
            assert intermediate in b"".join(istiod.workload_certificate(target=f"deployment/{name}"))
        told = kubectl(
            "get", "events", "-n", NAMESPACE, "--field-selector", "reason=Renewed", "-o", "jsonpath={..message}"
        )
        assert "confirmed by 2 istiod" in told
    finally:
        helm("helm4", "uninstall", "istiod-canary", "-n", NAMESPACE, "--wait", check=False)
