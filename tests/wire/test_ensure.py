"""The whole story on the wire: the wheel, boto3, the emulated authority, Secrets in a folder."""

from __future__ import annotations

import json
import re
import stat
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from istio_pca.bundle import read
from istio_pca.checks import problems
from pca_emulator import Emulator, Scenario
from wire.conftest import Cli

FILES = {"ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"}


def config(emulator: Emulator, **more: Any) -> dict[str, Any]:
    return {"certificateAuthorityArn": emulator.ca_arn, "clusterName": "blue", **more}


def files(cli: Cli) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (cli.secrets / "cacerts").iterdir()}


def wait_until_due(result: dict[str, Any]) -> None:
    while datetime.now(UTC) < datetime.fromisoformat(result["renewAfter"]):
        time.sleep(0.1)


def operations(emulator: Emulator) -> list[str]:
    return [request.operation for request in emulator.requests]


def test_first_run(cli: Cli, emulator: Emulator) -> None:
    """One certificate is bought; the four files are whole, private, and good; the journal is gone."""
    result = cli.result("ensure", **config(emulator))
    bundle, _ = read(files(cli))

    assert bundle is not None
    assert problems(bundle, datetime.now(UTC)) == ()
    assert set(files(cli)) == FILES
    assert {stat.S_IMODE(file.stat().st_mode) for file in (cli.secrets / "cacerts").iterdir()} == {0o600}
    assert files(cli)["root-cert.pem"].decode() == emulator.root_pem
    assert [issued.arn for issued in emulator.issued] == [result["certificateArn"]]
    assert (result["action"], result["serial"]) == ("issued", bundle.serial)
    assert bundle.certificate.subject.rfc4514_string() == "CN=Istio CA blue,O=Istio"
    assert [path.name for path in cli.secrets.iterdir() if not path.name.startswith(".")] == ["cacerts"]


def test_fewest_calls(cli: Cli, emulator: Emulator) -> None:
    """Describe, issue, get: nothing is asked twice, and nothing that is not needed."""
    cli.result("ensure", **config(emulator))

    assert operations(emulator) == ["DescribeCertificateAuthority", "IssueCertificate", "GetCertificate"]
    assert {request.outcome for request in emulator.requests} == {"ok"}


def test_openssl_agrees(cli: Cli, emulator: Emulator, tmp_path: Path) -> None:
    """An independent verifier, in its strict mode, takes the chain."""
    cli.result("ensure", **config(emulator))
    place = cli.secrets / "cacerts"
    command = ["openssl", "verify", "-x509_strict", "-CAfile", str(place / "root-cert.pem"), "-untrusted"]

    answer = subprocess.run(
        [*command, str(place / "cert-chain.pem"), str(place / "ca-cert.pem")], check=False, capture_output=True
    )

    assert answer.returncode == 0, answer.stderr


def test_second_run_keeps(cli: Cli, emulator: Emulator) -> None:
    """A healthy Secret is kept without one call to AWS: an outage there must not fail an upgrade."""
    cli.result("ensure", **config(emulator))
    before = files(cli)
    emulator.clear_requests()

    result = cli.result("ensure", **config(emulator))

    assert (result["action"], operations(emulator), files(cli)) == ("kept", [], before)


def test_keeping_needs_no_credentials(cli: Cli, emulator: Emulator) -> None:
    """Not even credentials: they are looked for when something is bought."""
    cli.result("ensure", **config(emulator))
    cli.environment = {}

    assert cli.result("ensure", **config(emulator))["action"] == "kept"


def test_another_wish_renews(cli: Cli, emulator: Emulator) -> None:
    """New key, new certificate, the same root byte for byte."""
    cli.result("ensure", **config(emulator))
    before = files(cli)

    result = cli.result("ensure", **config(emulator, cacerts={"validity": "90d"}))
    after = files(cli)

    assert result["action"] == "renewed"
    assert {name for name in FILES if before[name] == after[name]} == {"root-cert.pem"}
    assert len(emulator.issued) == 2


def test_renewed_when_due(cli: Cli, emulator: Emulator) -> None:
    """From `renewBefore` its end on, a run renews: new key, later end, the same root byte for byte."""
    due_in_a_second = config(emulator, cacerts={"validity": "40h", "renewBefore": f"{40 * 3600 - 1}s"})
    first = cli.result("ensure", **due_in_a_second)
    before = files(cli)
    wait_until_due(first)

    assert cli.result("plan", **due_in_a_second)["action"] == "renew"
    second = cli.result("ensure", **due_in_a_second)
    after = files(cli)

    assert second["action"] == "renewed"
    assert second["notAfter"] > first["notAfter"]
    assert {name for name in FILES if before[name] == after[name]} == {"root-cert.pem"}


@pytest.mark.parametrize(
    ("levels", "above", "own"),
    [
        (1, "RSA_2048", "RSA_2048"),
        (1, "EC_prime256v1", "RSA_3072"),
        (2, "RSA_2048", "EC_prime256v1"),
        (2, "EC_secp384r1", "EC_secp384r1"),
        (3, "RSA_2048", "RSA_4096"),
        (3, "EC_prime256v1", "EC_prime256v1"),
    ],
)
def test_kinds(wheel: Path, tmp_path: Path, levels: int, above: str, own: str) -> None:
    """Any key under any authority, one to three levels deep. All pairs, without AWS: tests/unit/test_checks.py."""
    with Emulator(Scenario(levels=levels, keys=(above,))) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        cli.result("ensure", **config(emulator, cacerts={"keyAlgorithm": own}))

        assert cli.result("verify", **config(emulator))["healthy"]
        assert len(x509.load_pem_x509_certificates(files(cli)["cert-chain.pem"])) == levels + 1


@pytest.mark.parametrize(
    ("path_length", "partition"), [(0, "aws"), (1, "aws"), (2, "aws"), (3, "aws"), (0, "aws-us-gov"), (0, "aws-cn")]
)
def test_templates(wheel: Path, tmp_path: Path, path_length: int, partition: str) -> None:
    """The template for a subordinate CA, in the CA's own partition: AWS' default would be a leaf."""
    region = {"aws": "eu-west-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}[partition]
    with Emulator(Scenario(levels=1, keys=("EC_prime256v1",), partition=partition, region=region)) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        cli.result("ensure", **config(emulator, cacerts={"pathLength": path_length}))

        (request,) = [request for request in emulator.requests if request.operation == "IssueCertificate"]

    assert request.template == f"arn:{partition}:acm-pca:::template/SubordinateCACertificate_PathLen{path_length}/V1"


def test_short_lived(wheel: Path, tmp_path: Path) -> None:
    """Under a short-lived CA the life is cut to less than seven days, with a warning."""
    with Emulator(Scenario(keys=("EC_prime256v1",), usage_mode="SHORT_LIVED_CERTIFICATE")) as emulator:
        result = Cli(wheel, tmp_path, emulator.environment()).result("ensure", **config(emulator))
    life = datetime.fromisoformat(result["notAfter"]) - datetime.now(UTC)

    assert timedelta(days=6, hours=20) < life <= timedelta(days=7)
    assert len(result["warnings"]) == 1


def test_cut_to_the_authoritys_end(wheel: Path, tmp_path: Path) -> None:
    """An authority that ends sooner cuts the life; renewing when nothing is gained buys nothing."""
    with Emulator(Scenario(keys=("EC_prime256v1",), validity_days=10)) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        # of a life of 239 h, an hour of it in the past: due at once
        wish = config(emulator, cacerts={"renewBefore": "238h"})
        first = cli.result("ensure", **wish)
        wait_until_due(first)
        second = cli.result("ensure", **wish)

        assert datetime.fromisoformat(first["notAfter"]) - datetime.now(UTC) < timedelta(days=10)
        assert (len(first["warnings"]), len(second["warnings"])) == (1, 1)
        assert (second["action"], second["notAfter"]) == ("kept", first["notAfter"])
        assert len(emulator.issued) == 1


def test_plan_changes_nothing(cli: Cli, emulator: Emulator) -> None:
    """It says what would be asked, and writes not even a folder."""
    plan = cli.result("plan", **config(emulator))

    assert plan["action"] == "issue"
    assert plan["request"]["templateArn"].endswith("SubordinateCACertificate_PathLen0/V1")
    assert operations(emulator) == ["DescribeCertificateAuthority"]
    assert not cli.secrets.exists()


def test_verify_finds_damage(cli: Cli, emulator: Emulator) -> None:
    """A Secret that istiod would take and workloads would not is bad, and says why."""
    cli.result("ensure", **config(emulator))
    chain = cli.secrets / "cacerts" / "cert-chain.pem"
    chain.write_bytes((cli.secrets / "cacerts" / "root-cert.pem").read_bytes())

    answer = cli.run("verify", "--output", "json", config=config(emulator))
    found = json.loads(answer.stdout)

    assert (answer.returncode, found["healthy"]) == (12, False)
    assert {problem["code"] for problem in found["problems"]} == {"chain-order"}
    assert cli.failure("ensure", **config(emulator))["exitCode"] == 11


def test_verify_without_a_secret(cli: Cli, emulator: Emulator) -> None:
    """Nothing there is not good."""
    assert cli.failure("verify", **config(emulator))["exitCode"] == 12


def test_status(cli: Cli, emulator: Emulator) -> None:
    """What is there, from whom, until when; good, and late when it is due for longer than a CronJob takes."""
    day = 24 * 3600
    wish = config(emulator, cacerts={"validity": f"{40 * day}s"})
    issued = cli.result("ensure", **wish)

    status = cli.result("status", **wish)
    late = cli.run("status", "--output", "json", config=config(emulator, cacerts={"renewBefore": f"{364 * day}s"}))

    assert (status["health"], status["certificateArn"]) == ("good", issued["certificateArn"])
    assert (status["notAfter"], status["renewAfter"]) == (issued["notAfter"], issued["renewAfter"])
    assert (status["daysLeft"], status["istiodConfirmed"], len(status["chain"])) == (39, None, 3)
    assert late.returncode == 0  # of a life of 40 days 364 cannot be left: a third holds
    text = cli.run("status", config=wish).stdout
    assert "39 days left" in text
    assert "\033" not in text


def test_status_of_what_is_bad(cli: Cli, emulator: Emulator) -> None:
    """Damage and absence are told by the exit code too, for who watches."""
    assert cli.failure("status", **config(emulator))["exitCode"] == 12
    cli.result("ensure", **config(emulator))
    chain = cli.secrets / "cacerts" / "cert-chain.pem"
    chain.write_bytes((cli.secrets / "cacerts" / "root-cert.pem").read_bytes())

    answer = cli.run("status", "--output", "json", config=config(emulator))

    assert (answer.returncode, json.loads(answer.stdout)["health"]) == (12, "bad")


def disown(cli: Cli, kind: str = "Opaque") -> None:
    """Make the Secret one that somebody else made."""
    notes = next(cli.secrets.glob(".cacerts.*/notes.json"))
    notes.write_text(json.dumps({**json.loads(notes.read_text()), "annotations": {"theirs": "1"}, "type": kind}))


def test_a_secret_that_this_authority_signed_is_adopted(cli: Cli, emulator: Emulator) -> None:
    """Made by hand or by another tool, but signed by the private CA: kept as it is, and from now on ours."""
    cli.result("ensure", **config(emulator))
    disown(cli)
    before = files(cli)

    assert cli.result("plan", **config(emulator))["action"] == "adopt"
    assert cli.result("ensure", **config(emulator))["action"] == "adopted"
    assert files(cli) == before
    assert len(emulator.issued) == 1
    assert cli.result("ensure", **config(emulator))["action"] == "kept"


@pytest.mark.parametrize("kind", ["Opaque", "kubernetes.io/tls"])
def test_a_foreign_secret_is_replaced_when_told(cli: Cli, emulator: Emulator, kind: str) -> None:
    """Under another root, with `whenForeign: replace`: a new certificate, and nothing of the old one's annotations."""
    with Emulator(Scenario(keys=("EC_prime256v1",))) as other:
        theirs = Cli(cli.wheel, cli.folder, other.environment())
        theirs.result("ensure", **config(other))
    disown(cli, kind)
    wish = config(emulator, cacerts={"whenForeign": "replace"})

    assert cli.failure("ensure", **config(emulator))["exitCode"] == 11
    assert cli.result("plan", **wish)["action"] == "replace"
    assert cli.result("ensure", **wish)["action"] == "replaced"
    assert files(cli)["root-cert.pem"].decode() == emulator.root_pem
    assert cli.result("ensure", **wish)["action"] == "kept"
    assert "theirs" not in next(cli.secrets.glob(".cacerts.*/notes.json")).read_text()


@pytest.mark.parametrize(("mesh", "exit_code"), [("another", 11), ("the same", 0), ("both", 0), ("none", 0)])
def test_a_mesh_that_runs(cli: Cli, emulator: Emulator, mesh: str, exit_code: int) -> None:
    """An istiod that signs under another root would be split from what it signed before: refused, nothing is bought."""
    with Emulator(Scenario(levels=1, keys=("EC_prime256v1",))) as other:
        another = other.root_pem
    known = {"another": another, "the same": emulator.root_pem, "both": another + emulator.root_pem, "none": ""}[mesh]
    if known:
        (cli.secrets / "istio-ca-root-cert").mkdir(parents=True)
        (cli.secrets / "istio-ca-root-cert" / "root-cert.pem").write_text(known)

    plan, answer = (cli.run(verb, config=config(emulator)) for verb in ("plan", "ensure"))

    assert (plan.returncode, answer.returncode) == (exit_code, exit_code)
    assert len(emulator.issued) == (exit_code == 0)
    if exit_code:
        assert "config.cacerts.whenMeshRuns=proceed" in json.loads(answer.stderr.splitlines()[-1])["hint"]
        cli.result("ensure", **config(emulator, cacerts={"whenMeshRuns": "proceed"}))


def test_a_foreign_secret_is_refused(cli: Cli, emulator: Emulator) -> None:
    """What we did not make is not replaced, and AWS is not asked."""
    cli.result("ensure", **config(emulator))
    disown(cli)
    (cli.secrets / "cacerts" / "cert-chain.pem").unlink()
    before = files(cli)
    emulator.clear_requests()

    assert cli.failure("ensure", **config(emulator))["exitCode"] == 11
    assert (files(cli), operations(emulator)) == (before, [])


def test_another_root_is_refused(cli: Cli, emulator: Emulator) -> None:
    """A private CA under another root would split the mesh: nothing is bought."""
    cli.result("ensure", **config(emulator))
    with Emulator(Scenario(keys=("EC_prime256v1",))) as other:
        cli.environment = other.environment()

        assert cli.failure("ensure", **config(other))["exitCode"] == 11
        assert other.issued == []


@pytest.mark.parametrize("text", ["", "colour: red", "certificateAuthorityArn: x", "{", "- a"])
def test_bad_config(cli: Cli, emulator: Emulator, text: str) -> None:
    """Exit 10; nothing is called, nothing is written."""
    answer = cli.run("ensure", config=text)

    assert (answer.returncode, operations(emulator), cli.secrets.exists()) == (10, [], False)


@pytest.mark.parametrize("verb", ["ensure", "plan", "verify"])
def test_disabled(cli: Cli, verb: str) -> None:
    """`cacerts.enabled: false` does nothing, is no error, and every verb says the same."""
    arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/x"

    result = cli.result(verb, certificateAuthorityArn=arn, cacerts={"enabled": False})

    assert result["action"] == "disabled"


def test_log_is_json_on_a_pipe_and_holds_no_secret(cli: Cli, emulator: Emulator) -> None:
    """Every line is one JSON object; neither key nor credential is in any of them, nor in the result."""
    answer = cli.run("ensure", "--output", "json", config=config(emulator))
    lines = [json.loads(line) for line in answer.stderr.splitlines()]
    key = files(cli)["ca-key.pem"].decode()
    everything = answer.stdout + answer.stderr

    assert {line["level"] for line in lines} == {"info"}
    assert [line["phase"] for line in lines if "phase" in line] == [
        "read",
        "connect",
        "describe",
        "journal",
        "issue",
        "wait",
        "verify",
        "write",
    ]
    assert not any(part in everything for part in key.splitlines()[1:-1])
    assert cli.environment["AWS_SECRET_ACCESS_KEY"] not in everything


def test_wheel_is_typed_and_whole(wheel: Path) -> None:
    """The wheel holds the package, its type marker and its command, and no test."""
    names = {str(path.relative_to(wheel)) for path in wheel.rglob("*") if path.is_file()}

    assert {"istio_pca/py.typed", "istio_pca/__main__.py"} <= names
    assert not [name for name in names if not re.match(r"istio_pca(/|-)", name)]
    (entry,) = wheel.rglob("entry_points.txt")
    assert "istio-pca = istio_pca.__main__:main" in entry.read_text()


def test_the_same_wish_in_other_words_keeps(cli: Cli, emulator: Emulator) -> None:
    """What does not change the certificate does not buy one: a longer window, an explicit default."""
    cli.result("ensure", **config(emulator))

    result = cli.result("ensure", **config(emulator, retryFor="60s", cacerts={"keyAlgorithm": "RSA_2048"}))

    assert (result["action"], len(emulator.issued)) == ("kept", 1)
