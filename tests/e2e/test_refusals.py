"""What must not be touched on a real cluster: a mesh that runs, and a Secret that somebody else made."""

from __future__ import annotations

import base64
from pathlib import Path

from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, Chart
from e2e.kubernetes import apply, exists, get, secret_data, wait


def test_an_istiod_that_runs_self_signed(mesh: None, chart: Chart, tmp_path: Path) -> None:
    """`cacerts` made now would split the mesh at its next restart: refused, and Helm prints the way out."""
    nothing = tmp_path / "none.yaml"
    nothing.write_text("{}")
    istiod.install("helm4", nothing)
    istiod.ready()
    wait("istiod's own root", lambda: exists("configmap", "istio-ca-root-cert", NAMESPACE))

    refused = chart.install("helm4", check=False)

    assert refused.returncode != 0
    assert "config.cacerts.whenMeshRuns=proceed" in refused.stdout + refused.stderr
    assert not exists("secret", "cacerts", NAMESPACE)
    assert "IssueCertificate" not in emulated_aws.calls()

    chart.upgrade("helm4", cacerts={"whenMeshRuns": "proceed"})

    assert exists("secret", "cacerts", NAMESPACE)


def test_a_foreign_secret_of_another_type(mesh: None, chart: Chart) -> None:
    """cert-manager's layout is refused, or replaced when told, though the type of a Secret cannot change."""
    text = base64.b64encode(b"theirs").decode()
    apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {"name": "cacerts", "namespace": NAMESPACE},
            "data": {"tls.crt": text, "tls.key": text, "ca.crt": text},
        }
    )

    refused = chart.install("helm4", check=False)

    assert refused.returncode != 0
    assert "config.cacerts.whenForeign=replace" in refused.stdout + refused.stderr
    assert set(secret_data("cacerts", NAMESPACE)) == {"tls.crt", "tls.key", "ca.crt"}

    chart.upgrade("helm4", cacerts={"whenForeign": "replace"})

    assert set(secret_data("cacerts", NAMESPACE)) == {"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"}
    assert get("secret", "cacerts", NAMESPACE)["type"] == "Opaque"
