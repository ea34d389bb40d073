"""The private CA of docs/walkthrough.md, made and deleted by the real AWS CLI; the rest of it needs a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

import walkthrough
from pca_emulator import Emulator, Scenario
from walkthrough import Block
from wire.conftest import Cli
from wire.test_ensure import files

IN_A_FOLDER = """
istio-pca ensure --config config.yaml --output-dir ../out
SERIAL=$(openssl x509 -in ../out/istio-system/cacerts/ca-cert.pem -noout -serial | cut -d= -f2)
diff ../out/istio-system/cacerts/root-cert.pem root.pem
"""


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """What is issued and created takes its time: without the waiters of the text nothing would work."""
    with Emulator(Scenario(keys=("EC_prime256v1",), issue_delay=1)) as running:
        yield running


def test_the_private_ca_of_the_walk_through(cli: Cli, emulator: Emulator, tmp_path: Path) -> None:
    """A root and a CA below it are made, sign Istio's intermediate, and go: each command succeeds as it is written."""
    work = tmp_path / "work"
    work.mkdir()
    wanted = walkthrough.blocks()
    policy = [block for block in wanted if block.section == 2]
    deletion = [block for block in wanted if "revoke-certificate" in block.text]
    story = [*(block for block in wanted if block.section == 1), *policy, Block(3, IN_A_FOLDER), *deletion]
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(cli.wheel),
        **{name: value for name, value in emulator.environment().items() if not name.startswith("AWS_ENDPOINT_URL")},
        "AWS_ENDPOINT_URL": emulator.endpoint,
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }

    said = walkthrough.run("", story, work, environment)

    (root,) = x509.load_pem_x509_certificates((work / "root.pem").read_bytes())
    (ca,) = x509.load_pem_x509_certificates((work / "ca.pem").read_bytes())
    (intermediate,) = x509.load_pem_x509_certificates(files(cli)["ca-cert.pem"])
    intermediate.verify_directly_issued_by(ca)
    ca.verify_directly_issued_by(root)
    assert [each.subject.rfc4514_string() for each in (root, ca, intermediate)] == [
        "CN=Example Root CA,O=Example",
        "CN=Example Mesh CA,O=Example",
        "CN=Istio CA blue,O=Istio",
    ]
    lengths = [
        each.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        for each in (root, ca, intermediate)
    ]
    assert lengths == [None, 1, 0]
    assert said[1] == "ACTIVE"
    assert '"acm-pca:IssueCertificate"' in said[2]
    assert said[8] == "DELETED\nDELETED"
    assert [(each.serial, each.revoked) for each in emulator.issued if each.revoked] == [
        (f"{intermediate.serial_number:032x}", "CESSATION_OF_OPERATION")
    ]
