"""The CAs, which really sign: a hierarchy of one to five levels, whose last level is the one ACM PCA offers.

It knows nothing of the API, of callers or of HTTP. Keys and certificates are made at first use and live in memory.
"""

from __future__ import annotations

import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pca_emulator import keys, templates
from pca_emulator.keys import PrivateKey, PublicKey
from pca_emulator.scenario import AuthoritySpec
from pca_emulator.templates import Template
from pca_emulator.validity import BACKDATED

_LONGER_ABOVE: Final = timedelta(days=365)
"""Each CA lives so much longer than the one below it."""


@dataclass(frozen=True)
class Subject:
    """Whom a certificate is for."""

    name: x509.Name
    public_key: PublicKey
    alternative_names: x509.Extension[x509.SubjectAlternativeName] | None = None


@dataclass(frozen=True)
class Order:
    """What is to be signed about a subject."""

    template: Template
    signing_algorithm: str
    not_before: datetime
    not_after: datetime


@dataclass(frozen=True)
class Level:
    """One CA of a hierarchy. The private key shows in no repr."""

    key_algorithm: str
    key: PrivateKey
    certificate: x509.Certificate

    def sign(self, subject: Subject, order: Order) -> x509.Certificate:
        return _signed(subject, order, self.certificate.subject, self.key, self.ski)

    @property
    def ski(self) -> x509.SubjectKeyIdentifier:
        return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value

    def __repr__(self) -> str:
        return f"Level({self.certificate.subject.rfc4514_string()!r})"


class Authority:
    """One private CA of ACM PCA with all that is above it."""

    def __init__(self, spec: AuthoritySpec, now: datetime) -> None:
        self.spec = spec
        self.arn = spec.arn
        self.created_at = now.replace(microsecond=0)
        self.changed_at = self.created_at
        self._status = spec.status
        self._levels: tuple[Level, ...] = ()
        self._lock = threading.Lock()

    @property
    def levels(self) -> tuple[Level, ...]:
        """Root first, the CA that signs last."""
        with self._lock:
            if not self._levels:
                self._levels = _hierarchy(self.spec, self.created_at)
            return self._levels

    @property
    def signer(self) -> Level:
        return self.levels[-1]

    @property
    def root_pem(self) -> str:
        return pem(self.levels[0].certificate)

    @property
    def end(self) -> datetime:
        return self.signer.certificate.not_valid_after_utc

    def status(self, now: datetime) -> str:
        """ACTIVE turns into EXPIRED by itself."""
        return "EXPIRED" if self._status == "ACTIVE" and now >= self.end else self._status

    def set_status(self, status: str, now: datetime) -> None:
        self._status = status
        self.changed_at = now.replace(microsecond=0)

    def renew(self, now: datetime) -> None:
        """A new certificate for the same key, from the CA above, as long as the first; of a subordinate CA only."""
        *above, own = self.levels
        names = Subject(own.certificate.subject, own.key.public_key())
        signing = keys.default_signing_algorithm(above[-1].key_algorithm)
        template = templates.subordinate(self.spec.own_path_length)
        end = min(now + timedelta(days=self.spec.validity_days), above[-1].certificate.not_valid_after_utc)
        certificate = above[-1].sign(names, Order(template, signing, now - BACKDATED, end))
        with self._lock:
            self._levels = (*above, Level(own.key_algorithm, own.key, certificate))

    def path_length(self) -> int | None:
        constraints = self.signer.certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        return constraints.value.path_length

    def chain(self) -> list[x509.Certificate]:
        """The signing CA first, the root last."""
        return [level.certificate for level in reversed(self.levels)]


def pem(certificate: x509.Certificate) -> str:
    """PEM as ACM PCA sends it: without the last newline."""
    return certificate.public_bytes(Encoding.PEM).decode().rstrip("\n")


def pem_chain(certificates: list[x509.Certificate]) -> str:
    return "\n".join(pem(certificate) for certificate in certificates)


def _signed(
    subject: Subject, order: Order, issuer: x509.Name, key: PrivateKey, ski: x509.SubjectKeyIdentifier
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject.name)
        .issuer_name(issuer)
        .public_key(subject.public_key)
        .serial_number(_serial())
        .not_valid_before(order.not_before)
        .not_valid_after(order.not_after)
    )
    for extension, critical in order.template.extensions():
        builder = builder.add_extension(extension, critical)
    own = x509.SubjectKeyIdentifier.from_public_key(subject.public_key)
    builder = builder.add_extension(own, critical=False)
    if order.template is not templates.ROOT:  # AWS' root has none: it would point to itself
        above = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ski)
        builder = builder.add_extension(above, critical=False)
    if subject.alternative_names is not None:
        names = subject.alternative_names
        builder = builder.add_extension(names.value, names.critical)
    digest, padding = keys.primitives(order.signing_algorithm)
    return builder.sign(key, digest, rsa_padding=padding)


def _serial() -> int:
    """128 bits; the first is set, so that its hex has always 32 digits."""
    return secrets.randbits(127) | 1 << 127


def _hierarchy(spec: AuthoritySpec, now: datetime) -> tuple[Level, ...]:
    levels: list[Level] = []
    for depth in range(spec.levels):
        algorithm = spec.key_algorithm(depth)
        key = keys.generate(algorithm)
        below = spec.levels - 1 - depth
        subject = Subject(_name(spec, depth), key.public_key())
        end = now + timedelta(days=spec.validity_days) + below * _LONGER_ABOVE
        start = min(now - BACKDATED, end - timedelta(days=1))  # a CA that has ended once began
        if not levels:
            order = Order(templates.ROOT, keys.default_signing_algorithm(algorithm), start, end)
            ski = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            certificate = _signed(subject, order, subject.name, key, ski)
        else:
            signing = keys.default_signing_algorithm(levels[-1].key_algorithm)
            template = templates.subordinate(spec.own_path_length + below)
            certificate = levels[-1].sign(subject, Order(template, signing, start, end))
        levels.append(Level(algorithm, key, certificate))
    return tuple(levels)


def _name(spec: AuthoritySpec, depth: int) -> x509.Name:
    what = "root CA" if depth == 0 else f"level {depth + 1} CA"
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "DE"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Emulated Private CA"),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{spec.name} {what}"),
        ]
    )
