"""The operations of ACM PCA on the authorities: parameters in, answer out. It knows no caller, signature or HTTP."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from pca_emulator import csr, keys, templates, validity
from pca_emulator.authority import Authority, Order, Subject, pem, pem_chain
from pca_emulator.clock import Clock
from pca_emulator.errors import ServiceError, not_emulated

IDEMPOTENT_FOR: Final = timedelta(minutes=5)
_HAS_CERTIFICATE: Final = frozenset({"ACTIVE", "DISABLED", "EXPIRED"})
_NEVER_HAD_ONE: Final = frozenset({"CREATING", "PENDING_CERTIFICATE", "FAILED"})
_SUBJECT_FIELDS: Final = {
    NameOID.COUNTRY_NAME: "Country",
    NameOID.ORGANIZATION_NAME: "Organization",
    NameOID.COMMON_NAME: "CommonName",
}


@dataclass(frozen=True)
class IssuedCertificate:
    """One certificate that was issued, and billed."""

    arn: str
    authority_arn: str
    serial: str
    template: str
    signing_algorithm: str
    token: str
    issued_at: datetime
    ready_at: datetime
    certificate: x509.Certificate
    failed: bool = False

    @property
    def pem(self) -> str:
        return pem(self.certificate)


class PrivateCaService:
    """All authorities of an emulator, and what they have issued."""

    def __init__(self, authorities: Iterable[Authority], clock: Clock, issue_delay: float) -> None:
        self.authorities = {authority.arn: authority for authority in authorities}
        self.issue_delay = timedelta(seconds=issue_delay)
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedCertificate] = {}
        self._tokens: dict[tuple[str, str], IssuedCertificate] = {}
        self.operations: dict[str, Callable[[Authority, dict[str, Any]], dict[str, Any]]] = {
            "DescribeCertificateAuthority": self._describe,
            "IssueCertificate": self._issue,
            "GetCertificate": self._get,
            "GetCertificateAuthorityCertificate": self._get_authority_certificate,
            "ListPermissions": lambda _authority, _parameters: {"Permissions": []},
            "ListTags": self._list_tags,
        }

    @property
    def issued(self) -> list[IssuedCertificate]:
        with self._lock:
            return list(self._issued.values())

    def authority(self, arn: str, region: str) -> Authority:
        """The authority of this ARN, for a request to this region's endpoint."""
        parts = arn.split(":", 5)
        if not parts[5].startswith("certificate-authority/") or parts[5].count("/") != 1:
            raise ServiceError("InvalidArnException", f"Invalid certificate authority ARN: {arn}")
        found = self.authorities.get(arn)
        if found is None or found.spec.region != region:
            raise ServiceError("ResourceNotFoundException", f"Could not find Certificate Authority {arn}.")
        return found

    def fail(self, arn: str) -> None:
        """Let a certificate that is being issued come to nothing: its ARN stays, and answers RequestFailed."""
        with self._lock:
            self._issued[arn] = replace(self._issued[arn], failed=True)

    def certificate(self, authority: Authority, arn: str) -> IssuedCertificate:
        found = self._issued.get(arn)
        if found is None or found.authority_arn != authority.arn:
            raise ServiceError("ResourceNotFoundException", f"Could not find certificate {arn}.")
        return found

    def _issue(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        with self._lock:  # the same token twice at once is one certificate
            now = self._clock.now()
            token = parameters.get("IdempotencyToken", "")
            earlier = self._tokens.get((authority.arn, token)) if token else None
            # AWS documents no error for other parameters with the same token: the earlier ARN is the answer
            if earlier is None or now - earlier.issued_at >= IDEMPOTENT_FOR:
                earlier = self._signed(authority, parameters, now)
                self._issued[earlier.arn] = earlier
                if token:
                    self._tokens[authority.arn, token] = earlier
            return {"CertificateArn": earlier.arn}

    def _signed(self, authority: Authority, parameters: dict[str, Any], now: datetime) -> IssuedCertificate:
        if authority.status(now) != "ACTIVE":
            text = "The certificate authority is not in a valid state for issuing certificates"
            raise ServiceError("InvalidStateException", text)
        if "ApiPassthrough" in parameters:
            raise not_emulated("ApiPassthrough")
        partition = authority.spec.partition
        template = templates.find(parameters.get("TemplateArn") or templates.default_arn(partition), partition)
        if template is templates.ROOT:
            raise not_emulated("Signing a root's certificate by the API")
        applicant = csr.read(parameters["Csr"])
        algorithm = parameters["SigningAlgorithm"]
        keys.check_family(algorithm, authority.signer.key_algorithm)
        _check_path_length(template, authority.path_length())
        start, end = validity.period(
            parameters["Validity"],
            parameters.get("ValidityNotBefore"),
            now,
            authority.end,
            authority.spec.usage_mode,
        )
        subject = Subject(applicant.subject, applicant.public_key, applicant.alternative_names)
        certificate = authority.signer.sign(subject, Order(template, algorithm, start, end))
        serial = f"{certificate.serial_number:032x}"
        return IssuedCertificate(
            arn=f"{authority.arn}/certificate/{serial}",
            authority_arn=authority.arn,
            serial=serial,
            template=template.name,
            signing_algorithm=algorithm,
            token=parameters.get("IdempotencyToken", ""),
            issued_at=now,
            ready_at=now + self.issue_delay,
            certificate=certificate,
        )

    def _get(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        if authority.status(self._clock.now()) not in _HAS_CERTIFICATE:
            text = f"The certificate authority {authority.arn} is not in the correct state to have issued certificates."
            raise ServiceError("InvalidStateException", text)
        found = self.certificate(authority, parameters["CertificateArn"])
        if self._clock.now() < found.ready_at:
            raise in_progress(found.arn)
        if found.failed:
            raise request_failed(found.arn)
        return {"Certificate": found.pem, "CertificateChain": pem_chain(authority.chain())}

    def _get_authority_certificate(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        if authority.status(self._clock.now()) not in _HAS_CERTIFICATE:
            # AWS really says "signing request" here
            text = (
                f"The certificate authority {authority.arn} is not in the correct state "
                "to have a certificate signing request"
            )
            raise ServiceError("InvalidStateException", text)
        own, *above = authority.chain()
        answer = {"Certificate": pem(own)}
        return {**answer, "CertificateChain": pem_chain(above)} if above else answer

    def _describe(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        status = authority.status(self._clock.now())
        signer = authority.signer
        subject = {
            _SUBJECT_FIELDS[each.oid]: each.value for each in signer.certificate.subject if each.oid in _SUBJECT_FIELDS
        }
        described: dict[str, Any] = {
            "Arn": authority.arn,
            "OwnerAccount": authority.spec.account,
            "CreatedAt": authority.created_at.timestamp(),
            "LastStateChangeAt": authority.changed_at.timestamp(),
            "Type": "ROOT" if authority.spec.levels == 1 else "SUBORDINATE",
            "Status": status,
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": signer.key_algorithm,
                "SigningAlgorithm": keys.default_signing_algorithm(signer.key_algorithm),
                "Subject": subject,
            },
            "RevocationConfiguration": {
                "CrlConfiguration": {"Enabled": False},
                "OcspConfiguration": {"Enabled": False},
            },
            "KeyStorageSecurityStandard": "FIPS_140_2_LEVEL_3_OR_HIGHER",
            "UsageMode": authority.spec.usage_mode,
        }
        if status not in _NEVER_HAD_ONE:
            described["Serial"] = f"{signer.certificate.serial_number:032x}"
            described["NotBefore"] = signer.certificate.not_valid_before_utc.timestamp()
            described["NotAfter"] = authority.end.timestamp()
        if status == "DELETED":
            described["RestorableUntil"] = (authority.changed_at + timedelta(days=30)).timestamp()
        if status == "FAILED":
            described["FailureReason"] = "OTHER"
        return {"CertificateAuthority": described}

    def _list_tags(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in authority.spec.tags.items()]}


def _check_path_length(template: templates.Template, own: int | None) -> None:
    if template.path_length is not None and own is not None and template.path_length >= own:
        raise ServiceError(
            "ValidationException",
            f"The path length {template.path_length} of the template is greater than or equal to "
            f"the path length {own} of the issuing certificate authority.",
        )


def in_progress(arn: str) -> ServiceError:
    return ServiceError("RequestInProgressException", f"The request for certificate {arn} is in progress.")


def request_failed(arn: str) -> ServiceError:
    return ServiceError("RequestFailedException", f"The request for certificate {arn} has failed.")
