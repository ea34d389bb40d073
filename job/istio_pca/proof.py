"""Proof: after a new intermediate was written, does every istiod sign with it? It waits and tells; it changes nothing.

istiod reads the Secret from a volume, which the kubelet brings up to date within about a minute; it needs no restart.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography import x509

from istio_pca.bundle import Bundle, signed_by
from istio_pca.errors import IstioPcaError
from istio_pca.ports import Mesh, Replica, World

WINDOW: Final = 150.0
"""Seconds: a kubelet's refresh of a volume takes up to 90, and istiod's reload some more."""
_PAUSE: Final = 2.0


@dataclass(frozen=True)
class Proof:
    """What the Pods of istiod served in the end."""

    confirmed: bool | None
    """None: there was no istiod to ask."""
    replicas: int = 0
    late: tuple[str, ...] = ()
    """Of each that does not serve under the new intermediate: why not."""


NOBODY: Final = Proof(confirmed=None)


def proven(bundle: Bundle, mesh: Mesh, world: World, window: float = WINDOW) -> Proof:
    """Wait until every istiod serves a certificate under this intermediate, within the window and the deadline."""
    clock = world.clock
    end = min(clock.monotonic() + window, world.deadline)
    try:
        while True:
            replicas = mesh.replicas()
            late = [why for replica in replicas if (why := _late(mesh, replica, bundle.certificate))]
            if not late:
                return Proof(confirmed=True, replicas=len(replicas)) if replicas else NOBODY
            if clock.monotonic() + _PAUSE > end:
                return Proof(confirmed=False, replicas=len(replicas), late=tuple(late))
            clock.sleep(_PAUSE)
    except IstioPcaError as error:
        return Proof(confirmed=False, late=(f"istiod's Pods cannot be listed: {error.message}",))


def _late(mesh: Mesh, replica: Replica, intermediate: x509.Certificate) -> str:
    try:
        served = mesh.serves(replica)
    except IstioPcaError as error:
        return error.message
    if signed_by(served, intermediate):
        return ""
    return f"{replica.name} still serves under another CA ({served.issuer.rfc4514_string() or 'unnamed'})"
