"""A throw-away workload certificate, issued as istiod would issue it, and a verifier's word on it.

This is the check that istiod does not make. The leaf and its key never leave this module.
Source: istio/istio security/pkg/pki/ca (leaf profile); RFC 5280 section 6 as implemented by cryptography's verifier.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import Criticality, ExtensionPolicy, PolicyBuilder, Store, VerificationError

from istio_pca.request import PrivateKey

SPIFFE_ID = "spiffe://cluster.local/ns/istio-pca/sa/throw-away"


def verdict(
    issuer: x509.Certificate, key: PrivateKey, path: Sequence[x509.Certificate], now: datetime
) -> tuple[str, ...]:
    """What a workload's peer would say of a leaf under `issuer`: nothing, or why it refuses.

    `path` runs from the issuer to the root, the only certificate that the peer trusts.
    """
    leaf = _issue(issuer, key, now)
    *intermediates, root = path
    verifier = (
        PolicyBuilder()
        .store(Store([root]))
        .time(now)
        .max_chain_depth(len(intermediates))
        # our own rules for CAs have been checked by now; the library's extra ones are the Web PKI's, not Istio's
        .extension_policies(ca_policy=_ca_policy(), ee_policy=_workload_policy())
        .build_client_verifier()
    )
    try:
        verifier.verify(leaf, intermediates)
    except VerificationError as error:
        return (f"a workload certificate under it does not verify to the root: {error}",)
    return ()


def _ca_policy() -> ExtensionPolicy:
    return ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)


def _workload_policy() -> ExtensionPolicy:
    return ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, Criticality.CRITICAL, None)


def _issue(issuer: x509.Certificate, key: PrivateKey, now: datetime) -> x509.Certificate:
    """A leaf in istiod's profile: empty subject, critical SPIFFE URI SAN, for TLS servers and clients."""
    own = ec.generate_private_key(ec.SECP256R1())
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(own.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=2))  # istiod's own allowance for clocks that differ
        .not_valid_after(min(now + timedelta(hours=24), issuer.not_valid_after_utc))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                key_encipherment=True,
                content_commitment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=False,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key()), critical=False)  # type: ignore[arg-type]  # a CA's key: RSA or EC, checked before
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(SPIFFE_ID)]), critical=True)
        .sign(key, hashes.SHA256())
    )
