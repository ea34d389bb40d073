"""A real Flux beside the cluster: its controllers for charts and for releases. What is applied is reconciled.

Source: Flux, "Helm Releases", "Helm Repositories".
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

import processes
from e2e import examples, istiod
from e2e.kubernetes import Document, established, get, kubectl, wait

EXAMPLE = (examples.FOLDER / "flux" / "mesh.yaml").read_text()
_RELEASE, _REPOSITORY = "helmreleases.helm.toolkit.fluxcd.io", "helmrepositories.source.toolkit.fluxcd.io"
_ARTIFACTS = "127.0.0.1:18090"


@dataclass(frozen=True)
class Flux:
    """Of one namespace."""

    namespace: str

    def release(self, name: str) -> Document:
        return get(_RELEASE, name, self.namespace)

    def ready(self, *names: str) -> None:
        for name in names:
            wait(f"the HelmRelease {name}", lambda name=name: self._condition(name)[0] == "True", 400)

    def failure(self, name: str) -> str:
        """What it says of a release that failed."""
        return wait(f"{name} to fail", lambda: self._failed(name), 400)

    def _failed(self, name: str) -> str:
        status, text = self._condition(name, "Released")
        return text if status == "False" else ""

    def _condition(self, name: str, kind: str = "Ready") -> tuple[str, str]:
        """Status and message, of what is wished for now."""
        found = self.release(name)
        wished = {"type": kind, "observedGeneration": found["metadata"]["generation"]}
        conditions = found.get("status", {}).get("conditions", [])
        return next(((one["status"], one["message"]) for one in conditions if wished.items() <= one.items()), ("", ""))

    def uninstall(self) -> None:
        """With all that was brought."""
        for kind in (_RELEASE, _REPOSITORY):
            kubectl("delete", kind, "--all", "-n", self.namespace, "--timeout=240s")


@contextlib.contextmanager
def running(folder: Path, namespace: str) -> Iterator[Flux]:
    """Starts it, and takes it away with all that it brought."""
    place = Path(os.environ["FLUX"])
    kubectl("apply", "--server-side", "-f", str(place / "crds"))
    established(_RELEASE, _REPOSITORY, "helmcharts.source.toolkit.fluxcd.io")
    common = ("--metrics-addr", "127.0.0.1:0", "--health-addr", "127.0.0.1:0", "--log-level", "info")
    soon = ("--requeue-dependency", "2s")
    storage = ("--storage-path", folder, "--storage-addr", _ARTIFACTS, "--storage-adv-addr", _ARTIFACTS)
    flux = Flux(namespace)
    home = {"HOME": str(folder), "TMPDIR": str(folder)}
    with contextlib.ExitStack() as stack:
        stack.callback(kubectl, "delete", "-f", str(place / "crds"))
        for name, more in (("source-controller", storage), ("helm-controller", ())):
            stack.enter_context(
                processes.running(folder, place / "bin" / name, *common, *soon, *more, environment=home)
            )
        stack.callback(flux.uninstall)
        yield flux


def example(charts: str, values: Document) -> list[Document]:
    """With its marked lines changed; the charts come from the registry, and know this cluster's images."""
    known = {"istio-pca": values, "istio-base": {}, "istiod": istiod.here()}
    documents: list[Document] = list(yaml.safe_load_all(examples.without_marked_lines(EXAMPLE)))
    for one in documents:
        spec, name = one["spec"], one["metadata"]["name"]
        if one["kind"] == "HelmRepository":
            path = "charts" if name == "istio-pca" else "istio"
            spec.update(type="oci", url=f"oci://{charts}/{path}", insecure=True)
        else:
            spec["values"] = examples.merged(spec.get("values", {}), known[name])
            if name != "istio-pca":
                chart = spec["chart"]["spec"]
                chart["version"] = istiod.chart_version(chart["chart"])  # of the Istio that this cluster has
    return documents


def ours(charts: str, values: Document) -> list[Document]:
    """The example without Istio."""
    return [one for one in example(charts, values) if one["metadata"]["name"] == "istio-pca"]
