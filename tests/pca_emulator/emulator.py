"""Emulator: a world and its server in a thread, for tests in the same process; `__main__` uses it too."""

from __future__ import annotations

import threading
from datetime import timedelta
from types import TracebackType
from typing import Any, Self

from pca_emulator import admin, oidc
from pca_emulator.authority import Authority
from pca_emulator.clock import Clock
from pca_emulator.faults import Fault
from pca_emulator.issuer import Issuer
from pca_emulator.scenario import Scenario
from pca_emulator.server import Server
from pca_emulator.service import IssuedCertificate
from pca_emulator.world import Request, World


class Emulator:
    """Use it in a `with`: it listens from the beginning of the block to its end."""

    def __init__(
        self,
        scenario: Scenario | None = None,
        *,
        bind: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
    ) -> None:
        self.scenario = scenario or Scenario()
        self.clock = clock or Clock()
        self.issuer = Issuer()
        """A cluster's issuer of ServiceAccount tokens; believed when the scenario names no other."""
        own = None if self.scenario.oidc else oidc.Provider(("sts.amazonaws.com",), self.issuer.url, self.issuer.jwks)
        self.world = World(self.scenario, self.clock, own)
        self._server = Server((bind, port), self.world)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.world.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def endpoint(self) -> str:
        host, port = str(self._server.server_address[0]), self._server.server_address[1]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else host}:{port}"  # noqa: S104 - compared, not bound

    def authority(self, name: str = "") -> Authority:
        """The authority of this name; the first one without a name."""
        return self.world.authorities[name or self.scenario.authorities[0].name]

    @property
    def ca_arn(self) -> str:
        return self.authority().arn

    @property
    def root_pem(self) -> str:
        return self.authority().root_pem + "\n"

    @property
    def requests(self) -> list[Request]:
        return self.world.requests

    @property
    def issued(self) -> list[IssuedCertificate]:
        return self.world.service.issued

    def environment(self, user: str = "") -> dict[str, str]:
        """Variables for a process that is to be this user, the first one without a name."""
        key = self.world.identities.user_keys[user or self.scenario.users[0].name]
        return {
            **self.endpoints(),
            "AWS_ACCESS_KEY_ID": key.access_key_id,
            "AWS_SECRET_ACCESS_KEY": key.secret_access_key,
        }

    def endpoints(self) -> dict[str, str]:
        """Variables that lead a process here, without credentials."""
        return {
            "AWS_ENDPOINT_URL_ACM_PCA": self.endpoint,
            "AWS_ENDPOINT_URL_STS": self.endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def token(self, subject: str, **claims: Any) -> str:
        """A ServiceAccount token of the built-in issuer: subject "NAMESPACE/NAME"; claims are added or replaced."""
        return self.issuer.token(subject, self.clock.wall(), **claims)

    def fault(self, operation: str, kind: str, *, calls: str = "*", seconds: float = 0.0) -> None:
        self.world.faults.add(Fault(operation, kind, calls, seconds))

    def clear_faults(self) -> None:
        self.world.faults.clear()

    def clear_requests(self) -> None:
        self.world.forget_requests()

    def set_status(self, status: str, authority: str = "") -> None:
        admin.set_status(self.world, status, authority)

    def advance(self, span: timedelta) -> None:
        self.clock.advance(span)
