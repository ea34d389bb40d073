"""Every way to hold AWS credentials, and to reach AWS, in a Pod: the rows of docs/install.md."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import os
from collections.abc import Callable, Iterator

import pytest

from e2e import emulated_aws, inspecting_proxy
from e2e.conftest import EXISTING, NAMESPACE, RELEASE, Chart
from e2e.kubernetes import Document, apply, exists, kubectl, pods, port_forward, wait

NOBODY: Document = {"serviceAccount": {"annotations": {}}}


def principals() -> set[str]:
    """Who asked ACM PCA."""
    return {request["principal"] for request in emulated_aws.ask("requests") if request["service"] == "acm-pca"}


def session(role: str, account: str = emulated_aws.ACCOUNT, partition: str = "aws") -> str:
    """Of the role, named by the cluster: what CloudTrail shows."""
    return f"arn:{partition}:sts::{account}:assumed-role/{role}/istio-pca-e2e"


@contextlib.contextmanager
def injected(account: str, audience: str, folder: str, variables: dict[str, str]) -> Iterator[None]:
    """Into new Pods of this ServiceAccount, while the block lasts: as EKS' webhook does it, at admission."""
    token = {"serviceAccountToken": {"audience": audience, "expirationSeconds": 86400, "path": "token"}}
    additions = [
        ("/spec/volumes/-", {"name": "aws-iam-token", "projected": {"sources": [token]}}),
        ("/spec/containers/0/volumeMounts/-", {"name": "aws-iam-token", "mountPath": folder, "readOnly": True}),
        *(
            ("/spec/containers/0/env/-", {"name": name, "value": value})
            for name, value in {**variables, "AWS_REGION": "eu-west-1"}.items()
        ),
    ]
    patches = ", ".join(f'JSONPatch{{op: "add", path: "{path}", value: {_cel(value)}}}' for path, value in additions)
    group = "admissionregistration.k8s.io"
    served = json.loads(kubectl("get", "--raw", f"/apis/{group}/v1"))["resources"]
    if "mutatingadmissionpolicies" not in {one["name"] for one in served}:
        pytest.skip("this cluster has no MutatingAdmissionPolicy: Kubernetes 1.36 or newer has it")
    pod = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
    apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "MutatingAdmissionPolicy",
            "metadata": {"name": "identity"},
            "spec": {
                "failurePolicy": "Fail",
                "reinvocationPolicy": "Never",
                "matchConstraints": {"resourceRules": [pod]},
                "matchConditions": [
                    {"name": "its", "expression": f'object.spec.?serviceAccountName.orValue("") == "{account}"'}
                ],
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": f"[{patches}]"}}],
            },
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "MutatingAdmissionPolicyBinding",
            "metadata": {"name": "identity"},
            "spec": {"policyName": "identity"},
        },
    )
    try:
        yield
    finally:
        kubectl("delete", "mutatingadmissionpolicybinding,mutatingadmissionpolicy", "identity")


def _cel(value: object) -> str:
    """As CEL, whose maps have values of one type: dyn() says that they may differ."""
    if isinstance(value, dict):
        return "{" + ", ".join(f'"{key}": dyn({_cel(one)})' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_cel, value)) + "]"
    return str(value).lower() if isinstance(value, bool | int) else f'"{value}"'


WEB_IDENTITY = "/var/run/secrets/eks.amazonaws.com/serviceaccount"
POD_IDENTITY = "/var/run/secrets/pods.eks.amazonaws.com/serviceaccount"


Install = Callable[[Document], None]


def test_irsa(install: Install, chart: Chart) -> None:
    """The chart's own way: the token and the variables are in the Pod's template."""
    install(chart.document())

    assert principals() == {session("istio-pca")}
    assert exists("secret", "cacerts", NAMESPACE)


def test_irsa_injected_late(install: Install, chart: Chart) -> None:
    """A ServiceAccount that EKS' webhook does not know yet: the first Pod comes without credentials, the next with."""
    kubectl("create", "serviceaccount", EXISTING, "-n", NAMESPACE)
    account = {"serviceAccount": {"create": False, "name": EXISTING, "annotations": {}}}

    def ended() -> int | None:
        for pod in pods("app.kubernetes.io/name=istio-pca", NAMESPACE):
            for status in pod["status"].get("containerStatuses", []):
                if "terminated" in status["state"]:
                    return int(status["state"]["terminated"]["exitCode"])
        return None

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        installing = pool.submit(install, chart.document(more=account))
        first = wait("the first Pod to end", ended)
        variables = {
            "AWS_ROLE_ARN": emulated_aws.ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": f"{WEB_IDENTITY}/token",
        }
        with injected(EXISTING, "sts.amazonaws.com", WEB_IDENTITY, variables):
            installing.result()

    assert first == 20
    assert exists("secret", "cacerts", NAMESPACE)
    assert principals() == {session("istio-pca")}
    assert emulated_aws.calls().count("IssueCertificate") == 1


def test_pod_identity(install: Install, chart: Chart) -> None:
    """EKS Pod Identity: the node's agent gives credentials for the Pod's token; no role is named in the values."""
    if "POD_IDENTITY_AGENT" not in os.environ:
        pytest.skip("POD_IDENTITY_AGENT is not set: no address for an agent (the node of tests/cluster has one)")
    agent = os.environ["POD_IDENTITY_AGENT"]
    variables = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://{agent}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": f"{POD_IDENTITY}/token",
    }
    with (
        port_forward("service/aws", emulated_aws.NAMESPACE, 8080, address=agent, local="80"),
        injected(RELEASE, "pods.eks.amazonaws.com", POD_IDENTITY, variables),
    ):
        install(chart.document(more=NOBODY))

    (who,) = principals()
    assert who.startswith(f"arn:aws:sts::{emulated_aws.ACCOUNT}:assumed-role/pod-identity/eks-cluster-")
    assert exists("secret", "cacerts", NAMESPACE)


def test_role_of_another_account(install: Install, chart: Chart) -> None:
    """`roleArn`: by the policies that `istio-pca policy` prints, ours may assume theirs, and theirs asks its CA."""
    theirs = emulated_aws.role("ca", account="444455556666")
    ours = {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": emulated_aws.role("assuming")}}}

    install(chart.document("theirs", more=ours, roleArn=theirs))

    assert principals() == {session("ca", "444455556666")}
    assert exists("secret", "cacerts", NAMESPACE)


def test_shared_authority(install: Install, chart: Chart) -> None:
    """A CA of another account, shared by the policy that `istio-pca policy` prints, is asked by our own role."""
    install(chart.document("shared"))

    assert principals() == {session("istio-pca")}
    assert exists("secret", "cacerts", NAMESPACE)


@pytest.fixture(scope="module")
def inspection(aws: None) -> bytes:
    return inspecting_proxy.install()


PLACES = {
    "aws": ("rsa-2", "istio-pca", "", "{}.eu-west-1.amazonaws.com:443"),
    "FIPS": ("virginia", "istio-pca", "AWS_USE_FIPS_ENDPOINT", "{}-fips.us-east-1.amazonaws.com:443"),
    "dual-stack": ("rsa-2", "istio-pca", "AWS_USE_DUALSTACK_ENDPOINT", "{}.eu-west-1.api.aws:443"),
    "aws-us-gov": ("gov", "gov", "", "{}.us-gov-west-1.amazonaws.com:443"),
    "aws-cn": ("cn", "cn", "", "{}.cn-north-1.amazonaws.com.cn:443"),
}


@pytest.mark.parametrize("place", PLACES)
def test_places(mesh: None, chart: Chart, inspection: bytes, place: str) -> None:
    """AWS' own hosts of this place, and none else, are asked: through a company's proxy, which has a CA of its own."""
    authority, role, switch, host = PLACES[place]
    partition = emulated_aws.arn(authority).split(":")[1]
    bundle = {"name": "company-ca", "namespace": NAMESPACE}
    apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": bundle, "data": {"ca.pem": inspection.decode()}})
    variables = {
        "HTTPS_PROXY": inspecting_proxy.ADDRESS,
        "NO_PROXY": inspecting_proxy.api_server(),
        "AWS_CA_BUNDLE": "/company-ca/ca.pem",
        **({switch: "true"} if switch else {}),
    }
    arn = emulated_aws.role(role, partition=partition)
    more: Document = {
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": arn}},
        "extraEnv": [{"name": name, "value": value} for name, value in variables.items()],
        "extraVolumes": [{"name": "company-ca", "configMap": {"name": "company-ca"}}],
        "extraVolumeMounts": [{"name": "company-ca", "mountPath": "/company-ca", "readOnly": True}],
    }
    before = len(inspecting_proxy.asked())

    chart.install("helm4", authority, more=more)

    asked = wait("the proxy's log", lambda: set(inspecting_proxy.asked()[before:]))
    assert asked == {host.format("sts"), host.format("acm-pca")}
    assert principals() == {session(role, partition=partition)}
    assert exists("secret", "cacerts", NAMESPACE)
