"""The operations of ACM PCA, here those on certificates: parameters in, answer out. It knows no caller and no HTTP."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography import x509

from pca_emulator import csr, keys, templates, validity
from pca_emulator.authority import Authority, Order, Subject, path_length, pem, pem_chain
from pca_emulator.clock import Clock
from pca_emulator.errors import ServiceError, not_emulated
from pca_emulator.lifecycle import IDEMPOTENT_FOR, Lifecycle

_HAS_CERTIFICATE: Final = frozenset({"ACTIVE", "DISABLED", "EXPIRED"})


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
    revoked: str = ""
    """The reason, once it is."""

    @property
    def signs_itself(self) -> bool:
        return self.template == templates.ROOT.name

    @property
    def pem(self) -> str:
        return pem(self.certificate)


class PrivateCaService:
    """All authorities of an emulator, and what they have issued."""

    def __init__(self, authorities: Iterable[Authority], clock: Clock, issue_delay: float) -> None:
        self.issue_delay = timedelta(seconds=issue_delay)
        self.lifecycle = Lifecycle(authorities, clock, self.issue_delay)
        self._clock = clock
        self._lock = threading.Lock()
        self._issued: dict[str, IssuedCertificate] = {}
        self._tokens: dict[tuple[str, str], IssuedCertificate] = {}
        self.operations: dict[str, Callable[[Authority, dict[str, Any]], dict[str, Any]]] = {
            **self.lifecycle.of_authority,
            "IssueCertificate": self._issue,
            "GetCertificate": self._get,
            "RevokeCertificate": self._revoke,
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
        found = self.lifecycle.find(arn)
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
        if "ApiPassthrough" in parameters:
            raise not_emulated("ApiPassthrough")
        partition = authority.spec.partition
        template = templates.find(parameters.get("TemplateArn") or templates.default_arn(partition), partition)
        itself = template is templates.ROOT
        # a root that has no certificate yet can sign one thing: its own
        if authority.status(now) not in ({"ACTIVE", "PENDING_CERTIFICATE"} if itself else {"ACTIVE"}):
            text = "The certificate authority is not in a valid state for issuing certificates"
            raise ServiceError("InvalidStateException", text)
        applicant = csr.read(parameters["Csr"])
        algorithm = parameters["SigningAlgorithm"]
        keys.check_family(algorithm, authority.configuration.key_algorithm)
        subject = Subject(applicant.subject, applicant.public_key, applicant.alternative_names)
        wanted, not_before = parameters["Validity"], parameters.get("ValidityNotBefore")
        if itself:
            _check_own(authority, applicant)
            period = validity.root_period(wanted, not_before, now)
            certificate = authority.sign_itself(subject, Order(template, algorithm, *period))
        else:
            _check_path_length(template, path_length(authority.signer.certificate))
            period = validity.period(wanted, not_before, now, authority.end, authority.spec.usage_mode)
            certificate = authority.signer.sign(subject, Order(template, algorithm, *period))
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
        status = authority.status(self._clock.now())
        if status not in _HAS_CERTIFICATE and (authority.kind, status) != ("ROOT", "PENDING_CERTIFICATE"):
            text = f"The certificate authority {authority.arn} is not in the correct state to have issued certificates."
            raise ServiceError("InvalidStateException", text)
        found = self.certificate(authority, parameters["CertificateArn"])
        self._check_done(found)
        if found.signs_itself:
            return {"Certificate": found.pem}
        return {"Certificate": found.pem, "CertificateChain": pem_chain(authority.chain())}

    def _check_done(self, found: IssuedCertificate) -> None:
        if self._clock.now() < found.ready_at:
            raise in_progress(found.arn)
        if found.failed:
            raise request_failed(found.arn)

    def _revoke(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        """Nothing but a note: there is no CRL and no OCSP responder, and a revoked certificate can still be fetched."""
        if authority.status(self._clock.now()) not in _HAS_CERTIFICATE:
            text = "The certificate authority is not in a valid state for revoking certificates"
            raise ServiceError("InvalidStateException", text)
        digits = parameters["CertificateSerial"].replace(":", "").lower()
        if not re.fullmatch(r"[0-9a-f]+", digits):
            raise ServiceError("InvalidRequestException", "The serial number is not hexadecimal.")
        with self._lock:
            found = self.certificate(authority, f"{authority.arn}/certificate/{digits.zfill(32)}")
            self._check_done(found)
            if found.signs_itself:
                raise ServiceError("InvalidRequestException", "Self-signed certificate can not be revoked")
            if found.revoked:
                text = f"The certificate {found.arn} is revoked already."
                raise ServiceError("RequestAlreadyProcessedException", text)
            self._issued[found.arn] = replace(found, revoked=parameters["RevocationReason"])
        return {}

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

    def _list_tags(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in authority.spec.tags.items()]}


def _check_own(authority: Authority, applicant: csr.Applicant) -> None:
    """The code for it is not known here: ValidationException is assumed."""
    if authority.kind != "ROOT" or applicant.public_key != authority.key.public_key():
        text = "The template RootCACertificate/V1 is for the own certificate of a root certificate authority."
        raise ServiceError("ValidationException", text)


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
