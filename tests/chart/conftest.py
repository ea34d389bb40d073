"""The real Helm binaries on the packaged chart."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from shipped import chart
from tools import tools

CHART = Path(__file__).parents[2] / "chart"
ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/12345678"
ROLE = "arn:aws:iam::111122223333:role/istio-pca"
HELMS = ("helm-3.17", "helm-4.3")

Document = dict[str, Any]
Render = Callable[..., list[Document]]
IRSA = {"serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": ROLE}}}


def helm(version: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(tools() / version), *arguments], check=check, capture_output=True, text=True)


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ships: the chart as a package."""
    return chart(tmp_path_factory.mktemp("package"))


@pytest.fixture(params=HELMS)
def version(request: pytest.FixtureRequest) -> str:
    """The oldest Helm that the chart promises, and the newest."""
    return str(request.param)


@pytest.fixture
def template(package: Path, version: str, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """`helm template` with these values, as Helm answers it."""

    def run(values: Document, *more: str) -> subprocess.CompletedProcess[str]:
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        arguments = ("template", "mesh", str(package), "--namespace", "platform", "--values", str(file), *more)
        return helm(version, *arguments, check=False)

    return run


@pytest.fixture
def render(template: Callable[..., subprocess.CompletedProcess[str]]) -> Callable[..., list[Document]]:
    """The objects that the chart makes of these values, beside the required one."""

    def run(values: Document | None = None, *more: str) -> list[Document]:
        given = values or {}
        config = {"certificateAuthorityArn": ARN, **given.get("config", {})}
        answer = template({**given, "config": config}, *more)
        assert answer.returncode == 0, answer.stderr
        return [document for document in yaml.safe_load_all(answer.stdout) if document]

    return run


def only(objects: list[Document], kind: str, *, test: bool = False, renewal: bool = False) -> Document:
    """The one object of this kind: of the Job, of the renewal, or of `helm test`."""
    (found,) = [
        one
        for one in objects
        if one["kind"] == kind
        and (one["metadata"].get("annotations", {}).get("helm.sh/hook") == "test") == test
        and (one["metadata"]["name"].endswith("-renewal")) == renewal
    ]
    return found


def annotations(one: Document, prefix: str) -> Document:
    """Those under this prefix, without it."""
    found = one["metadata"].get("annotations", {})
    return {key.partition("/")[2]: value for key, value in found.items() if key.startswith(prefix)}
