"""The chart's alerts, by Prometheus' own promtool: they are valid, and fire on made-up series when they should."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.conftest import NAMESPACE, RELEASE, ROOT, Chart
from e2e.kubernetes import helm

DAY = 86_400
ENDS = "citadel_server_cert_chain_expiry_timestamp"
RAN = f'kube_cronjob_status_last_successful_time{{namespace="{NAMESPACE}",cronjob="{RELEASE}-renewal"}}'
CASES: dict[str, tuple[dict[str, float], set[str]]] = {
    "all is well": ({f'{ENDS}{{pod="a"}}': 60 * DAY, f'{ENDS}{{pod="b"}}': 60 * DAY, RAN: 0}, set()),
    "it ends in six days": ({ENDS: 6 * DAY, RAN: 0}, {"IstioIntermediateEnds"}),
    "it ends in hours": ({ENDS: 0.5 * DAY, RAN: 0}, {"IstioIntermediateEnds", "IstioIntermediateEndsNow"}),
    "one replica is behind": (
        {f'{ENDS}{{pod="a"}}': 60 * DAY, f'{ENDS}{{pod="b"}}': 90 * DAY, RAN: 0},
        {"IstioReplicasSignDifferently"},
    ),
    "no run for three days": ({ENDS: 60 * DAY, RAN: -3 * DAY}, {"IstioPcaDoesNotRun"}),
}


@pytest.fixture
def promtool() -> str:
    if "PROMTOOL" not in os.environ:
        pytest.skip("PROMTOOL is not set: there is no promtool to ask (the node of tests/cluster has one)")
    return os.environ["PROMTOOL"]


def rules(chart: Chart, package: Path) -> dict[str, Any]:
    more = {"monitoring": {"prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}}}}
    values = str(chart.values("rsa-2", more))
    text = helm("helm4", "template", RELEASE, str(package), "-n", NAMESPACE, "--values", values).stdout
    (rule,) = [one for one in yaml.safe_load_all(text) if one and one["kind"] == "PrometheusRule"]
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    spec: dict[str, Any] = rule["spec"]
    return spec


def test_alerts(chart: Chart, package: Path, promtool: str, tmp_path: Path) -> None:
    """Each fires in its own case after its time, and no other does; the clock of promtool begins at 0."""
    file = tmp_path / "rules.yaml"
    file.write_text(json.dumps(rules(chart, package)))
    names = {rule["alert"] for group in rules(chart, package)["groups"] for rule in group["rules"]}
    subprocess.run([promtool, "check", "rules", str(file)], check=True, capture_output=True)
    offset = 4 * DAY  # so that "three days ago" is a time that has been
    tests = [
        {
            "interval": "5m",
            "input_series": [
                {"series": series, "values": f"{offset + moment:.0f}x{2 * offset // 300}"}
                for series, moment in given.items()
            ],
            "alert_rule_test": [
                {
                    "alertname": name,
                    "eval_time": f"{(offset + 2 * 3600) // 60}m",
                    "exp_alerts": [{"exp_labels": {"severity": _severity(name)}}] if name in fire else [],
                }
                for name in sorted(names)
            ],
        }
        for given, fire in CASES.values()
    ]
    # texts of annotations are not compared
    stripped = rules(chart, package)
    for group in stripped["groups"]:
        for rule in group["rules"]:
            rule.pop("annotations")
    file.write_text(json.dumps(stripped))
    script = tmp_path / "tests.yaml"
    script.write_text(json.dumps({"rule_files": [str(file)], "evaluation_interval": "5m", "tests": tests}))

    answer = subprocess.run([promtool, "test", "rules", str(script)], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert names == {name for _, fire in CASES.values() for name in fire}


def _severity(name: str) -> str:
    return "critical" if name.endswith("Now") else "warning"


def test_dashboard(promtool: str, tmp_path: Path) -> None:
    """Every question that it asks is one that Prometheus can answer; no Grafana is run here."""
    board = json.loads((ROOT / "chart" / "dashboards" / "istio-pca.json").read_text())
    questions = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
    file = tmp_path / "rules.yaml"
    recorded = [{"record": f"question{number}", "expr": expr} for number, expr in enumerate(questions)]
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": recorded}]}))

    answer = subprocess.run([promtool, "check", "rules", str(file)], capture_output=True, text=True, check=False)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]) == 5
