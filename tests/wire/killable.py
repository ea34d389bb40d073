"""A run of the real story that is killed (SIGKILL) before or after its n-th outside call: `killable.py PLACE [POINT]`.

PLACE is a folder for Secrets, or `cluster`: the one that KUBECONFIG names.

POINT is `before:3`, `after:7`; without one the run is only recorded. Each call is a line on stdout.
The ports are wrapped, not replaced: behind the wrapper are the real adapters.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from istio_pca.cluster import ClusterSecrets
from istio_pca.config import duration, parse
from istio_pca.directory import DirectorySecrets
from istio_pca.ensure import ensure
from istio_pca.kube import Namespace
from istio_pca.pca import AcmPca
from istio_pca.ports import Clock, SecretStore, World
from istio_pca.report import StoryLog
from istio_pca.target import targets


class Killer:
    """Counts the outside calls, and ends the process at the one it was told."""

    def __init__(self, point: str) -> None:
        self._side, _, number = point.partition(":")
        self._number, self._calls = int(number or 0), 0

    def wrap(self, port: Any) -> Any:
        return _Port(port, self)

    def call(self, name: str, method: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        self._calls += 1
        print(name, flush=True)
        self._maybe("before")
        answer = method(*arguments)
        self._maybe("after")
        return answer

    def _maybe(self, side: str) -> None:
        if (self._side, self._number) == (side, self._calls):
            os.kill(os.getpid(), signal.SIGKILL)


class _Port:
    def __init__(self, port: Any, killer: Killer) -> None:
        self._port, self._killer = port, killer

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)
        return lambda *arguments: self._killer.call(f"{type(self._port).__name__}.{name}", method, arguments)


def main() -> None:
    config = parse(os.environ["ISTIO_PCA_CONFIG"])
    killer = Killer(sys.argv[2] if len(sys.argv) > 2 else "")
    (target,) = targets(config)
    namespace = target.namespace
    store: SecretStore = (
        ClusterSecrets(Namespace(namespace, kubeconfig=os.environ["KUBECONFIG"]))
        if sys.argv[1] == "cluster"
        else DirectorySecrets(Path(sys.argv[1]), namespace)
    )

    def now() -> datetime:
        return datetime.now(UTC)

    log = StoryLog(sys.stderr, now, time.monotonic)
    clock = Clock(now, time.monotonic, time.sleep)
    deadline = time.monotonic() + duration(config.retry_for).total_seconds()
    ensure(target, World(killer.wrap(store), lambda: killer.wrap(AcmPca(config)), clock, log, deadline))


if __name__ == "__main__":
    main()
