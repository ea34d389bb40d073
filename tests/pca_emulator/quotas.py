"""Calls per second and operation, as a bucket of one second that fills steadily. Off when there are no quotas."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping

from pca_emulator.errors import ServiceError


class Quotas:
    def __init__(self, per_second: Mapping[str, float] | None, seconds: Callable[[], float] = time.monotonic) -> None:
        self._per_second = dict(per_second or {})
        self._seconds = seconds
        self._left: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def spend(self, operation: str) -> None:
        """Take one call out of the bucket, or raise ThrottlingException."""
        rate = self._per_second.get(operation)
        if rate is None:
            return
        size = max(rate, 1.0)
        with self._lock:
            now = self._seconds()
            left, since = self._left.get(operation, (size, now))
            left = min(size, left + (now - since) * rate)
            self._left[operation] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise ServiceError("ThrottlingException", "Rate exceeded")
