"""One namespace of a cluster: connection, one call at a time, and what its errors mean.

The only module that knows the client library. It makes each call once; `ensure` retries. Of the library it uses
connection, credentials and transport, and plain JSON: the typed models are 57 MB of code that a few kinds of objects
do not need (docs/adr/0002).
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

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

_TIMEOUT: Final = (3.05, 10)
"""Seconds to connect, and between bytes."""
_GROUPS: Final = {"endpointslices": "/apis/discovery.k8s.io/v1"}
_CORE: Final = "/api/v1"


class Namespace:
    """Plain JSON in and out; errors are those of `errors`, classified."""

    def __init__(self, name: str, *, kubeconfig: str | None = None, context: str | None = None) -> None:
        """Connect with the Pod's ServiceAccount, or with a kubeconfig where there is none.

        Raises:
            ConfigError: there is no way into a cluster.
        """
        self.name = name
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

    def listed(self, kind: str, *, labels: str = "", fields: str = "") -> list[dict[str, Any]]:
        """Those that bear these labels, such as `app=istiod`, and have these values in their fields."""
        path = f"{self._path(kind)}?{urlencode({'labelSelector': labels, 'fieldSelector': fields})}"
        items: list[dict[str, Any]] = self._sent("GET", path, f"{kind} {self.name}", None).get("items") or []
        return items

    def call(
        self,
        method: str,
        kind: str,
        name: str = "",
        body: dict[str, Any] | None = None,
        *,
        missing_is_none: bool = False,
    ) -> dict[str, Any]:
        """One object; with `missing_is_none` an empty mapping when there is none."""
        path = self._path(kind) + (f"/{name}" if name else "")
        named = name or str(((body or {}).get("metadata") or {}).get("name", ""))
        return self._sent(method, path, f"{kind} {self.name}/{named}", body, missing_is_none=missing_is_none)

    def _path(self, kind: str) -> str:
        return f"{_GROUPS.get(kind, _CORE)}/namespaces/{self.name}/{kind}"

    def _sent(
        self, method: str, path: str, what: str, body: dict[str, Any] | None, *, missing_is_none: bool = False
    ) -> dict[str, Any]:
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
            raise self._classified(error, method, what) from None
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
                return RefusedError(text, hint=f"Create the namespace: kubectl create namespace {self.name}")
            case 401:
                return DeniedError(text, hint="The cluster does not know this ServiceAccount or user.")
            case 403 if "because it is being terminated" in text:
                return RefusedError(text, hint="Wait until the namespace is gone, and create it again.")
            case 403:
                return DeniedError(
                    text, hint=f"Is the namespace {self.name} there, and in it the chart's Role and RoleBinding?"
                )
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


def _message(error: ApiException) -> str:
    """The API server's own sentence. Of any other body nothing is shown: it might quote what was sent."""
    try:
        status = json.loads(error.body or "")
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return one_line(f"{error.status} {status.get('message', '')}")
    return f"{error.status} {one_line(error.reason)}"
