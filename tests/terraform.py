"""Terraform, or OpenTofu, where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest


def terraform() -> str:
    """The program; skips the test where there is none."""
    found = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        pytest.skip("neither terraform nor tofu is installed, and no package registry has them")
    return found


def evaluated(folder: Path, expression: str, *arguments: str) -> Any:
    """What Terraform makes of an expression over this folder's files."""
    answer = subprocess.run(
        [terraform(), f"-chdir={folder}", "console", *arguments],
        input=f"jsonencode({expression})",
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(json.loads(answer.stdout))
