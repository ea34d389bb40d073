"""`python -m fleet`: the scenarios at full size; a table, and build/fleet.json with the same."""

from __future__ import annotations

import json
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fleet import scenarios
from fleet.clusters import DEADLINE, Report

SCENARIOS: dict[str, Callable[[], Any]] = {
    "1,000 at once": lambda: scenarios.cold_start(1000),
    "1,000 at once, half of the replies lost": lambda: scenarios.half_lost(1000),
    "1,000 at once, ten minutes of outage": lambda: scenarios.outage(1000),
    "1,000, renewed over a day": lambda: scenarios.renewal_day(1000),
    "10,000 over ten minutes": lambda: scenarios.cold_start(10_000, spread=600.0),
    "10,000, renewed over a day": lambda: scenarios.renewal_day(10_000),
    "one, a year": scenarios.year,
}


def described(found: Any) -> str:
    match found:
        case Report():
            least = scenarios.bound(found.clusters)
            return (
                f"{found.seconds:.0f} s (the slowest quota: {least:.0f} s), {found.billed} billed, {found.failed} failed, "
                f"{found.calls_each:.1f} calls each, the slowest Job {found.longest:.0f} s of {DEADLINE}"
            )
        case scenarios.Outage():
            return (
                f"{found.first.failed} Jobs failed in it, {found.first.billed} billed; all done by sync {found.rounds}, "
                f"{found.seconds:.0f} s after its end; {found.failed} left, {found.billed} billed"
            )
        case _:
            return str(found)


def main(target: Path) -> None:
    document: dict[str, Any] = {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": platform.platform(),
        "scenarios": {},
    }
    for name, scenario in SCENARIOS.items():
        begun = time.monotonic()
        found = scenario()
        print(f"{name}: {described(found)} [{time.monotonic() - begun:.0f} s here]", flush=True)
        document["scenarios"][name] = asdict(found)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document, indent=1))
    print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
