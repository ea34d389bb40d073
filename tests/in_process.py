"""The story and the command line in this process, for tests that stand between them and the world."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from istio_pca.__main__ import main
from istio_pca.ports import Clock, PrivateCA, SecretStore, World
from istio_pca.report import StoryLog


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables, and no other AWS credentials of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
            patch.delenv(name, raising=False)
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


def command(
    capsys: pytest.CaptureFixture[str], variables: Mapping[str, str], wish: Mapping[str, Any], *arguments: str
) -> tuple[int, dict[str, Any]]:
    """Exit code of `istio-pca ARGUMENTS`, and the last line of its log."""
    with environment({**variables, "ISTIO_PCA_CONFIG": json.dumps(wish)}):
        status = main(arguments)
    return status, json.loads(capsys.readouterr().err.splitlines()[-1])


def world(store: SecretStore, connect: Callable[[], PrivateCA], retry_for: float = 210) -> World:
    """The real clock, and a log that nobody reads."""
    clock = Clock(lambda: datetime.now(UTC), time.monotonic, time.sleep)
    log = StoryLog(io.StringIO(), clock.now, clock.monotonic)
    return World(store, connect, clock, log, clock.monotonic() + retry_for)


class Then:
    """A private CA; each time one of its calls has been made, something happens."""

    def __init__(self, private_ca: PrivateCA, call: str, happens: Callable[[], object]) -> None:
        self._private_ca, self._call, self._happens = private_ca, call, happens

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._private_ca, name)

        def called(*arguments: Any) -> Any:
            answer = method(*arguments)
            if name == self._call:
                self._happens()
            return answer

        return called
