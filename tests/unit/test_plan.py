"""The table of decisions: what is there, and what is to be done about it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from istio_pca.bundle import Bundle
from istio_pca.config import parse
from istio_pca.journal import Journal
from istio_pca.plan import Adopt, Decision, Discard, Issue, Keep, Refuse, Renew, Replace, Resume, Wait, decide, renew_at
from istio_pca.request import SigningRequest, key_pem
from istio_pca.secret import SPEC, Secret
from istio_pca.target import Target, targets
from unit import pki
from unit.pki import DAY, NOW

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678"
CHAIN = pki.ladder(levels=2)


def config(**cacerts: object) -> Target:
    """What a config with this `cacerts` asks for."""
    (target,) = targets(parse(str({"certificateAuthorityArn": ARN, "cacerts": cacerts})))
    return target


def journal(
    key: bytes = b"another key", *, spec: str = "", age: timedelta = timedelta(), life: timedelta = 365 * DAY
) -> Journal:
    created = NOW - age
    request = SigningRequest(ARN, "template", "SHA256WITHRSA", "csr", int((created + life).timestamp()))
    return Journal("cacerts", request, key, spec or config().spec, version="7", created=created)


def stored(bundle: Bundle, spec: str | None = None, **more: bytes) -> Secret:
    notes = {SPEC: config().spec if spec is None else spec}
    return Secret("cacerts", {**bundle.files(), **more}, notes if spec != "" else {}, version="3")


GOOD = pki.bundle(CHAIN)
DUE = pki.bundle(CHAIN, begins=NOW - 300 * DAY, ends=NOW + 65 * DAY)
ENDED = pki.bundle(CHAIN, begins=NOW - 300 * DAY, ends=NOW - DAY)
DAMAGED = replace(GOOD, key=pki.new_key())

TABLE = {
    "nothing is there": (None, None, Issue),
    "nothing but an open request": (None, journal(), Resume),
    "an open request that has waited a month": (None, journal(age=30 * DAY), Resume),
    "an open request whose certificate would be due at once": (None, journal(age=300 * DAY), Discard),
    "a young request for another config": (None, journal(spec="other", age=timedelta(seconds=209)), Wait),
    "an old request for another config": (None, journal(spec="other", age=timedelta(seconds=210)), Discard),
    "a healthy one": (stored(GOOD), None, Keep),
    "a healthy one, and its own journal": (stored(GOOD), journal(key_pem(GOOD.key)), Discard),
    "a healthy one, and a young request that is not needed": (stored(GOOD), journal(), Keep),
    "a healthy one, and an old request that is not needed": (
        stored(GOOD),
        journal(age=timedelta(seconds=210)),
        Discard,
    ),
    "one that is due": (stored(DUE), None, Renew),
    "one that is due, and an open request": (stored(DUE), journal(), Resume),
    "one that has ended": (stored(ENDED), None, Renew),
    "one for another config": (stored(GOOD, "other"), None, Renew),
    "one for another config, and an open request": (stored(GOOD, "other"), journal(), Resume),
    "a healthy one that we did not make": (stored(GOOD, ""), None, Adopt),
    "a healthy one that we did not make, and an open request": (stored(GOOD, ""), journal(), Adopt),
    "a damaged one that we did not make": (stored(DAMAGED, ""), None, Refuse),
    "an ended one that we did not make": (stored(ENDED, ""), None, Refuse),
    "a damaged one": (stored(DAMAGED), None, Refuse),
    "a half-made one": (Secret("cacerts", {"ca-cert.pem": b"x"}, {SPEC: "x"}), None, Refuse),
    "an empty one": (Secret("cacerts", {}, {SPEC: config().spec}), None, Refuse),
    "one that istiod would read in another layout": (stored(GOOD, None, **{"tls.crt": b"x"}), None, Refuse),
    "an immutable one": (replace(stored(GOOD), immutable=True), None, Keep),
    "an immutable one that is due": (replace(stored(DUE), immutable=True), None, Refuse),
    "an immutable one that is due, and an open request": (replace(stored(DUE), immutable=True), journal(), Refuse),
    "an immutable one that we did not make": (replace(stored(GOOD, ""), immutable=True), None, Refuse),
    "one that istiod made": (stored(GOOD, None, **{"istio-generated": b""}), None, Refuse),
}


@pytest.mark.parametrize("case", TABLE)
def test_table(case: str) -> None:
    """One state of the world, one decision."""
    found, pending, expected = TABLE[case]

    assert expected is type(decide(config(), found, pending, NOW))


@pytest.mark.parametrize("case", TABLE)
def test_every_decision_has_its_reason(case: str) -> None:
    """A decision says why, and a refusal says the way out."""
    found, pending, _ = TABLE[case]

    decision: Decision = decide(config(), found, pending, NOW)

    assert decision.reason
    assert not isinstance(decision, Refuse) or decision.hint


@pytest.mark.parametrize(
    ("renew_before", "left"),
    [("", 365 * DAY / 3), ("30d", 30 * DAY), ("364d", 364 * DAY), ("12h", DAY / 2)],
)
def test_when_due(renew_before: str, left: timedelta) -> None:
    """Due `renewBefore` the end; by default with a third of the life left: kept before, renewed from then on."""
    bundle = pki.bundle(CHAIN, begins=NOW, ends=NOW + 365 * DAY)
    wanted = config(renewBefore=renew_before)
    due = NOW + 365 * DAY - left

    assert due == renew_at(wanted, bundle)
    assert Keep is type(decide(wanted, stored(bundle), None, due - timedelta(seconds=1)))
    assert Renew is type(decide(wanted, stored(bundle), None, due))


def test_a_cut_life_is_not_due_for_ever() -> None:
    """When the life is shorter than renewBefore (a short-lived CA), a third of it holds."""
    week = pki.bundle(CHAIN, begins=NOW, ends=NOW + 6 * DAY)

    assert renew_at(config(renewBefore="30d"), week) == NOW + 4 * DAY


@pytest.mark.parametrize(
    "change",
    [
        {"keyAlgorithm": "RSA_4096"},
        {"validity": "90d"},
        {"pathLength": 1},
        {"rootInChain": False},
        {"subject": {"organization": "Example"}},
    ],
)
def test_another_wish_renews(change: dict[str, object]) -> None:
    """A change of what the certificate shall be is a reason to renew, whatever its life: it need not outlast."""
    decision = decide(config(**change), stored(GOOD), None, NOW)

    assert isinstance(decision, Renew)
    assert None is decision.outlast


@pytest.mark.parametrize("change", [{"renewBefore": "30d"}, {"namespace": "istio-system"}])
def test_same_wish_keeps(change: dict[str, object]) -> None:
    """What does not change the certificate is no reason to buy one."""
    assert Keep is type(decide(config(**change), stored(GOOD), None, NOW))


def test_renewal_by_date_must_outlast() -> None:
    """A certificate that is bought because the old one ends must end later."""
    decision = decide(config(), stored(DUE), None, NOW)

    assert isinstance(decision, Renew)
    assert DUE.not_after == decision.outlast


LAYOUTS = {
    "hand-made": stored(GOOD, ""),
    "damaged": stored(DAMAGED, ""),
    "ended": stored(ENDED, ""),
    "half-made": Secret("cacerts", {"ca-cert.pem": b"x"}),
    "cert-manager's": Secret("cacerts", {"tls.crt": b"x", "tls.key": b"x", "ca.crt": b"x"}, type="kubernetes.io/tls"),
    "istiod's own": stored(GOOD, "", **{"istio-generated": b""}),
}


def otherwise(decision: Decision) -> type:
    """What is done about a foreign Secret that the private CA did not sign."""
    return type(decision.otherwise if isinstance(decision, Adopt) else decision)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize(("wish", "expected"), [("refuse", Refuse), ("replace", Replace)])
def test_foreign(layout: str, wish: str, expected: type) -> None:
    """Whatever its layout, a foreign Secret is refused, or replaced when the config says so."""
    assert otherwise(decide(config(whenForeign=wish), LAYOUTS[layout], None, NOW)) is expected


@pytest.mark.parametrize("layout", LAYOUTS)
def test_foreign_with_an_open_request(layout: str) -> None:
    """A replacement that was begun is gone on with; without the wish nothing is."""
    assert otherwise(decide(config(whenForeign="replace"), LAYOUTS[layout], journal(), NOW)) is Resume
    assert otherwise(decide(config(), LAYOUTS[layout], journal(), NOW)) is Refuse


def test_refusal_names_the_value_to_set() -> None:
    """The way out is a value, to be copied."""
    decision = decide(config(), LAYOUTS["damaged"], None, NOW)

    assert isinstance(decision, Refuse)
    assert "config.cacerts.whenForeign=replace" in decision.hint
