"""The laws of a fleet, on small ones: each cluster is billed once, none fails, the quota is used."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from fleet import scenarios
from fleet.clusters import DEADLINE
from fleet.memory import MemorySecrets
from fleet.simulation import Simulation
from store_laws import StoreLaws

CLUSTERS = 120


class TestLaws(StoreLaws):
    """Of the port, in memory."""

    @pytest.fixture
    def store(self) -> MemorySecrets:
        return MemorySecrets(Simulation().now)


def test_simulation() -> None:
    """Events happen in the order of their moments, whoever sleeps for how long; the clock stands still between them."""
    simulation = Simulation()
    told: list[tuple[str, float]] = []

    def live(name: str, *pauses: float) -> None:
        for pause in pauses:
            simulation.sleep(pause)
            told.append((name, simulation.monotonic()))

    simulation.start(0, lambda: live("a", 3, 3))
    simulation.start(1, lambda: live("b", 1, 3))
    simulation.run()

    assert told == [("b", 2), ("a", 3), ("b", 5), ("a", 6)]


@pytest.mark.parametrize("scenario", [scenarios.cold_start, scenarios.half_lost])
def test_all_at_once(scenario: object) -> None:
    """Throttled or not told: one certificate for each cluster, none past its deadline."""
    report = scenario(CLUSTERS)  # type: ignore[operator]

    assert (report.billed, report.failed) == (CLUSTERS, 0)
    assert report.longest < DEADLINE


def test_the_quota_is_used() -> None:
    """The whole fleet is done soon after the slowest quota lets it."""
    report = scenarios.cold_start(400)

    assert report.seconds <= 1.4 * scenarios.bound(400)


def test_renewal_day() -> None:
    """Spread over the day by the chart's schedule, no call is throttled and none is made twice."""
    report = scenarios.renewal_day(50)

    assert (report.billed, report.failed) == (50, 0)
    assert [name for name in report.calls if "Throttling" in name] == []
    assert report.calls["DescribeCertificateAuthority ok"] == 50


def test_outage() -> None:
    """Jobs that run into it fail and buy nothing; when it is over the next sync buys one for each."""
    found = scenarios.outage(30)

    assert (found.first.failed, found.first.billed) == (30, 0)
    assert (found.failed, found.billed) == (0, 30)


def test_a_year() -> None:
    """Certificates by the calendar alone; a bad week and a renewed authority cost nothing; nothing grows."""
    found = scenarios.year()

    assert json.loads(json.dumps(asdict(found)))["certificates"] == found.certificates
    bought = found.actions["issued"] + found.actions["renewed"]
    assert (found.certificates, sum(found.actions.values()), found.actions["issued"]) == (bought, 366, 1)
    assert set(found.actions) == {"issued", "renewed", "kept", "failed"}
    assert 1 <= found.actions["failed"] <= 7
    assert found.certificates in {9, 10}  # every 40 days of 365
    assert (found.days_below, found.objects, found.roots) == (0, (1, 1), 1)
    assert found.sizes[1] - found.sizes[0] < 64  # lengths of signatures and serial numbers
