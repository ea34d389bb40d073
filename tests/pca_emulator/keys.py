"""Key and signing algorithms by ACM PCA's names (API Reference, KeyAlgorithm and SigningAlgorithm).

ML-DSA and SM2, which AWS has too, are not emulated.
"""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from pca_emulator.errors import ServiceError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
Hash = hashes.SHA256 | hashes.SHA384 | hashes.SHA512
RsaPadding = padding.PKCS1v15 | padding.PSS

_RSA_BITS: Final = {"RSA_2048": 2048, "RSA_3072": 3072, "RSA_4096": 4096}
_CURVES: Final[dict[str, ec.EllipticCurve]] = {
    "EC_prime256v1": ec.SECP256R1(),
    "EC_secp384r1": ec.SECP384R1(),
    "EC_secp521r1": ec.SECP521R1(),
}
_DEFAULT_FOR_CURVE: Final = {
    "EC_prime256v1": "SHA256WITHECDSA",
    "EC_secp384r1": "SHA384WITHECDSA",
    "EC_secp521r1": "SHA512WITHECDSA",
}
_HASHES: Final[dict[str, Hash]] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
_RSA_SIGNING: Final = (
    *(f"{name}WITHRSA" for name in _HASHES),
    *(f"{name}WITHRSA_PSS" for name in _HASHES),
)
_EC_SIGNING: Final = tuple(f"{name}WITHECDSA" for name in _HASHES)

KEY_ALGORITHMS: Final = (*_RSA_BITS, *_CURVES)


def generate(key_algorithm: str) -> PrivateKey:
    if key_algorithm in _RSA_BITS:
        return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS[key_algorithm])
    return ec.generate_private_key(_CURVES[key_algorithm])


def signing_algorithms(key_algorithm: str) -> tuple[str, ...]:
    """What a CA with this key can sign with: its own family, any hash."""
    return _RSA_SIGNING if key_algorithm in _RSA_BITS else _EC_SIGNING


def default_signing_algorithm(key_algorithm: str) -> str:
    return _DEFAULT_FOR_CURVE.get(key_algorithm, "SHA256WITHRSA")


def check_family(signing_algorithm: str, key_algorithm: str) -> None:
    """Raise InvalidArgsException unless a CA with this key can sign so."""
    valid = signing_algorithms(key_algorithm)
    if signing_algorithm not in valid:
        raise ServiceError(
            "InvalidArgsException",
            f"Signing algorithm {signing_algorithm} cannot be used with key type {key_algorithm}. "
            f"Valid signing algorithms are: {', '.join(valid)}.",
        )


def primitives(signing_algorithm: str) -> tuple[Hash, RsaPadding | None]:
    """The hash, and for RSA the padding, of a signing algorithm."""
    digest = _HASHES[signing_algorithm[:6]]
    if signing_algorithm.endswith("WITHRSA_PSS"):
        return digest, padding.PSS(mgf=padding.MGF1(digest), salt_length=padding.PSS.DIGEST_LENGTH)
    return digest, padding.PKCS1v15() if signing_algorithm.endswith("WITHRSA") else None
