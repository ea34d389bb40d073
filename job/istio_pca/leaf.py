"""A verifier's word: on a throw-away workload certificate, issued as istiod would issue it, and on a server's own.

These are the checks that istiod and gateways do not make. The leaf and its key never leave this module.
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
    try:
        _policy(root, len(intermediates), now, Criticality.CRITICAL).build_client_verifier().verify(leaf, intermediates)
    except VerificationError as error:
        return (f"a workload certificate under it does not verify to the root: {error}",)
    return ()


def server_verdict(path: Sequence[x509.Certificate], names: Sequence[str], now: datetime) -> tuple[str, ...]:
    """What a client that asks for these DNS names would say of the server's certificate: nothing, or why it refuses.

    `path` runs from the server's certificate to the root, the only one that the client trusts.
    """
    leaf, *intermediates, root = path
    policy = _policy(root, len(intermediates), now, Criticality.AGNOSTIC)
    found = []
    for name in names:
        try:
            # a client never asks for a wildcard, but for a name that it stands for
            policy.build_server_verifier(x509.DNSName(name.replace("*", "any", 1))).verify(leaf, intermediates)
        except VerificationError as error:
            found.append(f"a client that asks for {name} does not believe it: {error}")
    return tuple(found)


def _policy(root: x509.Certificate, depth: int, now: datetime, names: Criticality) -> PolicyBuilder:
    """Verifies up to this root; `names`: whether the leaf's SAN must be critical."""
    ca = ExtensionPolicy.permit_all().require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
    leaf = ExtensionPolicy.permit_all().require_present(x509.SubjectAlternativeName, names, None)
    builder = PolicyBuilder().store(Store([root])).time(now).max_chain_depth(depth)
    # our own rules for CAs have been checked by now; the library's extra ones are the Web PKI's, not Istio's
    return builder.extension_policies(ca_policy=ca, ee_policy=leaf)


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
