"""What must be built to be measured: by the recipes of tests/cluster, into the cache that they share."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_NODE = Path(__file__).parents[1] / "cluster" / "node"


@dataclass(frozen=True)
class Parts:
    """Folders."""

    kube: Path
    etcd: Path
    peer: Path
    """cert-manager and aws-privateca-issuer."""
    base: Path
    job: Path
    """Our image."""


def built() -> Parts | str:
    """All of them, or why they cannot be built here."""
    if os.geteuid():
        return "this needs root"
    if not shutil.which("go"):
        return "Go is not installed"
    answer = subprocess.run(
        [_NODE, "parts", "kube", "etcd", "peer", "base", "job"], stdout=subprocess.PIPE, text=True, check=False
    )
    if answer.returncode:
        return "the parts could not be built"
    return Parts(*map(Path, answer.stdout.split()))
