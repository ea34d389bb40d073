"""What ImportCertificateAuthorityCertificate demands of a CA's certificate and of the chain above it.

Source: API Reference, ImportCertificateAuthorityCertificate; User Guide, "RFC compliance". The rules are AWS'. Which
of the operation's errors is meant for which is assumed from their descriptions, and the texts are the emulator's own.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import ExtensionOID

from pca_emulator.authority import path_length
from pca_emulator.errors import ServiceError
from pca_emulator.keys import PublicKey

_MAY_BE_CRITICAL: Final = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.SUBJECT_DIRECTORY_ATTRIBUTES,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_INFORMATION_ACCESS,
    }
)


def read(
    kind: str, public_key: PublicKey, certificate_pem: bytes, chain_pem: bytes
) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The certificate and the chain for a CA of this kind and key.

    Raises:
        ServiceError: MalformedCertificate, InvalidRequest or CertificateMismatch.
    """
    own = _parsed(certificate_pem)
    if len(own) != 1:
        raise _malformed("There must be exactly one certificate.")
    (certificate,) = own
    chain = _parsed(chain_pem) if chain_pem else []
    for each in (certificate, *chain):
        _check_ca(each)
    if certificate.public_key() != public_key:
        raise _mismatch("The certificate is not for the key of the certificate authority.")
    if kind == "ROOT":
        if not _self_signed(certificate):
            raise _prohibited("Only a self-signed certificate can be imported as a root CA.")
        if chain:
            raise _prohibited("A root CA has no certificate chain.")
    else:
        _check_chain(certificate, chain)
    return certificate, chain


def _check_chain(certificate: x509.Certificate, chain: list[x509.Certificate]) -> None:
    if _self_signed(certificate):
        raise _prohibited("A self-signed certificate cannot be imported as a subordinate CA.")
    if not chain:
        raise _prohibited("A subordinate CA needs a certificate chain.")
    if certificate in chain:
        raise _prohibited("The certificate chain must not include the certificate that is imported.")
    if not _self_signed(chain[-1]):
        raise _mismatch("The last certificate of the chain must be that of the root CA.")
    for below, above in pairwise((certificate, *chain)):
        if not _issued_by(below, above):
            raise _mismatch("Each certificate of the chain must sign the one before it.")
        limit, own = path_length(above), path_length(below)
        if limit is not None and (own is None or own >= limit):
            raise _mismatch("The path length must be less than that of the certificate above.")


def _parsed(pem: bytes) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(pem)
        for each in found:
            list(each.extensions)  # they are parsed when they are asked for
    except ValueError:
        raise _malformed("The certificate is not valid PEM.") from None
    return found


def _check_ca(certificate: x509.Certificate) -> None:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        raise _malformed("The certificate has no basic constraints.") from None
    if not constraints.critical or not constraints.value.ca:
        raise _malformed("The basic constraints must be critical, and those of a CA.")
    if {each.oid for each in certificate.extensions if each.critical} - _MAY_BE_CRITICAL:
        raise _malformed("The certificate has a critical extension that is not allowed.")


def _self_signed(certificate: x509.Certificate) -> bool:
    return _issued_by(certificate, certificate)


def _issued_by(below: x509.Certificate, above: x509.Certificate) -> bool:
    try:
        below.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _malformed(text: str) -> ServiceError:
    return ServiceError("MalformedCertificateException", text)


def _mismatch(text: str) -> ServiceError:
    return ServiceError("CertificateMismatchException", text)


def _prohibited(text: str) -> ServiceError:
    return ServiceError("InvalidRequestException", text)
