"""When certificates begin and end (API Reference, Validity; User Guide, "CA modes")."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from emulator.material import client, fetch, issue, issued
from pca_emulator import Emulator, Scenario
from pca_emulator.errors import ServiceError
from pca_emulator.validity import period

_NOW = datetime(2026, 1, 31, 12, 0, 0, 500_000, UTC)
_NOON = _NOW.replace(microsecond=0)
_CA_END = datetime(2036, 1, 1, tzinfo=UTC)


def _period(kind: str, value: int, mode: str = "GENERAL_PURPOSE", **more: Any) -> tuple[datetime, datetime]:
    return period({"Type": kind, "Value": value}, more.get("not_before"), _NOW, _CA_END, mode)


@pytest.mark.parametrize(
    ("kind", "value", "end"),
    [
        ("DAYS", 90, _NOON + timedelta(days=90)),
        ("MONTHS", 1, datetime(2026, 2, 28, 12, tzinfo=UTC)),
        ("MONTHS", 13, datetime(2027, 2, 28, 12, tzinfo=UTC)),
        ("YEARS", 2, datetime(2028, 1, 31, 12, tzinfo=UTC)),
        ("ABSOLUTE", 1_800_000_000, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        ("END_DATE", 20270115080000, datetime(2027, 1, 15, 8, tzinfo=UTC)),
        ("END_DATE", 270115080000, datetime(2027, 1, 15, 8, tzinfo=UTC)),
    ],
)
def test_every_type_of_validity(kind: str, value: int, end: datetime) -> None:
    """Spans count from the issuance; it is backdated by an hour, which does not move the end."""
    assert _period(kind, value) == (_NOON - timedelta(minutes=60), end)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("YEARS", 10),
        ("YEARS", 100_000),
        ("DAYS", 10**15),
        ("ABSOLUTE", 10**15),
        ("ABSOLUTE", int(_CA_END.timestamp())),
        ("END_DATE", 99991231235959),
    ],
)
def test_beyond_the_ca_is_refused_in_aws_words(kind: str, value: int) -> None:
    """Also an end that is the CA's own to the second."""
    with pytest.raises(ServiceError) as refused:
        _period(kind, value)
    assert (refused.value.code, refused.value.message) == (
        "ValidationException",
        "The certificate validity specified exceeds the CA validity.",
    )


@pytest.mark.parametrize(("kind", "value"), [("ABSOLUTE", 1), ("END_DATE", 500101000000), ("END_DATE", 20261340000000)])
def test_the_past_and_impossible_dates_are_refused(kind: str, value: int) -> None:
    """A two-digit year of 50 is 1950."""
    with pytest.raises(ServiceError, match="ValidationException"):
        _period(kind, value)


def test_short_lived_mode_ends_at_seven_days() -> None:
    """Seven days from the issuance are allowed, a second more is not."""
    mode = "SHORT_LIVED_CERTIFICATE"
    assert _period("DAYS", 7, mode)[1] == _NOON + timedelta(days=7)
    with pytest.raises(ServiceError, match="ValidationException"):
        _period("ABSOLUTE", int((_NOON + timedelta(days=7, seconds=1)).timestamp()), mode)


def test_not_before_can_be_given() -> None:
    """As a date only, and before the end."""
    start = int((_NOON - timedelta(days=1)).timestamp())
    assert _period("DAYS", 1, not_before={"Type": "ABSOLUTE", "Value": start})[0] == _NOON - timedelta(days=1)
    for wrong in ({"Type": "DAYS", "Value": 1}, {"Type": "ABSOLUTE", "Value": start + 10**7}):
        with pytest.raises(ServiceError, match="ValidationException"):
            _period("DAYS", 1, not_before=wrong)


def test_issued_certificates_have_these_dates(standing: Emulator) -> None:
    """The rule above is what really is in the certificate."""
    before = datetime.now(UTC).replace(microsecond=0)
    certificate = issued(standing, Validity={"Type": "DAYS", "Value": 30})
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert life == timedelta(days=30, minutes=60)
    assert before <= certificate.not_valid_after_utc - timedelta(days=30) <= datetime.now(UTC)


def test_short_lived_authorities_refuse_and_say_so() -> None:
    """DescribeCertificateAuthority tells the mode, IssueCertificate enforces it."""
    with Emulator(Scenario(usage_mode="SHORT_LIVED_CERTIFICATE", keys=("EC_prime256v1",))) as emulator:
        answer = client(emulator).describe_certificate_authority(CertificateAuthorityArn=emulator.ca_arn)
        assert answer["CertificateAuthority"]["UsageMode"] == "SHORT_LIVED_CERTIFICATE"
        with pytest.raises(ClientError, match="ValidationException"):
            issue(emulator, Validity={"Type": "DAYS", "Value": 8})
        issue(emulator, Validity={"Type": "DAYS", "Value": 7})
        assert len(emulator.issued) == 1


def test_the_clock_can_be_moved_ahead() -> None:
    """Certificates count from the emulator's clock, and clients can still talk to it."""
    with Emulator(Scenario(keys=("EC_prime256v1",))) as emulator:
        emulator.clock.advance(timedelta(days=300))
        certificate, _ = fetch(emulator, issue(emulator, Validity={"Type": "DAYS", "Value": 1}))
        ahead = certificate.not_valid_after_utc - datetime.now(UTC)
        assert timedelta(days=300) < ahead <= timedelta(days=301)
        with pytest.raises(ValueError, match="back"):
            emulator.clock.advance(timedelta(seconds=-1))
