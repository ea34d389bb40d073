"""What can go wrong, and how each ends: data for the tests that cause it and for docs/reliability.md.

An outcome is an exit code of `istio-pca ensure`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

KILL_POINTS: Final = {
    "first certificate": 22,
    "renewal": 22,
    "first certificate of a gateway": 20,
    "renewal of a gateway": 20,
}
"""Before and after each outside call; measured by the sweeps, which fail when the number is another one."""


@dataclass(frozen=True)
class Fault:
    """A way to go wrong."""

    meaning: str
    once: int
    """The outcome if it happens once."""
    always: int
    """The outcome if it does not end."""
    bought: int = 1
    """Certificates that are bought until it is done, when it happens once and the run is repeated as needed."""


AWS: Final = {
    "throttle": Fault("throttled", 0, 20),
    "throttle-retry-after": Fault("throttled, with Retry-After", 0, 20),
    "500": Fault("500 InternalFailure", 0, 20),
    "503": Fault("503 ServiceUnavailable", 0, 20),
    "expired-token": Fault("the session token has ended in mid-run", 0, 20),
    "access-denied": Fault("denied (IAM settles late, or for good)", 0, 13),
    "drop-before-commit": Fault("the connection is lost before it is done", 0, 20),
    "drop-after-commit": Fault("it is done, and the reply is lost", 0, 20),
    "slow": Fault("it is done, and the reply comes after the read timeout", 0, 20),
    "truncated": Fault("the reply is cut short", 0, 20),
    "idp-communication-error": Fault("STS cannot reach the cluster's OIDC provider", 0, 20),
    "pending": Fault("not issued yet", 0, 20),
    "failed": Fault("ACM PCA gives up on the request", 12, 12),
    "crlf": Fault("CRLF line ends", 0, 0),
    "chain-with-certificate": Fault("the chain begins with the certificate itself", 12, 12, bought=2),
    "garbage": Fault("no PEM at all", 12, 12, bought=2),
    "wrong-key": Fault("a certificate for another key", 12, 12, bought=2),
    "leaf": Fault("a leaf instead of a CA", 12, 12, bought=2),
    "foreign-signature": Fault("signed by another CA", 12, 12, bought=2),
    "reversed-chain": Fault("the chain in reverse", 12, 12, bought=2),
    "no-root": Fault("the chain without its root", 12, 12, bought=2),
}
UNBOUGHT: Final = {"GetCertificateAuthorityCertificate"}
"""Asked before anything is bought: a lie here costs nothing."""
BOUGHT: Final = {("GetCertificate", "failed"): 2}
"""It was signed, and then said to have failed."""

KUBERNETES: Final = {
    "401": Fault("the token is not known", 0, 13),
    "403": Fault("RBAC does not allow it (yet)", 0, 13),
    "409": Fault("somebody else was faster", 0, 20),
    "422": Fault("an admission policy refuses it", 11, 11),
    "429": Fault("throttled, with Retry-After", 0, 20),
    "500": Fault("500", 0, 20),
    "503": Fault("503", 0, 20),
    "504": Fault("504", 0, 20),
    "drop-before": Fault("the connection is lost before it is done", 0, 20),
    "drop-after": Fault("it is done, and the reply is lost", 0, 20),
    "slow": Fault("it is done, and the reply comes after the read timeout", 0, 20),
    "truncated": Fault("the reply is cut short", 0, 20),
}
ENDLESS: Final = ("403", "422", "503")
"""Of these the endless case is tried on every call: the others end by the same three ways."""

KUBERNETES_CALLS: Final = (
    "GET cacerts",
    "GET cacerts-pending",
    "GET istio-ca-root-cert",
    "POST cacerts-pending",
    "GET cacerts",
    "PUT cacerts-pending",
    "POST cacerts",
    "DELETE cacerts-pending",
    "GET endpointslices",
    "POST Event",
)
"""Of a first certificate, in order; compared with a recorded run."""
NEWS: Final = ("GET endpointslices", "POST Event")
"""Made when all is done: a failure of these changes nothing."""

STATES: Final = {
    "the namespace is missing": 11,
    "the namespace is being deleted": 11,
    "a ValidatingAdmissionPolicy refuses cacerts": 11,
    "cacerts is immutable, and due": 11,
    "cacerts is deleted between read and write": 0,
    "the journal is deleted in mid-run": 0,
}
"""States of the cluster that are made for real, and how a run under them ends."""

VERDICTS: Final = {
    "good": ("serves", True),
    "root not in the chain": ("serves", True),
    "two roots": ("serves", True),
    "for servers only": ("serves", False),
    "reversed chain": ("serves", False),
    "may not sign": ("unusable", False),
    "names that exclude SPIFFE": ("unusable", False),
    "the issuer allows no CA below": ("unusable", False),
    "intermediate missing": ("unusable", False),
    "another key": ("ended", False),
    "another root": ("ended", False),
    "a leaf": ("ended", False),
    "ended": ("ended", False),
    "begins tomorrow": ("ended", False),
    "the issuing CA ended": ("ended", False),
    "the subordinate is missing": ("ended", False),
    "chain is empty": ("ended", False),
    "chain is garbage": ("ended", False),
    "certificate is garbage": ("ended", False),
    "key is garbage": ("ended", False),
    "no root": ("ended", False),
    "no key": ("ended", False),
}
"""Bundles: what becomes of an istiod that is given one, and whether we accept it.

`serves`: workloads can use what it signs; `unusable`: it starts, and no peer believes what it signs; `ended`: it does
not start.
"""
