"""What IssueCertificate demands of a CSR (RFC 2986), and what it takes from it: key, subject, SAN, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pca_emulator.errors import ServiceError
from pca_emulator.keys import PublicKey


@dataclass(frozen=True)
class Applicant:
    public_key: PublicKey
    subject: x509.Name
    alternative_names: x509.Extension[x509.SubjectAlternativeName] | None


def read(pem: bytes) -> Applicant:
    """The applicant of a CSR in PEM.

    Raises:
        ServiceError: MalformedCSRException. The texts are the emulator's own: AWS' are not known here.
    """
    try:
        csr = x509.load_pem_x509_csr(pem)
        public_key = csr.public_key()
        genuine = csr.is_signature_valid
        names = _alternative_names(csr)
    except (ValueError, UnsupportedAlgorithm, TypeError):
        raise ServiceError("MalformedCSRException", "The certificate signing request is not valid.") from None
    if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ServiceError("MalformedCSRException", "The key type of the certificate signing request is not supported.")
    if isinstance(public_key, rsa.RSAPublicKey) and public_key.key_size < 2048:
        raise ServiceError("MalformedCSRException", "The key of the certificate signing request is too short.")
    if not genuine:
        raise ServiceError("MalformedCSRException", "The signature of the certificate signing request is not valid.")
    if not list(csr.subject) and names is None:
        raise ServiceError(
            "MalformedCSRException",
            "The certificate signing request must provide either a subject name or a subject alternative name.",
        )
    return Applicant(public_key, csr.subject, names)


def _alternative_names(
    csr: x509.CertificateSigningRequest,
) -> x509.Extension[x509.SubjectAlternativeName] | None:
    try:
        return csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
