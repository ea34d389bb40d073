"""What DescribeCertificateAuthority and ListCertificateAuthorities tell of a CA."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pca_emulator import names
from pca_emulator.authority import Authority

_NEVER_HAD_ONE: Final = frozenset({"CREATING", "PENDING_CERTIFICATE", "FAILED"})
STANDARD: Final = "FIPS_140_2_LEVEL_3_OR_HIGHER"


def described(authority: Authority, now: datetime) -> dict[str, Any]:
    status = authority.status(now)
    wanted = authority.configuration
    told: dict[str, Any] = {
        "Arn": authority.arn,
        "OwnerAccount": authority.spec.account,
        "CreatedAt": authority.created_at.timestamp(),
        "LastStateChangeAt": authority.changed_at.timestamp(),
        "Type": authority.kind,
        "Status": status,
        "CertificateAuthorityConfiguration": {
            "KeyAlgorithm": wanted.key_algorithm,
            "SigningAlgorithm": wanted.signing_algorithm,
            "Subject": names.to_subject(wanted.name),
        },
        "RevocationConfiguration": {
            "CrlConfiguration": {"Enabled": False},
            "OcspConfiguration": {"Enabled": False},
        },
        "KeyStorageSecurityStandard": STANDARD,
        "UsageMode": authority.spec.usage_mode,
    }
    if status not in _NEVER_HAD_ONE and authority.chain():
        own = authority.chain()[0]
        told["Serial"] = f"{own.serial_number:032x}"
        told["NotBefore"] = own.not_valid_before_utc.timestamp()
        told["NotAfter"] = own.not_valid_after_utc.timestamp()
    if authority.restorable_until is not None:
        told["RestorableUntil"] = authority.restorable_until.timestamp()
    if status == "FAILED":
        told["FailureReason"] = "OTHER"
    return told
