"""A company's proxy that inspects TLS: a real Envoy, which ends CONNECT itself, with certificates of a private CA.

It answers for AWS' own host names, and asks the emulator: a client that did not go through it would reach nothing.
Source: Envoy, "HTTP upgrades: CONNECT support".
"""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from e2e import emulated_aws, istiod
from e2e.kubernetes import Document, apply, get, kubectl

ADDRESS = f"http://proxy.{emulated_aws.NAMESPACE}.svc.cluster.local:3128"
_HOSTS = ("*.amazonaws.com", "*.api.aws", "*.amazonaws.com.cn")
_REGIONS = ("eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1")
_LOG = ("--log-level", "warn", "--file-flush-interval-msec", "100")  # else `asked` is ten seconds late


def install() -> bytes:
    """Starts it beside the emulator; its CA, for those who are to trust it."""
    ca, chain, key = _certificates()
    istio = istiod.here()["global"]
    container = {
        "name": "envoy",
        "image": f"{istio['hub']}/proxyv2:{istio['tag']}",
        "imagePullPolicy": istio["imagePullPolicy"],
        "command": ["/usr/local/bin/envoy", "--config-path", "/envoy/envoy.json", *_LOG],
        "readinessProbe": {"tcpSocket": {"port": 3128}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "envoy", "mountPath": "/envoy", "readOnly": True}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": "envoy", "secret": {"secretName": "proxy"}}],
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1337, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    files = {"envoy.json": json.dumps(_configuration()).encode(), "tls.crt": chain, "tls.key": key}
    name = {"name": "proxy", "namespace": emulated_aws.NAMESPACE}
    labels = {"app": "proxy"}
    apply(
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": name,
            "data": {file: base64.b64encode(content).decode() for file, content in files.items()},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": name,
            "spec": {"selector": labels, "ports": [{"port": 3128}]},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": name,
            "spec": {
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    )
    kubectl("rollout", "status", "deployment/proxy", "-n", emulated_aws.NAMESPACE, "--timeout=180s")
    return ca


def asked() -> list[str]:
    """HOST:PORT of every connection that it was asked for, in order."""
    return kubectl("logs", "deployment/proxy", "-n", emulated_aws.NAMESPACE).splitlines()


def api_server() -> str:
    """The address of the Kubernetes API, which is not to be asked through the proxy."""
    address: str = get("service", "kubernetes", "default")["spec"]["clusterIP"]
    return address


def _certificates() -> tuple[bytes, bytes, bytes]:
    """The CA, and a chain with its key for the hosts; PEM."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Example Corp TLS inspection")])
    names = [host.replace("*", f"*.{region}") for host in _HOSTS for region in _REGIONS] + list(_HOSTS)
    usage = {
        "digital_signature": True,
        "key_encipherment": False,
        "content_commitment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "encipher_only": False,
        "decipher_only": False,
    }

    def built(subject: x509.Name, of: ec.EllipticCurvePrivateKey, *, ca: bool) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(minutes=5))
            .not_valid_after(now + timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(**usage, key_cert_sign=ca, crl_sign=ca), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(of.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        )

    root = built(issuer, ca_key, ca=True).sign(ca_key, hashes.SHA256())
    leaf = built(x509.Name([]), key, ca=False).add_extension(
        x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=True
    )
    return (
        root.public_bytes(Encoding.PEM),
        leaf.sign(ca_key, hashes.SHA256()).public_bytes(Encoding.PEM),
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )


_TYPES = "type.googleapis.com/envoy.extensions"


def _configuration() -> Document:
    connect: Document = {"upgrade_type": "CONNECT"}
    log = {
        "name": "stdout",
        "typed_config": {
            "@type": f"{_TYPES}.access_loggers.stream.v3.StdoutAccessLog",
            "log_format": {"text_format_source": {"inline_string": "%REQ(:AUTHORITY)%\n"}},
        },
    }
    tunnel = {
        "match": {"connect_matcher": {}},
        "route": {"cluster": "inspection", "upgrade_configs": [{**connect, "connect_config": {}}]},
    }
    tls = {
        "name": "tls",
        "typed_config": {
            "@type": f"{_TYPES}.transport_sockets.tls.v3.DownstreamTlsContext",
            "common_tls_context": {
                "tls_certificates": [
                    {"certificate_chain": {"filename": "/envoy/tls.crt"}, "private_key": {"filename": "/envoy/tls.key"}}
                ]
            },
        },
    }
    asking = {"match": {"prefix": "/"}, "route": {"cluster": "aws"}}
    aws = f"aws.{emulated_aws.NAMESPACE}.svc.cluster.local"
    return {
        "static_resources": {
            "listeners": [
                # a Pod's own address, for the others; the rest stays within the Pod
                _listener("0.0.0.0", 3128, _http("proxy", tunnel, upgrade_configs=[connect], access_log=[log])),  # noqa: S104
                _listener("127.0.0.1", 8443, _http("inspection", asking), transport_socket=tls),
            ],
            "clusters": [_cluster("inspection", "127.0.0.1", 8443), _cluster("aws", aws, 8080)],
        }
    }


def _socket(address: str, port: int) -> Document:
    return {"address": {"socket_address": {"address": address, "port_value": port}}}


def _listener(address: str, port: int, filter_: Document, **chain: Document) -> Document:
    return {"name": str(port), **_socket(address, port), "filter_chains": [{"filters": [filter_], **chain}]}


def _http(name: str, route: Document, **more: list[Document]) -> Document:
    router = {"name": "router", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}
    manager = f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"
    hosts = {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]}
    given = {
        "@type": manager,
        "stat_prefix": name,
        "route_config": hosts,
        "http_filters": [router],
        "http_protocol_options": {"accept_http_10": True},  # of Python before 3.12 a CONNECT is HTTP/1.0
        **more,
    }
    return {"name": name, "typed_config": given}


def _cluster(name: str, address: str, port: int) -> Document:
    endpoints = [{"lb_endpoints": [{"endpoint": _socket(address, port)}]}]
    return {"name": name, "type": "STRICT_DNS", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}
