"""The life of the authorities: created, given a certificate, disabled, deleted, restored. It issues nothing.

Source: API Reference, the operations' own pages; User Guide, "Managing the private CA lifecycle".
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from pca_emulator import installation, keys, names
from pca_emulator.authority import Authority, Configuration
from pca_emulator.clock import Clock
from pca_emulator.description import STANDARD, described
from pca_emulator.errors import ServiceError, not_emulated
from pca_emulator.scenario import AuthoritySpec

IDEMPOTENT_FOR: Final = timedelta(minutes=5)
_LARGEST_PAGE: Final = 100
_HAS_CSR: Final = frozenset({"PENDING_CERTIFICATE", "ACTIVE", "DISABLED", "EXPIRED"})
_TAKES_CERTIFICATE: Final = frozenset({"PENDING_CERTIFICATE", "ACTIVE", "EXPIRED"})
_DELETABLE: Final = frozenset({"CREATING", "PENDING_CERTIFICATE", "DISABLED", "EXPIRED", "FAILED"})
_NOT_RESTORABLE: Final = frozenset({"CREATING", "FAILED"})


@dataclass(frozen=True)
class Home:
    """Where a caller's authorities are."""

    partition: str
    region: str
    account: str


class Lifecycle:
    """All authorities of an emulator."""

    def __init__(self, authorities: Iterable[Authority], clock: Clock, delay: timedelta) -> None:
        self._authorities = {authority.arn: authority for authority in authorities}
        self._clock, self._delay = clock, delay
        self._lock = threading.Lock()
        self._tokens: dict[tuple[Home, str], Authority] = {}
        self.of_account: dict[str, Callable[[Home, dict[str, Any]], dict[str, Any]]] = {
            "CreateCertificateAuthority": self._create,
            "ListCertificateAuthorities": self._list,
        }
        self.of_authority: dict[str, Callable[[Authority, dict[str, Any]], dict[str, Any]]] = {
            "DescribeCertificateAuthority": self._describe,
            "GetCertificateAuthorityCsr": self._get_csr,
            "ImportCertificateAuthorityCertificate": self._import,
            "UpdateCertificateAuthority": self._update,
            "DeleteCertificateAuthority": self._delete,
            "RestoreCertificateAuthority": self._restore,
        }

    @property
    def authorities(self) -> list[Authority]:
        """Those of the scenario first, then in the order of their creation."""
        with self._lock:
            return list(self._authorities.values())

    def find(self, arn: str) -> Authority | None:
        """The authority of this ARN, unless it is deleted for good."""
        found = self._authorities.get(arn)
        return None if found is None or self._is_gone(found, self._clock.now()) else found

    @staticmethod
    def _is_gone(authority: Authority, now: datetime) -> bool:
        return authority.restorable_until is not None and now >= authority.restorable_until

    def _create(self, home: Home, parameters: dict[str, Any]) -> dict[str, Any]:
        # without a token it is the same request that AWS was seen to recognise
        token = parameters.get("IdempotencyToken") or json.dumps(parameters, sort_keys=True)
        with self._lock:  # the same token twice at once is one CA
            now = self._clock.now()
            earlier = self._tokens.get((home, token))
            if earlier is None or now - earlier.created_at >= IDEMPOTENT_FOR:
                earlier = _created(home, parameters, now, self._delay)
                self._authorities[earlier.arn] = self._tokens[home, token] = earlier
            return {"CertificateAuthorityArn": earlier.arn}

    def _list(self, home: Home, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters.get("ResourceOwner", "SELF") != "SELF":
            raise not_emulated("Listing the authorities of other accounts")
        now = self._clock.now()
        own = [
            authority
            for authority in self.authorities
            if Home(authority.spec.partition, authority.spec.region, authority.spec.account) == home
            and not self._is_gone(authority, now)
        ]
        token = parameters.get("NextToken", "0")
        if not token.isdecimal():
            raise ServiceError("InvalidNextTokenException", "The next token is not valid.")
        start = int(token)
        end = start + min(parameters.get("MaxResults", _LARGEST_PAGE), _LARGEST_PAGE)
        answer: dict[str, Any] = {"CertificateAuthorities": [described(each, now) for each in own[start:end]]}
        return {**answer, "NextToken": str(end)} if end < len(own) else answer

    def _describe(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        return {"CertificateAuthority": described(authority, self._clock.now())}

    def _get_csr(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        status = authority.status(self._clock.now())
        if status == "CREATING":
            text = f"The certificate authority {authority.arn} is being created."
            raise ServiceError("RequestInProgressException", text)
        if status not in _HAS_CSR:
            text = "is not in the correct state to have a certificate signing request"
            raise ServiceError("InvalidStateException", f"The certificate authority {authority.arn} {text}")
        return {"Csr": authority.csr().decode()}

    def _import(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        status = authority.status(self._clock.now())
        if status == "DISABLED":
            raise not_emulated("Importing the certificate of a disabled certificate authority")
        if status not in _TAKES_CERTIFICATE:
            raise _wrong_state("importing a certificate")
        certificate, chain = installation.read(
            authority.kind,
            authority.key.public_key(),
            parameters["Certificate"],
            parameters.get("CertificateChain", b""),
        )
        authority.install(certificate, chain, self._clock.now())
        return {}

    def _update(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        _check_revocation(parameters)
        now = self._clock.now()
        wanted = parameters.get("Status")
        if wanted not in {None, "ACTIVE", "DISABLED"}:
            raise ServiceError("InvalidArgsException", f"The status of a certificate authority cannot become {wanted}.")
        if authority.status(now) not in {"ACTIVE", "DISABLED"}:
            raise _wrong_state("an update")
        if wanted is not None:
            authority.set_status(wanted, now)
        return {}

    def _delete(self, authority: Authority, parameters: dict[str, Any]) -> dict[str, Any]:
        now = self._clock.now()
        before = authority.status(now)
        if before not in _DELETABLE:
            raise _wrong_state("deletion")
        authority.set_status("DELETED", now)
        authority.restored_status = before
        days = parameters.get("PermanentDeletionTimeInDays")
        if before in _NOT_RESTORABLE:
            authority.restorable_until = None
        elif days is not None:
            authority.restorable_until = authority.changed_at + timedelta(days=days)
        return {}

    def _restore(self, authority: Authority, _parameters: dict[str, Any]) -> dict[str, Any]:
        now = self._clock.now()
        if authority.status(now) != "DELETED" or authority.restorable_until is None:
            raise _wrong_state("restoration")
        authority.set_status(authority.restored_status, now)
        return {}


def _created(home: Home, parameters: dict[str, Any], now: datetime, delay: timedelta) -> Authority:
    _check_revocation(parameters)
    wanted = parameters["CertificateAuthorityConfiguration"]
    if wanted["KeyAlgorithm"] not in keys.KEY_ALGORITHMS:
        raise not_emulated(f"The key algorithm {wanted['KeyAlgorithm']}")
    if "CsrExtensions" in wanted:
        raise not_emulated("CsrExtensions")
    if parameters.get("KeyStorageSecurityStandard", STANDARD) != STANDARD:
        raise not_emulated("Another KeyStorageSecurityStandard than the default")
    keys.check_family(wanted["SigningAlgorithm"], wanted["KeyAlgorithm"])
    name = names.from_subject(wanted["Subject"])
    spec = AuthoritySpec(
        name="",
        levels=1 if parameters["CertificateAuthorityType"] == "ROOT" else 2,
        keys=(wanted["KeyAlgorithm"],),
        usage_mode=parameters.get("UsageMode", "GENERAL_PURPOSE"),
        status="CREATING",
        partition=home.partition,
        region=home.region,
        account=home.account,
        tags={each["Key"]: each.get("Value", "") for each in parameters.get("Tags", [])},
    )
    configuration = Configuration(wanted["KeyAlgorithm"], wanted["SigningAlgorithm"], name)
    return Authority(spec, now, configuration, now + delay)


def _check_revocation(parameters: dict[str, Any]) -> None:
    """No CRL and no OCSP responder is kept: only a configuration that wants neither is accepted."""
    for kind, wanted in parameters.get("RevocationConfiguration", {}).items():
        if wanted["Enabled"]:
            raise not_emulated(kind)


def _wrong_state(what: str) -> ServiceError:
    return ServiceError("InvalidStateException", f"The certificate authority is not in a valid state for {what}.")
