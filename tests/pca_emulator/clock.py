"""The emulator's clock: real time plus what tests add. It never goes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """`now()` decides about certificates, tokens of idempotency and sessions.

    What clients stamp with their own clock (signature dates, ServiceAccount tokens) is judged by `wall()`:
    else a test that moves a year ahead could not be talked to any more.
    """

    def __init__(self, wall: Callable[[], datetime] = wall_clock) -> None:
        self.wall = wall
        self._ahead = timedelta()
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self.wall() + self._ahead

    def advance(self, span: timedelta) -> None:
        if span < timedelta():
            raise ValueError("the clock does not go back")
        with self._lock:
            self._ahead += span
