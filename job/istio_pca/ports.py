"""Ports: what the story needs of the world outside. Adapters and test doubles implement them.

Errors that cross a port are those of `errors`, classified; no client library's exception does. Nothing is done here.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography import x509

from istio_pca.authority import Authority
from istio_pca.plan import Decision
from istio_pca.request import SigningRequest
from istio_pca.secret import Secret


@dataclass(frozen=True)
class Issued:
    """GetCertificate's answer: PEM texts. The chain has the issuing CA first and the root last."""

    certificate: str
    chain: str


class PrivateCA(Protocol):
    """What the story needs of AWS Private CA. Errors are those of `errors`, classified."""

    def describe(self) -> Authority: ...
    def chain(self) -> str:
        """The CA's own certificate and those above it, the root last, PEM."""

    def issue(self, request: SigningRequest) -> str:
        """Ask for a certificate; its ARN."""

    def certificate(self, certificate_arn: str) -> Issued:
        """NotIssuedYetError while ACM PCA works on it."""


@dataclass(frozen=True)
class Announcement:
    """What whoever looks at the cluster should know; in Kubernetes an Event."""

    about: str
    """The name of the Secret."""
    reason: str
    """In CamelCase: Issued, Renewed, or the reason of an error."""
    text: str
    at: datetime
    warning: bool = False


class SecretStore(Protocol):
    """What the story needs of a place for Secrets. Every write is conditional: ConflictError if somebody was faster."""

    def mesh_root(self) -> bytes:
        """The root that istiod tells workloads to trust (ConfigMap istio-ca-root-cert), PEM; empty if there is none."""

    def read(self, name: str) -> Secret | None: ...
    def create(self, secret: Secret) -> Secret: ...
    def replace(self, secret: Secret) -> Secret:
        """Only if the stored version still is `secret.version`."""

    def delete(self, secret: Secret) -> None:
        """Only that version of it; none there is as good."""

    def announce(self, news: Announcement) -> None:
        """Tell whoever watches. News are worth no retry and no failure: never raises."""

    def latest_news(self, about: str) -> Announcement | None:
        """What was announced last of this Secret, as long as it is remembered (Kubernetes: an hour). Never raises."""


@dataclass(frozen=True, order=True)
class Replica:
    """A Pod of istiod."""

    name: str
    address: str
    """IP."""


class Mesh(Protocol):
    """What the story needs of the istiod that runs."""

    def replicas(self) -> tuple[Replica, ...]:
        """Those that are ready."""

    def serves(self, replica: Replica) -> x509.Certificate:
        """The certificate that it shows its clients."""


class Log(Protocol):
    """Where the story is told."""

    def phase(self, name: str) -> AbstractContextManager[None]: ...
    def decision(self, decision: Decision) -> None: ...
    def warning(self, text: str) -> None: ...
    def retry(self, error: BaseException, seconds: float) -> None: ...


@dataclass(frozen=True)
class Clock:
    now: Callable[[], datetime]
    monotonic: Callable[[], float]
    """Seconds from any start; never runs backwards."""
    sleep: Callable[[float], None]


@dataclass(frozen=True)
class World:
    """All that the story of one Secret touches."""

    store: SecretStore
    connect: Callable[[], PrivateCA]
    """Called once a certificate is needed, so that keeping needs neither AWS nor its client library."""
    clock: Clock
    log: Log
    deadline: float
    """By `clock.monotonic`: when the window of retries is over, for all calls together."""
    mesh: Mesh | None = None
    """None where there is none to ask, as in a folder."""
