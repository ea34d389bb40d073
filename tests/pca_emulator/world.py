"""World: everything of one emulator but HTTP: authorities, identities, STS, faults, quotas, and the log of requests."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pca_emulator import iam, oidc
from pca_emulator.authority import Authority
from pca_emulator.clock import Clock
from pca_emulator.faults import FaultPlan
from pca_emulator.identities import Identities
from pca_emulator.pod_identity import PodIdentity
from pca_emulator.quotas import Quotas
from pca_emulator.scenario import Scenario
from pca_emulator.service import PrivateCaService
from pca_emulator.sts import SecurityTokenService


@dataclass(frozen=True)
class Request:
    """One line of the log. No credential is ever in it: web identity tokens are left out of the parameters."""

    number: int
    time: datetime
    """By the emulator's clock."""
    service: str
    operation: str
    principal: str
    """ARN of the caller; empty when it is not known."""
    parameters: Mapping[str, Any]
    outcome: str
    """"ok", or the code of the error; with a lost reply "ok" means: done, but nobody was told."""
    fault: str = ""

    @property
    def template(self) -> str:
        return str(self.parameters.get("TemplateArn", ""))

    @property
    def token(self) -> str:
        return str(self.parameters.get("IdempotencyToken", ""))


class World:
    def __init__(self, scenario: Scenario, clock: Clock, provider: oidc.Provider | None = None) -> None:
        now = clock.now()
        self.clock = clock
        for spec in scenario.authorities:
            iam.check(spec.policy or {})
        self.identities = Identities(scenario)
        authorities = [Authority(spec, now) for spec in scenario.authorities]
        self.service = PrivateCaService(authorities, clock, scenario.issue_delay)
        if provider is None and scenario.oidc is not None:
            provider = oidc.provider(scenario.oidc)
        self.sts = SecurityTokenService(self.identities, provider, clock)
        self.pod_identity = PodIdentity(self.identities, provider, clock)
        self.faults = FaultPlan()
        self.quotas = Quotas(scenario.quotas)
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self._count = 0

    @property
    def authorities(self) -> dict[str, Authority]:
        """By name; of those that were created later the name is the last part of the ARN."""
        return {authority.spec.name: authority for authority in self.service.lifecycle.authorities}

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def forget_requests(self) -> None:
        with self._lock:
            self._requests = []

    def log(
        self,
        service: str,
        operation: str,
        principal: str,
        parameters: dict[str, Any],
        outcome: str,
        fault: str,
    ) -> None:
        shown = {
            name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
            for name, value in parameters.items()
            if name != "WebIdentityToken"
        }
        with self._lock:
            self._count += 1
            self._requests.append(
                Request(self._count, self.clock.now(), service, operation, principal, shown, outcome, fault)
            )
