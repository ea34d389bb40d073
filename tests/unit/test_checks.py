"""What may and what may not go into `cacerts`: each row is a bundle with one defect and the code that names it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from istio_pca.bundle import Bundle, pem
from istio_pca.checks import problems
from unit import pki
from unit.pki import DAY, NOW

CHAIN = pki.ladder(levels=2)


def codes(bundle: Bundle) -> set[str]:
    return {problem.code for problem in problems(bundle, NOW)}


@pytest.mark.parametrize("levels", [1, 2, 3])
@pytest.mark.parametrize("above", ["RSA-2048", "P-256", "P-384"])
@pytest.mark.parametrize("own", ["RSA-2048", "RSA-3072", "RSA-4096", "P-256", "P-384"])
def test_good(levels: int, above: str, own: str) -> None:
    """Any key under any authority, one to three levels deep, has no problem."""
    issuers = pki.ladder(levels, (above,) * levels)

    assert set() == codes(pki.bundle(issuers, pki.new_key(own)))


def test_root_may_be_left_out_of_the_chain() -> None:
    """The root travels in root-cert.pem: a chain without it is as good."""
    good = pki.bundle(CHAIN)

    assert set() == codes(replace(good, chain=good.chain[:-1]))


def test_several_roots() -> None:
    """root-cert.pem may hold other roots too, as it does while roots change."""
    good = pki.bundle(CHAIN)
    other = pki.ladder(levels=1)[0].certificate

    assert set() == codes(replace(good, root_pem=pem(other) + good.root_pem))


def of(**settings: object) -> Callable[[], Bundle]:
    return lambda: pki.bundle(CHAIN, **settings)


def under(*issuers: pki.Issuer) -> Callable[[], Bundle]:
    return lambda: pki.bundle(issuers)


def with_chain(change: Callable[[Bundle], tuple[x509.Certificate, ...]]) -> Callable[[], Bundle]:
    def made() -> Bundle:
        good = pki.bundle(CHAIN)
        return replace(good, chain=change(good))

    return made


def other_root() -> Bundle:
    return replace(pki.bundle(CHAIN), root_pem=pem(pki.ladder(levels=1)[0].certificate))


def other_key() -> Bundle:
    return replace(pki.bundle(CHAIN), key=pki.new_key())


DEFECTS = {
    "another key": (other_key, {"key-mismatch"}),
    "a leaf": (of(ca=False, key_cert_sign=False), {"not-a-ca", "cannot-sign"}),
    "no basic constraints": (of(ca=None), {"not-a-ca"}),
    "basic constraints not critical": (of(critical=False), {"not-a-ca"}),
    "may not sign": (of(key_cert_sign=False), {"cannot-sign"}),
    "no key usage": (of(key_cert_sign=None), {"cannot-sign"}),
    "for e-mail only": (of(purposes=(ExtendedKeyUsageOID.EMAIL_PROTECTION,)), {"purpose"}),
    "for servers only": (of(purposes=(ExtendedKeyUsageOID.SERVER_AUTH,)), {"purpose"}),
    "ended": (of(begins=NOW - 2 * DAY, ends=NOW - DAY), {"expired"}),
    "ends now": (of(ends=NOW), {"expired"}),
    "begins tomorrow": (of(begins=NOW + DAY), {"not-yet-valid"}),
    "outlives its issuer": (of(ends=NOW + 3000 * DAY), {"outlives"}),
    "no key identifiers": (of(identifiers=False), {"key-identifier"}),
    "authority key identifier of another key": (of(wrong_authority_identifier=True), {"key-identifier"}),
    "weak key": (lambda: pki.bundle(CHAIN, pki.new_key("RSA-1024")), {"weak"}),
    "weak curve": (lambda: pki.bundle(CHAIN, pki.new_key("P-192")), {"weak"}),
    "names that exclude SPIFFE": (of(permitted="example.com"), {"leaf-fails"}),
    "the issuer allows no CA below": (under(*pki.ladder(levels=1, path_length=0)), {"path-length"}),
    "the issuing CA ended": (under(*pki.ladder(levels=1, ends=NOW - DAY)), {"expired", "outlives"}),
    "the root is no CA": (under(*pki.ladder(levels=1, ca=False)), {"not-a-ca"}),
    "reversed chain": (
        with_chain(lambda good: good.chain[::-1]),
        {"chain-order", "no-root", "path-length", "outlives", "key-identifier"},
    ),
    "the subordinate is missing": (
        with_chain(lambda good: (good.chain[0], good.chain[2])),
        {"chain-order", "key-identifier"},
    ),
    "intermediate missing": (with_chain(lambda good: good.chain[1:]), {"chain-order"}),
    "subordinate before intermediate": (
        with_chain(lambda good: (good.chain[1], good.chain[0], good.chain[2])),
        {"chain-order", "key-identifier", "outlives", "path-length"},
    ),
    "another root": (other_root, {"no-root"}),
}


@pytest.mark.parametrize("case", DEFECTS)
def test_defect(case: str) -> None:
    """Each defect alone is found, and is named by its own code."""
    make, expected = DEFECTS[case]

    assert expected == codes(make())


def test_leaf_only_at_the_end_of_the_issuers_life() -> None:
    """A bundle that ends within the hour still signs: the leaf is cut to it, as istiod cuts it."""
    assert set() == codes(pki.bundle(CHAIN, ends=NOW + timedelta(minutes=30)))


def test_every_problem_is_told() -> None:
    """Defects are collected, not told one at a time."""
    wrong = pki.bundle(CHAIN, key_cert_sign=False, critical=False, ends=NOW + 3000 * DAY, digest=hashes.SHA256())

    assert {"cannot-sign", "not-a-ca", "outlives"} == codes(wrong)
