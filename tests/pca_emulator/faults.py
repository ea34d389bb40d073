"""Faults on demand, by operation and number of call. It only tells which fault is due; others act it out."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from typing import Final

REFUSALS: Final = {
    "throttle": ("ThrottlingException", "Rate exceeded", 400),
    "throttle-retry-after": ("ThrottlingException", "Rate exceeded", 400),
    "500": ("InternalFailure", "The request processing has failed because of an unknown error.", 500),
    "503": ("ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503),
    "expired-token": ("ExpiredTokenException", "The security token included in the request is expired", 400),
}
"""Answered instead of doing anything."""
TRANSPORT: Final = ("drop-before-commit", "drop-after-commit", "slow", "truncated")
CHAIN_TAMPERINGS: Final = ("reversed-chain", "no-root", "crlf", "garbage")
TAMPERINGS: Final = (*CHAIN_TAMPERINGS, "wrong-key", "leaf", "foreign-signature", "chain-with-certificate")

_ANY_OPERATION: Final = (*REFUSALS, *TRANSPORT, "access-denied")
_ONLY: Final = {
    "IssueCertificate": ("failed",),
    "GetCertificate": ("pending", "failed", *TAMPERINGS),
    "GetCertificateAuthorityCertificate": CHAIN_TAMPERINGS,
    "AssumeRoleWithWebIdentity": ("idp-communication-error",),
}
OPERATIONS: Final = (
    *(
        "IssueCertificate",
        "GetCertificate",
        "DescribeCertificateAuthority",
        "GetCertificateAuthorityCertificate",
    ),
    *("ListPermissions", "ListTags", "AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity"),
)


def kinds(operation: str) -> tuple[str, ...]:
    """The faults that an operation can have."""
    return (*_ANY_OPERATION, *_ONLY.get(operation, ()))


@dataclass(frozen=True)
class Fault:
    operation: str
    """Or "*" for all."""
    kind: str
    calls: str = "*"
    """Which calls of the operation since the fault was given: "1", "2,4", "1-3", "3-", "*"."""
    seconds: float = 0.0
    """For `slow`; for `throttle-retry-after` what its header asks for, at least one."""

    def __post_init__(self) -> None:
        if self.operation not in {*OPERATIONS, "*"}:
            raise ValueError(f"fault: the operation {self.operation} is not one of {', '.join(OPERATIONS)}, *")
        if self.kind not in kinds(self.operation):
            raise ValueError(
                f"fault: {self.operation} cannot have {self.kind}, only {', '.join(kinds(self.operation))}"
            )
        if not re.fullmatch(r"\*|\d+(-\d*)?(,\d+(-\d*)?)*", self.calls):
            raise ValueError(f"fault: the calls {self.calls!r} are not like 1, 1-3, 3-, 1,4 or *")

    def hits(self, call: int) -> bool:
        if self.calls == "*":
            return True
        for part in self.calls.split(","):
            first, dash, last = part.partition("-")
            if int(first) <= call <= (int(last) if last else call if dash else int(first)):
                return True
        return False


class FaultPlan:
    """The faults that are set, each with its own count of calls."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._calls: list[int] = []

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._faults.append(fault)
            self._calls.append(0)

    def clear(self) -> None:
        with self._lock:
            self._faults, self._calls = [], []

    @property
    def faults(self) -> list[Fault]:
        with self._lock:
            return list(self._faults)

    def due(self, operation: str) -> Fault | None:
        """Count one call of an operation; the first fault that hits it, if any."""
        with self._lock:
            due = None
            for n, fault in enumerate(self._faults):
                if fault.operation in {operation, "*"}:
                    self._calls[n] += 1
                    if due is None and fault.hits(self._calls[n]):
                        due = fault
            return due
