"""The CAs, which really sign: those of the scenario with all that is above them, and those that were created later.

It knows nothing of the API, of callers or of HTTP. Keys and certificates are made at first use and live in memory.
What a CA may do in which state is not decided here (service and lifecycle do).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from pca_emulator import keys, templates
from pca_emulator.errors import ServiceError
from pca_emulator.keys import PrivateKey, PublicKey
from pca_emulator.scenario import AuthoritySpec
from pca_emulator.templates import Template
from pca_emulator.validity import BACKDATED

_LONGER_ABOVE: Final = timedelta(days=365)
"""Each CA lives so much longer than the one below it."""
RESTORABLE_FOR: Final = timedelta(days=30)
"""A deleted CA, when nobody says how long."""


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
        try:
            return self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        except x509.ExtensionNotFound:  # one that was imported need not have it: AWS takes the hash of its key
            return x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())

    def __repr__(self) -> str:
        return f"Level({self.certificate.subject.rfc4514_string()!r})"


@dataclass(frozen=True)
class Configuration:
    """What a CA was asked to be: the API's CertificateAuthorityConfiguration."""

    key_algorithm: str
    signing_algorithm: str
    name: x509.Name


class Authority:
    """One private CA of ACM PCA.

    Of the scenario without a configuration: key, certificate and all that is above it are made for it.
    Created with one: a key, and no certificate until one is installed; it is CREATING until `ready_at`.
    """

    def __init__(
        self,
        spec: AuthoritySpec,
        now: datetime,
        configuration: Configuration | None = None,
        ready_at: datetime | None = None,
    ) -> None:
        self.spec = spec
        self.arn = spec.arn
        self.created_at = now.replace(microsecond=0)
        self.changed_at = self.created_at
        self.restorable_until: datetime | None = None
        self.restored_status = ""
        """What a restoration makes of it."""
        self._configuration = configuration
        self._ready_at = ready_at
        self._key: PrivateKey | None = None
        self._chain: tuple[x509.Certificate, ...] = ()
        self._parent: Level | None = None
        self._csr = b""
        self._lock = threading.Lock()
        self.set_status(spec.status, now)

    @property
    def kind(self) -> str:
        return "ROOT" if self.spec.levels == 1 else "SUBORDINATE"

    @property
    def configuration(self) -> Configuration:
        if self._configuration is not None:
            return self._configuration
        algorithm = self.spec.key_algorithm(self.spec.levels - 1)
        return Configuration(algorithm, keys.default_signing_algorithm(algorithm), self.chain()[0].subject)

    @property
    def key(self) -> PrivateKey:
        with self._lock:
            if self._key is not None:
                return self._key
            if self._configuration is None:
                *above, own = _hierarchy(self.spec, self.created_at)
                self._key, self._parent = own.key, above[-1] if above else None
                self._chain = tuple(level.certificate for level in (own, *reversed(above)))
            else:
                self._key = keys.generate(self._configuration.key_algorithm)
            return self._key

    def chain(self) -> tuple[x509.Certificate, ...]:
        """The signing CA first, the root last; empty until a certificate is installed."""
        if self._configuration is None:
            _ = self.key  # with which the chain is made
        return self._chain

    def install(self, certificate: x509.Certificate, above: Sequence[x509.Certificate], now: datetime) -> None:
        """Sign with this certificate from now on."""
        with self._lock:
            self._chain = (certificate, *above)
        self.set_status("ACTIVE", now)

    @property
    def signer(self) -> Level:
        chain = self.chain()
        if not chain:
            raise ServiceError("InvalidStateException", f"The certificate authority {self.arn} has no certificate.")
        return Level(self.configuration.key_algorithm, self.key, chain[0])

    @property
    def root_pem(self) -> str:
        chain = self.chain()
        if not chain:
            raise LookupError(f"certificate of {self.spec.name}")
        return pem(chain[-1])

    @property
    def end(self) -> datetime:
        return self.signer.certificate.not_valid_after_utc

    def status(self, now: datetime) -> str:
        """CREATING turns into PENDING_CERTIFICATE by itself, ACTIVE into EXPIRED."""
        if self._status == "CREATING" and self._ready_at is not None and now >= self._ready_at:
            return "PENDING_CERTIFICATE"
        return "EXPIRED" if self._status == "ACTIVE" and now >= self.end else self._status

    def set_status(self, status: str, now: datetime) -> None:
        if self._configuration is not None and status in {"ACTIVE", "DISABLED", "EXPIRED"} and not self._chain:
            raise ValueError(f"status: {self.spec.name} has no certificate, and cannot be {status}")
        self._status = status
        self.changed_at = now.replace(microsecond=0)
        self.restorable_until = self.changed_at + RESTORABLE_FOR if status == "DELETED" else None
        self.restored_status = "DISABLED"

    def csr(self) -> bytes:
        """For its own certificate: the same bytes each time."""
        key, wanted = self.key, self.configuration
        with self._lock:
            if not self._csr:
                digest, padding = keys.primitives(wanted.signing_algorithm)
                builder = x509.CertificateSigningRequestBuilder().subject_name(wanted.name)
                self._csr = builder.sign(key, digest, rsa_padding=padding).public_bytes(Encoding.PEM)
            return self._csr

    def sign_itself(self, subject: Subject, order: Order) -> x509.Certificate:
        """A root's own certificate."""
        own = x509.SubjectKeyIdentifier.from_public_key(subject.public_key)
        return _signed(subject, order, subject.name, self.key, own)

    def renew(self, now: datetime) -> None:
        """A new certificate for the same key, from the CA above, as long as the first; of a scenario's CA only."""
        own, above = self.signer, self._parent
        assert above is not None, "the key above is not here"
        names = Subject(own.certificate.subject, own.key.public_key())
        signing = keys.default_signing_algorithm(above.key_algorithm)
        template = templates.subordinate(self.spec.own_path_length)
        end = min(now + timedelta(days=self.spec.validity_days), above.certificate.not_valid_after_utc)
        certificate = above.sign(names, Order(template, signing, now - BACKDATED, end))
        with self._lock:
            self._chain = (certificate, *self._chain[1:])


def path_length(certificate: x509.Certificate) -> int | None:
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length


def pem(certificate: x509.Certificate) -> str:
    """PEM as ACM PCA sends it: without the last newline."""
    return certificate.public_bytes(Encoding.PEM).decode().rstrip("\n")


def pem_chain(certificates: Iterable[x509.Certificate]) -> str:
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
