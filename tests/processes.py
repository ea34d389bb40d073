"""Programs that run beside a test for as long as a block lasts, each with its output in a file of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

_PATIENCE = 20
"""Seconds to end by itself."""


@contextlib.contextmanager
def running(folder: Path, *command: object, environment: Mapping[str, str] | None = None) -> Iterator[int]:
    """Its pid. It runs in the folder, where its log is; `environment` goes on top of ours."""
    program, *arguments = map(str, command)
    with (folder / f"{Path(program).name}.log").open("w") as log:
        run = subprocess.Popen(
            [program, *arguments],
            env={**os.environ, **(environment or {})},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        try:
            yield run.pid
        finally:
            run.terminate()
            try:
                run.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                run.kill()
                run.wait()
