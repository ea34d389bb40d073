"""Secrets in a Kubernetes namespace: an adapter behind the port `SecretStore`.

It makes each call once; `ensure` retries. It decides nothing. Source: Kubernetes API reference, Secret v1 core.
"""

from __future__ import annotations

import base64
import contextlib
from datetime import UTC, datetime
from typing import Any, Final

from istio_pca.errors import IstioPcaError, one_line
from istio_pca.kube import Namespace
from istio_pca.ports import Announcement
from istio_pca.secret import Secret

_MESH_ROOT: Final = "istio-ca-root-cert"
"""istiod keeps it in every namespace, its own too; it outlives istiod."""
_LONGEST_NEWS: Final = 1024
"""Characters; the API server refuses an Event with more."""
_SOURCE: Final = "istio-pca"
"""The component that our Events come from."""


class ClusterSecrets:
    """The Secrets of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._space = namespace

    def read(self, name: str) -> Secret | None:
        answer = self._space.call("GET", "secrets", name, missing_is_none=True)
        return _parsed(answer) if answer else None

    def mesh_root(self) -> bytes:
        answer = self._space.call("GET", "configmaps", _MESH_ROOT, missing_is_none=True)
        return str((answer.get("data") or {}).get("root-cert.pem", "")).encode()

    def create(self, secret: Secret) -> Secret:
        return _parsed(self._space.call("POST", "secrets", body=_rendered(secret)))

    def replace(self, secret: Secret) -> Secret:
        return _parsed(self._space.call("PUT", "secrets", secret.name, _rendered(secret)))

    def delete(self, secret: Secret) -> None:
        only = {"preconditions": {"resourceVersion": secret.version}} if secret.version else {}
        options = {"apiVersion": "v1", "kind": "DeleteOptions", **only}
        self._space.call("DELETE", "secrets", secret.name, options, missing_is_none=True)

    def announce(self, news: Announcement) -> None:
        with contextlib.suppress(IstioPcaError):  # the same is in the log and in the result
            self._space.call("POST", "events", body=self._event(news))

    def latest_news(self, about: str) -> Announcement | None:
        mine = f"involvedObject.kind=Secret,involvedObject.name={about},source={_SOURCE}"
        found: list[dict[str, Any]] = []
        with contextlib.suppress(IstioPcaError):  # who may read Secrets may perhaps not read Events
            found = self._space.listed("events", fields=mine)
        news = [
            Announcement(about, one["reason"], one["message"], _moment(one["lastTimestamp"]), one["type"] == "Warning")
            for one in found
        ]
        return max(news, key=lambda one: one.at, default=None)

    def _event(self, news: Announcement) -> dict[str, Any]:
        """Source: Kubernetes API reference, Event v1 core. `kubectl events --for secret/NAME` shows it."""
        moment = news.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"apiVersion": "v1", "kind": "Secret", "namespace": self._space.name, "name": news.about}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{news.about}.{int(news.at.timestamp() * 1e6):x}"},
            "involvedObject": about,
            "type": "Warning" if news.warning else "Normal",
            "reason": news.reason,
            "message": one_line(news.text, _LONGEST_NEWS - 1),
            "source": {"component": _SOURCE},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }


def _rendered(secret: Secret) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": secret.name,
        "annotations": dict(secret.annotations),
        "labels": dict(secret.labels),
    }
    if secret.version:
        metadata["resourceVersion"] = secret.version
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret.type,
        "metadata": metadata,
        "data": {key: base64.b64encode(value).decode() for key, value in secret.data.items()},
    }


def _parsed(answer: dict[str, Any]) -> Secret:
    metadata = answer["metadata"]
    return Secret(
        name=metadata["name"],
        data={key: base64.b64decode(value) for key, value in (answer.get("data") or {}).items()},
        annotations=metadata.get("annotations") or {},
        labels=metadata.get("labels") or {},
        type=answer.get("type", "Opaque"),
        version=metadata.get("resourceVersion", ""),
        created=_moment(metadata["creationTimestamp"]),
        immutable=bool(answer.get("immutable")),
    )


def _moment(text: str) -> datetime:
    """RFC 3339, as Kubernetes writes it."""
    return datetime.fromisoformat(text)
