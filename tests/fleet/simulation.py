"""Simulated time: many runs of the real story, one at a time, each until it sleeps. A year takes as long as its work.

Every run is a thread of its own, since the story is written as one; the scheduler lets one go on, and waits until it
sleeps or ends. So the order of events follows from the clock alone, and a run can be repeated.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_STACK = 512 * 1024


class Simulation:
    """A clock that moves from one event to the next."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._events: list[tuple[float, int, threading.Event]] = []
        self._number = itertools.count()
        self._back = threading.Event()
        self._errors: list[BaseException] = []

    def monotonic(self) -> float:
        return self._seconds

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self._seconds)

    def sleep(self, seconds: float) -> None:
        """Of a run: let the others go on until then."""
        turn = threading.Event()
        self._at(self._seconds + max(0.0, seconds), turn)
        self._back.set()
        turn.wait()

    def start(self, after: float, work: Callable[[], None]) -> None:
        """Let a run begin so many seconds from now."""
        turn = threading.Event()

        def run() -> None:
            turn.wait()
            try:
                work()
            except BaseException as error:  # noqa: BLE001 -- handed on to whoever runs the simulation
                self._errors.append(error)
            finally:
                self._back.set()

        threading.stack_size(_STACK)
        threading.Thread(target=run, daemon=True).start()
        self._at(self._seconds + after, turn)

    def run(self) -> None:
        """Until nothing is left to happen."""
        while self._events:
            self._seconds, _, turn = heapq.heappop(self._events)
            self._back.clear()
            turn.set()
            self._back.wait()
            if self._errors:
                raise self._errors[0]

    def _at(self, seconds: float, turn: threading.Event) -> None:
        heapq.heappush(self._events, (seconds, next(self._number), turn))
