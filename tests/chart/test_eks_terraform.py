"""examples/eks-blueprints-terraform: Terraform formats, parses and evaluates it; the chart renders its values."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from chart.conftest import ARN, CHART, Document, Render, only
from e2e.istiod import GATE
from istio_pca.config import parse
from istio_pca.policy import permissions
from terraform import evaluated, terraform

EXAMPLE = CHART.parent / "examples" / "eks-blueprints-terraform"
MAIN = (EXAMPLE / "main.tf").read_text()


@pytest.fixture(scope="module")
def value(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Evaluates an expression over values.tf, whose only inputs from elsewhere are given here."""
    folder = tmp_path_factory.mktemp("terraform")
    for name in ("values.tf", "variables.tf"):
        shutil.copy(EXAMPLE / name, folder)
    (folder / "given.tf").write_text(f'locals {{ certificate_authority_arn = "{ARN}" }}\n')
    given = ["-var", "cluster_name=blue", "-var", "oidc_provider_arn=arn:aws:iam::111122223333:oidc-provider/x"]
    return lambda expression: evaluated(folder, expression, *given)


def test_format() -> None:
    """As `terraform fmt` has it; what it cannot parse, it refuses."""
    answer = subprocess.run([terraform(), "fmt", "-check", str(EXAMPLE)], capture_output=True, text=True, check=False)

    assert (answer.returncode, answer.stdout) == (0, "")


def test_values(value: Callable[[str], Any], render: Render) -> None:
    """Ours render a Job for this cluster; istiod's are the gate that NOTES.txt prints."""
    (container,) = only(render(value("local.istio_pca_values")), "Job")["spec"]["template"]["spec"]["containers"]
    config = parse(next(one["value"] for one in container["env"] if one["name"] == "ISTIO_PCA_CONFIG"))

    assert (config.cluster_name, config.certificate_authority_arn) == ("blue", ARN)
    assert value("local.istiod_values") == GATE


def test_policy(value: Callable[[str], Any]) -> None:
    """It is the policy that `istio-pca policy` prints."""
    wanted = permissions(parse(f"certificateAuthorityArn: {ARN}"))["Statement"]

    assert [_statement(one) for one in value("local.policy_statements")] == [_normal(one) for one in wanted]


def _statement(given: Document) -> Document:
    """As AWS' provider writes it."""
    conditions = {one["test"]: {one["variable"]: one["values"]} for one in given.get("conditions", [])}
    return _normal({"Action": given["actions"], "Resource": given["resources"], "Condition": conditions})


def _normal(statement: Document) -> Document:
    def many(one: Any) -> list[str]:
        return sorted([one] if isinstance(one, str) else one)

    conditions = statement.get("Condition", {})
    return {
        "Action": many(statement["Action"]),
        "Resource": many(statement["Resource"]),
        "Condition": {test: {key: many(one) for key, one in by.items()} for test, by in conditions.items()},
    }


def test_who_may_assume(value: Callable[[str], Any], render: Render) -> None:
    """The role trusts the ServiceAccounts that the chart makes for a release of this name."""
    accounts = {
        one["metadata"]["name"].replace("mesh-", "")
        for one in render()
        if one["kind"] == "ServiceAccount" and not one["metadata"]["name"].endswith("-verify")
    }

    assert set(value("local.service_accounts")) == accounts


def test_version() -> None:
    """It installs the version of the chart that is beside it, and waits as long as the chart says."""
    text = (CHART / "Chart.yaml").read_text() + (CHART / "values.yaml").read_text()

    assert re.findall(r'chart_version\s*= "(.*)"', MAIN) == re.findall(r"^version: (.*)$", text, re.MULTILINE)
    assert re.findall(r"timeout\s*= (\d+)", MAIN) == re.findall(r"installerTimeoutSeconds: (\d+)", text)
    assert "disable_webhooks =" not in MAIN
