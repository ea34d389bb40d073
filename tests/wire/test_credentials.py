"""Every way to hold AWS credentials, and to reach AWS: the rows of docs/install.md, against the emulator."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from in_process import environment
from istio_pca.config import parse
from istio_pca.pca import AcmPca
from istio_pca.policy import pod_identity
from pca_emulator import Emulator, Role, Scenario, User
from wire.conftest import SERVICE_ACCOUNT, Cli, irsa_environment
from wire.test_ensure import config


@contextmanager
def served(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """An HTTP server on loopback, until the block ends."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def principals(emulator: Emulator) -> set[str]:
    return {request.principal.rpartition(":")[2] for request in emulator.requests if request.service == "acm-pca"}


def test_static_keys(cli: Cli, emulator: Emulator) -> None:
    """A laptop's: the variables of a shell."""
    cli.result("ensure", **config(emulator))

    assert principals(emulator) == {"user/emulator"}


def test_irsa(wheel: Path, tmp_path: Path) -> None:
    """A Pod's: its ServiceAccount token, by the chart's own volume or by the webhook's, is exchanged at STS."""
    with Emulator(Scenario(keys=("EC_prime256v1",), roles=(Role(service_accounts=(SERVICE_ACCOUNT,)),))) as emulator:
        variables = {**irsa_environment(emulator, tmp_path), "AWS_ROLE_SESSION_NAME": "istio-pca-blue"}
        Cli(wheel, tmp_path, variables).result("ensure", **config(emulator))

        assert principals(emulator) == {"assumed-role/istio-pca/istio-pca-blue"}


def pod_identity_environment(emulator: Emulator, folder: Path, account: str, audience: str) -> dict[str, str]:
    """A Pod's way to its node's agent."""
    token = folder / "token"
    token.write_text(emulator.token(account, aud=[audience]))
    return {
        **emulator.endpoints(),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{emulator.endpoint}/v1/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
    }


@pytest.mark.parametrize(
    ("account", "audience", "status"),
    [
        (SERVICE_ACCOUNT, "pods.eks.amazonaws.com", 0),
        ("istio-system/another", "pods.eks.amazonaws.com", 20),
        (SERVICE_ACCOUNT, "sts.amazonaws.com", 20),
    ],
)
def test_pod_identity(wheel: Path, tmp_path: Path, account: str, audience: str, status: int) -> None:
    """EKS Pod Identity: the agent gives credentials for a token of an associated ServiceAccount, for no other."""
    with Emulator(Scenario(keys=("EC_prime256v1",), roles=(Role(pod_identities=(SERVICE_ACCOUNT,)),))) as emulator:
        variables = pod_identity_environment(emulator, tmp_path, account, audience)
        answer = Cli(wheel, tmp_path, variables).run("ensure", config=config(emulator, retryFor="1s"))

        assert (answer.returncode, len(emulator.issued)) == (status, int(status == 0))
        # EKS names the session: eks-CLUSTER-POD-UUID
        known = {who.partition("-cluster-")[0] for who in principals(emulator)}
        assert known == (set() if status else {"assumed-role/istio-pca/eks"})


@pytest.mark.parametrize(("trusted", "status"), [(SERVICE_ACCOUNT, 0), ("istio-system/another", 20)])
def test_pod_identity_trust(wheel: Path, tmp_path: Path, trusted: str, status: int) -> None:
    """The trust policy that `istio-pca policy --pod-identity` prints is enough, and lets no other ServiceAccount in."""
    trust = pod_identity("111122223333", (trusted,)).trust
    role = Role(pod_identities=(SERVICE_ACCOUNT,), trust_policy=trust)
    with Emulator(Scenario(keys=("EC_prime256v1",), roles=(role,))) as emulator:
        variables = pod_identity_environment(emulator, tmp_path, SERVICE_ACCOUNT, "pods.eks.amazonaws.com")
        answer = Cli(wheel, tmp_path, variables).run("ensure", config=config(emulator, retryFor="1s"))

    assert (answer.returncode, len(emulator.issued)) == (status, int(status == 0))


def test_another_account(wheel: Path, tmp_path: Path) -> None:
    """`roleArn`: a role in the account of the CA is assumed; the session's name is the cluster's."""
    trust = {"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "*"}}]}
    roles = (Role(name="ca", trust_policy=trust),)
    with Emulator(Scenario(keys=("EC_prime256v1",), roles=roles)) as emulator:
        arn = "arn:aws:iam::111122223333:role/ca"
        Cli(wheel, tmp_path, emulator.environment()).result("ensure", **config(emulator, roleArn=arn))

        assert principals(emulator) == {"assumed-role/ca/istio-pca-blue"}


def test_a_shared_authority(wheel: Path, tmp_path: Path) -> None:
    """A CA of another account, shared by the policy that `istio-pca policy` prints: the user has none of its own."""
    arn = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/shared"
    elsewhere = "arn:aws:iam::444455556666:oidc-provider/oidc.example.com"
    bare = Cli(wheel, tmp_path / "bare", {})
    printed = bare.run(
        "policy", "--output", "json", "--oidc-provider", elsewhere, config={"certificateAuthorityArn": arn}
    )
    documents = json.loads(printed.stdout)
    user = User(account="444455556666", policy=documents["permissions"])
    only: Any = {"keys": ("EC_prime256v1",), "id": "shared", "policy": documents["share"]}
    with Emulator(Scenario(users=(user,), **only)) as emulator:
        Cli(wheel, tmp_path, emulator.environment()).result("ensure", **config(emulator))

        assert {request.principal.split(":")[4] for request in emulator.requests} == {"444455556666"}


def test_a_proxy(wheel: Path, tmp_path: Path, emulator: Emulator) -> None:
    """HTTP(S)_PROXY is used, for STS and ACM PCA alike."""
    through: list[str] = []

    class Proxy(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            through.append(self.path)
            where = urlsplit(self.path)
            body = self.rfile.read(int(self.headers["Content-Length"]))
            connection = http.client.HTTPConnection(where.netloc, timeout=10)
            connection.request("POST", where.path or "/", body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.headers["Content-Type"])
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with served(Proxy) as address:
        variables = {**emulator.environment(), "HTTP_PROXY": address, "NO_PROXY": ""}
        Cli(wheel, tmp_path, variables).result("ensure", **config(emulator))

    assert len(through) == len(emulator.requests) > 0


PLACES = {
    ("aws", "eu-west-1", ""): "https://acm-pca.eu-west-1.amazonaws.com",
    ("aws-us-gov", "us-gov-west-1", ""): "https://acm-pca.us-gov-west-1.amazonaws.com",
    ("aws-cn", "cn-north-1", ""): "https://acm-pca.cn-north-1.amazonaws.com.cn",
    ("aws", "us-east-1", "AWS_USE_FIPS_ENDPOINT"): "https://acm-pca-fips.us-east-1.amazonaws.com",
    ("aws", "eu-west-1", "AWS_USE_DUALSTACK_ENDPOINT"): "https://acm-pca.eu-west-1.api.aws",
}


@pytest.mark.parametrize("place", PLACES)
def test_places(place: tuple[str, str, str]) -> None:
    """Partition and region come from the CA's ARN, whatever the Pod says; FIPS and dual-stack by AWS' own variables."""
    partition, region, switch = place
    arn = f"arn:{partition}:acm-pca:{region}:111122223333:certificate-authority/x"
    keys = {"AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00", "AWS_SECRET_ACCESS_KEY": "x", "AWS_REGION": "eu-north-1"}
    with environment({**keys, **({switch: "true"} if switch else {})}):
        client = AcmPca(parse(f"certificateAuthorityArn: {arn}"))._client

    assert (client.meta.endpoint_url, client.meta.region_name) == (PLACES[place], region)
