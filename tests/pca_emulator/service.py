"""The operations of ACM PCA, on real authorities: idempotency, asynchronous issuance, states, quotas.

Source: AWS Private CA API Reference. No HTTP and no permissions here.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509

from pca_emulator import templates
from pca_emulator.authority import Authority, build, new_key, pem, read_csr, san_of
from pca_emulator.clock import Clock
from pca_emulator.errors import AwsError
from pca_emulator.scenario import Scenario
from pca_emulator.templates import TEMPLATES

TOKEN_LIVES: Final = timedelta(minutes=5)
QUOTAS: Final = {
    "IssueCertificate": 25,
    "GetCertificate": 75,
    "DescribeCertificateAuthority": 20,
    "GetCertificateAuthorityCertificate": 20,
    "ListTags": 20,
    "ListPermissions": 5,
}
"""Requests per second, account and Region: AWS' defaults."""


@dataclass(frozen=True)
class Issued:
    """One certificate that AWS would bill."""

    arn: str
    authority_arn: str
    template: str
    token: str
    at: datetime
    ready: datetime
    certificate: x509.Certificate
    failed: bool = False


class PrivateCaService:
    """State behind the API. Thread-safe."""

    def __init__(self, scenario: Scenario, clock: Clock) -> None:
        self._clock, self._scenario = clock, scenario
        self._lock = threading.Lock()
        self._recent: dict[str, deque[datetime]] = {name: deque() for name in QUOTAS}
        built = [build(spec, clock.now()) for spec in scenario.authorities]
        self.authorities: dict[str, Authority] = {one.arn: one for one in built}
        self.issued: list[Issued] = []
        self.operations: Mapping[str, Callable[[dict[str, Any], Collection[str]], dict[str, Any]]] = {
            "DescribeCertificateAuthority": self._describe,
            "GetCertificateAuthorityCertificate": self._authority_certificate,
            "IssueCertificate": self._issue,
            "GetCertificate": self._get,
            "ListPermissions": self._permissions,
            "ListTags": self._tags,
        }

    def throttle(self, operation: str) -> None:
        """Count the call; ThrottlingException over the quota."""
        if not self._scenario.quotas:
            return
        now = self._clock.now()
        with self._lock:
            recent = self._recent[operation]
            while recent and now - recent[0] >= timedelta(seconds=1):
                recent.popleft()
            if len(recent) >= QUOTAS[operation]:
                raise AwsError("ThrottlingException", "Rate exceeded")
            recent.append(now)

    def _authority(self, given: Mapping[str, Any]) -> Authority:
        arn = given["CertificateAuthorityArn"]
        if arn not in self.authorities:
            raise AwsError("ResourceNotFoundException", f"Could not find Certificate Authority {arn}.")
        return self.authorities[arn]

    def _describe(self, given: dict[str, Any], _: Collection[str]) -> dict[str, Any]:
        return {"CertificateAuthority": self._authority(given).describe()}

    def _authority_certificate(self, given: dict[str, Any], _: Collection[str]) -> dict[str, Any]:
        authority = self._authority(given)
        if authority.status in {"CREATING", "PENDING_CERTIFICATE", "DELETED", "FAILED"}:
            raise AwsError(
                "InvalidStateException",
                f"The certificate authority {authority.arn} is not in the correct state "
                "to have a certificate signing request",
            )
        above = {"CertificateChain": pem(*authority.above)} if authority.above else {}
        return {"Certificate": pem(authority.certificate), **above}

    def _permissions(self, given: dict[str, Any], _: Collection[str]) -> dict[str, Any]:
        self._authority(given)
        return {"Permissions": []}

    def _tags(self, given: dict[str, Any], _: Collection[str]) -> dict[str, Any]:
        self._authority(given)
        return {"Tags": []}

    def _issue(self, given: dict[str, Any], faults: Collection[str]) -> dict[str, Any]:
        authority, now = self._authority(given), self._clock.now()
        if authority.status != "ACTIVE":
            raise AwsError(
                "InvalidStateException", "The certificate authority is not in a valid state for issuing certificates"
            )
        template_arn = given.get("TemplateArn") or templates.arn(authority.partition)
        template = templates.find(template_arn, authority.partition)
        if "leaf" in faults:
            template = TEMPLATES[templates.DEFAULT]
        csr = read_csr(given["Csr"])
        end = _end(given["Validity"], now)
        authority.check_request(given["SigningAlgorithm"], template, end, now)
        key = new_key("EC_prime256v1").public_key() if "wrong-key" in faults else csr.public_key()
        token = given.get("IdempotencyToken", "")
        with self._lock:
            earlier = self._by_token(authority.arn, token, now)
            if earlier:
                return {"CertificateArn": earlier.arn}
            certificate = authority.sign(csr.subject, key, template, given["SigningAlgorithm"], end, now, san_of(csr))
            made = Issued(
                arn=f"{authority.arn}/certificate/{certificate.serial_number:032x}",
                authority_arn=authority.arn,
                template=template_arn,
                token=token,
                at=now,
                ready=now + timedelta(seconds=self._scenario.issue_delay),
                certificate=certificate,
                failed="failed" in faults,
            )
            self.issued.append(made)
        return {"CertificateArn": made.arn}

    def _by_token(self, authority_arn: str, token: str, now: datetime) -> Issued | None:
        """What the same token got within five minutes, whatever the other parameters were then."""
        for made in reversed(self.issued):
            if token and (made.authority_arn, made.token) == (authority_arn, token) and now - made.at < TOKEN_LIVES:
                return made
        return None

    def _get(self, given: dict[str, Any], faults: Collection[str]) -> dict[str, Any]:
        authority = self._authority(given)
        if authority.status in {"DISABLED", "DELETED", "PENDING_CERTIFICATE", "CREATING", "FAILED"}:
            raise AwsError(
                "InvalidStateException",
                f"The certificate authority {authority.arn} is not in the correct state to have issued certificates.",
            )
        found = [
            one for one in self.issued if one.arn == given["CertificateArn"] and one.authority_arn == authority.arn
        ]
        if not found:
            raise AwsError("ResourceNotFoundException", f"Could not find certificate {given['CertificateArn']}.")
        (made,) = found
        if self._clock.now() < made.ready or "pending" in faults:
            raise AwsError("RequestInProgressException", "The request to issue the certificate is still in progress.")
        if made.failed:
            raise AwsError("RequestFailedException", "The certificate request has failed.")
        return _spoiled(pem(made.certificate), authority.chain, faults)


def _spoiled(certificate: str, chain: tuple[x509.Certificate, ...], faults: Collection[str]) -> dict[str, Any]:
    if "reversed-chain" in faults:
        chain = chain[::-1]
    if "rootless-chain" in faults:
        chain = chain[:-1] or chain
    answer = {"Certificate": certificate, "CertificateChain": pem(*chain)}
    if "crlf" in faults:
        answer = {name: text.replace("\n", "\r\n") for name, text in answer.items()}
    if "garbage" in faults:
        answer["Certificate"] = "-----BEGIN CERTIFICATE-----\nbm90IGEgY2VydGlmaWNhdGU=\n-----END CERTIFICATE-----"
    return answer


def _end(validity: Mapping[str, Any], now: datetime) -> datetime:
    """API Reference, Validity."""
    value, kind = validity["Value"], validity["Type"]
    try:
        match kind:
            case "ABSOLUTE":
                return datetime.fromtimestamp(value, UTC)
            case "END_DATE":
                text = f"{value:012d}" if value < 10**12 else str(value)
                if len(text) == 12:
                    text = ("19" if int(text[:2]) >= 50 else "20") + text
                return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
            case "DAYS":
                return now + timedelta(days=value)
            case "MONTHS":
                return now + timedelta(days=value * 30)
            case _:
                return now + timedelta(days=value * 365)
    except (ValueError, OverflowError, OSError):
        raise AwsError("ValidationException", f"The validity {value} {kind} is not valid.") from None
