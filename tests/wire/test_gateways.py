"""Certificates of ingress gateways through the command line: issued, kept, renewed, checked, beside `cacerts`."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509

from istio_pca.bundle import read
from istio_pca.checks import problems
from istio_pca.layout import GATEWAY
from pca_emulator import Emulator, Scenario, User
from wire.conftest import Cli
from wire.test_ensure import config, operations, wait_until_due

NAMES = ["shop.example.com", "*.shop.example.com"]
NARROW = User(
    policy={
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": "acm-pca:*",
                "Resource": "*",
                "Condition": {
                    "StringEqualsIfExists": {
                        "acm-pca:TemplateArn": "arn:aws:acm-pca:::template/EndEntityServerAuthCertificate/V1"
                    }
                },
            }
        ],
    }
)
"""May have certificates for servers, and no CA."""
SHOP = {"namespace": "istio-ingress", "secretName": "shop", "dnsNames": NAMES}


def ensured(cli: Cli, *gateways: dict[str, Any], status: int = 0, **wish: Any) -> list[dict[str, Any]]:
    """The results of a run, one for each Secret that is as it should be."""
    answer = cli.run("ensure", "--output", "json", config={**wish, "gateways": list(gateways)})
    assert answer.returncode == status, answer.stderr
    return [json.loads(line) for line in answer.stdout.splitlines()]


def files(cli: Cli, place: str = "istio-ingress/shop") -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in (cli.folder / "out" / place).iterdir()}


def test_issued(cli: Cli, emulator: Emulator) -> None:
    """One run brings both, one certificate each, by their own templates; both are good, and kept from then on."""
    results = ensured(cli, SHOP, **config(emulator))

    bundle, _ = read(files(cli), GATEWAY)
    assert bundle is not None
    assert problems(bundle, datetime.now(UTC), NAMES) == ()
    assert [(one["target"], one["action"]) for one in results] == [
        ("istio-system/cacerts", "issued"),
        ("istio-ingress/shop", "issued"),
    ]
    assert [one.template.rpartition("template/")[2] for one in emulator.requests if one.template] == [
        "SubordinateCACertificate_PathLen0/V1",
        "EndEntityServerAuthCertificate/V1",
    ]
    emulator.clear_requests()
    assert {one["action"] for one in ensured(cli, SHOP, **config(emulator))} == {"kept"}
    assert operations(emulator) == []


def test_openssl_agrees(cli: Cli, emulator: Emulator) -> None:
    """An independent client that trusts the root alone takes what the server sends, for both names and no other."""
    ensured(cli, SHOP, **config(emulator, cacerts={"enabled": False}))
    place = cli.folder / "out" / "istio-ingress" / "shop"

    def accepted(name: str) -> bool:
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name]
        chain = ["-CAfile", str(place / "ca.crt"), "-untrusted", str(place / "tls.crt"), str(place / "tls.crt")]
        return subprocess.run([*command, *chain], check=False, capture_output=True).returncode == 0

    assert [accepted(name) for name in ("shop.example.com", "a.shop.example.com", "example.com")] == [True, True, False]


def test_renewed(cli: Cli, emulator: Emulator) -> None:
    """When it is due, and at another wish: a new key, the same root; `cacerts` is not touched."""
    soon = {**SHOP, "validity": "40h", "renewBefore": f"{40 * 3600 - 1}s"}
    (_, first) = ensured(cli, soon, **config(emulator))
    before, mesh = files(cli), files(cli, "istio-system/cacerts")
    wait_until_due(first)

    (_, second) = ensured(cli, soon, **config(emulator))
    after = files(cli)
    (_, third) = ensured(cli, {**SHOP, "dnsNames": ["pay.example.com"]}, **config(emulator))

    assert [second["action"], third["action"]] == ["renewed", "renewed"]
    assert {name for name in before if before[name] == after[name]} == {"ca.crt"}
    assert files(cli, "istio-system/cacerts") == mesh
    assert len(emulator.issued) == 4


def test_one_that_fails_does_not_keep_the_others(cli: Cli, emulator: Emulator) -> None:
    """A Secret that is refused is told, with its name; those before and after it are done."""
    theirs = cli.folder / "out" / "istio-ingress" / ".pay.x"
    (theirs / "data").mkdir(parents=True)
    (theirs / "data" / "tls.crt").write_bytes(b"theirs")
    notes = {"type": "kubernetes.io/tls", "created": "2026-01-01T00:00:00+00:00", "labels": {}, "annotations": {}}
    (theirs / "notes.json").write_text(json.dumps(notes))
    (cli.folder / "out" / "istio-ingress" / "pay").symlink_to(Path(theirs.name) / "data")
    pay = {**SHOP, "secretName": "pay"}

    results = ensured(cli, pay, SHOP, status=11, **config(emulator))

    assert [one["target"] for one in results] == ["istio-system/cacerts", "istio-ingress/shop"]
    replaced = ensured(cli, {**pay, "whenForeign": "replace"}, SHOP, **config(emulator))
    assert [one["action"] for one in replaced] == ["kept", "replaced", "kept"]


def test_as_long_as_a_repetition_may_help(cli: Cli) -> None:
    """One that is denied and one that passes: the code says that another Pod is worth it."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(NARROW,))) as narrow:
        cli.environment = narrow.environment()
        narrow.fault("GetCertificate", "503")

        ensured(cli, SHOP, status=20, **config(narrow, retryFor="1s"))
        narrow.clear_faults()
        (result,) = ensured(cli, SHOP, status=13, **config(narrow, retryFor="1s"))

    assert (result["target"], result["action"]) == ("istio-ingress/shop", "issued")


def test_a_window_for_each(cli: Cli) -> None:
    """One that is retried in vain leaves time for those after it, which take more than one try."""
    with Emulator(Scenario(keys=("EC_prime256v1",), users=(NARROW,))) as narrow:
        cli.environment = narrow.environment()
        narrow.fault("IssueCertificate", "503", calls="1")  # of those that are allowed

        results = ensured(cli, SHOP, status=13, **config(narrow, retryFor="6s"))

    assert [(one["target"], one["action"]) for one in results] == [("istio-ingress/shop", "issued")]


def test_short_lived(wheel: Path, tmp_path: Path) -> None:
    """Under a short-lived CA the life is cut to less than seven days, with a warning."""
    with Emulator(Scenario(keys=("EC_prime256v1",), usage_mode="SHORT_LIVED_CERTIFICATE")) as emulator:
        cli = Cli(wheel, tmp_path, emulator.environment())
        (result,) = ensured(cli, SHOP, **config(emulator, cacerts={"enabled": False}))
    life = datetime.fromisoformat(result["notAfter"]) - datetime.now(UTC)

    assert timedelta(days=6, hours=20) < life <= timedelta(days=7)
    assert len(result["warnings"]) == 1


def test_plan_and_verify(cli: Cli, emulator: Emulator) -> None:
    """plan says what would be asked for each; verify finds a certificate that is not for the names."""
    wish = config(emulator, cacerts={"enabled": False}, gateways=[SHOP])
    plan = cli.result("plan", **wish)
    ensured(cli, SHOP, **config(emulator, cacerts={"enabled": False}))
    other = config(emulator, cacerts={"enabled": False}, gateways=[{**SHOP, "dnsNames": ["other.example.com"]}])

    assert (plan["action"], plan["request"]["dnsNames"]) == ("issue", NAMES)
    both = cli.run("plan", config=config(emulator, gateways=[SHOP])).stdout
    assert both.rstrip().endswith("Plan: 1 to issue, 1 to keep. Nothing was changed.")
    assert cli.result("verify", **wish)["healthy"]
    found = json.loads(cli.run("verify", "--output", "json", config=other).stdout)
    assert [problem["code"] for problem in found["problems"]] == ["names"]


def test_the_leaf_is_no_ca(cli: Cli, emulator: Emulator) -> None:
    """What a gateway holds can sign nothing: a stolen key is one server's, not the mesh's."""
    ensured(cli, SHOP, **config(emulator, cacerts={"enabled": False}))
    leaf = x509.load_pem_x509_certificate(files(cli)["tls.crt"])

    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not leaf.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
