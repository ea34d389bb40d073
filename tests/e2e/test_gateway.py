"""A certificate for Istio's ingress gateway: a real Envoy serves it, and the next one without a failed request."""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509

from e2e import emulated_aws, istiod
from e2e.conftest import NAMESPACE, RELEASE, Chart
from e2e.kubernetes import (
    apply_soon,
    due_now,
    established,
    exists,
    get,
    helm,
    kubectl,
    namespace,
    port_forward,
    remove_namespaces,
    result,
    run_now,
    secret_data,
    wait,
)

INGRESS = "istio-ingress"
HOST = "shop.internal.example.com"
SHOP = {"namespace": INGRESS, "secretName": "shop-credential", "dnsNames": [HOST]}
SERVER = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Gateway",
    "metadata": {"name": "shop", "namespace": INGRESS},
    "spec": {
        "selector": {"istio": "gateway"},
        "servers": [
            {
                "port": {"number": 443, "name": "https", "protocol": "HTTPS"},
                "tls": {"mode": "SIMPLE", "credentialName": SHOP["secretName"]},
                "hosts": [HOST],
            }
        ],
    },
}
ROUTE = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "VirtualService",
    "metadata": {"name": "shop", "namespace": INGRESS},
    "spec": {
        "hosts": [HOST],
        "gateways": ["shop"],
        "http": [{"directResponse": {"status": 200, "body": {"string": "open"}}}],
    },
}


def asked(port: int, root: bytes) -> tuple[str, int]:
    """What the shop answers to a client that trusts this root alone, and the serial of its certificate."""
    context = ssl.create_default_context(cadata=root.decode())
    with (
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
        context.wrap_socket(connection, server_hostname=HOST) as tls,
    ):
        tls.sendall(f"GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        text = answer.read().decode()
        served = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    return text, served.serial_number


class Clients(threading.Thread):
    """One request after the other, each on a connection of its own, until it is told to stop."""

    def __init__(self, port: int, root: bytes) -> None:
        super().__init__(daemon=True)
        self._port, self._root, self._over = port, root, threading.Event()
        self.answers: list[str] = []
        self.serials: list[int] = []

    def run(self) -> None:
        end = time.monotonic() + 300
        while not self._over.wait(0.05) and time.monotonic() < end:
            try:
                answer, serial = asked(self._port, self._root)
                self.serials.append(serial)
            except (OSError, http.client.HTTPException) as error:
                answer = repr(error)
            self.answers.append(answer)

    def stop(self) -> None:
        self._over.set()
        self.join(30)


@pytest.fixture
def ingress(mesh: None) -> Iterator[None]:
    remove_namespaces(INGRESS)
    namespace(INGRESS)
    yield
    helm("helm4", "uninstall", "gateway", "-n", INGRESS, check=False)
    remove_namespaces(INGRESS)


def stored() -> int:
    """The serial of the certificate in the Secret."""
    return x509.load_pem_x509_certificate(secret_data("shop-credential", INGRESS)["tls.crt"]).serial_number


def test_served_and_renewed(ingress: None, chart: Chart, gate: Path) -> None:
    """A client that trusts only the private root is served; after a renewal the new one is; no request is lost."""
    chart.install("helm4", gateways=[SHOP])
    assert get("secret", "shop-credential", INGRESS)["type"] == "kubernetes.io/tls"
    istiod.install("helm4", gate)
    istiod.ready()
    given = json.dumps(istiod.gateway_here())
    helm("helm4", "install", "gateway", str(istiod.PLACES["gateway"]), "-n", INGRESS, "--values", "-", given=given)
    kubectl("rollout", "status", "deployment/gateway", "-n", INGRESS, "--timeout=180s")
    apply_soon(SERVER, ROUTE)
    root, first = emulated_aws.root_pem("rsa-2"), stored()

    with port_forward("deployment/gateway", INGRESS, 443) as port:
        wait("the gateway to serve", lambda: opens(port, root))
        clients = Clients(port, root)
        clients.start()
        wait("requests", lambda: len(clients.answers) > 20)
        due_now("shop-credential", INGRESS)
        run_now(f"{RELEASE}-renewal", "renew", NAMESPACE)
        second = stored()
        wait("the gateway to serve the new one", lambda: second in clients.serials[-1:])
        clients.stop()
    done, lost = len(clients.answers), len(clients.answers) - clients.answers.count("open")
    print(f"\n{done} requests over a renewal, lost: {lost}")

    assert set(clients.answers) == {"open"}
    assert {first, second} == set(clients.serials)
    renewed = result("renew", NAMESPACE, f"{INGRESS}/shop-credential")
    assert (renewed["action"], result("renew", NAMESPACE)["action"]) == ("renewed", "kept")
    assert not exists("secret", "shop-credential-pending", INGRESS)


def opens(port: int, root: bytes) -> bool:
    try:
        return asked(port, root)[0] == "open"
    except (OSError, http.client.HTTPException):
        return False


LISTENER = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "Gateway",
    "metadata": {
        "name": "shop",
        "namespace": INGRESS,
        "annotations": {"networking.istio.io/service-type": "ClusterIP"},
    },
    "spec": {
        "gatewayClassName": "istio",
        "listeners": [
            {
                "name": "https",
                "port": 443,
                "protocol": "HTTPS",
                "hostname": HOST,
                "tls": {"mode": "Terminate", "certificateRefs": [{"name": SHOP["secretName"]}]},
            }
        ],
    },
}
REDIRECT = {
    "apiVersion": "gateway.networking.k8s.io/v1",
    "kind": "HTTPRoute",
    "metadata": {"name": "shop", "namespace": INGRESS},
    "spec": {
        "parentRefs": [{"name": "shop"}],
        "rules": [{"filters": [{"type": "RequestRedirect", "requestRedirect": {"hostname": "open.example.com"}}]}],
    },
}


@pytest.fixture
def gateway_api(ingress: None) -> Iterator[None]:
    if "GATEWAY_API_CRDS" not in os.environ:
        pytest.skip("GATEWAY_API_CRDS is not set: its kinds are not at hand (the node of tests/cluster has them)")
    kubectl("apply", "--server-side", "-f", os.environ["GATEWAY_API_CRDS"])
    established("gateways.gateway.networking.k8s.io", "httproutes.gateway.networking.k8s.io")
    yield
    kubectl("delete", "-f", os.environ["GATEWAY_API_CRDS"])


def test_gateway_api(gateway_api: None, chart: Chart, gate: Path) -> None:
    """A listener of the Kubernetes Gateway API, which Istio runs, serves it; after a renewal the new one."""
    chart.install("helm4", gateways=[SHOP])
    istiod.install("helm4", gate)
    istiod.ready()
    apply_soon(LISTENER, REDIRECT)
    wait("Istio to run it", lambda: exists("deployment", "shop-istio", INGRESS))
    kubectl("rollout", "status", "deployment/shop-istio", "-n", INGRESS, "--timeout=180s")
    root, first = emulated_aws.root_pem("rsa-2"), stored()

    with port_forward("deployment/shop-istio", INGRESS, 443) as port:

        def served() -> int:
            """The serial; 0 as long as it does not serve."""
            try:
                return asked(port, root)[1]
            except (OSError, http.client.HTTPException):
                return 0

        assert wait("the listener to serve", served) == first
        due_now("shop-credential", INGRESS)
        run_now(f"{RELEASE}-renewal", "renew", NAMESPACE)
        assert stored() != first
        wait("the listener to serve the new one", lambda: served() == stored())


def test_a_namespace_that_goes(ingress: None, chart: Chart) -> None:
    """A gateway's namespace that is not there any more fails the run by its name; the others are done."""
    namespace("other-ingress")
    try:
        chart.install("helm4", gateways=[{**SHOP, "namespace": "other-ingress"}, SHOP], retryFor="40s")
        remove_namespaces("other-ingress")
        kubectl("delete", "secret", "shop-credential", "-n", INGRESS)
        kubectl("create", "job", "again", f"--from=cronjob/{RELEASE}-renewal", "-n", NAMESPACE)
        kubectl("wait", "job/again", "-n", NAMESPACE, "--for=condition=failed", "--timeout=280s")
        lines = [json.loads(line) for line in kubectl("logs", "-n", NAMESPACE, "job/again").splitlines()]

        assert [one["action"] for one in lines if "action" in one] == ["kept", "issued"]
        (failure,) = [one for one in lines if "exitCode" in one]
        assert "other-ingress" in failure["message"]
        assert exists("secret", "shop-credential", INGRESS)
    finally:
        remove_namespaces("other-ingress")
