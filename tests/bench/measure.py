"""A process, measured: wall time, CPU time and peak memory, as the kernel counts them."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


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
    begin = time.perf_counter()
    with subprocess.Popen(
        command, env=dict(environment), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        output, errors = run.stdout.read(), run.stderr.read()
        _, status, usage = os.wait4(run.pid, 0)
        run.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    assert run.returncode == 0, errors
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, output)


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
