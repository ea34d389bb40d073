"""What ships: the wheel, and the chart as a package. `python tests/shipped.py FOLDER` makes the latter for a registry.

The layout is what `helm push` would send to a registry; `oras copy --from-oci-layout FOLDER/oci:VERSION …` sends it.
Source: OCI image layout specification 1.1; Helm, "OCI-based registries".
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from tools import tools

ROOT = Path(__file__).parent.parent
CHART = ROOT / "chart"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.cncf.helm.config.v1+json"
LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


def wheel(folder: Path) -> Path:
    """The wheel, built and unpacked below this folder: what a Python path needs."""
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    shutil.unpack_archive(made, folder / "installed", "zip")
    return folder / "installed"


def chart(folder: Path) -> Path:
    """The chart's archive, in this folder."""
    helm = [str(tools() / "helm-4.3"), "package", str(CHART), "--destination", str(folder)]
    subprocess.run(helm, check=True, capture_output=True)
    (made,) = folder.glob("*.tgz")
    return made


def layout(archive: Path, folder: Path) -> None:
    """The archive as an OCI image layout, under the chart's version."""
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())

    def blob(content: bytes, kind: str, **more: Any) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        place = folder / "blobs" / "sha256"
        place.mkdir(parents=True, exist_ok=True)
        (place / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content), **more}

    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": blob(json.dumps(metadata).encode(), CONFIG),
        "layers": [blob(archive.read_bytes(), LAYER)],
        "annotations": {
            "org.opencontainers.image.title": metadata["name"],
            "org.opencontainers.image.version": metadata["version"],
            "org.opencontainers.image.description": metadata["description"],
            "org.opencontainers.image.source": metadata["sources"][0],
        },
    }
    name = {"org.opencontainers.image.ref.name": metadata["version"]}
    index = blob(json.dumps(manifest).encode(), MANIFEST, annotations=name)
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [index]}))
    (folder / "oci-layout").write_text(json.dumps({"imageLayoutVersion": "1.0.0"}))


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob("*.tgz"):
        old.unlink()
    made = chart(target)
    layout(made, target / "oci")
    print(made)
    print(target / "oci")
