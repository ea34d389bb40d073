"""What is published: the package, its OCI layout, and the README that is made from values.yaml."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest
import yaml

from chart.conftest import CHART
from shipped import CONFIG, LAYER, layout

MAKEFILE = (CHART.parent / "Makefile").read_text()


def test_layout(package: Path, tmp_path: Path) -> None:
    """From the index by way of digests to the very package, with the chart's metadata beside it."""
    layout(package, tmp_path)

    def blob(descriptor: dict[str, object]) -> bytes:
        kind, _, digest = str(descriptor["digest"]).partition(":")
        content = (tmp_path / "blobs" / kind / digest).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, descriptor["size"])
        return content

    (entry,) = json.loads((tmp_path / "index.json").read_text())["manifests"]
    manifest = json.loads(blob(entry))
    (layer,) = manifest["layers"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert entry["annotations"]["org.opencontainers.image.ref.name"] == chart["version"]
    assert (manifest["config"]["mediaType"], layer["mediaType"]) == (CONFIG, LAYER)
    assert json.loads(blob(manifest["config"])) == chart
    assert blob(layer) == package.read_bytes()


def test_what_is_in_it(package: Path) -> None:
    """Templates, values, schema and README; neither sources of the README nor tests' leftovers."""
    with tarfile.open(package) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {"Chart.yaml", "values.yaml", "values.schema.json", "README.md"} <= names
    assert not [name for name in names if name.endswith((".gotmpl", ".tgz", ".orig"))]


def test_one_version_in_step() -> None:
    """Artifact Hub is told the image of this version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    (image,) = yaml.safe_load(chart["annotations"]["artifacthub.io/images"])
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert image["image"] == f"{values['image']['repository']}:{chart['appVersion']}"


def test_readme_has_every_value() -> None:
    """Each key has a row, with a description."""
    rows = dict(re.findall(r"^\| ([\w.]+) \| \w+ \| .*? \| (.*?) \|$", (CHART / "README.md").read_text(), re.MULTILINE))
    del rows["Key"]
    values = yaml.safe_load((CHART / "values.yaml").read_text())

    assert set(values) == {key.partition(".")[0] for key in rows}
    assert [key for key, text in rows.items() if not text and not key.startswith("resources.")] == []


@pytest.mark.timeout(600)  # helm-docs is built, when Go has not done it yet
def test_readme_is_generated(tmp_path: Path) -> None:
    """It is what helm-docs makes of values.yaml now."""
    if not shutil.which("go"):
        pytest.skip("Go is not installed: helm-docs cannot be built")
    found = re.search(r"^HELM_DOCS := (\S+)$", MAKEFILE, re.MULTILINE)
    assert found
    copy = tmp_path / "chart"
    shutil.copytree(CHART, copy)
    (copy / "README.md").unlink()
    subprocess.run(["go", "run", found[1], f"--chart-search-root={copy}", "--log-level=warning"], check=True)

    assert (copy / "README.md").read_text() == (CHART / "README.md").read_text()
