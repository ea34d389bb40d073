"""Validity: from the API's {Value, Type} to two dates, and the rules a CA has for them.

Source: API Reference, Validity; User Guide, "CA modes". All dates are UTC, in whole seconds.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pca_emulator.errors import ServiceError

BACKDATED: Final = timedelta(minutes=60)
"""notBefore lies this much before the issuance, for relying parties whose clocks are behind."""
SHORT_LIVED_LIMIT: Final = timedelta(days=7)
_FAR: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def period(
    validity: dict[str, Any],
    not_before: dict[str, Any] | None,
    now: datetime,
    ca_end: datetime,
    usage_mode: str,
) -> tuple[datetime, datetime]:
    """notBefore and notAfter of a certificate asked for `now` of a CA that ends at `ca_end`.

    Raises:
        ServiceError: ValidationException. Only the text for "beyond the CA" is known to be AWS' own.
    """
    start, end = root_period(validity, not_before, now)
    if end >= ca_end:
        raise ServiceError("ValidationException", "The certificate validity specified exceeds the CA validity.")
    if usage_mode == "SHORT_LIVED_CERTIFICATE" and end - now.replace(microsecond=0) > SHORT_LIVED_LIMIT:
        raise ServiceError(
            "ValidationException",
            "The certificate validity specified exceeds the maximum of 7 days for a SHORT_LIVED_CERTIFICATE mode CA.",
        )
    return start, end


def root_period(
    validity: dict[str, Any], not_before: dict[str, Any] | None, now: datetime
) -> tuple[datetime, datetime]:
    """The same of a root for itself, which nothing above it and no mode limits."""
    now = now.replace(microsecond=0)
    end = _date(validity, now)
    start = _start(not_before, now)
    if end <= now:
        raise ServiceError("ValidationException", "The certificate validity specified is not in the future.")
    if start >= end:
        raise ServiceError("ValidationException", "The certificate validity specified ends before it starts.")
    return start, end


def _start(not_before: dict[str, Any] | None, now: datetime) -> datetime:
    if not_before is None:
        return now - BACKDATED
    if not_before["Type"] not in {"ABSOLUTE", "END_DATE"}:
        raise ServiceError("ValidationException", "ValidityNotBefore must have the type ABSOLUTE.")
    return _date(not_before, now)


def _date(validity: dict[str, Any], now: datetime) -> datetime:
    value, kind = int(validity["Value"]), validity["Type"]
    try:
        match kind:
            case "ABSOLUTE":
                return datetime.fromtimestamp(value, UTC)
            case "END_DATE":
                return _end_date(value)
            case "DAYS":
                return now + timedelta(days=value)
            case "MONTHS":
                return _months_later(now, value)
            case _:
                return _months_later(now, 12 * value)
    except (OverflowError, OSError):
        return _FAR  # too big for a date is beyond any CA
    except ValueError:
        if kind == "END_DATE":
            raise ServiceError("ValidationException", f"The END_DATE {value} is not a date.") from None
        return _FAR


def _end_date(value: int) -> datetime:
    """YYMMDDHHMMSS (a two-digit year of 50 or more is 19YY) or YYYYMMDDHHMMSS."""
    digits = str(value)
    if len(digits) <= 12:  # an integer has lost the leading zeros of its year
        digits = digits.zfill(12)
        digits = ("19" if digits[:2] >= "50" else "20") + digits
    return datetime.strptime(digits, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def _months_later(now: datetime, months: int) -> datetime:
    """The same day `months` later, or the last of that month."""
    years, month = divmod(now.month - 1 + months, 12)
    year = now.year + years
    if year > _FAR.year:
        raise OverflowError
    day = min(now.day, calendar.monthrange(year, month + 1)[1])
    return now.replace(year=year, month=month + 1, day=day)
