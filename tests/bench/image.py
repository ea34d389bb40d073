"""The Job's image: what it weighs above its base, and what of it is heaviest. Reads the archive that the node made."""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def weight(file: Path) -> dict[str, Any]:
    """MB of the layer above the base, compressed and not, and its ten largest parts."""
    with tarfile.open(file) as image:

        def blob(digest: str) -> bytes:
            member = image.extractfile(f"blobs/sha256/{digest.removeprefix('sha256:')}")
            assert member is not None
            return member.read()

        index = image.extractfile("index.json")
        assert index is not None
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        *_, top = manifest["layers"]
        packed = blob(top["digest"])
    plain = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    parts: Counter[str] = Counter()
    with tarfile.open(fileobj=io.BytesIO(plain)) as layer:
        for member in layer:
            parts["/".join(member.name.split("/")[:5])] += member.size
    return {
        "compressed": round(len(gzip.compress(plain, 6)) / 1e6, 1),
        "uncompressed": round(sum(parts.values()) / 1e6, 1),
        "parts": {name: round(size / 1e6, 1) for name, size in parts.most_common(10)},
        "commit": subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
        ).stdout.strip(),
    }
