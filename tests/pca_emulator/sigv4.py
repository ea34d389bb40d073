"""AWS Signature Version 4, checked by computing it again with botocore's own signer. No presigned URLs."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotocoreCredentials

from pca_emulator.errors import ServiceError
from pca_emulator.iam import Principal
from pca_emulator.identities import Credentials

_SKEW: Final = timedelta(minutes=5)
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_AUTHORIZATION: Final = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<date>\d{8})/(?P<region>[^/,\s]+)/(?P<service>[^/,\s]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[^,\s]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. Consult the service documentation for details."
)
Find = Callable[[str, str], tuple[Credentials, Principal]]


@dataclass(frozen=True)
class HttpRequest:
    """What came over the wire. Header names are lower case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Caller:
    """Who signed, and for which region."""

    principal: Principal
    region: str


def verify(request: HttpRequest, service: str, find: Find, wall: datetime) -> Caller:
    """Who signed this request.

    Raises:
        ServiceError: nobody whom we know, not now, not this request, or not for this service.
    """
    given = request.headers.get("authorization", "")
    if not given:
        raise ServiceError("MissingAuthenticationTokenException", "Missing Authentication Token")
    parsed = _AUTHORIZATION.fullmatch(given.strip())
    stamp = request.headers.get("x-amz-date", "")
    signed = set(parsed["headers"].split(";")) if parsed else set()
    if parsed is None or not stamp or not signed <= request.headers.keys():
        raise ServiceError("IncompleteSignatureException", "Authorization header is not a complete SigV4 signature.")
    credentials, principal = find(parsed["key"], request.headers.get("x-amz-security-token", ""))
    _check_date(stamp, parsed["date"], wall)
    if parsed["service"] != service:
        text = f"Credential should be scoped to correct service: '{service}'."
        raise ServiceError("InvalidSignatureException", text)
    needed = {"host", "x-amz-date"} | {name for name in request.headers if name == "x-amz-security-token"}
    if not needed <= signed:
        raise ServiceError("InvalidSignatureException", f"{', '.join(sorted(needed - signed))} must be signed.")
    told = request.headers.get("x-amz-content-sha256")
    if told is not None and told != hashlib.sha256(request.body).hexdigest():
        text = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise ServiceError("InvalidSignatureException", text)
    expected = _signature(request, sorted(signed), credentials, parsed["region"], service)
    if not hmac.compare_digest(expected, parsed["signature"]):
        raise ServiceError("InvalidSignatureException", _MISMATCH)
    return Caller(principal, parsed["region"])


def _signature(request: HttpRequest, signed: list[str], credentials: Credentials, region: str, service: str) -> str:
    signer = SigV4Auth(BotocoreCredentials(credentials.access_key_id, credentials.secret_access_key), service, region)
    again = AWSRequest(
        method=request.method,
        url=f"http://{request.headers['host']}{request.path}",
        headers={name: request.headers[name] for name in signed},
        data=request.body,
    )
    again.context["timestamp"] = request.headers["x-amz-date"]
    canonical = signer.canonical_request(again)
    return str(signer.signature(signer.string_to_sign(again, canonical), again))


def _check_date(stamp: str, day: str, wall: datetime) -> None:
    try:
        at = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        text = f"Date must be in ISO-8601 'basic format'. Got '{stamp}'."
        raise ServiceError("IncompleteSignatureException", text) from None
    now = wall.strftime(_STAMP)
    if at < wall - _SKEW:
        earliest = (wall - _SKEW).strftime(_STAMP)
        text = f"Signature expired: {stamp} is now earlier than {earliest} ({now} - 5 min.)"
        raise ServiceError("InvalidSignatureException", text)
    if at > wall + _SKEW:
        latest = (wall + _SKEW).strftime(_STAMP)
        text = f"Signature not yet current: {stamp} is still later than {latest} ({now} + 5 min.)"
        raise ServiceError("InvalidSignatureException", text)
    if not stamp.startswith(day):
        text = f"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date: {day} != {stamp}"
        raise ServiceError("InvalidSignatureException", text)
