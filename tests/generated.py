"""Writes the files that follow from the code: `python tests/generated.py`; with `--check` it fails when one differs.

docs/troubleshooting.md from the error classes, docs/reliability.md from the tests' tables, chart/values.schema.json
from the config, docs/status.svg from what `status` prints.
"""

from __future__ import annotations

import sys

import picture
import reliability
import troubleshooting
from chart import values_schema

WRITERS = {
    troubleshooting.FILE: troubleshooting.document,
    reliability.FILE: reliability.document,
    values_schema.FILE: values_schema.generated,
    picture.FILE: picture.document,
}

if __name__ == "__main__":
    stale = []
    for file, text in WRITERS.items():
        if sys.argv[1:] != ["--check"]:
            file.write_text(text())
        elif file.read_text() != text():
            stale.append(file.name)
    if stale:
        sys.exit(f"not what the code says: {', '.join(stale)}: make generated")
