"""The examples as their readers use them: the marked lines changed, all else as it is."""

from __future__ import annotations

from pathlib import Path

from e2e.kubernetes import Document

FOLDER = Path(__file__).parents[2] / "examples"


def without_marked_lines(text: str) -> str:
    """What a reader has to fill in is taken out; the values of a test bring it."""
    return "\n".join(line for line in text.splitlines() if not line.endswith("# change"))


def merged(values: Document, more: Document) -> Document:
    """As Helm merges values files: the latter wins, but maps become one."""
    both = {
        key: merged(values[key], more[key])
        for key in values.keys() & more.keys()
        if isinstance(values[key], dict) and isinstance(more[key], dict)
    }
    return {**values, **more, **both}
