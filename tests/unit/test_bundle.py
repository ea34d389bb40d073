"""Putting together what ACM PCA returns, and taking a Secret apart."""

from __future__ import annotations

import pytest
from cryptography import x509

from istio_pca.bundle import assemble, pem, read
from istio_pca.layout import CACERTS
from istio_pca.request import key_pem
from unit import pki

LADDER = pki.ladder(levels=3)
GOOD = pki.bundle(LADDER)


def texts(*certificates: x509.Certificate) -> str:
    """As ACM PCA writes them: without a newline at the end."""
    return b"".join(map(pem, certificates)).decode().rstrip("\n")


def answer(change: str = "") -> tuple[str, str]:
    certificate, chain = texts(GOOD.certificate), texts(*GOOD.chain[1:])
    return (
        (certificate.replace("\n", "\r\n"), chain.replace("\n", "\r\n")) if change == "CRLF" else (certificate, chain)
    )


@pytest.mark.parametrize("change", ["", "CRLF"])
@pytest.mark.parametrize("root_in_chain", [True, False])
def test_the_four_files(change: str, root_in_chain: bool) -> None:
    """The intermediate; its key; the chain from it upwards; the root. Every block ends with one LF."""
    bundle, defects = assemble(*answer(change), key_pem(GOOD.key), root_in_chain=root_in_chain)

    assert defects == ()
    assert bundle is not None
    files = bundle.files()
    above = [pem(issuer.certificate) for issuer in reversed(LADDER)]
    assert files == {
        CACERTS.certificate: pem(GOOD.certificate),
        CACERTS.key: key_pem(GOOD.key),
        CACERTS.chain: b"".join([pem(GOOD.certificate), *(above if root_in_chain else above[:-1])]),
        CACERTS.root: pem(LADDER[0].certificate),
    }
    assert b"\r" not in b"".join(files.values())


@pytest.mark.parametrize("root_in_chain", [True, False])
def test_read_what_was_written(root_in_chain: bool) -> None:
    """A Secret that we wrote reads back as the same bundle."""
    bundle, _ = assemble(*answer(), key_pem(GOOD.key), root_in_chain=root_in_chain)
    assert bundle is not None

    again, defects = read(bundle.files())

    assert (again, defects) == (bundle, ())
    assert again is not None
    assert again.path == GOOD.chain


def test_the_roots_bytes_are_kept() -> None:
    """istiod compares bytes: the same root in other bytes would stop it from loading the new intermediate."""
    before = b"# our root\r\n" + pem(LADDER[0].certificate).replace(b"\n", b"\r\n")

    bundle, _ = assemble(*answer(), key_pem(GOOD.key), root_in_chain=True, root_before=before)

    assert bundle is not None
    assert bundle.root_pem == before


def test_a_root_among_others_keeps_them() -> None:
    """While roots change, root-cert.pem holds more than ours: a renewal in that time leaves it alone."""
    before = pem(pki.ladder(levels=1)[0].certificate) + pem(LADDER[0].certificate)

    bundle, _ = assemble(*answer(), key_pem(GOOD.key), root_in_chain=True, root_before=before)

    assert bundle is not None
    assert bundle.root_pem == before


@pytest.mark.parametrize("before", [b"rubbish", pem(pki.ladder(levels=1)[0].certificate)])
def test_another_root_is_not_kept(before: bytes) -> None:
    """Only the same root keeps its bytes."""
    bundle, _ = assemble(*answer(), key_pem(GOOD.key), root_in_chain=True, root_before=before)

    assert bundle is not None
    assert bundle.root_pem == pem(LADDER[0].certificate)


@pytest.mark.parametrize("name", CACERTS.files)
@pytest.mark.parametrize(
    "content", [None, b"", b"rubbish", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_cannot_be_read_is_a_problem(name: str, content: bytes | None) -> None:
    """Whatever a Secret holds, reading it does not fail: it says what is wrong."""
    data = GOOD.files()
    if content is None:
        del data[name]
    else:
        data[name] = content

    bundle, defects = read(data)

    assert bundle is None
    assert {problem.code for problem in defects} == {"unreadable" if content else "missing-key"}


@pytest.mark.parametrize("name", CACERTS.misread)
def test_a_key_that_misleads_istiod(name: str) -> None:
    """With one of these keys istiod reads the Secret in another way: that is a problem, whatever else it holds."""
    _, defects = read({**GOOD.files(), name: b""})

    assert [problem.code for problem in defects] == ["misread"]


@pytest.mark.parametrize("certificate", ["", "rubbish", texts(*GOOD.chain)])
def test_an_answer_that_is_none(certificate: str) -> None:
    """AWS' answer must be one certificate; anything else is a problem, not an exception."""
    bundle, defects = assemble(certificate, answer()[1], key_pem(GOOD.key), root_in_chain=True)

    assert bundle is None
    assert {problem.code for problem in defects} == {"unreadable"}


def test_no_key_in_a_repr() -> None:
    """Nothing of the private key shows in a repr."""
    assert "key" not in repr(GOOD)
