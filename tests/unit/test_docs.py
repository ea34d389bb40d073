"""Documents lead where they say: each relative link of a Markdown file is to a file, each anchor to a heading."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()


def anchors(file: Path) -> set[str]:
    """Of the headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", file.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def broken(file: Path) -> list[str]:
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", file.read_text()):
        path, _, anchor = link.partition("#")
        target = (file.parent / path) if path else file
        if "://" not in link and (not target.exists() or (anchor and anchor not in anchors(target))):
            found.append(link)
    return found


@pytest.mark.parametrize("name", FILES)
def test_links(name: str) -> None:
    """None leads nowhere."""
    assert broken(ROOT / name) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    """The check can fail."""
    file = tmp_path / "a.md"
    file.write_text("# Here\n[good](a.md#here) [good](https://example.com) [bad](b.md) [bad](a.md#there)\n")

    assert broken(file) == ["b.md", "a.md#there"]
