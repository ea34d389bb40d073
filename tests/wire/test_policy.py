"""The IAM policy of the README is enough, and each part of it is needed: the emulator enforces it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pca_emulator import Emulator, Scenario, User
from terraform import evaluated
from wire.conftest import ROOT, Cli
from wire.test_ensure import config, operations

README = (ROOT / "README.md").read_text()


def policy() -> dict[str, Any]:
    found = re.search(r"```json\n(.*?)```", README, re.DOTALL)
    assert found
    document: dict[str, Any] = json.loads(found[1].replace('"CA_ARN"', '"*"'))
    return document


def actions(statement: dict[str, Any]) -> list[str]:
    action = statement["Action"]
    return [action] if isinstance(action, str) else action


ALL = [action for statement in policy()["Statement"] for action in actions(statement)]


def printed(cli: Cli, *arguments: str, **wish: Any) -> dict[str, Any]:
    answer = cli.run("policy", "--output", "json", *arguments, config=wish)
    assert answer.returncode == 0, answer.stderr
    document: dict[str, Any] = json.loads(answer.stdout)
    return document


ARN = "arn:aws-us-gov:acm-pca:us-gov-west-1:111122223333:certificate-authority/12345678"
ISSUER = "oidc.eks.us-gov-west-1.amazonaws.com/id/0123"


def provider(account: str) -> str:
    return f"arn:aws-us-gov:iam::{account}:oidc-provider/{ISSUER}"


def test_printed(cli: Cli) -> None:
    """`istio-pca policy` prints the README's policy, for this CA and its partition; it asks nobody."""
    cli.environment = {}
    found = printed(cli, certificateAuthorityArn=ARN)

    wanted = (
        json.dumps(policy()).replace('"*"', json.dumps(ARN)).replace("arn:aws:acm-pca:::", "arn:aws-us-gov:acm-pca:::")
    )
    assert found["permissions"] == json.loads(wanted)
    assert set(found) == {"permissions", "trust"}


def test_printed_for_gateways(cli: Cli) -> None:
    """With gateways, the template for servers is allowed too; without `cacerts` it is the only one."""
    gateway = {"namespace": "a", "secretName": "b", "dnsNames": ["c.d"]}
    prefix = "arn:aws-us-gov:acm-pca:::template/"

    def templates(**wish: Any) -> Any:
        found = printed(cli, certificateAuthorityArn=ARN, gateways=[gateway], **wish)["permissions"]
        return found["Statement"][0]["Condition"]["StringEquals"]["acm-pca:TemplateArn"]

    server = f"{prefix}EndEntityServerAuthCertificate/V1"
    assert templates() == [server, f"{prefix}SubordinateCACertificate_PathLen0/V1"]
    assert templates(cacerts={"enabled": False}) == server


def test_printed_trust(cli: Cli) -> None:
    """It names the provider and the two ServiceAccounts of the chart, or those that are given."""
    found = printed(cli, "--oidc-provider", provider("111122223333"), certificateAuthorityArn=ARN)
    (statement,) = found["trust"]["Statement"]

    assert set(found) == {"permissions", "trust"}
    assert statement["Principal"] == {"Federated": provider("111122223333")}
    assert statement["Condition"]["StringEquals"] == {
        f"{ISSUER}:aud": "sts.amazonaws.com",
        f"{ISSUER}:sub": [
            "system:serviceaccount:istio-system:istio-pca",
            "system:serviceaccount:istio-system:istio-pca-renewal",
        ],
    }
    other = printed(cli, "--service-account", "a/b", certificateAuthorityArn=ARN)["trust"]["Statement"][0]
    assert other["Condition"]["StringEquals"]["OIDC_PROVIDER:sub"] == ["system:serviceaccount:a:b"]


def test_printed_share(cli: Cli) -> None:
    """A cluster of another account needs the share too, or with `roleArn` to assume that role."""
    elsewhere = ("--oidc-provider", provider("444455556666"))
    role = "arn:aws-us-gov:iam::111122223333:role/ca"

    shared = printed(cli, *elsewhere, certificateAuthorityArn=ARN)["share"]
    assumed = printed(cli, *elsewhere, certificateAuthorityArn=ARN, roleArn=role)

    assert {one["Principal"]["AWS"] for one in shared["Statement"]} == {"444455556666"}
    assert shared["Statement"][1]["Condition"]["StringEquals"]["acm-pca:TemplateArn"].endswith("PathLen0/V1")
    assert "share" not in assumed
    assert assumed["assume"]["Statement"] == [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]


def test_printed_for_cloudformation(cli: Cli) -> None:
    """A role with the trust and the permissions; with `roleArn`, of the cluster's account, to assume that one."""
    elsewhere = ("--oidc-provider", provider("444455556666"))
    documents = printed(cli, *elsewhere, certificateAuthorityArn=ARN)
    formatted = ("--format", "cloudformation")
    role = "arn:aws-us-gov:iam::111122223333:role/ca"

    made = printed(cli, *elsewhere, *formatted, certificateAuthorityArn=ARN)["Resources"]["IstioPcaRole"]
    assuming = printed(cli, *elsewhere, *formatted, certificateAuthorityArn=ARN, roleArn=role)

    (inline,) = made["Properties"]["Policies"]
    assert made["Properties"]["AssumeRolePolicyDocument"] == documents["trust"]
    assert inline["PolicyDocument"] == documents["permissions"]
    (inline,) = assuming["Resources"]["IstioPcaRole"]["Properties"]["Policies"]
    assert inline["PolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"


def test_printed_for_terraform(cli: Cli, tmp_path: Path) -> None:
    """Terraform itself reads the locals, and gives back the documents."""
    wish = json.dumps({"certificateAuthorityArn": ARN})
    (tmp_path / "main.tf").write_text(cli.run("policy", "--format", "hcl", config=wish).stdout)

    found = json.loads(evaluated(tmp_path, "local.istio_pca_permissions"))

    assert found == printed(cli, certificateAuthorityArn=ARN)["permissions"]


def test_bad_provider(cli: Cli) -> None:
    """An ARN of something else is bad config."""
    assert cli.run("policy", "--oidc-provider", "arn:aws:iam::1:role/x").returncode == 10


def without(action: str) -> dict[str, Any]:
    document = copy.deepcopy(policy())
    for statement in document["Statement"]:
        statement["Action"] = [one for one in actions(statement) if one != action]
    document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
    return document


def test_enough(wheel: Path, tmp_path: Path) -> None:
    """An issue and a renewal need these actions, all of them, and no other."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=policy()),))) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        cli.result("ensure", **config(emulator))
        cli.result("ensure", **config(emulator, cacerts={"validity": "90d"}))

        assert {f"acm-pca:{name}" for name in operations(emulator)} == set(ALL)


@pytest.mark.parametrize("action", ALL)
def test_needed(wheel: Path, tmp_path: Path, action: str) -> None:
    """Without any one of them an issue or the renewal after it is denied, and the message names it."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=without(action)),))) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        runs = [
            cli.run("ensure", config=config(emulator, retryFor="1s", cacerts={"validity": validity}))
            for validity in ("365d", "90d")
        ]

    assert 13 in {run.returncode for run in runs}
    assert action in next(run for run in runs if run.returncode == 13).stderr.splitlines()[-1]


def test_only_this_template(wheel: Path, tmp_path: Path) -> None:
    """The condition binds the role to CAs below which no CA can stand."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=policy()),))) as emulator:
        wish = config(emulator, retryFor="1s", cacerts={"pathLength": 1})
        failure = Cli(wheel, tmp_path, emulator.environment()).failure("ensure", **wish)

    assert (failure["exitCode"], "acm-pca:IssueCertificate" in failure["message"]) == (13, True)
