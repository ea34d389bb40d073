"""What the examples pass to the chart is accepted by it, and what they pass to istiod is the gate."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from chart.conftest import ARN, CHART, ROLE, Document, Render, only
from e2e.istiod import GATE

EXAMPLES = CHART.parent / "examples"


def documents(file: str) -> list[Document]:
    """With the marked lines changed, as a user would."""
    text = (EXAMPLES / file).read_text().replace("CA_ARN", ARN).replace("ROLE_ARN", ROLE)
    return list(yaml.safe_load_all(text))


def argocd() -> list[tuple[str, Document]]:
    (application,) = documents("argocd/application.yaml")
    return [(source["chart"], source["helm"].get("valuesObject", {})) for source in application["spec"]["sources"]]


def flux() -> list[tuple[str, Document]]:
    releases = [one["spec"] for one in documents("flux/mesh.yaml") if one["kind"] == "HelmRelease"]
    return [(one["chart"]["spec"]["chart"], one.get("values", {})) for one in releases]


def umbrella() -> list[tuple[str, Document]]:
    (values,) = documents("umbrella/values.yaml")
    for chart in values.values():
        chart.pop("enabled", None)  # Helm's own, by the condition in Chart.yaml
    return list(values.items())


@pytest.mark.parametrize("example", [argocd, flux, umbrella])
def test_values(render: Render, example: Callable[[], list[tuple[str, Document]]]) -> None:
    """Ours render a Job with IRSA; istiod's are the gate that NOTES.txt prints."""
    values = dict(example())
    objects = render(values["istio-pca"])
    (container,) = only(objects, "Job")["spec"]["template"]["spec"]["containers"]

    assert {"name": "AWS_ROLE_ARN", "value": ROLE} in container["env"]
    assert values["istiod"] == GATE


def test_argocd_waves(render: Render) -> None:
    """The Job comes in a wave of its own before istiod's, which has none and so is in wave 0."""
    job = only(render(dict(argocd())["istio-pca"]), "Job")

    assert job["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"] == "-5"


def test_applicationset(render: Render) -> None:
    """Each element gives a cluster a name and a role of its own."""
    (document,) = documents("argocd/applicationset.yaml")
    (generator,) = document["spec"]["generators"]
    source = document["spec"]["template"]["spec"]["source"]
    names = set()
    for element in generator["list"]["elements"]:
        text = yaml.safe_dump(source["helm"]["valuesObject"])
        for key, value in element.items():
            text = text.replace("{{ ." + key + " }}", value)
        job = only(render(yaml.safe_load(text)), "Job")
        (container,) = job["spec"]["template"]["spec"]["containers"]
        environment: dict[str, Any] = {one["name"]: one["value"] for one in container["env"]}
        assert environment["AWS_ROLE_ARN"] == element["roleArn"]
        names.add(environment["AWS_ROLE_SESSION_NAME"])

    assert names == {"istio-pca-blue", "istio-pca-green"}


def test_flux_order() -> None:
    """istiod waits for ours and for its CRDs; ours is tested before it counts as ready."""
    releases = {one["metadata"]["name"]: one["spec"] for one in documents("flux/mesh.yaml") if "chart" in one["spec"]}

    assert {one["name"] for one in releases["istiod"]["dependsOn"]} == {"istio-pca", "istio-base"}
    assert releases["istio-pca"]["test"]["enable"] is True


def test_versions() -> None:
    """The examples name the version of the chart that is beside them."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["version"]
    text = subprocess.run(
        ["grep", "-rhoE", r"(targetRevision|version): 0\.[0-9.]+", str(EXAMPLES)],
        check=True,
        capture_output=True,
        text=True,
    ).stdout

    assert {line.split()[1] for line in text.splitlines()} == {version}
