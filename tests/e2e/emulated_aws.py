"""The emulator as a Pod of the cluster, and what tests ask of it, by the API server's own proxy."""

from __future__ import annotations

import json
from typing import Any

from e2e.kubernetes import Document, apply, kubectl, namespace
from istio_pca.config import parse
from istio_pca.policy import Identity, documents, irsa, pod_identity
from pca_emulator.iam import least_policy

NAMESPACE = "emulated-aws"
ACCOUNT = "111122223333"
ENDPOINT = f"http://aws.{NAMESPACE}.svc.cluster.local:8080"
AUTHORITIES: dict[str, Document] = {
    "rsa-1": {"levels": 1, "keys": ["RSA_2048"]},
    "rsa-2": {"levels": 2, "keys": ["RSA_2048"]},
    "rsa-3": {"levels": 3, "keys": ["RSA_4096", "RSA_2048"]},
    "ec-2": {"levels": 2, "keys": ["EC_secp384r1", "EC_prime256v1"]},
    "ec-3": {"levels": 3, "keys": ["EC_prime256v1"]},
}
ELSEWHERE: dict[str, Document] = {
    "shared": {"account": "444455556666"},
    "theirs": {"account": "444455556666"},
    "virginia": {"region": "us-east-1"},
    "gov": {"partition": "aws-us-gov", "region": "us-gov-west-1"},
    "cn": {"partition": "aws-cn", "region": "cn-north-1"},
}
"""Authorities of other accounts, regions and partitions."""
LAPTOP = {"accessKeyId": "AKIAEXAMPLEEXAMPLE00", "secretAccessKey": "an example is no secret, only long"}
"""Static keys, for processes outside the cluster. Who has them may do everything, create private CAs too."""
IMAGE = "localhost/pca-emulator:e2e"


def arn(name: str) -> str:
    where = {"partition": "aws", "region": "eu-west-1", "account": ACCOUNT, **ELSEWHERE.get(name, {})}
    return "arn:{partition}:acm-pca:{region}:{account}:certificate-authority/{name}".format(**where, name=name)


def role(name: str, *, account: str = ACCOUNT, partition: str = "aws") -> str:
    return f"arn:{partition}:iam::{account}:role/{name}"


ROLE = role("istio-pca")


_BY_IRSA = irsa(f"arn:aws:iam::{ACCOUNT}:oidc-provider/example.com", [])


def policy(authority: str, wanted: str, identity: Identity = _BY_IRSA, **config: str) -> Document:
    """What `istio-pca policy` prints for this authority: permissions, trust, assume, or share."""
    wish = parse(json.dumps({"certificateAuthorityArn": arn(authority), **config}))
    return documents(wish, identity)[wanted]


def laptop(port: int) -> dict[str, str]:
    """Variables for a process outside the cluster, to which the emulator's port is forwarded."""
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": LAPTOP["accessKeyId"],
        "AWS_SECRET_ACCESS_KEY": LAPTOP["secretAccessKey"],
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def install(*service_accounts: str) -> None:
    """Its roles may be assumed by these ServiceAccounts (namespace/name) alone, as docs/install.md has it."""
    authorities: dict[str, Document] = {
        **AUTHORITIES,
        **{name: {"keys": ["EC_prime256v1"], **spec} for name, spec in ELSEWHERE.items()},
    }
    authorities["shared"]["policy"] = policy("shared", "share")
    us = {"serviceAccounts": list(service_accounts)}
    everywhere = [arn("*"), *map(arn, ELSEWHERE)]  # also those that are created after the role
    theirs = {"name": "ca", "account": "444455556666"}
    by_us = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": role("assuming")}}
    by_eks = policy("rsa-2", "trust", pod_identity(ACCOUNT, service_accounts))
    scenario = {
        "authorities": [{"name": name, "id": name, **spec} for name, spec in authorities.items()],
        "users": [{"name": "laptop", **LAPTOP}],
        "roles": [
            {"name": "istio-pca", "policy": least_policy(everywhere), **us},
            {"name": "gov", "partition": "aws-us-gov", **us},
            {"name": "cn", "partition": "aws-cn", **us},
            {"name": "pod-identity", "podIdentities": list(service_accounts), "trustPolicy": by_eks},
            {"name": "assuming", "policy": policy("theirs", "assume", roleArn=role(**theirs)), **us},
            {**theirs, "trustPolicy": {"Statement": [by_us]}, "policy": policy("theirs", "permissions")},
        ],
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
