"""From a config to what is sent to ACM PCA: key, CSR (RFC 2986), SigningRequest with its idempotency token.

It sends nothing. Keys are made here and leave only as PKCS#8 PEM bytes for the Secret.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from istio_pca.config import KeyAlgorithm
from istio_pca.target import Target

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_RSA_BITS: Final[dict[str, int]] = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_CURVES: Final[dict[str, ec.EllipticCurve]] = {"EC_prime256v1": ec.SECP256R1(), "EC_secp384r1": ec.SECP384R1()}


@dataclass(frozen=True)
class SigningRequest:
    """All that IssueCertificate is given. The end is a date, not a span, so that every repeat sends the same bytes."""

    authority_arn: str
    template_arn: str
    signing_algorithm: str
    csr: str
    """PEM."""
    not_after: int
    """Seconds since 1970, UTC: ACM PCA's validity type ABSOLUTE."""

    @property
    def token(self) -> str:
        """ACM PCA's IdempotencyToken (at most 36 characters): the same for the same request, and only for it."""
        content = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:36]

    @property
    def end(self) -> datetime:
        return datetime.fromtimestamp(self.not_after, UTC)


def new_key(algorithm: KeyAlgorithm) -> PrivateKey:
    if algorithm in _RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[algorithm])
    return ec.generate_private_key(_CURVES[algorithm])


def key_pem(key: PrivateKey) -> bytes:
    """PKCS#8, unencrypted: the form that every istiod reads. For the Secret only."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def new_csr(key: PrivateKey, target: Target) -> str:
    """A CSR with the subject and a server's names, and nothing else: ACM PCA's template decides every extension.

    A CA gets no SAN: under a CA with name constraints it would make the intermediate invalid, and istiod needs none.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(target.subject)
    if target.dns_names:
        names = x509.SubjectAlternativeName([x509.DNSName(name) for name in target.dns_names])
        builder = builder.add_extension(names, critical=False)
    digest = hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size == 384 else hashes.SHA256()
    return builder.sign(key, digest).public_bytes(serialization.Encoding.PEM).decode()
