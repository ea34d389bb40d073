"""Answers that AWS would not send, to see whether a client notices. All are well-formed but for `garbage`."""

from __future__ import annotations

import re
from typing import Any

from pca_emulator import keys, templates
from pca_emulator.authority import Authority, Level, Order, Subject, pem
from pca_emulator.service import IssuedCertificate

_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def tampered_chain(kind: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer with its chain changed; the certificate stays."""
    chain = _BLOCK.findall(answer.get("CertificateChain", ""))
    match kind:
        case "reversed-chain":
            return {**answer, "CertificateChain": "\n".join(reversed(chain))}
        case "no-root":
            return {**answer, "CertificateChain": "\n".join(chain[:-1])}
        case "chain-with-certificate":
            return {**answer, "CertificateChain": "\n".join([answer["Certificate"], *chain])}
        case "crlf":
            return {name: text.replace("\n", "\r\n") for name, text in answer.items()}
        case _:
            return {
                **answer,
                "Certificate": "-----BEGIN CERTIFICATE-----\nbm90IG9uZQ==\n-----END CERTIFICATE-----",
            }


def tampered_certificate(
    kind: str, answer: dict[str, Any], issued: IssuedCertificate, authority: Authority
) -> dict[str, Any]:
    """The answer with another certificate: for another key, a leaf, or signed by somebody else of the CA's name."""
    original = issued.certificate
    path_length = int(issued.template[-4]) if issued.template.startswith("Subordinate") else None
    template = templates.DEFAULT if kind == "leaf" or path_length is None else templates.subordinate(path_length).name
    public_key = original.public_key()
    if kind == "wrong-key":
        public_key = keys.generate("EC_prime256v1").public_key()
    assert isinstance(public_key, keys.PublicKey)
    order = Order(
        templates.find(f"arn:aws:acm-pca:::template/{template}", "aws"),
        issued.signing_algorithm,
        original.not_valid_before_utc,
        original.not_valid_after_utc,
    )
    signer = authority.signer
    if kind == "foreign-signature":
        signer = Level(signer.key_algorithm, keys.generate(signer.key_algorithm), signer.certificate)
    return {**answer, "Certificate": pem(signer.sign(Subject(original.subject, public_key), order))}
