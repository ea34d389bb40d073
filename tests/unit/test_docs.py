"""Documents lead where they say: each link of a Markdown file to a file and a heading, each named test to a test."""

from __future__ import annotations

import ast
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


def test_each_by_each() -> None:
    """docs/install.md: the columns are the tests that run by every installer, and the rows are these installers."""
    table = (ROOT / "docs" / "install.md").read_text().partition("## Each by each")[2]
    columns = re.findall(r": `(test_\w+)`", table)
    rows = re.findall(r"^\|.*?\| `\[(\w+)\]` \|", table, re.MULTILINE)
    tests = (ROOT / "tests" / "e2e" / "test_credentials.py").read_text()
    installers = (ROOT / "tests" / "e2e" / "installers.py").read_text()

    assert columns == re.findall(r"^def (test_\w+)\(install: Install", tests, re.MULTILINE)
    assert tuple(rows) == ast.literal_eval(re.findall(r"^NAMES = (.*)$", installers, re.MULTILINE)[0])
