"""Certificate authorities that really sign: hierarchies of one to three levels, RSA and EC.

The rules of IssueCertificate that depend on the CA are here: algorithm family, validity, path length, CSR.
No HTTP, no permissions, no idempotency: those are `server`, `iam` and `service`.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pca_emulator.errors import AwsError
from pca_emulator.scenario import AuthoritySpec
from pca_emulator.templates import Template

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey

_HASHES: Final[dict[str, hashes.SHA256 | hashes.SHA384 | hashes.SHA512]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "EC_prime256v1": ec.SECP256R1(),
    "EC_secp384r1": ec.SECP384R1(),
    "EC_secp521r1": ec.SECP521R1(),
}
_OWN_ALGORITHM: Final = {
    "EC_prime256v1": "SHA256WITHECDSA",
    "EC_secp384r1": "SHA384WITHECDSA",
    "EC_secp521r1": "SHA512WITHECDSA",
}
SHORT_LIVED: Final = timedelta(days=7)
BACKDATED: Final = timedelta(minutes=60)


@dataclass
class Authority:
    """One private CA, with the certificates above it."""

    spec: AuthoritySpec
    arn: str
    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    """Everything above the CA, the root last; empty for a root CA."""
    key: Key = field(repr=False)
    status: str = "ACTIVE"
    created: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def partition(self) -> str:
        return self.arn.split(":")[1]

    @property
    def key_algorithm(self) -> str:
        return self.spec.key(self.spec.levels - 1)

    @property
    def signing_algorithm(self) -> str:
        return self.spec.signing_algorithm or _OWN_ALGORITHM.get(self.key_algorithm, "SHA256WITHRSA")

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """CertificateChain of an issued certificate: this CA first, the root last."""
        return (self.certificate, *self.above)

    def describe(self) -> dict[str, Any]:
        return {
            "Arn": self.arn,
            "OwnerAccount": self.spec.account,
            "CreatedAt": self.created.timestamp(),
            "LastStateChangeAt": self.created.timestamp(),
            "Type": "SUBORDINATE" if self.above else "ROOT",
            "Serial": f"{self.certificate.serial_number:032x}",
            "Status": self.status,
            "NotBefore": self.certificate.not_valid_before_utc.timestamp(),
            "NotAfter": self.certificate.not_valid_after_utc.timestamp(),
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": self.key_algorithm,
                "SigningAlgorithm": self.signing_algorithm,
                "Subject": {"CommonName": common_name(self.certificate)},
            },
            "RevocationConfiguration": {
                "CrlConfiguration": {"Enabled": False},
                "OcspConfiguration": {"Enabled": False},
            },
            "KeyStorageSecurityStandard": "FIPS_140_2_LEVEL_3_OR_HIGHER",
            "UsageMode": self.spec.usage_mode,
        }

    def check_request(self, signing_algorithm: str, template: Template, end: datetime, now: datetime) -> None:
        """Refuse what this CA does not sign, in AWS' words where they are known."""
        family = "RSA" if isinstance(self.key, rsa.RSAPrivateKey) else "ECDSA"
        valid = [f"{name}WITH{family}" for name in _HASHES]
        if signing_algorithm not in valid:
            raise AwsError(
                "InvalidArgsException",
                f"Signing algorithm {signing_algorithm} cannot be used with key type {self.key_algorithm}. "
                f"Valid signing algorithms are: {', '.join(valid)}.",
            )
        if end >= self.certificate.not_valid_after_utc:
            raise AwsError("ValidationException", "The certificate validity specified exceeds the CA validity.")
        if end <= now:
            raise AwsError("ValidationException", "The certificate validity specified is in the past.")
        if self.spec.usage_mode == "SHORT_LIVED_CERTIFICATE" and end - now > SHORT_LIVED:
            raise AwsError("ValidationException", "The certificate validity specified exceeds 7 days.")
        own = self.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length
        if template.ca and own is not None and (template.path_length is None or template.path_length >= own):
            raise AwsError(
                "ValidationException", "The path length of the template is not below that of the issuing CA."
            )

    def sign(
        self,
        subject: x509.Name,
        key: Any,
        template: Template,
        algorithm: str,
        end: datetime,
        now: datetime,
        san: Any = None,
    ) -> x509.Certificate:
        return _signed(
            subject,
            key,
            template,
            (self.certificate, self.key),
            _HASHES[algorithm.partition("WITH")[0]],
            now - BACKDATED,
            end,
            san,
        )


def read_csr(content: bytes) -> x509.CertificateSigningRequest:
    """A CSR in PEM that signs itself and names somebody."""
    try:
        csr = x509.load_pem_x509_csr(content)
        if not csr.is_signature_valid:
            raise AwsError("MalformedCSRException", "The CSR's signature is not valid.")
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise AwsError("MalformedCSRException", "The CSR is not valid PEM.") from None
    if not list(csr.subject) and san_of(csr) is None:
        raise AwsError("MalformedCSRException", "The CSR has neither a subject nor a subject alternative name.")
    return csr


def san_of(csr: x509.CertificateSigningRequest) -> x509.SubjectAlternativeName | None:
    try:
        return csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return None


def build(spec: AuthoritySpec, now: datetime) -> Authority:
    """A whole hierarchy; the CA at its lower end is the one that the API serves."""
    certificates: list[x509.Certificate] = []
    issuer: tuple[x509.Certificate, Key] | None = None
    end = now + timedelta(days=spec.validity_days)
    for level in range(spec.levels):
        key = new_key(spec.key(level))
        # below level n there are levels - n - 1 CAs and the one that is to be issued
        allowed = None if level == 0 else spec.levels - level + spec.spare_path_length
        subject = name(f"{spec.name} {'Root' if level == 0 else f'Subordinate {level}'} CA")
        # each level ends a day before the one above
        certificate = _signed(
            subject,
            key.public_key(),
            Template(ca=True, path_length=allowed),
            issuer or (None, key),
            hashes.SHA256(),
            now - BACKDATED,
            end - timedelta(days=level),
            None,
        )
        certificates.insert(0, certificate)
        issuer = (certificate, key)
    arn = f"arn:{spec.partition}:acm-pca:{spec.region}:{spec.account}:certificate-authority/{spec.id}"
    return Authority(spec, arn, certificates[0], tuple(certificates[1:]), key, spec.status, now)


def new_key(algorithm: str) -> Key:
    if algorithm in _CURVES:
        return ec.generate_private_key(_CURVES[algorithm])
    return rsa.generate_private_key(public_exponent=65537, key_size=int(algorithm.removeprefix("RSA_")))


def name(common: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"), x509.NameAttribute(NameOID.COMMON_NAME, common)]
    )


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def pem(*certificates: x509.Certificate) -> str:
    """As the API gives it: the last line has no newline."""
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates).decode().rstrip("\n")


def _signed(
    subject: x509.Name,
    public_key: Any,
    template: Template,
    issuer: tuple[x509.Certificate | None, Key],
    digest: hashes.SHA256 | hashes.SHA384 | hashes.SHA512,
    begin: datetime,
    end: datetime,
    san: x509.SubjectAlternativeName | None,
) -> x509.Certificate:
    certificate, key = issuer
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(certificate.subject if certificate else subject)
        .public_key(public_key)
        .serial_number(secrets.randbits(127) | 1 << 126)
        .not_valid_before(begin)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )
    if certificate is not None:
        identifier = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False
        )
    if san is not None:
        builder = builder.add_extension(san, critical=False)
    for extension, critical in template.extensions():
        builder = builder.add_extension(extension, critical=critical)
    return builder.sign(key, digest)
