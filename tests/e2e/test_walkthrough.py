"""docs/walkthrough.md, from its first `sh` block to its last, in one shell; what the reader is told to see is there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, ROOT, Chart
from e2e.kubernetes import exists, remove_namespaces

TEXT = (ROOT / "docs" / "walkthrough.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
SHELL = """
set -euo pipefail
istio-pca() {{ "{python}" -m istio_pca "$@"; }}
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
    setting = {
        "python": sys.executable,
        "package": package,
        "charts": istiod.CHARTS,
        "here": tmp_path,
        "pull": istiod.here()["global"]["imagePullPolicy"],
        "helm": os.environ.get("HELM4", "helm4"),
    }
    script = "\n".join([SHELL.format(**setting), *(f"echo '== {n}'\n{block}" for n, block in enumerate(BLOCKS))])
    variables = {"CA_ARN": emulated_aws.arn("rsa-2"), "ROLE_ARN": emulated_aws.ROLE, "PYTHON_IMAGE": emulated_aws.IMAGE}
    work = tmp_path / "work"
    work.mkdir()

    try:
        answer = subprocess.run(
            ["bash"],
            input=script,
            cwd=work,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        said = answer.stdout.split("== ")[1:]
        assert answer.returncode == 0, answer.stdout + answer.stderr
    finally:
        remove_namespaces("istio-ingress", "sample")

    policy, _, made, _, workload, gateway, watched, renewed, _ = said
    assert '"acm-pca:IssueCertificate"' in policy
    assert "CN = Istio CA blue" in made
    assert "kubernetes.io/tls" in made
    assert "Issued" in made
    assert "---" not in workload.partition("condition met")[2]
    assert gateway.rstrip().endswith("open")
    assert "istio-system/cacerts  good" in watched
    assert '"action": "kept"' in watched
    assert "Renewed" in renewed
    assert not exists("secret", "cacerts", NAMESPACE)
