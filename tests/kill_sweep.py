"""The law of a killed run, for any store: SIGKILL before and after every outside call, one point at a time, then again.

The points are taken from a recorded run, so that a new call is covered by itself.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from istio_pca.bundle import Bundle, read
from istio_pca.checks import judged
from istio_pca.layout import CACERTS, GATEWAY, Layout
from istio_pca.ports import SecretStore
from pca_emulator import Emulator

SCRIPT = Path(__file__).with_name("wire") / "killable.py"


@dataclass(frozen=True)
class Kind:
    """A Secret that is made: `cacerts`, or a gateway's."""

    name: str
    layout: Layout
    dns_names: tuple[str, ...] = ()

    def wish(self, emulator: Emulator, namespace: str, validity: str) -> dict[str, Any]:
        """The config that asks for it alone."""
        names = {"secretName": self.name, "dnsNames": list(self.dns_names)}
        parts = (
            {"cacerts": {"enabled": False}, "gateways": [{"namespace": namespace, "validity": validity, **names}]}
            if self.dns_names
            else {"cacerts": {"namespace": namespace, "validity": validity}}
        )
        return {"certificateAuthorityArn": emulator.ca_arn, "clusterName": "blue", **parts}


MESH = Kind("cacerts", CACERTS)
SHOP = Kind("shop", GATEWAY, ("shop.example.com",))
RUNS = {
    "first certificate": (MESH, False),
    "renewal": (MESH, True),
    "first certificate of a gateway": (SHOP, False),
    "renewal of a gateway": (SHOP, True),
}
"""What is killed, and whether it is a renewal."""


@dataclass
class Place:
    """Where Secrets are kept, for us and for the process that is killed."""

    store: SecretStore
    argument: str
    """Of killable.py."""
    environment: dict[str, str] = field(repr=False)
    kind: Kind = MESH

    def run(self, wish: dict[str, Any], point: str = "") -> tuple[int, list[str]]:
        """Exit status (negative: the signal), and the calls that were made."""
        variables = {"PATH": os.environ["PATH"], "ISTIO_PCA_CONFIG": json.dumps(wish), **self.environment}
        command = [sys.executable, "-P", str(SCRIPT), self.argument, *filter(None, [point])]
        answer = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=100, check=False)
        return answer.returncode, answer.stdout.split()

    def data(self) -> dict[str, bytes]:
        found = self.store.read(self.kind.name)
        return dict(found.data) if found else {}

    def good(self) -> Bundle | None:
        """What is there, if it is whole and passes every check."""
        bundle, defects = judged(read(self.data(), self.kind.layout), datetime.now(UTC), self.kind.dns_names)
        return None if defects else bundle


def sweep(run: str, place: Callable[[str, Kind], Place], emulator: Emulator, namespace: str) -> int:
    """Kill one of RUNS at every point of the recorded one; returns how many points there were.

    `place` gives an empty one for a name. `cacerts` or the gateway's Secret is absent or whole at every instant, what
    was there stays in force until the next is written, and one certificate is billed.
    """
    kind, renewal = RUNS[run]
    wish, before = (kind.wish(emulator, namespace, validity) for validity in ("30d", "60d"))

    def prepared(name: str) -> Place:
        made = place(name, kind)
        if renewal:
            assert made.run(before)[0] == 0
        return made

    status, calls = prepared("recorded").run(wish)
    assert status == 0
    points = [f"{side}:{number}" for number in range(1, len(calls) + 1) for side in ("before", "after")]
    for point in points:
        one = prepared(point.replace(":", "-"))
        old = one.data()
        bought = len(emulator.issued)

        status, made = one.run(wish, point)

        assert status == -signal.SIGKILL, point
        assert made == calls[: len(made)], point
        assert one.data() or not old, f"{point}: the old bundle is gone"
        assert one.good() or not one.data(), f"{point}: a bad bundle"
        assert one.run(wish)[0] == 0, point
        bundle, new = one.good(), one.data()
        assert bundle, point
        assert len(emulator.issued) == bought + 1, f"{point}: bought {len(emulator.issued) - bought}"
        assert bundle.serial == emulator.issued[-1].serial, point
        assert one.store.read(f"{kind.name}-pending") is None, point
        assert emulator.issued[-1].certificate.public_key() == bundle.key.public_key(), point
        root, key = kind.layout.root, kind.layout.key
        assert not old or (new[root] == old[root] and new[key] != old[key]), point
    return len(points)
