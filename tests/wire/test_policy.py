"""The IAM policy of the README is enough, and each part of it is needed: the emulator enforces it."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import botocore.session
import botocore.validate
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


ELSEWHERE = ("--oidc-provider", provider("444455556666"))
GATEWAY = {"namespace": "a", "secretName": "b", "dnsNames": ["c.d"]}


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
    prefix = "arn:aws-us-gov:acm-pca:::template/"

    def templates(**wish: Any) -> Any:
        found = printed(cli, certificateAuthorityArn=ARN, gateways=[GATEWAY], **wish)["permissions"]
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


def test_printed_for_pod_identity(cli: Cli) -> None:
    """The role trusts EKS for Pods of the two ServiceAccounts alone; test_pod_identity_trust has it evaluated."""
    found = printed(cli, "--pod-identity", "111122223333", certificateAuthorityArn=ARN)
    (statement,) = found["trust"]["Statement"]

    assert set(found) == {"permissions", "trust"}
    assert statement["Principal"] == {"Service": "pods.eks.amazonaws.com"}
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/kubernetes-namespace": ["istio-system"],
        "aws:RequestTag/kubernetes-service-account": ["istio-pca", "istio-pca-renewal"],
    }
    assert "share" in printed(cli, "--pod-identity", "444455556666", certificateAuthorityArn=ARN)


def test_printed_share(cli: Cli) -> None:
    """A cluster of another account needs the share too, or with `roleArn` to assume that role."""
    role = "arn:aws-us-gov:iam::111122223333:role/ca"

    shared = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN)["share"]
    assumed = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN, roleArn=role)

    assert {one["Principal"]["AWS"] for one in shared["Statement"]} == {"444455556666"}
    assert shared["Statement"][1]["Condition"]["StringEquals"]["acm-pca:TemplateArn"].endswith("PathLen0/V1")
    assert set(assumed) == {"permissions", "trust", "assume"}
    assert assumed["assume"]["Statement"] == [{"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}]


def test_printed_for_ram(cli: Cli) -> None:
    """What RAM is asked is a request by AWS' own model of it; RAM has no permission for servers' certificates."""
    asked = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN)["ram"]
    model = botocore.session.get_session().get_service_model("ram").operation_model("CreateResourceShare")

    report = botocore.validate.ParamValidator().validate(asked, model.input_shape)

    assert not report.has_errors(), report.generate_report()
    assert (asked["resourceArns"], asked["principals"]) == ([ARN], ["444455556666"])
    assert asked["permissionArns"] == [
        "arn:aws-us-gov:ram::aws:permission/AWSRAMSubordinateCACertificatePathLen0IssuanceCertificateAuthority"
    ]
    with_gateway = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN, gateways=[GATEWAY])
    assert set(with_gateway) == {"permissions", "trust", "share"}


def test_not_shared(cli: Cli) -> None:
    """A longer path is no template that another account may use: told before AWS denies it. Its own account may."""
    wish = {"certificateAuthorityArn": ARN, "cacerts": {"pathLength": 1}}
    answer = cli.run("policy", "--output", "json", *ELSEWHERE, config=wish)

    assert (answer.returncode, "cacerts.pathLength" in answer.stderr) == (10, True)
    assert "permissions" in printed(cli, "--oidc-provider", provider("111122223333"), **wish)


def test_printed_for_cloudformation(cli: Cli) -> None:
    """A role with the trust and the permissions, and the share, each made only in its own account."""
    documents = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN)

    found = printed(cli, *ELSEWHERE, "--format", "cloudformation", certificateAuthorityArn=ARN)

    role, share = found["Resources"]["IstioPcaRole"], found["Resources"]["IstioPcaShare"]
    (inline,) = role["Properties"]["Policies"]
    assert role["Properties"]["AssumeRolePolicyDocument"] == documents["trust"]
    assert inline["PolicyDocument"] == documents["permissions"]
    assert {key.lower(): value for key, value in share["Properties"].items()} == {
        key.lower(): value for key, value in documents["ram"].items()
    }
    accounts = {name: condition["Fn::Equals"][1] for name, condition in found["Conditions"].items()}
    assert [accounts[one["Condition"]] for one in (role, share)] == ["444455556666", "111122223333"]


def test_printed_for_cloudformation_with_a_role_of_the_authority(cli: Cli) -> None:
    """With `roleArn` there is no share: the role of the cluster's account may assume that one, and no more."""
    role = "arn:aws-us-gov:iam::111122223333:role/ca"
    found = printed(cli, *ELSEWHERE, "--format", "cloudformation", certificateAuthorityArn=ARN, roleArn=role)

    (inline,) = found["Resources"]["IstioPcaRole"]["Properties"]["Policies"]
    assert set(found) == {"Resources"}
    assert inline["PolicyDocument"]["Statement"][0]["Action"] == "sts:AssumeRole"


def test_printed_for_terraform(cli: Cli, tmp_path: Path) -> None:
    """Terraform itself reads the locals, and gives back the documents; of the share for RAM, its parts."""
    wish = json.dumps({"certificateAuthorityArn": ARN})
    (tmp_path / "main.tf").write_text(cli.run("policy", "--format", "hcl", *ELSEWHERE, config=wish).stdout)

    found = json.loads(evaluated(tmp_path, "local.istio_pca_permissions"))
    permissions = evaluated(tmp_path, "jsonencode(local.istio_pca_ram.permissionArns)")

    documents = printed(cli, *ELSEWHERE, certificateAuthorityArn=ARN)
    assert found == documents["permissions"]
    assert json.loads(permissions) == documents["ram"]["permissionArns"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--oidc-provider", "arn:aws:iam::1:role/x"),
        ("--pod-identity", "1234"),
        ("--service-account", "istio-pca"),
        ("--pod-identity", "111122223333", *ELSEWHERE),
    ],
)
def test_bad_arguments(cli: Cli, arguments: tuple[str, ...]) -> None:
    """An ARN of something else, no account, no namespace, or both ways to a role: bad config."""
    assert cli.run("policy", *arguments, config={"certificateAuthorityArn": ARN}).returncode == 10


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
