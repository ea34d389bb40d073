"""Faults on demand: which operation fails, at which of its calls, and how."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass
from typing import Final

KINDS: Final = {
    "drop-before-commit": "the connection ends, nothing was done",
    "drop-after-commit": "it was done, the reply is lost",
    "throttle": "ThrottlingException",
    "error-500": "InternalFailure",
    "error-503": "ServiceUnavailable",
    "denied": "AccessDeniedException",
    "expired-token": "ExpiredTokenException",
    "slow": "the answer comes after `seconds`",
    "truncated": "the answer breaks off in the middle of its body",
    "pending": "GetCertificate: still in progress",
    "failed": "IssueCertificate: it will fail (RequestFailedException from GetCertificate)",
    "wrong-key": "IssueCertificate: a certificate for another key",
    "leaf": "IssueCertificate: a leaf in place of a CA",
    "reversed-chain": "GetCertificate: the root first",
    "rootless-chain": "GetCertificate: the chain without the root",
    "crlf": "GetCertificate: CRLF line ends",
    "garbage": "GetCertificate: no certificate at all",
}


@dataclass(frozen=True)
class Fault:
    operation: str
    kind: str
    calls: str = "*"
    """Which calls of the operation, counted from the moment that the fault is set: "1", "2-4", "3-", "*"."""
    seconds: float = 0.0

    def hits(self, call: int) -> bool:
        if self.calls == "*":
            return True
        first, dash, last = self.calls.partition("-")
        return int(first) <= call <= (int(last) if last else call if dash else int(first))


class Faults:
    """The faults in force. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._set: list[Fault] = []
        self._calls: Counter[Fault] = Counter()

    def add(self, fault: Fault) -> None:
        if fault.kind not in KINDS:
            raise ValueError(f"there is no fault {fault.kind}; there are {', '.join(KINDS)}")
        with self._lock:
            self._set.append(fault)
            self._calls.pop(fault, None)

    def clear(self) -> None:
        with self._lock:
            self._set.clear()
            self._calls.clear()

    def next(self, operation: str) -> dict[str, Fault]:
        """The faults that hit this call, by kind; the call is counted."""
        with self._lock:
            hit: dict[str, Fault] = {}
            for fault in self._set:
                if fault.operation in {operation, "*"}:
                    self._calls[fault] += 1
                    if fault.hits(self._calls[fault]):
                        hit[fault.kind] = fault
            return hit
