"""docs/walkthrough.md, from its first `sh` block to its last, in one shell; what the reader is told to see is there."""

from __future__ import annotations

import json
import os
from pathlib import Path

import walkthrough
from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, Chart
from e2e.kubernetes import exists, port_forward, remove_namespaces

HELM = """
# the charts of this checkout and of this Istio, with what this cluster needs; all else is as in the text
helm() {{
  local arguments=() one
  for one in "$@"; do
    case $one in
      oci://ghcr.io/istio-pca/charts/istio-pca) one="{package}" ;;
      istio/base | istio/gateway) one="{charts}/${{one#istio/}}" ;;
      istio/istiod) one="{charts}/istio-control/istio-discovery" ;;
    esac
    arguments+=("$one")
  done
  case "$1 $2" in
    'repo add') return ;;
    'install istio-pca' | 'upgrade istio-pca') arguments+=(--values "{here}/ours.json") ;;
    'install istiod') arguments+=(--values "{here}/istiod.json") ;;
    'install gateway') arguments+=(--set imagePullPolicy={pull}) ;;
  esac
  "{helm}" "${{arguments[@]}}"
}}
"""


def test_walkthrough(mesh: None, chart: Chart, package: Path, tmp_path: Path) -> None:
    """Every command succeeds, and each promise of the text that can be read from its output is kept."""
    remove_namespaces("istio-ingress", "sample")
    ours = json.loads(chart.values("rsa-2").read_text())
    (tmp_path / "ours.json").write_text(json.dumps({name: ours[name] for name in ("image", "extraEnv")}))
    (tmp_path / "istiod.json").write_text(json.dumps(istiod.here()))
    helm = HELM.format(
        package=package,
        charts=istiod.CHARTS,
        here=tmp_path,
        pull=istiod.here()["global"]["imagePullPolicy"],
        helm=os.environ.get("HELM4", "helm4"),
    )
    variables = {"ROLE_ARN": emulated_aws.ROLE, "PYTHON_IMAGE": emulated_aws.IMAGE}
    work = tmp_path / "work"
    work.mkdir()

    try:
        with port_forward("deployment/aws", emulated_aws.NAMESPACE, 8080) as port:
            environment = {**os.environ, **emulated_aws.laptop(port), **variables}
            said = walkthrough.run(helm, walkthrough.blocks(), work, environment)
    finally:
        remove_namespaces("istio-ingress", "sample")

    authority, policy, made, _, workload, gateway, watched, cleaned = (said[section] for section in range(1, 9))
    assert authority == "ACTIVE"
    assert '"acm-pca:IssueCertificate"' in policy
    assert "CN = Istio CA blue" in made
    assert "kubernetes.io/tls" in made
    assert "Issued" in made
    assert "---" not in workload.partition("condition met")[2]
    assert gateway.endswith("open")
    assert "istio-system/cacerts  good" in watched
    assert '"action": "kept"' in watched
    assert "Renewed" in watched
    assert cleaned.endswith("DELETED\nDELETED")
    assert not exists("secret", "cacerts", NAMESPACE)
