"""What is asked of a fleet, and of one cluster for a year: scenarios, each with its figures. Run by `make fleet`."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

import yaml

from fleet.clusters import Authority, Cluster, Report, fleet_of, run
from fleet.simulation import BEGIN, Simulation
from istio_pca.bundle import read
from istio_pca.secret import NAME
from pca_emulator.faults import Fault, FaultPlan
from pca_emulator.scenario import AWS_QUOTAS

DAY: Final = 86_400.0
APPLICATION = Path(__file__).parents[2] / "examples" / "argocd" / "application.yaml"
RETRY = yaml.safe_load(APPLICATION.read_text())["spec"]["syncPolicy"]["retry"]


def bound(clusters: int) -> float:
    """Seconds that the slowest quota needs for one call of each operation by each; the bucket is full at first."""
    used = ("DescribeCertificateAuthority", "IssueCertificate", "GetCertificate")
    return max((clusters - AWS_QUOTAS[name]) / AWS_QUOTAS[name] for name in used)


def cold_start(clusters: int, spread: float = 0.0) -> Report:
    """All at one instant, as after a fleet-wide sync; or evenly over so many seconds."""
    authority = Authority(Simulation())
    return run(authority, fleet_of(clusters, authority), spread)


def renewal_day(clusters: int) -> Report:
    """All are due on one day; each CronJob has its own minute of it."""
    authority = Authority(Simulation())
    fleet = fleet_of(clusters, authority)
    run(authority, fleet, spread=DAY)
    return run(authority, fleet, spread=DAY, validity="90d")


class HalfLost(FaultPlan):
    """Of every other call, drawn at random, the reply is lost after it was done."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)  # noqa: S311 -- to be repeated, not to be secret

    def due(self, operation: str) -> Fault | None:
        return Fault(operation, "drop-after-commit") if self._random.random() < 0.5 else None


def half_lost(clusters: int) -> Report:
    """A cold start during which half of all replies are lost."""
    authority = Authority(Simulation())
    authority.aws.faults = HalfLost(seed=1)
    return run(authority, fleet_of(clusters, authority))


@dataclass(frozen=True)
class Outage:
    """A cold start into an outage of the authority."""

    first: Report
    """The Jobs that ran into it."""
    rounds: int
    """Syncs until all were done."""
    seconds: float
    """From the end of the outage until then."""
    failed: int
    billed: int


def outage(clusters: int, seconds: float = 600.0) -> Outage:
    """Nothing is answered for so long; the installer syncs again as examples/argocd has it."""
    simulation = Simulation()
    authority = Authority(simulation)
    fleet = fleet_of(clusters, authority)
    authority.aws.faults.add(Fault("*", "503"))
    simulation.start(seconds, authority.aws.faults.clear)
    first = run(authority, fleet)
    rounds, pause = 1, float(RETRY["backoff"]["duration"].rstrip("s"))
    left = [one for one in fleet if one.outcome is None]
    ends = [simulation.monotonic()]

    def again(cluster: Cluster) -> None:
        cluster.job()
        ends.append(simulation.monotonic())

    while left and rounds <= RETRY["limit"]:
        for cluster in left:
            simulation.start(pause, lambda cluster=cluster: again(cluster))
        simulation.run()
        rounds, pause = rounds + 1, min(pause * RETRY["backoff"]["factor"], 300.0)
        left = [one for one in left if one.outcome is None]
    return Outage(first, rounds, max(ends) - seconds, len(left), authority.billed)


@dataclass(frozen=True)
class Year:
    """One cluster, one CronJob a day."""

    certificates: int
    actions: dict[str, int]
    """By what the run said that it did."""
    days_below: int
    """Days that began with less than a sixth of the life left: half of the margin that the default keeps."""
    shortest_left: float
    """Days: the least that was ever left."""
    sizes: tuple[int, int]
    """Bytes of the Secret, smallest and largest."""
    objects: tuple[int, int]
    """Secrets in the namespace, fewest and most."""
    roots: int
    """Different contents of root-cert.pem."""


def year(validity_days: int = 60, trouble: range = range(118, 125), renewed_on: int = 200) -> Year:
    """The authority answers nothing in a week in which a renewal is due, and is itself renewed on one day."""
    simulation = Simulation()
    authority = Authority(simulation)
    cluster = Cluster("one", authority)
    actions: Counter[str] = Counter()
    left: list[float] = []
    seen: list[tuple[int, int, bytes]] = []

    def live() -> None:
        for day in range(366):
            authority.aws.faults.clear()
            if day in trouble:
                authority.aws.faults.add(Fault("*", "503"))
            if day == renewed_on:
                (own,) = authority.aws.authorities.values()
                own.renew(simulation.now())
            simulation.sleep(BEGIN.timestamp() + day * DAY - simulation.now().timestamp())
            present = cluster.store.read(NAME)
            if present:
                bundle, _ = read(present.data)
                assert bundle is not None
                left.append((bundle.not_after - simulation.now()) / timedelta(days=1))
            cluster.job(validity=f"{validity_days}d")
            actions[cluster.outcome.action if cluster.outcome else "failed"] += 1
            secret = cluster.store.read(NAME)
            assert secret is not None
            size = sum(map(len, secret.data.values()))
            seen.append((size, len(cluster.store.secrets), secret.data["root-cert.pem"]))

    simulation.start(0.0, live)
    simulation.run()
    sizes, objects, roots = zip(*seen, strict=True)
    return Year(
        certificates=authority.billed,
        actions=dict(actions),
        days_below=sum(one < validity_days / 6 for one in left),
        shortest_left=min(left),
        sizes=(min(sizes), max(sizes)),
        objects=(min(objects), max(objects)),
        roots=len(set(roots)),
    )
