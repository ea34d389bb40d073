"""Bundle: certificate, key, chain and root of one Secret: put together, and taken apart.

It does not judge what it holds (`checks` does), does not fetch anything, and does not decide what to do.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from istio_pca.layout import CACERTS, Layout
from istio_pca.request import PrivateKey, key_pem


@dataclass(frozen=True)
class Problem:
    """One defect: a code to compare, and a sentence to read."""

    code: str
    text: str


@dataclass(frozen=True)
class Bundle:
    """What istiod signs with, or a gateway serves."""

    certificate: x509.Certificate
    key: PrivateKey = field(repr=False, compare=False)
    chain: tuple[x509.Certificate, ...]
    """The certificate first, each signed by the next."""
    root_pem: bytes
    """The file with the root, byte for byte: istiod compares bytes, and takes any change for a new root."""
    layout: Layout = field(default=CACERTS, repr=False)

    @functools.cached_property
    def roots(self) -> tuple[x509.Certificate, ...]:
        return tuple(x509.load_pem_x509_certificates(self.root_pem))

    @functools.cached_property
    def path(self) -> tuple[x509.Certificate, ...]:
        """Certificate to root: the chain, and the root that signed its last member if the chain leaves it out."""
        if self.chain[-1] in self.roots:
            return self.chain
        return (*self.chain, *[root for root in self.roots if signed_by(self.chain[-1], root)][:1])

    @property
    def serial(self) -> str:
        return f"{self.certificate.serial_number:032x}"

    @property
    def not_after(self) -> datetime:
        return self.certificate.not_valid_after_utc

    def files(self) -> dict[str, bytes]:
        """The data of the Secret. LF line ends, every block ends with a newline."""
        return {
            self.layout.certificate: pem(self.certificate),
            self.layout.key: key_pem(self.key),
            self.layout.chain: b"".join(map(pem, self.chain)),
            self.layout.root: self.root_pem,
        }


def signed_by(child: x509.Certificate, parent: x509.Certificate) -> bool:
    """Whether the names meet and the signature is the parent's (RFC 5280 section 6.1.3 a)."""
    try:
        child.verify_directly_issued_by(parent)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def assemble(  # noqa: PLR0913 -- a bundle is made of this many
    certificate_pem: str,
    chain_pem: str,
    key: bytes,
    *,
    root_in_chain: bool,
    root_before: bytes = b"",
    layout: Layout = CACERTS,
) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """Put together what ACM PCA returned: the certificate, and the chain above it with the root last.

    `root_before` is the root's file in force. Its bytes are kept if it holds this root, be it with others.
    """
    try:
        (certificate,) = x509.load_pem_x509_certificates(certificate_pem.encode())
        *subordinates, root = x509.load_pem_x509_certificates(chain_pem.encode())
    except ValueError:
        return None, (Problem("unreadable", "ACM PCA's answer is not one certificate and a chain in PEM"),)
    root_pem = root_before if root in certificates(root_before) else pem(root)
    above = (*subordinates, root) if root_in_chain else tuple(subordinates)
    return _loaded(certificate, key, (certificate, *above), root_pem, layout)


def read(data: Mapping[str, bytes], layout: Layout = CACERTS) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """Take a Secret's data apart. What cannot be read is a problem, never an exception."""
    problems = [Problem("missing-key", f"{name} is missing") for name in layout.files if not data.get(name)]
    problems += [
        Problem("misread", f"the key {name} makes {layout.reader} read another layout")
        for name in layout.misread
        if name in data
    ]
    if problems:
        return None, tuple(problems)
    found = {name: certificates(data[name]) for name in (layout.certificate, layout.chain, layout.root)}
    problems += [
        Problem("unreadable", f"{name} does not hold certificates in PEM")
        for name, content in found.items()
        if not content
    ]
    if problems:
        return None, tuple(problems)
    chain = tuple(found[layout.chain])
    return _loaded(found[layout.certificate][0], data[layout.key], chain, data[layout.root], layout)


def _loaded(
    certificate: x509.Certificate, key: bytes, chain: tuple[x509.Certificate, ...], root_pem: bytes, layout: Layout
) -> tuple[Bundle | None, tuple[Problem, ...]]:
    try:
        private = load_pem_private_key(key, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it is encrypted
        private = None
    if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
        return None, (Problem("unreadable", f"{layout.key} is not an RSA or EC private key in PEM"),)
    return Bundle(certificate, private, chain, root_pem, layout), ()


def certificates(text: bytes) -> list[x509.Certificate]:
    """The certificates of a PEM text; none if it holds no such thing."""
    try:
        return x509.load_pem_x509_certificates(text)
    except ValueError:
        return []
