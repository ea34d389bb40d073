"""Certificates of ingress gateways: what is asked for, how it is laid out, and what may not be served."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from istio_pca.bundle import Bundle, assemble, pem, read
from istio_pca.checks import problems
from istio_pca.config import parse
from istio_pca.errors import ConfigError
from istio_pca.journal import Journal
from istio_pca.layout import GATEWAY
from istio_pca.plan import Adopt, Issue, Keep, Refuse, Renew, decide
from istio_pca.request import SigningRequest, key_pem, new_csr, new_key
from istio_pca.secret import SPEC, Secret
from istio_pca.target import Target, targets
from unit import pki
from unit.pki import DAY, NOW

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678"
NAMES = ("shop.example.com", "*.shop.example.com")
CHAIN = pki.ladder(levels=2)


def target(**wish: object) -> Target:
    given = {"namespace": "istio-ingress", "secretName": "shop", "dnsNames": list(NAMES), **wish}
    document = {"certificateAuthorityArn": ARN, "cacerts": {"enabled": False}, "gateways": [given]}
    (made,) = targets(parse(str(document)))
    return made


def server(**settings: object) -> Bundle:
    """A good one under the last of the chain, unless `settings` make its certificate wrong."""
    return pki.server(CHAIN, NAMES, **settings)


GOOD = server()


def test_request() -> None:
    """The CSR names the server: in its subject, which ACM PCA wants, and in its SAN, which clients read."""
    csr = x509.load_pem_x509_csr(new_csr(new_key("EC_prime256v1"), target()).encode())
    names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value

    assert tuple(names.get_values_for_type(x509.DNSName)) == NAMES
    assert csr.subject == x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    assert target().template == "EndEntityServerAuthCertificate/V1"


def test_order() -> None:
    """`cacerts` first, then the gateways as they stand; each has a wish of its own."""
    one = {"namespace": "a", "secretName": "x", "dnsNames": ["a.b"]}
    both = targets(parse(str({"certificateAuthorityArn": ARN, "gateways": [one, {**one, "namespace": "b"}]})))

    assert [str(each) for each in both] == ["istio-system/cacerts", "a/x", "b/x"]
    assert len({each.path for each in both}) == 3


@pytest.mark.parametrize(
    "gateways",
    [
        [{}],
        [{"namespace": "a", "secretName": "x", "dnsNames": []}],
        [{"namespace": "a", "secretName": "x", "dnsNames": ["UPPER.example.com"]}],
        [{"namespace": "a", "secretName": "x", "dnsNames": ["a.*.b"]}],
        [{"namespace": "a", "secretName": "x", "dnsNames": ["a"], "validity": "1d", "renewBefore": "1d"}],
        [{"namespace": "a", "secretName": "x", "dnsNames": ["a"]}] * 2,
        [{"namespace": "istio-system", "secretName": "cacerts", "dnsNames": ["a"]}],
        [{"namespace": "istio-system", "secretName": "cacerts-pending", "dnsNames": ["a"]}],
        [{"namespace": "a", "secretName": name, "dnsNames": ["a"]} for name in ("x", "x-pending")],
    ],
)
def test_refused(gateways: list[dict[str, object]]) -> None:
    """What is incomplete, malformed or asked for twice is refused, before anything is done."""
    with pytest.raises(ConfigError):
        parse(str({"certificateAuthorityArn": ARN, "gateways": gateways}))


def test_layout() -> None:
    """tls.crt is the leaf and its subordinates, without the root; ca.crt is the root; and it is read as written."""
    files = GOOD.files()

    assert set(files) == {"tls.crt", "tls.key", "ca.crt"}
    assert x509.load_pem_x509_certificates(files["tls.crt"]) == [GOOD.certificate, CHAIN[1].certificate]
    assert files["ca.crt"] == pem(CHAIN[0].certificate)
    assert read(files, GATEWAY) == (GOOD, ())


def test_secret() -> None:
    """What is written has the type that Istio and the Gateway API ask for."""
    journal = Journal("shop", SigningRequest(ARN, "t", "a", "c", 1), key_pem(GOOD.key), target().spec)

    assert journal.fulfilled(GOOD, NOW, None).type == "kubernetes.io/tls"


def test_assembled() -> None:
    """ACM PCA's answer is taken apart in the same way."""
    chain = "".join(pem(issuer.certificate).decode() for issuer in reversed(CHAIN))

    made, _ = assemble(pem(GOOD.certificate).decode(), chain, key_pem(GOOD.key), root_in_chain=False, layout=GATEWAY)

    assert made == GOOD


BAD = {
    "is-a-ca": lambda: server(ca=True, key_cert_sign=True),
    "names": lambda: pki.server(CHAIN, NAMES[:1]),
    "purpose": lambda: server(purposes=(ExtendedKeyUsageOID.CLIENT_AUTH,)),
    "expired": lambda: server(begins=NOW - 9 * DAY, ends=NOW - DAY),
    "not-yet-valid": lambda: server(begins=NOW + DAY),
    "outlives": lambda: server(ends=NOW + 9999 * DAY),
    "key-mismatch": lambda: replace(GOOD, key=pki.new_key()),
    "no-root": lambda: replace(GOOD, root_pem=pem(pki.ladder(levels=1)[0].certificate)),
    "weak": lambda: server(key=pki.new_key("P-192")),
}


@pytest.mark.parametrize("code", BAD)
def test_bad(code: str) -> None:
    """One defect, one code; what a client would refuse is never served."""
    assert code in {problem.code for problem in problems(BAD[code](), NOW, NAMES)}


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_good(levels: int) -> None:
    """Under any depth, and where the issuing CA allows no CA below it, which a leaf is not."""
    issuers = pki.ladder(levels)
    last = pki.Issuer(pki.sign("issuing", issuers[-1].key, path_length=0), issuers[-1].key)

    assert problems(pki.server(issuers, NAMES), NOW, NAMES) == ()
    assert problems(pki.server((last,), NAMES), NOW, NAMES) == ()


def test_decisions() -> None:
    """The rules are those of cacerts: issue, keep, renew when due or when the wish is another, adopt, refuse."""
    wish = target()
    ours = Secret("shop", GOOD.files(), {SPEC: wish.spec}, type="kubernetes.io/tls", version="1")
    due = server(begins=NOW - 80 * DAY, ends=NOW + 10 * DAY)

    assert type(decide(wish, None, None, NOW)) is Issue
    assert type(decide(wish, ours, None, NOW)) is Keep
    assert type(decide(wish, replace(ours, data=due.files()), None, NOW)) is Renew
    assert type(decide(target(dnsNames=[NAMES[0]]), ours, None, NOW)) is Renew
    assert type(decide(target(dnsNames=["other.example.com"]), ours, None, NOW)) is Renew
    assert type(decide(wish, replace(ours, annotations={}), None, NOW)) is Adopt
    refused = decide(target(dnsNames=["other.example.com"]), replace(ours, annotations={}), None, NOW)
    assert isinstance(refused, Refuse)
    assert "config.gateways[0].whenForeign=replace" in refused.hint
