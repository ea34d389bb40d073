"""docs/walkthrough.md as its tests run it: the `sh` blocks in one shell, and the programs that a reader would have."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools import aws_cli

TEXT = (Path(__file__).parent.parent / "docs" / "walkthrough.md").read_text()


@dataclass(frozen=True)
class Block:
    section: int
    text: str


def blocks() -> list[Block]:
    """All of them, in order."""
    found, section = [], 0
    for heading, text in re.findall(r"^## (\d+)\.|^```sh\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL):
        if heading:
            section = int(heading)
        else:
            found.append(Block(section, text))
    return found


def run(programs: str, wanted: list[Block], folder: Path, environment: Mapping[str, str]) -> dict[int, str]:
    """What each section says on its standard output; a command that fails ends it all."""
    ours = f"""
set -euo pipefail
istio-pca() {{ {shlex.quote(sys.executable)} -m istio_pca "$@"; }}
aws() {{ {shlex.join(aws_cli())} "$@"; }}
"""
    script = "\n".join([ours, programs, *(f"printf '\\n== {block.section}\\n'\n{block.text}" for block in wanted)])
    answer = subprocess.run(
        ["bash"], input=script, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    parts = re.split(r"^== (\d+)\n", answer.stdout, flags=re.MULTILINE)[1:]
    said: dict[int, str] = {}
    for section, text in zip(parts[::2], parts[1::2], strict=True):
        said[int(section)] = f"{said.get(int(section), '')}\n{text}".strip()
    return said
