"""A registry for charts, on this machine's loopback: what `make package` makes is sent to it, and Istio's charts."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import yaml

import processes
import shipped
from e2e import istiod
from e2e.kubernetes import helm, run, wait


@contextlib.contextmanager
def serving(folder: Path, package: Path) -> Iterator[str]:
    """Its address, HOST:PORT; ours is below charts/, as the examples have it, and Istio's are below istio/."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = folder / "config.yaml"
    storage = {"filesystem": {"rootdirectory": str(folder / "storage")}}
    config.write_text(json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}}))
    with processes.running(folder, os.environ["REGISTRY"], "serve", config):
        wait("the registry", lambda: run("curl", "--silent", f"http://{address}/v2/", check=False).returncode == 0)
        _publish(folder, package, address)
        yield address


def _publish(folder: Path, package: Path, address: str) -> None:
    """Ours as a release pipeline sends it: the layout, by digests; Istio's by Helm."""
    shipped.layout(package, folder / "oci")
    version = yaml.safe_load((shipped.CHART / "Chart.yaml").read_text())["version"]
    there = f"docker://{address}/charts/istio-pca:{version}"
    source = f"oci:{folder / 'oci'}:{version}"
    run("skopeo", "--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", source, there)
    for chart in istiod.PLACES.values():
        made = helm("helm4", "package", str(chart), "--destination", str(folder)).stdout.split()[-1]
        helm("helm4", "push", made, f"oci://{address}/istio", "--plain-http")
