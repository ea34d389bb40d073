"""Istio's own charts, and a workload certificate asked of istiod as a workload does it.

Source: istio/api security/v1alpha1/ca.proto; istio/istio security/pkg/nodeagent/caclient.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import grpc
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from e2e.kubernetes import Document, exists, helm, kubectl, port_forward, wait

NAMESPACE = "istio-system"
CHARTS = Path(os.environ.get("ISTIO_CHARTS", "istio-charts"))
PLACES = {
    "base": CHARTS / "base",
    "istiod": CHARTS / "istio-control" / "istio-discovery",
    "gateway": CHARTS / "gateway",
}
"""Where Istio's charts are, by name."""
GATE = {
    "volumes": [{"name": "cacerts-required", "secret": {"secretName": "cacerts"}}],
    "volumeMounts": [{"name": "cacerts-required", "mountPath": "/etc/cacerts-required", "readOnly": True}],
    # not only mounted but read from: the chart's own mount is optional, and may be empty when the other is there
    "env": {"ROOT_CA_DIR": "/etc/cacerts-required"},
}
"""What NOTES.txt tells to set; tests/e2e/test_install.py compares."""
PLAIN_ENVOY: Document = {
    "telemetry": {"enabled": False},
    "env": {"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"},
}
"""For a proxy without Istio's own filters."""


def install(version: str, values_file: Path, *more: str, name: str = "istiod") -> None:
    """Its CRDs, and a control plane; with another name beside the first."""
    helm(version, "upgrade", "--install", "istio-base", str(PLACES["base"]), "-n", NAMESPACE)
    arguments = (
        "upgrade",
        "--install",
        name,
        str(PLACES["istiod"]),
        "-n",
        NAMESPACE,
        "--values",
        str(values_file),
        "--values",
        "-",
    )
    helm(version, *arguments, *more, given=json.dumps(here()))


def chart_version(name: str) -> str:
    """Of the chart that this cluster has."""
    version: str = yaml.safe_load((PLACES[name] / "Chart.yaml").read_text())["version"]
    return version


def gateway_here() -> Document:
    """The values of a gateway that this cluster needs."""
    pull = here()["global"]["imagePullPolicy"]
    ports = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}  # the chart's own, which is replaced
    return {
        "autoscaling": {"enabled": False},
        "service": {"type": "ClusterIP"},
        "imagePullPolicy": pull,
        # or a namespace with restricted Pod Security shuts it out
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}, "sysctls": [ports]},
    }


def here() -> Document:
    """The values of istiod that this cluster needs."""
    return {
        "global": {
            "hub": os.environ.get("ISTIO_HUB", "localhost/istio"),
            "tag": os.environ.get("ISTIO_TAG", "e2e"),
            "imagePullPolicy": os.environ.get("ISTIO_PULL_POLICY", "Never"),
        },
        "autoscaleEnabled": False,
        "seccompProfile": {"type": "RuntimeDefault"},  # or the namespace's restricted Pod Security shuts istiod out
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        **(PLAIN_ENVOY if os.environ.get("ISTIO_PLAIN_ENVOY") else {}),
    }


def ready(timeout: str = "180s", name: str = "istiod") -> None:
    kubectl("rollout", "status", f"deployment/{name}", "-n", NAMESPACE, f"--timeout={timeout}")


def remove(version: str) -> None:
    for release in ("istiod", "istio-base"):
        helm(version, "uninstall", release, "-n", NAMESPACE, "--wait", check=False)
    for kind in ("validatingwebhookconfiguration", "mutatingwebhookconfiguration"):
        kubectl("delete", kind, "-l", "app=istiod", "--ignore-not-found")
    kubectl("delete", "configmap", "-A", "-l", "istio.io/config=true", "--ignore-not-found")


class NoCertificateError(Exception):
    """istiod does not serve, or not with a certificate that the root verifies, or does not sign."""


def forget_definitions() -> None:
    """Helm keeps Istio's CRDs, and lets no release of another name have them."""
    kinds = [name for name in kubectl("get", "crd", "-o", "name").split() if name.endswith(".istio.io")]
    if kinds:
        kubectl("delete", *kinds)


def workload_certificate(
    service_account: str = "default",
    namespace: str = "default",
    *,
    target: str = "deployment/istiod",
    root: bytes = b"",
    seconds: float = 60,
) -> list[bytes]:
    """The chain that istiod gives a workload: the leaf first, the roots last; each a PEM.

    `root` is what the workload trusts; without it the one that istiod tells it to trust.

    Raises:
        NoCertificateError: it gives none within so many seconds.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    token = kubectl("create", "token", service_account, "-n", namespace, "--audience", "istio-ca").strip()
    request, response = _messages()
    with port_forward(target, NAMESPACE, 15012) as port:
        credentials = grpc.ssl_channel_credentials(root or _root_that_workloads_get(namespace))
        name = (("grpc.ssl_target_name_override", "istiod.istio-system.svc"),)
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options=name) as channel:
            create = channel.unary_unary(
                "/istio.v1.auth.IstioCertificateService/CreateCertificate",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=response.FromString,
            )
            asked = request(csr=csr.public_bytes(Encoding.PEM).decode(), validity_duration=3600)
            metadata = (("authorization", f"Bearer {token}"), ("clusterid", "Kubernetes"))
            try:
                answer = create(asked, metadata=metadata, timeout=seconds, wait_for_ready=True)
            except grpc.RpcError as error:
                raise NoCertificateError(str(error.code())) from None
    return [part.encode() for part in answer.cert_chain]


def _root_that_workloads_get(namespace: str) -> bytes:
    wait(f"istiod's root in {namespace}", lambda: exists("configmap", "istio-ca-root-cert", namespace))
    path = "jsonpath={.data.root-cert\\.pem}"
    return kubectl("get", "configmap", "istio-ca-root-cert", "-n", namespace, "-o", path).encode()


def _messages() -> tuple[type, type]:
    """The two messages of the call, as far as it needs them."""
    file = descriptor_pb2.FileDescriptorProto(name="ca.proto", package="istio.v1.auth", syntax="proto3")
    request = file.message_type.add(name="IstioCertificateRequest")
    response = file.message_type.add(name="IstioCertificateResponse")
    field = descriptor_pb2.FieldDescriptorProto
    request.field.add(name="csr", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    request.field.add(name="validity_duration", number=3, type=field.TYPE_INT64, label=field.LABEL_OPTIONAL)
    response.field.add(name="cert_chain", number=1, type=field.TYPE_STRING, label=field.LABEL_REPEATED)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return (
        message_factory.GetMessageClass(pool.FindMessageTypeByName("istio.v1.auth.IstioCertificateRequest")),
        message_factory.GetMessageClass(pool.FindMessageTypeByName("istio.v1.auth.IstioCertificateResponse")),
    )
