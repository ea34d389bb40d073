"""The emulator as a Pod of the cluster, and what tests ask of it, by the API server's own proxy."""

from __future__ import annotations

import json
from typing import Any

from e2e.kubernetes import Document, apply, kubectl, namespace

NAMESPACE = "emulated-aws"
ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/istio-pca"
ENDPOINT = f"http://aws.{NAMESPACE}.svc.cluster.local:8080"
AUTHORITIES: dict[str, Document] = {
    "rsa-1": {"levels": 1, "keys": ["RSA_2048"]},
    "rsa-2": {"levels": 2, "keys": ["RSA_2048"]},
    "rsa-3": {"levels": 3, "keys": ["RSA_4096", "RSA_2048"]},
    "ec-2": {"levels": 2, "keys": ["EC_secp384r1", "EC_prime256v1"]},
    "ec-3": {"levels": 3, "keys": ["EC_prime256v1"]},
}
LAPTOP = {"accessKeyId": "AKIAEXAMPLEEXAMPLE00", "secretAccessKey": "an example is no secret, only long"}
"""Static keys, for processes outside the cluster."""
IMAGE = "localhost/pca-emulator:e2e"


def arn(name: str) -> str:
    return f"arn:aws:acm-pca:eu-west-1:{ACCOUNT}:certificate-authority/{name}"


def install(*service_accounts: str) -> None:
    """One role, which only these ServiceAccounts (namespace/name) may assume."""
    scenario = {
        "authorities": [{"name": name, "id": name, **spec} for name, spec in AUTHORITIES.items()],
        "users": [{"name": "laptop", **LAPTOP}],
        "roles": [{"name": "istio-pca", "serviceAccounts": list(service_accounts)}],
        "oidc": {"fromCluster": True},
        "issueDelay": 0.5,
    }
    namespace(NAMESPACE, **{"pod-security.kubernetes.io/enforce": "restricted"})
    name = {"name": "aws", "namespace": NAMESPACE}
    apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": name, "data": {"scenario.json": json.dumps(scenario)}},
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name,
            "spec": {"selector": {"app": "aws"}, "ports": [{"port": 8080}]},
        },
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": name, "spec": _deployment()},
    )
    kubectl("rollout", "status", "deployment/aws", "-n", NAMESPACE, "--timeout=180s")


def _deployment() -> Document:
    container = {
        "name": "aws",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "args": [
            "--bind",
            "0.0.0.0",  # noqa: S104 -- a Pod's own address
            "--port",
            "8080",
            "--scenario",
            "/scenario/scenario.json",
        ],
        "readinessProbe": {"httpGet": {"path": "/_emulator/healthz", "port": 8080}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "scenario", "mountPath": "/scenario"}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": "scenario", "configMap": {"name": "aws"}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    return {
        "selector": {"matchLabels": {"app": "aws"}},
        "template": {"metadata": {"labels": {"app": "aws"}}, "spec": pod},
    }


_PROXY = f"/api/v1/namespaces/{NAMESPACE}/services/http:aws:8080/proxy/_emulator"


def ask(what: str) -> Any:
    return json.loads(kubectl("get", "--raw", f"{_PROXY}/{what}"))


def order(what: str, **given: Any) -> None:
    kubectl("create", "--raw", f"{_PROXY}/{what}", "-f", "-", given=json.dumps(given))


def root_pem(name: str) -> bytes:
    return kubectl("get", "--raw", f"{_PROXY}/authorities/{name}/root.pem").encode()


def calls() -> list[str]:
    """The operations asked for since the last `reset`, in order."""
    return [request["operation"] for request in ask("requests")]
