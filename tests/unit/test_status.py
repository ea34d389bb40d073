"""The health of a Secret at a glance: good until it is due, late when nobody renews it, bad when it does not hold."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from istio_pca.checks import problems
from istio_pca.plan import renew_at
from istio_pca.ports import Announcement
from istio_pca.proof import NOBODY, Proof
from istio_pca.status import Status
from unit import pki
from unit.pki import DAY, NOW
from unit.test_plan import CHAIN, config, stored

GOOD = pki.bundle(CHAIN, begins=NOW, ends=NOW + 90 * DAY)


def at(days: float, proof: Proof = NOBODY) -> Status:
    now = NOW + timedelta(days=days)
    return Status(config(), stored(GOOD), GOOD, problems(GOOD, now), proof, now)


@pytest.mark.parametrize(("days", "health"), [(0, "good"), (60, "good"), (61.9, "good"), (62.1, "late"), (91, "bad")])
def test_health(days: float, health: str) -> None:
    """Due from day 60; two days of grace, since a CronJob runs once a day; ended on day 90."""
    assert renew_at(config(), GOOD) == NOW + 60 * DAY
    assert at(days).health == health


def test_bar_and_colour() -> None:
    """The bar shows what is left of the life; colours are for terminals alone."""
    bars = [at(days).text(colour=False).count("█") for days in (0, 45, 89.9)]

    assert bars == [32, 16, 0]
    assert "\033[32m" in at(0).text(colour=True)
    assert "\033[33m" in at(70).text(colour=True)
    assert "\033[31m" in at(91).text(colour=True)


@pytest.mark.parametrize(
    ("proof", "told"),
    [
        (NOBODY, "none runs here"),
        (Proof(confirmed=True, replicas=3), "3 of 3 serve under it"),
        (Proof(confirmed=False, replicas=3, late=("a: x",)), "1 of 3 do not serve under it: a: x"),
    ],
)
def test_istiod(proof: Proof, told: str) -> None:
    """What istiod serves is part of it."""
    assert told in at(0, proof).text(colour=False)


def test_document() -> None:
    """For machines the same, as values."""
    found = at(10).document()

    assert (found["health"], found["daysLeft"], found["problems"]) == ("good", 80, [])
    assert found["notAfter"] == GOOD.not_after
    assert replace(at(91)).document()["problems"][0]["code"] == "expired"


def test_last_result() -> None:
    """What happened last, and how long ago, if anybody remembers it."""
    news = Announcement("cacerts", "Renewed", "due since 2026-07-25", NOW + timedelta(minutes=3))
    found = replace(at(0), news=news, now=NOW + timedelta(minutes=15))

    assert "  last result Renewed, 12 minutes ago: due since 2026-07-25" in found.text(colour=False).splitlines()
    assert found.document()["lastResult"] == {"reason": "Renewed", "message": news.text, "at": news.at}
    assert "last result" not in at(0).text(colour=False)
    assert at(0).document()["lastResult"] is None
