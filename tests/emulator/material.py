"""What the tests of the emulator need: clients of the real boto3, CSRs, and a judge of chains from outside."""

from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.config
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from pca_emulator import Emulator

REGION = "eu-west-1"
PATH_LENGTH_0 = "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def client(
    emulator: Emulator, service: str = "acm-pca", *, user: str = "", region: str = REGION, **session: str
) -> Any:
    """A client of the real boto3 that calls once; `session` replaces the user's static key."""
    given = emulator.environment(user)
    keys = session or {
        "aws_access_key_id": given["AWS_ACCESS_KEY_ID"],
        "aws_secret_access_key": given["AWS_SECRET_ACCESS_KEY"],
    }
    once = botocore.config.Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=5)
    session_ = boto3.Session(region_name=region, **keys)  # type: ignore[arg-type] # boto3 has no types
    return session_.client(service, endpoint_url=emulator.endpoint, config=once)


def ec_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def csr(key: Key | None = None, *, subject: bool = True, extensions: tuple[x509.ExtensionType, ...] = ()) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an intermediate")] if subject else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=False)
    return builder.sign(key or ec_key(), hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def request(emulator: Emulator, **changed: Any) -> dict[str, Any]:
    """Good parameters of IssueCertificate for the first authority, with changes; None leaves one out."""
    algorithm = emulator.authority().spec.key_algorithm(99)
    parameters = {
        "CertificateAuthorityArn": emulator.ca_arn,
        "Csr": csr(),
        "SigningAlgorithm": "SHA256WITHRSA" if algorithm.startswith("RSA") else "SHA256WITHECDSA",
        "TemplateArn": PATH_LENGTH_0,
        "Validity": {"Type": "DAYS", "Value": 30},
        **changed,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def issue(emulator: Emulator, **changed: Any) -> str:
    return str(client(emulator).issue_certificate(**request(emulator, **changed))["CertificateArn"])


def fetch(emulator: Emulator, arn: str) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate, and the chain above it as it was sent."""
    answer = client(emulator).get_certificate(
        CertificateAuthorityArn=arn.split("/certificate/", maxsplit=1)[0], CertificateArn=arn
    )
    chain = x509.load_pem_x509_certificates(answer["CertificateChain"].encode())
    return x509.load_pem_x509_certificate(answer["Certificate"].encode()), chain


def issued(emulator: Emulator, **changed: Any) -> x509.Certificate:
    return fetch(emulator, issue(emulator, **changed))[0]


def workload_leaf(issuer: x509.Certificate, key: Key) -> x509.Certificate:
    """What istiod would sign with this CA: a SPIFFE identity and no subject."""
    now = datetime.now(UTC)
    leaf_key = ec_key()
    identity = x509.UniformResourceIdentifier("spiffe://cluster.local/ns/shop/sa/cart")
    usage = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(leaf_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=2))
        .not_valid_after(now + timedelta(hours=24))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([identity]), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(leaf_key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def pem(*certificates: x509.Certificate) -> str:
    return "".join(each.public_bytes(serialization.Encoding.PEM).decode() for each in certificates)


def openssl_verifies(folder: Path, leaf: x509.Certificate, between: list[x509.Certificate], root: str) -> bool:
    """Whether the program openssl accepts the leaf, by its strict rules."""
    (folder / "leaf.pem").write_text(pem(leaf))
    (folder / "between.pem").write_text(pem(*between))
    (folder / "root.pem").write_text(root)
    command = ["openssl", "verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "between.pem", "leaf.pem"]
    return subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=30).returncode == 0
