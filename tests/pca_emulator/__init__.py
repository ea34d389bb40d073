"""A strict emulator of AWS Private CA and STS, for tests on loopback.

with Emulator(Scenario.of(levels=3, keys=("RSA_2048",))) as emulator:
    subprocess.run([...], env=emulator.environment())
    assert len(emulator.issued) == 1
"""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Self

from pca_emulator.authority import pem
from pca_emulator.clock import Clock
from pca_emulator.faults import KINDS, Fault
from pca_emulator.oidc import TokenIssuer
from pca_emulator.scenario import AuthoritySpec, Role, Scenario, User
from pca_emulator.server import Core, Request, Server
from pca_emulator.service import Issued
from pca_emulator.sts import Keys

__all__ = [
    "KINDS",
    "AuthoritySpec",
    "Emulator",
    "Fault",
    "Issued",
    "Request",
    "Role",
    "Scenario",
    "TokenIssuer",
    "User",
]


class Emulator:
    """An emulator in a thread of this process."""

    def __init__(
        self, scenario: Scenario | None = None, *, keys: Keys | None = None, bind: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._scenario = scenario or Scenario()
        self.core = Core(self._scenario, keys)
        self._server = Server((bind, port), self.core)

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def endpoint(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def ca_arn(self) -> str:
        """Of the first authority."""
        return next(iter(self.core.pca.authorities))

    @property
    def root_pem(self) -> str:
        return pem(self.core.pca.authorities[self.ca_arn].chain[-1])

    @property
    def clock(self) -> Clock:
        return self.core.clock

    @property
    def requests(self) -> Sequence[Request]:
        """Every API request, in order."""
        return tuple(self.core.requests)

    @property
    def operations(self) -> list[str]:
        return [request.operation for request in self.core.requests]

    @property
    def issued(self) -> Sequence[Issued]:
        """Every certificate that AWS would bill."""
        return tuple(self.core.pca.issued)

    def endpoints(self) -> dict[str, str]:
        """The variables that lead boto3 here; without credentials."""
        return {
            "AWS_ENDPOINT_URL_ACM_PCA": self.endpoint,
            "AWS_ENDPOINT_URL_STS": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def environment(self) -> dict[str, str]:
        """The same, with the static keys of the first user."""
        user = self._scenario.users[0]
        return {
            **self.endpoints(),
            "AWS_ACCESS_KEY_ID": user.access_key_id,
            "AWS_SECRET_ACCESS_KEY": user.secret_access_key,
        }

    def fault(self, operation: str, kind: str, calls: str = "*", seconds: float = 0.0) -> None:
        self.core.faults.add(Fault(operation, kind, calls, seconds))

    def clear_faults(self) -> None:
        self.core.faults.clear()

    def set_status(self, status: str, arn: str = "") -> None:
        self.core.pca.authorities[arn or self.ca_arn].status = status
