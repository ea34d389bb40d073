"""Secrets in memory: the port SecretStore for a fleet of which each cluster has one. Its laws: tests/store_laws.py."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from istio_pca.errors import ConflictError
from istio_pca.ports import Announcement
from istio_pca.secret import Secret


class MemorySecrets:
    """One namespace of one cluster."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now
        self._secrets: dict[str, Secret] = {}
        self._versions = itertools.count(1)

    @property
    def secrets(self) -> list[Secret]:
        return list(self._secrets.values())

    def mesh_root(self) -> bytes:
        return b""

    def read(self, name: str) -> Secret | None:
        return self._secrets.get(name)

    def create(self, secret: Secret) -> Secret:
        return self._write(replace(secret, version=""))

    def replace(self, secret: Secret) -> Secret:
        return self._write(secret)

    def delete(self, secret: Secret) -> None:
        if secret.name in self._secrets:
            self._must_be(secret)
            del self._secrets[secret.name]

    def announce(self, news: Announcement) -> None:
        """Nobody watches."""

    def latest_news(self, about: str) -> Announcement | None:
        return None

    def _write(self, secret: Secret) -> Secret:
        self._must_be(secret)
        written = replace(secret, version=str(next(self._versions)), created=self._now())
        self._secrets[secret.name] = written
        return written

    def _must_be(self, secret: Secret) -> None:
        present = self._secrets.get(secret.name)
        if (present.version if present else "") != secret.version:
            raise ConflictError(f"{secret.name} was changed by another run")
