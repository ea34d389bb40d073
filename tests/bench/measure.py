"""A process, measured: wall time, CPU time and peak memory, as the kernel counts them."""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_LOOK = 0.005
"""Seconds between two looks at its memory."""


@dataclass(frozen=True)
class Cost:
    """Of one process."""

    wall: float
    """Seconds."""
    cpu: float
    """Seconds, user and system."""
    rss: float
    """MiB at its peak."""
    output: str


def process(command: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Run it to its end; it must succeed."""
    with tempfile.TemporaryFile("w+") as output:
        begin = time.perf_counter()
        run = subprocess.Popen(command, env=dict(environment), stdout=output, stderr=subprocess.DEVNULL)
        peak, ended = 0.0, 0
        while not ended:
            peak = max(peak, _high_water(run.pid))
            time.sleep(_LOOK)
            ended, status, usage = os.wait4(run.pid, os.WNOHANG)
        wall = time.perf_counter() - begin
        run.returncode = os.waitstatus_to_exitcode(status)
        assert run.returncode == 0, f"{command} exits with {run.returncode}"
        output.seek(0)
        return Cost(wall, usage.ru_utime + usage.ru_stime, peak, output.read())


def _high_water(pid: int) -> float:
    """MiB. Not ru_maxrss: that counts what the parent had when it forked."""
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    except OSError:
        found = None
    return int(found[1]) / 1024 if found else 0.0


def timed(work: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def interleaved(rounds: int, works: Mapping[str, Callable[[], Any]]) -> dict[str, list[Any]]:
    """Each once, then each again: what the machine does meanwhile falls on all of them alike."""
    found: dict[str, list[Any]] = {name: [] for name in works}
    for number in range(rounds):
        for name, work in works.items():
            found[name].append(work())
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
    return found


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
