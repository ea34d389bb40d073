"""Secrets in a Kubernetes namespace: an adapter behind the port `SecretStore`, the only module that knows Kubernetes.

It makes each call once and classifies what goes wrong; `ensure` retries. It decides nothing.
Of the client library it uses connection, credentials and transport, and plain JSON: the typed models are 57 MB of
code that one kind of object does not need. Source: Kubernetes API reference, Secret v1 core.
"""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import Any, Final

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException
from kubernetes.config import ConfigException, load_incluster_config, load_kube_config

from istio_pca.errors import (
    ConfigError,
    ConfigProblem,
    ConflictError,
    DeniedError,
    IstioPcaError,
    RefusedError,
    TransientError,
    one_line,
    seconds_to_wait,
)
from istio_pca.ports import Announcement
from istio_pca.secret import Secret

_MESH_ROOT: Final = "istio-ca-root-cert"
"""istiod keeps it in every namespace, its own too; it outlives istiod."""
_TIMEOUT: Final = (3.05, 10)
"""Seconds to connect, and between bytes."""
_LONGEST_NEWS: Final = 1024
"""Characters; the API server refuses an Event with more."""


class ClusterSecrets:
    """The Secrets of one namespace."""

    def __init__(self, namespace: str, *, kubeconfig: str | None = None, context: str | None = None) -> None:
        """Connect with the Pod's ServiceAccount, or with a kubeconfig where there is none.

        Raises:
            ConfigError: there is no way into a cluster.
        """
        self._namespace = namespace
        settings = Configuration()
        settings.retries = False
        try:
            if kubeconfig or context:
                load_kube_config(config_file=kubeconfig, context=context, client_configuration=settings)
            else:
                _load_any(settings)
        except ConfigException as error:
            problem = ConfigProblem(
                "kubeconfig", kubeconfig or "the default", f"must lead to a cluster: {one_line(error)}"
            )
            raise ConfigError(
                (problem,), hint="Name one with --kubeconfig and --context, or write files with --output-dir."
            ) from None
        self._api = ApiClient(settings)

    def read(self, name: str) -> Secret | None:
        answer = self._call("GET", name, missing_is_none=True)
        return _parsed(answer) if answer else None

    def mesh_root(self) -> bytes:
        answer = self._call("GET", _MESH_ROOT, kind="configmaps", missing_is_none=True)
        return str((answer.get("data") or {}).get("root-cert.pem", "")).encode()

    def create(self, secret: Secret) -> Secret:
        return _parsed(self._call("POST", "", _rendered(secret)))

    def replace(self, secret: Secret) -> Secret:
        return _parsed(self._call("PUT", secret.name, _rendered(secret)))

    def delete(self, secret: Secret) -> None:
        only = {"preconditions": {"resourceVersion": secret.version}} if secret.version else {}
        self._call("DELETE", secret.name, {"apiVersion": "v1", "kind": "DeleteOptions", **only}, missing_is_none=True)

    def announce(self, news: Announcement) -> None:
        with contextlib.suppress(IstioPcaError):  # the same is in the log and in the result
            self._call("POST", "", self._event(news), kind="events")

    def _event(self, news: Announcement) -> dict[str, Any]:
        """Source: Kubernetes API reference, Event v1 core. `kubectl events --for secret/NAME` shows it."""
        moment = news.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        about = {"apiVersion": "v1", "kind": "Secret", "namespace": self._namespace, "name": news.about}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{news.about}.{int(news.at.timestamp() * 1e6):x}"},
            "involvedObject": about,
            "type": "Warning" if news.warning else "Normal",
            "reason": news.reason,
            "message": one_line(news.text, _LONGEST_NEWS - 1),
            "source": {"component": "istio-pca"},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
        }

    def _call(
        self,
        method: str,
        name: str,
        body: dict[str, Any] | None = None,
        *,
        kind: str = "secrets",
        missing_is_none: bool = False,
    ) -> dict[str, Any]:
        path = f"/api/v1/namespaces/{self._namespace}/{kind}" + (f"/{name}" if name else "")
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        try:
            serialized = self._api.param_serialize(
                method, path, header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            answer = self._api.call_api(*serialized, _request_timeout=_TIMEOUT)
            content: bytes = answer.read()
            if answer.status >= 400:
                raise ApiException(http_resp=answer, body=content.decode(errors="replace"))
            return dict(json.loads(content))
        except ApiException as error:
            if error.status == 404 and missing_is_none:
                return {}
            named = name or str((body or {})["metadata"]["name"])
            raise self._classified(error, method, f"{kind} {self._namespace}/{named}") from None
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise TransientError(f"the Kubernetes API does not answer: {one_line(error)}") from None

    def _classified(self, error: ApiException, method: str, what: str) -> IstioPcaError:
        text = f"Kubernetes, {method} {what}: {_message(error)}"
        match error.status:
            case 409:
                return ConflictError(text)
            case 404 if method != "POST":
                return ConflictError(text)  # it was there when it was read
            case 404:
                return RefusedError(text, hint=f"Create the namespace: kubectl create namespace {self._namespace}")
            case 401:
                return DeniedError(text, hint="The cluster does not know this ServiceAccount or user.")
            case 403 if "because it is being terminated" in text:
                return RefusedError(text, hint="Wait until the namespace is gone, and create it again.")
            case 403:
                return DeniedError(text, hint="The Role of the chart allows it: is it, and its RoleBinding, there?")
            case 429 | 500 | 502 | 503 | 504 | None | 0:
                asked = (error.headers or {}).get("Retry-After")
                return TransientError(text, retry_after=seconds_to_wait(asked))
            case _:
                return RefusedError(text, hint="An admission policy of the cluster may be in the way; see the text.")


def _load_any(settings: Configuration) -> None:
    try:
        load_incluster_config(client_configuration=settings)
    except ConfigException:
        load_kube_config(client_configuration=settings)


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
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        immutable=bool(answer.get("immutable")),
    )


def _message(error: ApiException) -> str:
    """The API server's own sentence. Of any other body nothing is shown: it might quote what was sent."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return one_line(f"{error.status} {status.get('message', '')}")
    return f"{error.status} {one_line(error.reason)}"
