"""Real certificates for the unit tests: a hierarchy whose every part can be made wrong.

    ladder = pki.ladder(levels=2)              # root, then the issuing CA
    bundle = pki.bundle(ladder, path_length=0) # an intermediate under it, as ACM PCA would sign it

Nothing here is mocked: keys are real, signatures verify.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from istio_pca.bundle import Bundle, pem
from istio_pca.layout import GATEWAY
from istio_pca.request import PrivateKey

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Issuer:
    """A CA: its certificate and its key."""

    certificate: x509.Certificate
    key: PrivateKey


def new_key(kind: str = "P-256") -> PrivateKey:
    match kind:
        case "RSA-1024" | "RSA-2048" | "RSA-3072" | "RSA-4096":
            return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
        case "P-384":
            return ec.generate_private_key(ec.SECP384R1())
        case "P-192":
            return ec.generate_private_key(ec.SECP192R1())
        case _:
            return ec.generate_private_key(ec.SECP256R1())


def name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def sign(
    subject: str,
    key: PrivateKey,
    issuer: Issuer | None = None,
    *,
    ca: bool | None = True,
    critical: bool = True,
    path_length: int | None = None,
    key_cert_sign: bool | None = True,
    begins: datetime = NOW - 30 * DAY,
    ends: datetime = NOW + 365 * DAY,
    purposes: tuple[x509.ObjectIdentifier, ...] = (),
    permitted: str = "",
    names: tuple[str, ...] = (),
    identifiers: bool = True,
    wrong_authority_identifier: bool = False,
    digest: hashes.HashAlgorithm | None = None,
) -> x509.Certificate:
    """A CA certificate in the shape of ACM PCA's templates, unless told otherwise; self-signed without an issuer."""
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(issuer.certificate.subject if issuer else name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    if ca is not None:
        builder = builder.add_extension(x509.BasicConstraints(ca, path_length if ca else None), critical)
    if key_cert_sign is not None:
        builder = builder.add_extension(_usage(key_cert_sign=key_cert_sign), critical=True)
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    if permitted:
        builder = builder.add_extension(
            x509.NameConstraints([x509.UniformResourceIdentifier(permitted)], None), critical=True
        )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, names))), critical=False)
    if identifiers:
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        above = new_key() if wrong_authority_identifier else signer
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key()), critical=False
        )
    return builder.sign(signer, digest or hashes.SHA256())


def _usage(*, key_cert_sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=key_cert_sign,
        encipher_only=False,
        decipher_only=False,
    )


def ladder(levels: int = 2, kinds: tuple[str, ...] = (), **of_the_root: object) -> tuple[Issuer, ...]:
    """`levels` CAs, the root first; each lasts a year longer than the one below."""
    issuers: list[Issuer] = []
    for level in range(levels):
        key = new_key(kinds[level] if kinds else "P-256")
        settings = {"ends": NOW + (levels - level + 1) * 365 * DAY, **(of_the_root if level == 0 else {})}
        certificate = sign(f"level {level}", key, issuers[-1] if issuers else None, **settings)  # type: ignore[arg-type]
        issuers.append(Issuer(certificate, key))
    return tuple(issuers)


def bundle(issuers: tuple[Issuer, ...], key: PrivateKey | None = None, **settings: object) -> Bundle:
    """A good bundle under the last of `issuers`, unless `settings` make its certificate wrong."""
    own = key or new_key()
    certificate = sign("Istio CA", own, issuers[-1], **{"path_length": 0, **settings})  # type: ignore[arg-type]
    above = tuple(issuer.certificate for issuer in reversed(issuers))
    return Bundle(certificate, own, (certificate, *above), pem(issuers[0].certificate))


def server(
    issuers: tuple[Issuer, ...], names: tuple[str, ...], key: PrivateKey | None = None, **settings: object
) -> Bundle:
    """A good certificate of a server under the last of `issuers`, as ACM PCA's template makes it."""
    own = key or new_key()
    wanted = {
        "ca": False,
        "key_cert_sign": False,
        "names": names,
        "purposes": (ExtendedKeyUsageOID.SERVER_AUTH,),
        "ends": NOW + 90 * DAY,
        **settings,
    }
    certificate = sign(names[0], own, issuers[-1], **wanted)  # type: ignore[arg-type]
    above = tuple(issuer.certificate for issuer in reversed(issuers[1:]))
    return Bundle(certificate, own, (certificate, *above), pem(issuers[0].certificate), GATEWAY)
