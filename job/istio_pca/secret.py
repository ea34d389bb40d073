"""Secret: a Kubernetes Secret as a value, and the names of what we write on it.

It does not read or write Secrets: the adapters `cluster` and `directory` do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

NAME: Final = "cacerts"
"""istiod's chart mounts this name and no other."""
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": "istio-pca"}
"""No app.kubernetes.io/instance: Argo CD would adopt the Secret by it, and prune it."""
UNPRUNED: Final = {
    "argocd.argoproj.io/compare-options": "IgnoreExtraneous",
    "argocd.argoproj.io/sync-options": "Prune=false",
}

AUTHORITY: Final = "istio-pca/certificate-authority-arn"
CERTIFICATE: Final = "istio-pca/certificate-arn"
SERIAL: Final = "istio-pca/serial"
NOT_AFTER: Final = "istio-pca/not-after"
RENEW_AFTER: Final = "istio-pca/renew-after"
SPEC: Final = "istio-pca/spec"
VERSION: Final = "istio-pca/version"


@dataclass(frozen=True)
class Secret:
    """A Secret as it is stored, or as it shall be. Its data never shows in a repr: it holds a signing key."""

    name: str
    data: Mapping[str, bytes] = field(repr=False)
    annotations: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    type: str = "Opaque"
    version: str = ""
    """What the store calls this state of it (resourceVersion); empty before it is stored."""
    created: datetime | None = None
    immutable: bool = False
    """Kubernetes then lets nobody change its data, only delete it."""

    @property
    def ours(self) -> bool:
        """Whether we wrote or adopted it."""
        return SPEC in self.annotations
