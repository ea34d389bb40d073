"""Every way in which our chart comes into a cluster, behind one verb: install it with these values."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pytest
import yaml

from e2e import argocd, examples, flux, istiod
from e2e.argocd import ArgoCD
from e2e.flux import Flux
from e2e.kubernetes import Document, apply, completes, helm, kubectl

NAMESPACE = istiod.NAMESPACE
RELEASE = "istio-pca"


class Installer(Protocol):
    def install(self, values: Document) -> None:
        """Until the Job has succeeded."""

    def uninstall(self) -> None:
        """What nobody else takes away."""


@dataclass(frozen=True)
class ByHelm:
    package: Path

    def install(self, values: Document) -> None:
        arguments = ("install", RELEASE, str(self.package), "-n", NAMESPACE, "--values", "-", "--timeout", "5m")
        helm("helm4", *arguments, given=json.dumps(values))

    def uninstall(self) -> None:
        """With the mesh; see conftest."""


@dataclass(frozen=True)
class ByKubectl:
    package: Path

    def install(self, values: Document) -> None:
        self.applied(values)

    def applied(self, values: Document) -> str:
        """`helm template | kubectl apply`; the name of the Job, when it is done."""
        plain = ("--no-hooks", "--set", "job.mode=plain", "--values", "-")
        arguments = ("template", RELEASE, str(self.package), "-n", NAMESPACE, *plain)
        rendered = helm("helm4", *arguments, given=json.dumps(values)).stdout
        kubectl("apply", "-n", NAMESPACE, "-f", "-", given=rendered)
        (job,) = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] == "Job"]
        name: str = job["metadata"]["name"]
        completes(name, NAMESPACE)
        return name

    def uninstall(self) -> None:
        """With the namespace."""


@dataclass(frozen=True)
class ByUmbrella:
    """examples/umbrella, of which only ours is switched on."""

    folder: Path

    def install(self, values: Document) -> None:
        off = [part for name in ("base", "istiod") for part in ("--set", f"{name}.enabled=false")]
        arguments = ("install", "mesh", str(self.folder), "-n", NAMESPACE, "--values", "-", *off)
        helm("helm4", *arguments, given=json.dumps({"istio-pca": values}))

    def uninstall(self) -> None:
        helm("helm4", "uninstall", "mesh", "-n", NAMESPACE)


@dataclass(frozen=True)
class ByArgoCD:
    argo: ArgoCD

    def install(self, values: Document) -> None:
        apply(argocd.ours(self.argo, values, "argocd"))
        self.argo.healthy("mesh")

    def uninstall(self) -> None:
        self.argo.uninstall("mesh")


@dataclass(frozen=True)
class ByFlux:
    flux: Flux
    charts: str

    def install(self, values: Document) -> None:
        apply(*flux.ours(self.charts, values))
        self.flux.ready("istio-pca")

    def uninstall(self) -> None:
        self.flux.uninstall()


def umbrella(folder: Path, package: Path) -> Path:
    """A copy of the example without its marked lines, with its dependencies beside it."""
    shutil.copytree(examples.FOLDER / "umbrella", folder)
    values = folder / "values.yaml"
    values.write_text(examples.without_marked_lines(values.read_text()))
    (folder / "charts").mkdir()
    shutil.copy(package, folder / "charts")
    document = yaml.safe_load((folder / "Chart.yaml").read_text())
    for dependency in document["dependencies"]:
        if place := istiod.PLACES.get(dependency["name"]):
            shutil.copytree(place, folder / "charts" / dependency["name"])
            dependency["version"] = istiod.chart_version(dependency["name"])  # of the Istio that this cluster has
    (folder / "Chart.yaml").write_text(yaml.safe_dump(document))
    return folder


NAMES = ("helm", "kubectl", "umbrella", "argocd", "flux")


@contextlib.contextmanager
def ready(name: str, folder: Path, package: Path, request: pytest.FixtureRequest) -> Iterator[Installer]:
    """The installer of this name, with whatever it needs to run."""
    match name:
        case "kubectl":
            yield ByKubectl(package)
        case "umbrella":
            yield ByUmbrella(umbrella(folder / "umbrella", package))
        case "argocd":
            must_be_here("ARGOCD")
            with argocd.running(folder) as argo:
                yield ByArgoCD(argo)
        case "flux":
            must_be_here("FLUX")
            charts: str = request.getfixturevalue("charts")
            with flux.running(folder, NAMESPACE) as controllers:
                yield ByFlux(controllers, charts)
        case _:
            yield ByHelm(package)


def must_be_here(variable: str) -> None:
    """Skip, unless it says where the program is that a test starts."""
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: there is none to start (the node of tests/cluster has one)")
