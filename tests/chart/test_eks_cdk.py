"""examples/eks-blueprints-cdk: compiled and synthesized with the real Blueprints; its template is what is compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import pytest

from chart.conftest import ARN, CHART, ROLE, Document, Render, only
from e2e.istiod import GATE
from istio_pca.config import parse
from istio_pca.policy import permissions

EXAMPLE = CHART.parent / "examples" / "eks-blueprints-cdk"
HELM = "Custom::AWSCDK-EKS-HelmChart"
pytestmark = pytest.mark.timeout(600)  # half a gigabyte of packages, when npm has none of them yet


@pytest.fixture(scope="module")
def resources(tmp_path_factory: pytest.TempPathFactory) -> Document:
    """Of the synthesized template. No AWS is asked; npm fetches what package-lock.json names, by its hashes."""
    if not shutil.which("npm"):
        pytest.skip("npm is not installed: the example cannot be synthesized")
    folder = tmp_path_factory.mktemp("cdk") / "example"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules", "build", "cdk.out"))
    main = folder / "bin" / "main.ts"
    main.write_text(main.read_text().replace("CA_ARN", ARN))
    account = {"CDK_DEFAULT_ACCOUNT": "111122223333", "CDK_DEFAULT_REGION": "eu-west-1", "CDK_OUTDIR": "out"}
    for command in (["npm", "ci", "--no-audit", "--no-fund"], ["npx", "tsc"], ["node", "build/bin/main.js"]):
        variables = {**os.environ, **account}
        answer = subprocess.run(command, cwd=folder, env=variables, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
    found: Document = json.loads((folder / "out" / "blue.template.json").read_text())["Resources"]
    shutil.rmtree(folder / "node_modules")  # half a gigabyte
    return found


def charts(resources: Document) -> Document:
    """By release: its resource, with its logical name."""
    return {
        one["Properties"]["Release"]: {**one, "Name": name} for name, one in resources.items() if one["Type"] == HELM
    }


def values(chart: Document) -> Document:
    """What Helm is given; what only AWS knows is the role's ARN."""
    given = chart["Properties"]["Values"]
    parts = given["Fn::Join"][1] if isinstance(given, dict) else [given]
    return dict(json.loads("".join(one if isinstance(one, str) else ROLE for one in parts)))


def test_order(resources: Document) -> None:
    """The namespace by istio-base, then ours with its role and policy, then istiod."""
    found = charts(resources)
    ours, istiod = found["istio-pca"], found["istiod"]
    needed = {resources[name]["Type"] for name in ours["DependsOn"]}

    assert found["istio-base"]["Name"] in ours["DependsOn"]
    assert ours["Name"] in istiod["DependsOn"]
    assert {"AWS::IAM::Policy", "AWS::IAM::Role", "Custom::AWSCDK-EKS-KubernetesResource"} <= needed


def test_values(resources: Document, render: Render) -> None:
    """Ours render a Job with the role, as the ServiceAccount that CDK makes; istiod's hold the gate."""
    found = charts(resources)
    objects = render(values(found["istio-pca"]))
    job = only(objects, "Job")["spec"]["template"]["spec"]
    kind = "Custom::AWSCDK-EKS-KubernetesResource"
    manifests = [json.dumps(one["Properties"]["Manifest"]) for one in resources.values() if one["Type"] == kind]
    (account,) = [one.replace("\\", "") for one in manifests if "ServiceAccount" in one]

    assert {"name": "AWS_ROLE_ARN", "value": ROLE} in job["containers"][0]["env"]
    assert job["serviceAccountName"] == "istio-pca"
    assert '"name":"istio-pca","namespace":"istio-system"' in account
    istiod = values(found["istiod"])
    assert {key: istiod[key] for key in GATE} == GATE


def test_policy(resources: Document) -> None:
    """It is the policy that `istio-pca policy` prints."""
    policies = [one for one in resources.values() if one["Type"] == "AWS::IAM::Policy"]
    (policy,) = [one for one in policies if "acm-pca" in json.dumps(one)]
    wanted = permissions(parse(f"certificateAuthorityArn: {ARN}"))["Statement"]

    def plain(one: Any) -> Any:
        if isinstance(one, dict) and "Fn::Join" in one:
            return "".join(part if isinstance(part, str) else "aws" for part in one["Fn::Join"][1])
        return {key: plain(value) for key, value in one.items()} if isinstance(one, dict) else one

    assert [plain(one) for one in policy["Properties"]["PolicyDocument"]["Statement"]] == wanted


def test_version(resources: Document) -> None:
    """It installs the version of the chart that is beside it."""
    version = charts(resources)["istio-pca"]["Properties"]["Version"]

    assert f"\nversion: {version}\n" in (CHART / "Chart.yaml").read_text()


def test_lock() -> None:
    """The lock names packages and hashes, and no address."""
    lock = json.loads((EXAMPLE / "package-lock.json").read_text())["packages"]

    assert [name for name, one in lock.items() if "resolved" in one] == []
    assert [name for name, one in lock.items() if name and "integrity" not in one and not one.get("inBundle")] == []
