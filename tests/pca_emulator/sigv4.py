"""AWS Signature Version 4, checked by signing again with botocore and comparing.

Source: AWS General Reference, "Signature Version 4 signing process".
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from pca_emulator.errors import AwsError

SKEW: Final = timedelta(minutes=5)
_FORM: Final = re.compile(
    r"AWS4-HMAC-SHA256 Credential=(?P<key>[^/]+)/(?P<day>\d{8})/(?P<region>[^/]+)/(?P<service>[^/]+)/aws4_request,\s*"
    r"SignedHeaders=(?P<headers>[^,]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Principal:
    """Who may sign, and with what."""

    arn: str
    secret: str = field(repr=False)
    policy: Mapping[str, Any] = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires: datetime | None = None


def authenticate(
    principals: Mapping[str, Principal],
    service: str,
    headers: Mapping[str, str],
    body: bytes,
    now: datetime,
) -> tuple[Principal, str]:
    """The principal that signed this request, and the region it signed for.

    Raises:
        AwsError: as AWS answers a request that is not signed, or not well.
    """
    given = {name.lower(): value for name, value in headers.items()}
    form = _FORM.fullmatch(given.get("authorization", ""))
    if form is None:
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    if form["key"] not in principals:
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    principal = principals[form["key"]]
    if principal.session_token != given.get("x-amz-security-token", ""):
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.")
    if principal.expires and now >= principal.expires:
        raise AwsError("ExpiredTokenException", "The security token included in the request is expired")
    date = given.get("x-amz-date", "")
    try:
        signed_at = datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise AwsError("InvalidSignatureException", "The request has no valid date.") from None
    # real time, not the emulator's: clients sign with the clock of the machine
    if abs(datetime.now(UTC) - signed_at) > SKEW or form["day"] != date[:8] or form["service"] != service:
        raise AwsError("InvalidSignatureException", f"Signature expired or out of scope: {date}")
    signer = SigV4Auth(Credentials("x", principal.secret), service, form["region"])
    signed = {name: given[name] for name in form["headers"].split(";") if name in given}
    request = AWSRequest(method="POST", url=f"http://{given['host']}/", headers=signed, data=body)
    request.context["timestamp"] = date
    signer.credentials.access_key = form["key"]
    text = signer.string_to_sign(request, signer.canonical_request(request))
    if not hmac.compare_digest(signer.signature(text, request), form["signature"]):
        raise AwsError(
            "InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method.",
        )
    return principal, form["region"]
