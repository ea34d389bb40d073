"""The usual other route, cert-manager with aws-privateca-issuer: real programs, a real API server, the same emulator.

No kubelet: the controllers are processes, as ours is, so the start of a Pod is counted for neither. Two of cert-manager's
Pods, the webhook and the CA injector, are not run: a Certificate that is well formed does not need them.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import secrets
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from bench.measure import interleaved, median, process, timed
from bench.parts import Parts
from istio_pca.errors import IstioPcaError
from istio_pca.kube import Namespace
from pca_emulator import Emulator
from processes import running
from tools import tools

ROUNDS = 5
_LOOK = 0.02
_SLOW = 60.0
"""Seconds: a bound for hangs."""
_WATCHED = 60.0
"""Seconds after a fault for which a Secret is waited for."""


def footprint(built: Parts) -> dict[str, int]:
    """What the two charts bring with their default values."""
    pods = 0
    for chart in sorted((built.peer / "charts").iterdir()):
        helm = [str(tools() / "helm-4.3"), "template", "x", str(chart)]
        text = subprocess.run(helm, check=True, capture_output=True, text=True).stdout
        pods += sum(one["spec"].get("replicas", 1) for one in _documents(text) if one["kind"] == "Deployment")
    return {"pods": pods, "crds": len(list((built.peer / "crds").glob("*.yaml")))}


class Route:
    """An API server with both routes to the same private CA."""

    def __init__(self, emulator: Emulator, kubeconfig: Path, ours: Mapping[str, str]) -> None:
        self._emulator = emulator
        self._kubeconfig = kubeconfig
        self._space = Namespace("istio-system", kubeconfig=str(kubeconfig))
        self._ours = {**ours, "KUBECONFIG": str(kubeconfig)}
        self._names = (f"theirs-{number}" for number in itertools.count())

    def ours(self) -> float:
        """Our whole process, from its start to the Secret."""
        self.kubectl("delete", "secret", "cacerts", "-n", "istio-system", "--ignore-not-found")
        ensure = [sys.executable, "-P", "-m", "istio_pca", "ensure", "--output", "json"]
        return process(ensure, self._ours).wall

    def theirs(self) -> float:
        """From `kubectl apply` of the Certificate to the Secret."""
        name = next(self._names)

        def work() -> None:
            assert self._given(name, _SLOW), "no Secret"

        return timed(work)

    def _given(self, name: str, seconds: float) -> bool:
        """Ask for a Certificate, and whether its Secret comes within so many seconds.

        Each has a name of its own: the issuer makes its idempotency token of the name, and a second one of the same
        name would within five minutes be given the certificate of the first one's key.
        """
        spec = {**CERTIFICATE["spec"], "secretName": name}
        wish = {**CERTIFICATE, "metadata": {"name": name, "namespace": "istio-system"}, "spec": spec}
        self.kubectl("apply", "-f", "-", given=json.dumps(wish))
        return _until(seconds, lambda: bool(self._space.call("GET", "secrets", name, missing_is_none=True)))

    def throttled(self) -> dict[str, Any]:
        """How long each takes when the first five IssueCertificate are throttled."""
        name = next(self._names)
        with self._throttled():
            ours = self.ours()
        with self._throttled():
            begin = time.perf_counter()
            made = self._given(name, _WATCHED)
            theirs = time.perf_counter() - begin
        found = json.loads(self.kubectl("get", "certificate", name, "-n", "istio-system", "-o", "json"))["status"]
        return {
            "ours": ours,
            "theirs": theirs if made else None,
            "watched": _WATCHED,
            "failedIssuanceAttempts": found.get("failedIssuanceAttempts", 0),
        }

    @contextlib.contextmanager
    def _throttled(self) -> Iterator[None]:
        self._emulator.fault("IssueCertificate", "throttle", calls="1-5")
        yield
        self._emulator.clear_faults()

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        command = [str(tools() / "kubectl"), "--kubeconfig", str(self._kubeconfig), *arguments]
        return subprocess.run(command, input=given, check=True, stdout=subprocess.PIPE, text=True).stdout


ISSUER = {
    "apiVersion": "awspca.cert-manager.io/v1beta1",
    "kind": "AWSPCAClusterIssuer",
    "metadata": {"name": "private-ca"},
}
CERTIFICATE: dict[str, Any] = {
    "apiVersion": "cert-manager.io/v1",
    "kind": "Certificate",
    "spec": {
        "isCA": True,
        "commonName": "Istio CA",
        "duration": "8760h",
        "privateKey": {"algorithm": "RSA", "size": 2048},
        "issuerRef": {"group": "awspca.cert-manager.io", "kind": ISSUER["kind"], "name": "private-ca"},
    },
}


def measured(folder: Path, emulator: Emulator, ours: Mapping[str, str], built: Parts) -> dict[str, Any]:
    """Both routes in turn; then with a fault at the beginning."""
    with _api_server(folder, built) as kubeconfig:
        route = Route(emulator, kubeconfig, ours)
        route.kubectl("create", "namespace", "istio-system")
        route.kubectl("apply", "--server-side", "-f", str(built.peer / "crds"))
        route.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        issuer = {**ISSUER, "spec": {"arn": emulator.ca_arn, "region": "eu-west-1"}}
        route.kubectl("apply", "-f", "-", given=json.dumps(issuer))
        with _controllers(folder, emulator, kubeconfig, built) as pids:
            route.theirs()  # the first one waits for the controllers' own start
            emulator.clear_requests()
            route.theirs()
            calls = [request.operation for request in emulator.requests]
            found = interleaved(ROUNDS, {"ours": route.ours, "theirs": route.theirs})
            memory = {name: _resident(pid) for name, pid in pids.items()}
            throttled = route.throttled()
    return {
        **footprint(built),
        "wall": {name: median(many) for name, many in found.items()},
        "calls": calls,
        "memory": memory,
        "throttled": throttled,
    }


@contextlib.contextmanager
def _api_server(folder: Path, built: Parts) -> Iterator[Path]:
    """etcd and a kube-apiserver on loopback; the kubeconfig of one who may do everything."""
    client, peer, secure = _ports(3)
    token = secrets.token_urlsafe(32)
    _private(folder / "tokens.csv", f'{token},admin,admin,"system:masters"\n'.encode())
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    _private(folder / "sa.key", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    _private(folder / "sa.pub", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    here = f"http://127.0.0.1:{client}"
    etcd = (
        *(built.etcd / "bin" / "etcd", "--data-dir", folder / "etcd", "--unsafe-no-fsync", "--log-level", "error"),
        *("--listen-client-urls", here, "--advertise-client-urls", here),
        *("--listen-peer-urls", f"http://127.0.0.1:{peer}"),
    )
    api_server = (
        *(built.kube / "bin" / "kube-apiserver", "--etcd-servers", here, "--cert-dir", folder / "certificates"),
        *("--bind-address", "127.0.0.1", "--secure-port", secure, "--authorization-mode", "AlwaysAllow"),
        *("--token-auth-file", folder / "tokens.csv", "--anonymous-auth=false"),
        *("--service-account-issuer", "https://bench.invalid", "--service-account-key-file", folder / "sa.pub"),
        *("--service-account-signing-key-file", folder / "sa.key", "--service-cluster-ip-range", "10.97.0.0/24"),
        "--disable-admission-plugins=ServiceAccount",
    )
    kubeconfig = folder / "kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{secure}", "certificate-authority": f"{folder}/certificates/apiserver.crt"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "bench",
        "contexts": [{"name": "bench", "context": {"cluster": "bench", "user": "admin"}}],
        "clusters": [{"name": "bench", "cluster": cluster}],
        "users": [{"name": "admin", "user": {"token": token}}],
    }
    _private(kubeconfig, json.dumps(document).encode())
    with running(folder, *etcd), running(folder, *api_server):
        ready = [str(tools() / "kubectl"), "--kubeconfig", str(kubeconfig), "get", "--raw", "/readyz"]
        if not _until(_SLOW, lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0):
            raise AssertionError((folder / "kube-apiserver.log").read_text()[-2000:])
        yield kubeconfig


@contextlib.contextmanager
def _controllers(folder: Path, emulator: Emulator, kubeconfig: Path, built: Parts) -> Iterator[dict[str, int]]:
    """Their processes, by name."""
    environment = {**emulator.environment(), "KUBECONFIG": str(kubeconfig), "AWS_REGION": "eu-west-1"}
    nowhere = ("--metrics-bind-address", "127.0.0.1:0", "--health-probe-bind-address", "127.0.0.1:0")
    programs = built.peer / "bin"
    with (
        running(folder, programs / "cert-manager", environment=environment) as first,
        running(folder, programs / "aws-privateca-issuer", *nowhere, environment=environment) as second,
    ):
        yield {"cert-manager": first, "aws-privateca-issuer": second}


def _until(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(IstioPcaError):
            if condition():
                return True
        time.sleep(_LOOK)
    return False


def _resident(pid: int) -> float:
    """MiB, now."""
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) / 1024


def _ports(count: int) -> list[int]:
    """Free ones of loopback, all different."""
    with contextlib.ExitStack() as stack:
        made = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in made]


def _private(file: Path, content: bytes) -> None:
    file.touch(mode=0o600)
    file.write_bytes(content)


def _documents(text: str) -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all(text) if one]
