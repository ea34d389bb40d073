"""What is issued: templates and chains, judged by workload certificates (User Guide, "certificate templates")."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from emulator.material import client, csr, ec_key, fetch, issue, issued, openssl_verifies, pem, request, workload_leaf
from pca_emulator import Emulator, Scenario

_ORDINARY_KEY_USAGE = {"digital_signature", "key_encipherment"}
_CA_KEY_USAGE = {"digital_signature", "key_cert_sign", "crl_sign"}


def _key_usage(certificate: x509.Certificate) -> set[str]:
    usage = certificate.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    names = {"digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"}
    return {name for name in names | {"key_cert_sign", "crl_sign"} if getattr(usage.value, name)}


def _oids(certificate: x509.Certificate) -> set[str]:
    return {each.value.__class__.__name__ for each in certificate.extensions}


@pytest.mark.parametrize("path_length", [0, 1, 2])
def test_a_subordinate_ca_is_what_its_template_says(standing: Emulator, path_length: int) -> None:
    """BasicConstraints and KeyUsage are critical and the template's; AKI is the issuer's SKI; nothing else is there."""
    template = f"arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen{path_length}/V1"
    certificate = issued(standing, TemplateArn=template)
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert constraints.value == x509.BasicConstraints(ca=True, path_length=path_length)
    assert _key_usage(certificate) == _CA_KEY_USAGE
    signer = standing.authority().signer.certificate
    aki = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    ski = signer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert aki.key_identifier == ski.digest
    assert certificate.extensions.get_extension_for_class(
        x509.SubjectKeyIdentifier
    ).value == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())  # type: ignore[arg-type]
    assert _oids(certificate) == {
        "BasicConstraints",
        "KeyUsage",
        "SubjectKeyIdentifier",
        "AuthorityKeyIdentifier",
    }


@pytest.mark.parametrize(
    ("template", "usage"),
    [
        (None, {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("EndEntityCertificate/V1", {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}),
        ("EndEntityServerAuthCertificate/V1", {ExtendedKeyUsageOID.SERVER_AUTH}),
        ("EndEntityClientAuthCertificate/V1", {ExtendedKeyUsageOID.CLIENT_AUTH}),
    ],
)
def test_without_a_template_it_is_a_leaf(standing: Emulator, template: str | None, usage: set[Any]) -> None:
    """AWS' default is EndEntityCertificate/V1: CA:FALSE, and the usages of a TLS peer."""
    arn = template and f"arn:aws:acm-pca:::template/{template}"
    certificate = issued(standing, TemplateArn=arn)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert _key_usage(certificate) == _ORDINARY_KEY_USAGE
    assert set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == usage


def test_subject_and_names_come_from_the_csr_and_its_other_extensions_do_not(standing: Emulator) -> None:
    """The template decides: a CSR's BasicConstraints is not honoured, its SAN is copied, its subject stays."""
    names = x509.SubjectAlternativeName([x509.DNSName("istiod.istio-system.svc")])
    wish = x509.BasicConstraints(ca=True, path_length=3)
    certificate = issued(standing, Csr=csr(extensions=(names, wish)))
    assert certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value == names
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 0
    assert certificate.subject.rfc4514_string() == "CN=an intermediate"


@pytest.mark.parametrize(
    ("levels", "keys", "algorithm"),
    [
        (1, ("RSA_2048",), "SHA256WITHRSA"),
        (1, ("EC_prime256v1",), "SHA256WITHECDSA"),
        (2, ("RSA_2048", "EC_prime256v1"), "SHA256WITHECDSA"),
        (2, ("EC_secp384r1", "RSA_2048"), "SHA512WITHRSA"),
        (3, ("RSA_2048",), "SHA384WITHRSA"),
        (3, ("EC_secp384r1", "EC_prime256v1"), "SHA384WITHECDSA"),
        (4, ("EC_secp521r1",), "SHA512WITHECDSA"),
        (2, ("RSA_2048",), "SHA256WITHRSA_PSS"),
    ],
)
@pytest.mark.parametrize("intermediate", ["RSA", "EC"])
def test_a_workload_under_the_intermediate_verifies_to_the_root(
    levels: int, keys: tuple[str, ...], algorithm: str, intermediate: str, tmp_path: Path
) -> None:
    """openssl's strict rules accept the whole chain; a chain is judged by a leaf under it, never by itself."""
    key = ec_key() if intermediate == "EC" else rsa.generate_private_key(65537, 2048)
    with Emulator(Scenario(levels=levels, keys=keys)) as emulator:
        certificate, chain = fetch(emulator, issue(emulator, Csr=csr(key), SigningAlgorithm=algorithm))
        root = emulator.root_pem
    assert certificate.public_key() == key.public_key()
    leaf = workload_leaf(certificate, key)
    assert openssl_verifies(tmp_path, leaf, [certificate, *chain[:-1]], root)
    assert not openssl_verifies(tmp_path, leaf, chain[:-1], root), "without the intermediate nothing may verify"


def test_a_leaf_certificate_carries_no_workload(standing: Emulator, tmp_path: Path) -> None:
    """The judge is not blind: what the default template issues cannot sign workloads."""
    key = ec_key()
    certificate, chain = fetch(standing, issue(standing, Csr=csr(key), TemplateArn=None))
    assert not openssl_verifies(
        tmp_path, workload_leaf(certificate, key), [certificate, *chain[:-1]], standing.root_pem
    )


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_chain_is_whole_and_the_root_is_last(levels: int) -> None:
    """Issuing CA first, each next signs the previous, the last is the self-signed root."""
    with Emulator(Scenario(levels=levels, keys=("EC_prime256v1",))) as emulator:
        certificate, chain = fetch(emulator, issue(emulator))
        assert len(chain) == levels
        for below, above in zip([certificate, *chain], [*chain, chain[-1]], strict=True):
            below.verify_directly_issued_by(above)
        assert pem(chain[-1]) == emulator.root_pem
        own = client(emulator).get_certificate_authority_certificate(CertificateAuthorityArn=emulator.ca_arn)
        assert own["Certificate"] + "\n" == pem(chain[0])
        assert own.get("CertificateChain", "") == pem(*chain[1:]).rstrip("\n")


def test_pem_texts_have_no_last_newline(standing: Emulator) -> None:
    """As AWS sends them: who joins them must add one."""
    arn = issue(standing)
    answer = client(standing).get_certificate(CertificateAuthorityArn=standing.ca_arn, CertificateArn=arn)
    for text in (answer["Certificate"], answer["CertificateChain"]):
        assert text.startswith("-----BEGIN CERTIFICATE-----\n")
        assert text.endswith("-----END CERTIFICATE-----")


def test_the_arn_ends_with_the_serial(standing: Emulator) -> None:
    """A serial has 128 bits, and its 32 hexadecimal digits are the last part of the ARN."""
    arn = issue(standing)
    certificate, _ = fetch(standing, arn)
    assert arn == f"{standing.ca_arn}/certificate/{certificate.serial_number:032x}"
    assert 2**127 <= certificate.serial_number < 2**128


@pytest.mark.parametrize(
    ("template", "code"),
    [
        ("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen9/V1", "ValidationException"),
        ("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V2", "ValidationException"),
        ("arn:aws:acm-pca:::template/Nonsense/V1", "ValidationException"),
        ("arn:aws-us-gov:acm-pca:::template/SubordinateCACertificate_PathLen0/V1", "ValidationException"),
        ("arn:aws:acm-pca:eu-west-1::template/SubordinateCACertificate_PathLen0/V1", "ValidationException"),
        ("arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0_CSRPassthrough/V1", "NotEmulatedException"),
        ("arn:aws:acm-pca:::template/BlankEndEntityCertificate_APIPassthrough/V1", "NotEmulatedException"),
        ("arn:aws:acm-pca:::template/RootCACertificate/V1", "ValidationException"),
        ("arn:aws:acm-pca:::template/RootCACertificate_APIPassthrough/V1", "NotEmulatedException"),
    ],
)
def test_other_templates_are_refused(standing: Emulator, template: str, code: str) -> None:
    """What does not exist, is of another partition, is for roots alone, or is not emulated issues nothing."""
    before = len(standing.issued)
    with pytest.raises(ClientError) as refused:
        client(standing).issue_certificate(**request(standing, TemplateArn=template))
    assert refused.value.response["Error"]["Code"] == code
    assert len(standing.issued) == before


@pytest.mark.parametrize(("partition", "region"), [("aws-us-gov", "us-gov-west-1"), ("aws-cn", "cn-north-1")])
def test_in_other_partitions_templates_are_theirs(partition: str, region: str) -> None:
    """The template's partition must be the CA's own."""
    template = f"arn:{partition}:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"
    with Emulator(Scenario(partition=partition, region=region, keys=("EC_prime256v1",))) as emulator:
        service = client(emulator, region=region)
        assert service.issue_certificate(**request(emulator, TemplateArn=template))["CertificateArn"]
        with pytest.raises(ClientError) as refused:
            service.issue_certificate(**request(emulator))
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.parametrize(
    ("own", "asked", "good"), [(0, 0, False), (1, 0, True), (1, 1, False), (3, 2, True), (3, 3, False)]
)
def test_a_path_length_must_be_below_the_issuers(own: int, asked: int, good: bool) -> None:
    """Equal is refused too (User Guide, "RFC compliance")."""
    template = f"arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen{asked}/V1"
    with Emulator(Scenario(path_length=own, keys=("EC_prime256v1",))) as emulator:
        if good:
            issue(emulator, TemplateArn=template)
        else:
            with pytest.raises(ClientError, match="ValidationException"):
                issue(emulator, TemplateArn=template)
        assert len(emulator.issued) == int(good)


def test_a_root_limits_no_path(standing: Emulator) -> None:
    """A root of ACM PCA has no path length: every template fits under it."""
    with Emulator(Scenario(levels=1, keys=("EC_prime256v1",))) as emulator:
        issue(emulator, TemplateArn="arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen3/V1")
        assert len(emulator.issued) == 1


def test_the_hash_is_the_callers_and_the_family_is_the_keys(standing: Emulator) -> None:
    """Any hash of the CA's own family; another family is InvalidArgs, in AWS' words."""
    certificate = issued(standing, SigningAlgorithm="SHA384WITHECDSA")
    assert isinstance(certificate.signature_algorithm_parameters, ec.ECDSA)
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha384"
    with pytest.raises(ClientError) as refused:
        issue(standing, SigningAlgorithm="SHA256WITHRSA")
    assert refused.value.response["Error"] == {
        "Code": "InvalidArgsException",
        "Message": "Signing algorithm SHA256WITHRSA cannot be used with key type EC_prime256v1. "
        "Valid signing algorithms are: SHA256WITHECDSA, SHA384WITHECDSA, SHA512WITHECDSA.",
    }
