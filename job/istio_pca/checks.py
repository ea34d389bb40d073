"""Checks: every rule that a bundle must pass before istiod or a gateway gets it.

Stricter than istiod, which accepts bundles with which workloads then cannot talk. Nothing is decided or changed here.
Source: RFC 5280 sections 4.2.1 and 6; istio/istio security/pkg/pki/util/keycertbundle.go, Verify.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from istio_pca import leaf
from istio_pca.bundle import Bundle, Problem, signed_by

T = TypeVar("T", bound=x509.ExtensionType)
_NEEDED_USAGES: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH})
_SERVING: Final = frozenset({ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_CURVES: Final = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_DIGESTS: Final = frozenset({"sha256", "sha384", "sha512"})


def judged(
    taken: tuple[Bundle | None, tuple[Problem, ...]], now: datetime, names: Sequence[str] = ()
) -> tuple[Bundle | None, tuple[Problem, ...]]:
    """What `read` or `assemble` gave, with every problem: of its form, or if it has one, of what it holds."""
    bundle, defects = taken
    return bundle, defects if bundle is None else problems(bundle, now, names)


def problems(bundle: Bundle, now: datetime, names: Sequence[str] = ()) -> tuple[Problem, ...]:
    """Every defect of the bundle at `now`.

    Of a server with these DNS names; without names, of a CA: then none means that istiod takes it, and workloads signed
    with it trust each other.
    """
    try:
        found = tuple(_defects(bundle, now, names))
        # the library stops at its first finding and says less: it is asked only when our own checks found nothing
        if found:
            return found
        if names:
            return tuple(Problem("server-fails", text) for text in leaf.server_verdict(bundle.path, names, now))
        return tuple(
            Problem("leaf-fails", text) for text in leaf.verdict(bundle.certificate, bundle.key, bundle.path, now)
        )
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return (Problem("unreadable", f"a certificate has a malformed part: {error}"),)


def _defects(bundle: Bundle, now: datetime, names: Sequence[str]) -> Iterator[Problem]:
    path, layout = bundle.path, bundle.layout
    if bundle.certificate.public_key() != bundle.key.public_key():
        yield Problem("key-mismatch", f"{layout.certificate} is not for the key in {layout.key}")
    if bundle.chain[0] != bundle.certificate:
        yield Problem("chain-order", f"{layout.chain} does not begin with the certificate in {layout.certificate}")
    if path[-1] not in bundle.roots or not signed_by(path[-1], path[-1]):
        yield Problem("no-root", f"the chain does not end at a self-signed root in {layout.root}")
    if names:
        yield from _server_defects(path[0], names)
    cas = path[1:] if names else path
    for below, certificate in enumerate(cas):
        yield from _ca_defects(certificate, below, is_root=certificate == path[-1])
    for certificate in path:
        yield from _common_defects(certificate, now, is_root=certificate == path[-1])
    for child, parent in pairwise(path):
        yield from _link_defects(child, parent)


def _server_defects(certificate: x509.Certificate, names: Sequence[str]) -> Iterator[Problem]:
    """Rules for a TLS server's certificate (RFC 5280 section 4.2.1, RFC 9525)."""
    who = certificate.subject.rfc4514_string()
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints and constraints.value.ca:
        yield Problem("is-a-ca", f"{who} is a CA, not a server's certificate")
    alternative = _extension(certificate, x509.SubjectAlternativeName)
    held = alternative.value.get_values_for_type(x509.DNSName) if alternative else []
    if missing := [name for name in names if name not in held]:
        yield Problem("names", f"{who} does not hold {', '.join(missing)} (SubjectAlternativeName)")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if purposes and not _SERVING.intersection(purposes.value):
        yield Problem("purpose", f"{who} is not for TLS servers (ExtendedKeyUsage)")


def _ca_defects(certificate: x509.Certificate, below: int, *, is_root: bool) -> Iterator[Problem]:
    """Rules for one CA certificate that has `below` CAs under it in the path (RFC 5280 section 4.2.1)."""
    who = certificate.subject.rfc4514_string()
    constraints = _extension(certificate, x509.BasicConstraints)
    # roots are trust anchors: some enterprise roots mark nothing critical, and verifiers do not ask it of them
    if constraints is None or not constraints.value.ca or not (constraints.critical or is_root):
        yield Problem("not-a-ca", f"{who} is not a CA (BasicConstraints CA:TRUE, critical)")
    elif constraints.value.path_length is not None and constraints.value.path_length < below:
        yield Problem("path-length", f"{who} allows {constraints.value.path_length} CAs below it, there are {below}")
    usage = _extension(certificate, x509.KeyUsage)
    if not (usage.value.key_cert_sign if usage else is_root):
        yield Problem("cannot-sign", f"{who} may not sign certificates (KeyUsage keyCertSign)")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if (
        purposes
        and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in purposes.value
        and not _NEEDED_USAGES.issubset(purposes.value)
    ):
        yield Problem("purpose", f"{who} is limited to other purposes than TLS servers and clients (ExtendedKeyUsage)")


def _common_defects(certificate: x509.Certificate, now: datetime, *, is_root: bool) -> Iterator[Problem]:
    """Rules for every certificate of the path."""
    who = certificate.subject.rfc4514_string()
    if certificate.not_valid_after_utc <= now:
        yield Problem("expired", f"{who} ended {certificate.not_valid_after_utc:%Y-%m-%d %H:%M}Z")
    if certificate.not_valid_before_utc > now:
        yield Problem("not-yet-valid", f"{who} begins {certificate.not_valid_before_utc:%Y-%m-%d %H:%M}Z")
    if not _strong(certificate, signature_matters=not is_root):
        yield Problem("weak", f"{who} has a key or signature that Envoy or ztunnel do not take")


def _link_defects(child: x509.Certificate, parent: x509.Certificate) -> Iterator[Problem]:
    """Rules between a certificate and the one that signed it.

    The beginnings are not compared: ACM PCA dates every certificate back by an hour, so the certificate of a young CA
    may begin later than its child's.
    """
    who, above = child.subject.rfc4514_string(), parent.subject.rfc4514_string()
    if not signed_by(child, parent):
        yield Problem("chain-order", f"{who} is not signed by {above}, which stands after it")
    if child.not_valid_after_utc > parent.not_valid_after_utc:
        yield Problem("outlives", f"{who} ends after {above}, which signed it")
    authority = _extension(child, x509.AuthorityKeyIdentifier)
    subject = _extension(parent, x509.SubjectKeyIdentifier)
    own = _extension(child, x509.SubjectKeyIdentifier)
    if authority is None or own is None:
        yield Problem("key-identifier", f"{who} lacks its key identifiers (AKI, SKI)")
    elif subject and authority.value.key_identifier not in (None, subject.value.digest):
        yield Problem("key-identifier", f"{who} names another key than that of {above} (AKI)")


def _strong(certificate: x509.Certificate, *, signature_matters: bool) -> bool:
    key = certificate.public_key()
    strong_key = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)
    )
    digest = certificate.signature_hash_algorithm
    return strong_key and (not signature_matters or (digest is not None and digest.name in _DIGESTS))


def _extension(certificate: x509.Certificate, kind: type[T]) -> x509.Extension[T] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None


def describe(found: Sequence[Problem]) -> str:
    """All of them in one line."""
    return "; ".join(problem.text for problem in found)
