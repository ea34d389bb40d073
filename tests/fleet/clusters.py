"""A fleet: many clusters with one private CA, in simulated time. The story and the AWS adapter are the real ones.

boto3 signs and parses as ever; only the sockets are left out: a request goes to the emulator's gateway in this process.
Each cluster's Job is as the chart has it: its Pods, their pauses and its deadline come from chart/values.yaml.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import botocore.awsrequest
import botocore.exceptions
import yaml

from fleet.memory import MemorySecrets
from fleet.simulation import Simulation
from in_process import environment
from istio_pca.config import Config, duration, parse
from istio_pca.ensure import Outcome, ensure
from istio_pca.errors import IstioPcaError
from istio_pca.pca import AcmPca
from istio_pca.ports import Clock, World
from istio_pca.report import StoryLog
from istio_pca.target import cacerts
from pca_emulator import Scenario
from pca_emulator.clock import Clock as EmulatedClock
from pca_emulator.gateway import Gateway
from pca_emulator.quotas import Quotas
from pca_emulator.sigv4 import HttpRequest
from pca_emulator.world import World as EmulatedAws

VALUES = yaml.safe_load((Path(__file__).parents[2] / "chart" / "values.yaml").read_text())
DEADLINE: int = VALUES["job"]["activeDeadlineSeconds"]
TRIES: int = VALUES["job"]["backoffLimit"] + 1
ROUND_TRIP = 0.05
"""Seconds that a call to AWS takes here."""
ISSUING = 0.5
"""Seconds until ACM PCA has signed."""


class Authority:
    """The private CA of all of them: real quotas, real certificates, on the simulation's clock."""

    def __init__(self, simulation: Simulation) -> None:
        self.simulation = simulation
        scenario = Scenario(levels=2, keys=("EC_prime256v1",), issue_delay=ISSUING)
        clock = EmulatedClock()
        clock.now = simulation.now  # type: ignore[method-assign]  # signatures of requests stay on the real clock
        self.aws = EmulatedAws(scenario, clock)
        self.aws.quotas = Quotas(scenario.quotas, simulation.monotonic)
        (authority,) = self.aws.authorities.values()
        self.arn = authority.arn
        key = self.aws.identities.user_keys[scenario.users[0].name]
        self._gateway = Gateway(self.aws)
        with environment({"AWS_ACCESS_KEY_ID": key.access_key_id, "AWS_SECRET_ACCESS_KEY": key.secret_access_key}):
            self.client = AcmPca(self.config())
        self.client._client.meta.events.register("before-send.acm-pca", self._answer)

    def config(self, name: str = "", **cacerts: Any) -> Config:
        wish = {"keyAlgorithm": "EC_prime256v1", **cacerts}
        return parse(json.dumps({"certificateAuthorityArn": self.arn, "clusterName": name, "cacerts": wish}))

    def _answer(self, request: Any, **_: Any) -> Any:
        """What would have come back over the network."""
        self.simulation.sleep(ROUND_TRIP)
        headers = {
            name.lower(): value if isinstance(value, str) else value.decode() for name, value in request.headers.items()
        }
        headers.setdefault("host", request.url.split("/")[2])
        reply = self._gateway.reply(HttpRequest("POST", "/", headers, request.body))
        if reply.lost:
            raise botocore.exceptions.ConnectionClosedError(endpoint_url=request.url)
        answer = botocore.awsrequest.AWSResponse(
            request.url, reply.status, {"content-type": reply.content_type}, io.BytesIO()
        )
        answer._content = reply.body
        return answer

    @property
    def billed(self) -> int:
        return len(self.aws.service.issued)

    @property
    def calls(self) -> Counter[str]:
        """By operation and outcome."""
        return Counter(f"{one.operation} {one.outcome}" for one in self.aws.requests)


@dataclass
class Cluster:
    """Its Secrets, and what became of its last Job."""

    name: str
    authority: Authority
    store: MemorySecrets = field(init=False)
    outcome: Outcome | None = None
    seconds: float = 0.0
    """That its Job took."""

    def __post_init__(self) -> None:
        self.store = MemorySecrets(self.authority.simulation.now)

    def job(self, **cacerts_wish: Any) -> None:
        """The Job, Pod after Pod."""
        simulation = self.authority.simulation
        begun, self.outcome = simulation.monotonic(), None
        for attempt in range(TRIES):
            try:
                self.outcome = self.pod(begun + DEADLINE, **cacerts_wish)
                break
            except IstioPcaError as error:
                pause = 10 * 2**attempt
                if error.exit_code not in {1, 20} or simulation.monotonic() + pause >= begun + DEADLINE:
                    break
                simulation.sleep(pause)
        self.seconds = simulation.monotonic() - begun

    def pod(self, end: float, **cacerts_wish: Any) -> Outcome:
        """One run, which the kubelet ends at the Job's deadline."""
        simulation = self.authority.simulation
        config = self.authority.config(self.name, **cacerts_wish)
        clock = Clock(simulation.now, simulation.monotonic, simulation.sleep)
        log = StoryLog(io.StringIO(), clock.now, clock.monotonic)
        deadline = min(clock.monotonic() + duration(config.retry_for).total_seconds(), end)
        world = World(self.store, lambda: self.authority.client, clock, log, deadline)
        return ensure(cacerts(config), world)


@dataclass(frozen=True)
class Report:
    """What a scenario cost."""

    clusters: int
    failed: int
    billed: int
    seconds: float
    """Until the last was done."""
    longest: float
    """Seconds of the slowest Job."""
    calls: dict[str, int]

    @property
    def calls_each(self) -> float:
        return sum(self.calls.values()) / self.clusters


def run(authority: Authority, fleet: list[Cluster], spread: float = 0.0, **cacerts_wish: Any) -> Report:
    """The Job of each, begun within so many seconds, evenly."""
    simulation = authority.simulation
    billed, calls, begun = authority.billed, authority.calls, simulation.monotonic()
    ends: list[float] = []

    def work(cluster: Cluster) -> None:
        cluster.job(**cacerts_wish)
        ends.append(simulation.monotonic())

    for number, cluster in enumerate(fleet):
        simulation.start(spread * number / len(fleet), lambda cluster=cluster: work(cluster))
    simulation.run()
    return Report(
        clusters=len(fleet),
        failed=sum(one.outcome is None for one in fleet),
        billed=authority.billed - billed,
        seconds=max(ends) - begun,
        longest=max(one.seconds for one in fleet),
        calls=dict(authority.calls - calls),
    )


def fleet_of(number: int, authority: Authority) -> list[Cluster]:
    return [Cluster(f"cluster-{one}", authority) for one in range(number)]
