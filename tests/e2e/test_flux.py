"""examples/flux by the API server's own check against Flux' kinds. Its helm-controller cannot be had as a Go module."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from e2e.conftest import ROOT
from e2e.kubernetes import established, kubectl, namespace, remove_namespaces, run

EXAMPLE = (ROOT / "examples" / "flux" / "mesh.yaml").read_text()
SPACE = "flux-test"


@pytest.fixture
def kinds(cluster: None) -> Iterator[None]:
    if "FLUX_CRDS" not in os.environ:
        pytest.skip("FLUX_CRDS is not set: Flux' kinds are not at hand (the node of tests/cluster has them)")
    namespace(SPACE)
    kubectl("apply", "--server-side", "-f", os.environ["FLUX_CRDS"])
    established("helmreleases.helm.toolkit.fluxcd.io", "helmrepositories.source.toolkit.fluxcd.io")
    yield
    remove_namespaces(SPACE)
    kubectl("delete", "-f", os.environ["FLUX_CRDS"])


def accepted(text: str) -> bool:
    here = text.replace("namespace: istio-system", f"namespace: {SPACE}")
    trial = ("kubectl", "apply", "--dry-run=server", "--validate=strict", "-f", "-")
    return run(*trial, given=here, check=False).returncode == 0


def test_example(kinds: None) -> None:
    """Every object is one of Flux', with no key that it does not know; a wrong one would be refused."""
    assert accepted(EXAMPLE)
    assert not accepted(EXAMPLE.replace("remediation:", "remedy:"))
    assert not accepted(EXAMPLE.replace("interval: 1h", "interval: hourly"))
