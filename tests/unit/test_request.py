"""Keys, CSRs, requests and their journal."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from istio_pca.config import KeyAlgorithm, parse
from istio_pca.errors import RefusedError
from istio_pca.journal import Journal
from istio_pca.request import SigningRequest, key_pem, new_csr, new_key
from istio_pca.secret import SPEC, Secret
from istio_pca.target import targets

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678"
REQUEST = SigningRequest(ARN, "template", "SHA256WITHRSA", "csr", 1_800_000_000)


@pytest.mark.parametrize(
    ("algorithm", "kind", "bits"),
    [
        ("RSA_2048", rsa.RSAPrivateKey, 2048),
        ("RSA_3072", rsa.RSAPrivateKey, 3072),
        ("RSA_4096", rsa.RSAPrivateKey, 4096),
        ("EC_prime256v1", ec.EllipticCurvePrivateKey, 256),
        ("EC_secp384r1", ec.EllipticCurvePrivateKey, 384),
    ],
)
def test_key(algorithm: KeyAlgorithm, kind: type, bits: int) -> None:
    """Each of ACM PCA's names gives that key, written as PKCS#8, which every istiod reads."""
    key = new_key(algorithm)
    text = key_pem(key)
    again = load_pem_private_key(text, password=None)

    assert isinstance(again, kind)
    assert again.key_size == bits  # type: ignore[attr-defined]  # of both kinds
    assert text.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    assert text.endswith(b"-----END PRIVATE KEY-----\n")


def test_csr() -> None:
    """The CSR carries the subject and nothing else: ACM PCA's template decides the extensions."""
    config = parse(
        str(
            {
                "certificateAuthorityArn": ARN,
                "clusterName": "blue",
                "cacerts": {"subject": {"country": "DE", "organization": "Example", "locality": "Köln"}},
            }
        )
    )
    key = new_key("EC_secp384r1")

    csr = x509.load_pem_x509_csr(new_csr(key, targets(config)[0]).encode())

    assert csr.is_signature_valid
    assert csr.public_key() == key.public_key()
    assert csr.subject.rfc4514_string() == "CN=Istio CA blue,O=Example,L=Köln,C=DE"
    assert list(csr.extensions) == []


@pytest.mark.parametrize(
    "other",
    [
        replace(REQUEST, authority_arn="x"),
        replace(REQUEST, template_arn="x"),
        replace(REQUEST, signing_algorithm="x"),
        replace(REQUEST, csr="x"),
        replace(REQUEST, not_after=1),
    ],
)
def test_token(other: SigningRequest) -> None:
    """The same request has the same token, any other request another one; AWS takes 36 characters at most."""
    assert REQUEST.token == replace(REQUEST).token
    assert REQUEST.token != other.token
    assert len(REQUEST.token) == 36


def test_journal_survives_the_store() -> None:
    """What is read back sends the same bytes with the same token."""
    journal = Journal("cacerts", REQUEST, b"key", "spec", "arn", version="5")

    again = Journal.from_secret(journal.to_secret())

    assert again == journal
    assert again.request.token == REQUEST.token


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"ca-key.pem": b"", "request.json": b"{"},
        {"ca-key.pem": b"", "request.json": b"[]"},
        {"request.json": b"{}"},
    ],
)
def test_a_foreign_journal_is_refused(data: dict[str, bytes]) -> None:
    """A Secret of that name which we did not write may be anything."""
    with pytest.raises(RefusedError):
        Journal.from_secret(Secret("cacerts-pending", data, {SPEC: "x"}))


def test_no_key_in_a_repr() -> None:
    """A key never shows in a repr, and so never in a log or a traceback."""
    secret = Secret("cacerts", {"ca-key.pem": b"TOP-SECRET"})
    journal = Journal("cacerts", REQUEST, b"TOP-SECRET", "spec")

    assert "TOP-SECRET" not in repr(secret) + repr(journal) + repr(journal.to_secret())


def test_digest_of_the_wish() -> None:
    """A default that is written out is the same wish."""
    short = parse(f"certificateAuthorityArn: {ARN}")
    long = parse(
        f"certificateAuthorityArn: {ARN}\nretryFor: 5m\ncacerts: {{validity: 365d, subject: {{organization: Istio}}}}"
    )

    assert [one.spec for one in targets(short)] == [one.spec for one in targets(long)]
