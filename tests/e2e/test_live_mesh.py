"""The signer of a mesh in use is renewed: two workloads with sidecars talk under STRICT mTLS, and lose nothing."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from e2e import istiod
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.kubernetes import (
    Document,
    apply_soon,
    due_now,
    exists,
    kubectl,
    namespace,
    pods,
    remove_namespaces,
    result,
    run_now,
    secret_data,
    wait,
)

PLACE = "live"
IMAGE = "localhost/pca-emulator:e2e"
"""Any with Python."""
SERVE = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"ok")
    def log_message(self, *_): pass
http.server.ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
"""
ASK = """
import time, urllib.request
done = lost = 0
for _ in range(20000):
    try:
        with urllib.request.urlopen("http://server.live:8000/", timeout=5) as answer:
            good = answer.read() == b"ok"
    except OSError as error:
        good = False
        print("lost:", error, flush=True)
    done += 1; lost += not good
    print(done, lost, flush=True)
    time.sleep(0.05)
"""


def workload(name: str, program: str) -> list[Document]:
    """A Pod with an injected sidecar whose certificate lives for two minutes, and so is renewed each minute."""
    container = {
        "name": "app",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python3", "-c", program],
        "securityContext": {"allowPrivilegeEscalation": False, "runAsNonRoot": True, "runAsUser": 65532},
    }
    metadata = {
        "name": name,
        "namespace": PLACE,
        "labels": {"app": name, "sidecar.istio.io/inject": "true"},
        "annotations": {"proxy.istio.io/config": "proxyMetadata: {SECRET_TTL: 2m0s}"},
    }
    pod = {"containers": [container], "terminationGracePeriodSeconds": 1}
    service = {"selector": {"app": name}, "ports": [{"name": "http", "port": 8000}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": PLACE}, "spec": service},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    ]


@pytest.fixture
def place(mesh: None) -> Iterator[None]:
    remove_namespaces(PLACE)
    namespace(PLACE)
    yield
    remove_namespaces(PLACE)


def counted() -> tuple[int, int]:
    """Requests that the client made, and lost."""
    last = kubectl("logs", "client", "-n", PLACE, "-c", "app", "--tail=1").split()
    return (int(last[0]), int(last[1])) if len(last) == 2 and last[0].isdigit() else (0, 0)


def chain_of(pod: str) -> list[x509.Certificate]:
    """What this workload's sidecar shows its peers now (Envoy's admin interface; it gives no private key)."""
    where = "http://127.0.0.1:15000/config_dump?resource=dynamic_active_secrets"
    ask = f"import urllib.request as u; print(u.urlopen('{where}').read().decode())"
    answer = json.loads(kubectl("exec", pod, "-n", PLACE, "-c", "app", "--", "python3", "-c", ask))
    (own,) = [one["secret"] for one in answer["configs"] if one["name"] == "default"]
    chain = base64.b64decode(own["tls_certificate"]["certificate_chain"]["inline_bytes"])
    return x509.load_pem_x509_certificates(chain)


def signer_of(pod: str) -> int:
    leaf, above, *_ = chain_of(pod)
    leaf.verify_directly_issued_by(above)
    return above.serial_number


def test_no_request_is_lost(place: None, chart: Chart, gate: Path) -> None:
    """Through a renewal of the signer and of both workloads' certificates; istiod confirms, and is not restarted."""
    chart.install("helm4")
    istiod.install("helm4", gate)
    istiod.ready()
    strict = {"metadata": {"name": "strict", "namespace": PLACE}, "spec": {"mtls": {"mode": "STRICT"}}}
    apply_soon({"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", **strict})
    apply_soon(*workload("server", SERVE), *workload("client", ASK))
    kubectl("wait", "pod", "server", "client", "-n", PLACE, "--for=condition=Ready", "--timeout=180s")
    wait("the first answer", lambda: counted()[0] - counted()[1] > 0)
    begun = counted()
    wait("requests under the old signer", lambda: counted()[0] > begun[0] + 100)
    before = {pod: chain_of(pod)[0].serial_number for pod in ("server", "client")}

    due_now("cacerts", NAMESPACE)
    run_now(f"{RELEASE}-renewal", "renew", NAMESPACE)

    new = x509.load_pem_x509_certificate(secret_data("cacerts", NAMESPACE)["ca-cert.pem"]).serial_number
    assert result("renew", NAMESPACE)["istiodConfirmed"] is True
    wait("both workloads to be signed by the new one", lambda: {signer_of("server"), signer_of("client")} == {new}, 300)
    reached = counted()
    wait("requests under the new signer", lambda: counted()[0] > reached[0] + 100)
    done, lost = counted()[0] - begun[0], counted()[1] - begun[1]
    print(f"\n{done} requests over the renewal of the signer and of both workloads, lost: {lost}")

    assert lost == 0
    assert before != {pod: chain_of(pod)[0].serial_number for pod in before}
    (istio,) = pods("app=istiod", NAMESPACE)
    assert [one["restartCount"] for one in istio["status"]["containerStatuses"]] == [0]
    assert not exists("secret", "cacerts-pending", NAMESPACE)
