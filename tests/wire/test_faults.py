"""What goes wrong on the way to AWS: retried, resumed, or told; and one certificate stays one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pca_emulator import AuthoritySpec, Emulator, Role, Scenario, User
from wire.conftest import SERVICE_ACCOUNT, Cli, irsa_environment
from wire.test_ensure import config, files, operations


def test_no_retry_multiplies(cli: Cli, emulator: Emulator) -> None:
    """boto3 does not try again behind our back: inside two seconds a handful of calls are made, not dozens."""
    emulator.fault("DescribeCertificateAuthority", "503")

    failure = cli.failure("ensure", **config(emulator, retryFor="2s"))

    assert failure["exitCode"] == 20
    assert 1 < operations(emulator).count("DescribeCertificateAuthority") < 15


def test_waits_for_issuance(wheel: Path, tmp_path: Path) -> None:
    """While ACM PCA works, it is asked again at a growing interval; that is not a warning."""
    with Emulator(Scenario(keys=("EC_prime256v1",), issue_delay=1.0)) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        answer = cli.run("ensure", config=config(emulator))
        polls = operations(emulator).count("GetCertificate")

    assert answer.returncode == 0
    assert 2 <= polls <= 6
    assert "warning" not in answer.stderr


def test_starved_then_resumed(cli: Cli, emulator: Emulator) -> None:
    """A run that dies waiting leaves a journal; the next one finishes the same request, and buys nothing."""
    emulator.fault("GetCertificate", "503")
    failure = cli.failure("ensure", **config(emulator, retryFor="2s"))
    held = (cli.secrets / "cacerts-pending" / "ca-key.pem").read_bytes()
    emulator.clear_faults()

    assert failure["exitCode"] == 20
    assert cli.result("plan", **config(emulator))["action"] == "resume"
    cli.result("ensure", **config(emulator))
    assert files(cli)["ca-key.pem"] == held
    assert len(emulator.issued) == 1
    assert not (cli.secrets / "cacerts-pending").exists()


def test_lost_reply_and_a_new_process(cli: Cli, emulator: Emulator) -> None:
    """The reply to IssueCertificate is lost, the process gives up: within five minutes the next one gets the same."""
    emulator.fault("IssueCertificate", "drop-after-commit")
    assert cli.failure("ensure", **config(emulator, retryFor="2s"))["exitCode"] == 20
    emulator.clear_faults()

    cli.result("ensure", **config(emulator))

    assert len(emulator.issued) == 1


@pytest.mark.parametrize("status", ["DISABLED", "DELETED", "EXPIRED", "PENDING_CERTIFICATE", "CREATING", "FAILED"])
def test_authority_not_active(cli: Cli, emulator: Emulator, status: str) -> None:
    """It is told at once, and no journal is left."""
    emulator.set_status(status)

    failure = cli.failure("ensure", **config(emulator))

    assert (failure["exitCode"], status in failure["message"]) == (12, True)
    assert not cli.secrets.exists()


def test_unknown_authority(cli: Cli, emulator: Emulator) -> None:
    """An ARN of nothing is told, with the ARN."""
    wrong = {"certificateAuthorityArn": emulator.ca_arn[:-1] + ("0" if emulator.ca_arn[-1] != "0" else "1")}

    failure = cli.failure("ensure", **{**config(emulator), **wrong})

    assert failure["exitCode"] == 12
    assert wrong["certificateAuthorityArn"] in failure["message"]


def test_no_credentials(cli: Cli, emulator: Emulator) -> None:
    """None at all: leave at once, so that a new Pod may get what a webhook failed to inject. Nothing is written."""
    cli.environment = emulator.endpoints()

    failure = cli.failure("ensure", **config(emulator))

    assert (failure["exitCode"], failure["reason"]) == (20, "NoCredentials")
    assert operations(emulator) == []
    assert not cli.secrets.exists()


def test_wrong_secret_key(cli: Cli, emulator: Emulator) -> None:
    """A bad signature is a denial, told without the key."""
    cli.environment["AWS_SECRET_ACCESS_KEY"] = "wrong-and-never-shown"

    answer = cli.run("ensure", config=config(emulator, retryFor="1s"))

    assert answer.returncode == 13
    assert "wrong-and-never-shown" not in answer.stderr


NOTHING = {"Version": "2012-10-17", "Statement": []}
READ = {"Effect": "Allow", "Action": ["acm-pca:Describe*", "acm-pca:Get*"], "Resource": "*"}


@pytest.mark.parametrize(
    ("policy", "action"),
    [
        (NOTHING, "acm-pca:DescribeCertificateAuthority"),
        ({"Version": "2012-10-17", "Statement": [READ]}, "acm-pca:IssueCertificate"),
    ],
)
def test_denied(wheel: Path, tmp_path: Path, policy: dict[str, Any], action: str) -> None:
    """Denied for good, after the window: the action that is missing is named."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(User(policy=policy),))) as emulator:
        failure = Cli(wheel, tmp_path, emulator.environment()).failure("ensure", **config(emulator, retryFor="2s"))

    assert (failure["exitCode"], action in failure["message"]) == (13, True)
    assert f'"Action": "{action}", "Resource": "{emulator.ca_arn}"' in failure["hint"]
    assert "this Pod or shell is arn:aws:iam::111122223333:user/" in failure["message"]


@pytest.fixture
def irsa(wheel: Path, tmp_path: Path) -> Iterator[tuple[Cli, Emulator]]:
    """A Pod's way in: a ServiceAccount token in a file, exchanged at STS."""
    scenario = Scenario((AuthoritySpec(keys=("EC_prime256v1",)),), roles=(Role(service_accounts=(SERVICE_ACCOUNT,)),))
    with Emulator(scenario) as emulator:
        variables = {**irsa_environment(emulator, tmp_path), "AWS_ROLE_SESSION_NAME": "istio-pca-blue"}
        yield Cli(wheel, tmp_path, variables), emulator


def test_irsa(irsa: tuple[Cli, Emulator]) -> None:
    """With the least policy that a role needs, the whole story; CloudTrail sees the session's name."""
    cli, emulator = irsa

    cli.result("ensure", **config(emulator))

    assert operations(emulator)[0] == "AssumeRoleWithWebIdentity"
    assert {request.principal for request in emulator.requests if request.service == "acm-pca"} == {
        "arn:aws:sts::111122223333:assumed-role/istio-pca/istio-pca-blue"
    }


def test_irsa_of_another_service_account(irsa: tuple[Cli, Emulator]) -> None:
    """The trust policy names one ServiceAccount; another one's token is denied, and is not shown."""
    cli, emulator = irsa
    token = emulator.token("default/other")
    Path(cli.environment["AWS_WEB_IDENTITY_TOKEN_FILE"]).write_text(token)

    answer = cli.run("ensure", config=config(emulator, retryFor="1s"))

    assert answer.returncode == 13
    assert token not in answer.stderr


def test_role_in_the_authoritys_account(wheel: Path, tmp_path: Path) -> None:
    """`roleArn` is assumed with the first credentials, and signs the rest."""
    arn = "arn:aws:iam::111122223333:role/ca"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}}
        ],
    }
    scenario = Scenario((AuthoritySpec(keys=("EC_prime256v1",)),), roles=(Role(name="ca", trust_policy=trust),))
    with Emulator(scenario) as emulator:
        Cli(wheel, tmp_path, emulator.environment()).result("ensure", **config(emulator, roleArn=arn))
        principals = {request.principal for request in emulator.requests if request.service == "acm-pca"}

    assert principals == {"arn:aws:sts::111122223333:assumed-role/ca/istio-pca-blue"}


@pytest.mark.parametrize(("life", "level"), [("40h", "warning"), ("20h", "error")])
def test_a_renewal_that_fails_says_what_still_holds(cli: Cli, emulator: Emulator, life: str, level: str) -> None:
    """How long there is left to mend it; with less than a day it is loud. The old one stays in force."""
    first = cli.result("ensure", **config(emulator, cacerts={"validity": life}))
    emulator.set_status("DISABLED")

    answer = cli.run("ensure", config=config(emulator, cacerts={"validity": "10h"}, retryFor="1s"))

    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    (told,) = [line for line in lines if "what is there holds until" in line.get("message", "")]
    assert (answer.returncode, told["level"]) == (12, level)
    assert f"{first['notAfter'][:10]}" in told["message"]
    emulator.set_status("ACTIVE")
    assert cli.result("status", **config(emulator, cacerts={"validity": life}))["notAfter"] == first["notAfter"]
