"""Fixtures: the emulator once, and for each test an empty mesh. A failing test shows what the cluster knows."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import shipped
from e2e import emulated_aws, installers, istiod, registry
from e2e.installers import NAMESPACE, RELEASE, Installer
from e2e.kubernetes import Document, exists, helm, kubectl, namespace, remove_namespaces, run

ROOT = Path(__file__).parents[2]
ELSEWHERE = "platform"
"""A namespace for a release that is not in istio-system."""
EXISTING = "platform-team"
"""A ServiceAccount that somebody else has made."""


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """A cluster is there, or nothing of this suite can be said."""
    if "KUBECONFIG" not in os.environ:
        pytest.fail("KUBECONFIG names no cluster; `make e2e` brings one up", pytrace=False)
    kubectl("get", "--raw", "/readyz")


@pytest.fixture(scope="session")
def aws(cluster: None) -> Iterator[None]:
    """The emulated AWS, which trusts the two ServiceAccounts of the release, also where it is in another namespace."""
    accounts = (RELEASE, f"{RELEASE}-renewal")
    everywhere = (f"{space}/{account}" for space in (NAMESPACE, ELSEWHERE) for account in accounts)
    emulated_aws.install(*everywhere, f"{NAMESPACE}/{EXISTING}")
    yield
    remove_namespaces(emulated_aws.NAMESPACE)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ships: the chart as a package."""
    return shipped.chart(tmp_path_factory.mktemp("chart"))


@pytest.fixture(scope="session")
def charts(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that has our chart, as it is published, and Istio's."""
    installers.must_be_here("REGISTRY")
    with registry.serving(tmp_path_factory.mktemp("registry"), package) as address:
        yield address


@pytest.fixture
def mesh(aws: None) -> Iterator[None]:
    """An empty istio-system, in which only restricted Pods may run, and an emulator that has forgotten everything."""
    sweep()
    namespace(NAMESPACE, **{"pod-security.kubernetes.io/enforce": "restricted"})
    emulated_aws.order("reset")
    for name in emulated_aws.AUTHORITIES:
        emulated_aws.order("status", authority=name, status="ACTIVE")
    yield
    sweep()


def sweep() -> None:
    istiod.remove("helm4")
    if exists("namespace", NAMESPACE, ""):
        helm("helm4", "uninstall", RELEASE, "-n", NAMESPACE, check=False)
        remove_namespaces(NAMESPACE)


@pytest.fixture(scope="module", params=installers.NAMES)
def installer(
    aws: None, package: Path, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Installer]:
    """Each in turn, kept for all tests of a file: what some need takes its time to start."""
    with installers.ready(request.param, tmp_path_factory.mktemp(request.param), package, request) as made:
        yield made


@pytest.fixture
def install(mesh: None, installer: Installer) -> Iterator[Callable[[Document], None]]:
    """Into an empty mesh, by each installer in turn."""
    yield installer.install
    installer.uninstall()


class Chart:
    """Our chart, as a user installs it; only AWS' address and the image differ."""

    def __init__(self, package: Path, folder: Path) -> None:
        self._package, self._folder = package, folder

    def document(self, authority: str = "rsa-2", more: Document | None = None, **config: object) -> Document:
        """The values of an install; `more` are those beside the config."""
        image = os.environ.get("IMAGE", "localhost/istio-pca:e2e").rpartition(":")
        return {
            "config": {"certificateAuthorityArn": emulated_aws.arn(authority), "clusterName": "e2e", **config},
            "image": {"repository": image[0], "tag": image[2], "pullPolicy": "Never"},
            "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": emulated_aws.ROLE}},
            "extraEnv": [
                {"name": "AWS_ENDPOINT_URL_ACM_PCA", "value": emulated_aws.ENDPOINT},
                {"name": "AWS_ENDPOINT_URL_STS", "value": emulated_aws.ENDPOINT},
            ],
            **(more or {}),
        }

    def values(self, authority: str, more: Document | None = None, **config: object) -> Path:
        """The same as a file."""
        file = self._folder / "values.yaml"
        file.write_text(json.dumps(self.document(authority, more, **config)))
        return file

    def install(
        self,
        version: str,
        authority: str = "rsa-2",
        *,
        check: bool = True,
        more: Document | None = None,
        **config: object,
    ) -> subprocess.CompletedProcess[str]:
        return self._helm(version, "install", check, self.values(authority, more, **config))

    def upgrade(
        self, version: str, authority: str = "rsa-2", *, check: bool = True, **config: object
    ) -> subprocess.CompletedProcess[str]:
        """`helm upgrade --install`, as pipelines have it."""
        return self._helm(version, "upgrade", check, self.values(authority, **config))

    def _helm(self, version: str, verb: str, check: bool, values: Path) -> subprocess.CompletedProcess[str]:
        more = ["--install"] if verb == "upgrade" else []
        place = (verb, *more, RELEASE, str(self._package), "-n", NAMESPACE)
        return helm(version, *place, "--values", str(values), "--timeout", "5m", check=check)


@pytest.fixture
def chart(package: Path, tmp_path: Path) -> Chart:
    return Chart(package, tmp_path)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """Values for istiod: what NOTES.txt tells to set."""
    file = tmp_path / "gate.yaml"
    file.write_text(json.dumps(istiod.GATE))
    return file


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """What a person would look at next, before the cleaning up takes it away."""
    report = yield
    if report.when in {"setup", "call"} and report.failed and "KUBECONFIG" in os.environ:
        report.sections.append(("the cluster", evidence()))
    return report


def evidence() -> str:
    parts = []
    for arguments in (
        ("get", "pods,jobs,secrets,events", "-A", "-o", "wide"),
        ("describe", "pods", "-n", NAMESPACE),
        ("logs", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=istio-pca", "--tail=50", "--prefix"),
        ("logs", "-n", NAMESPACE, "-l", "app=istiod", "--tail=50"),
        ("logs", "-n", emulated_aws.NAMESPACE, "-l", "app=aws", "--tail=50"),
    ):
        answer = run("kubectl", *arguments, check=False)
        parts.append(f"$ kubectl {' '.join(arguments)}\n{answer.stdout}{answer.stderr}")
    return "\n".join(parts)
