"""SigV4: who signs, when, what and for whom. Requests are boto3's own, or its signer's with one thing wrong."""

from __future__ import annotations

import json
import urllib.request
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from emulator.material import client
from pca_emulator import Emulator, Role, Scenario
from pca_emulator.errors import ServiceError
from pca_emulator.identities import Identities
from pca_emulator.sigv4 import HttpRequest, verify

_NOW = datetime.now(UTC).replace(microsecond=0)
_IDENTITIES = Identities(Scenario())
_KEY = _IDENTITIES.user_keys["emulator"]


def _signed(service: str = "acm-pca", **headers: str) -> HttpRequest:
    """What botocore's signer makes of one request of the user's."""
    key = Credentials(_KEY.access_key_id, _KEY.secret_access_key)
    request = AWSRequest("POST", "http://127.0.0.1/", data=b"{}", headers={"Host": "127.0.0.1", **headers})
    SigV4Auth(key, service, "eu-west-1").add_auth(request)
    return HttpRequest("POST", "/", {name.lower(): value for name, value in request.headers.items()}, b"{}")


def _verdict(request: HttpRequest, wall: datetime | None = None) -> str:
    try:
        caller = verify(
            request, "acm-pca", lambda key, token: _IDENTITIES.find(key, token, _NOW), wall or datetime.now(UTC)
        )
    except ServiceError as error:
        return str(error)
    return f"{caller.principal.arn} in {caller.region}"


def test_a_good_signature_tells_who_and_where() -> None:
    """Principal and region come from the signature, not from the URL."""
    assert _verdict(_signed()) == "arn:aws:iam::111122223333:user/emulator in eu-west-1"


@pytest.mark.parametrize(("minutes", "good"), [(-4, True), (4, True), (-6, False), (6, False)])
def test_a_date_may_differ_by_five_minutes(minutes: int, good: bool) -> None:
    """To either side."""
    verdict = _verdict(_signed(), datetime.now(UTC) + timedelta(minutes=minutes))
    assert ("user/emulator" in verdict) is good
    if not good:
        text = "Signature expired: " if minutes > 0 else "Signature not yet current: "
        assert verdict.startswith(f"InvalidSignatureException: {text}")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"body": b'{"a":1}'}, "InvalidSignatureException"),
        ({"method": "PUT"}, "InvalidSignatureException"),
        ({"path": "/?a=b"}, "InvalidSignatureException"),
        ({"host": "elsewhere"}, "InvalidSignatureException"),
        ({"x-amz-security-token": "junk"}, "UnrecognizedClientException"),
        ({"x-amz-date": "20200101T000000Z"}, "InvalidSignatureException"),
        ({"x-amz-date": "yesterday"}, "IncompleteSignatureException"),
        ({"x-amz-date": ""}, "IncompleteSignatureException"),
        ({"authorization": ""}, "MissingAuthenticationTokenException"),
        ({"authorization": "Bearer junk"}, "IncompleteSignatureException"),
    ],
)
def test_every_part_of_a_request_is_signed(changed: dict[str, object], code: str) -> None:
    """What was changed on the way is refused."""
    good = _signed()
    headers = {**good.headers, **{name: str(value) for name, value in changed.items() if name in _HEADERS}}
    body = changed.get("body", good.body)
    assert isinstance(body, bytes)
    bad = HttpRequest(str(changed.get("method", "POST")), str(changed.get("path", "/")), headers, body)
    assert _verdict(bad).split(":")[0] == code


_HEADERS = {"host", "x-amz-security-token", "x-amz-date", "authorization"}


def test_a_signed_digest_must_be_the_bodys() -> None:
    """Otherwise a signed header would vouch for any body."""
    good = _signed(**{"X-Amz-Content-SHA256": "0" * 64})
    assert _verdict(good).startswith("InvalidSignatureException")


def test_a_signature_for_another_service_is_refused() -> None:
    """The scope names the service."""
    expected = "InvalidSignatureException: Credential should be scoped to correct service: 'acm-pca'."
    assert _verdict(_signed("sts")) == expected


def test_over_the_wire(standing: Emulator) -> None:
    """boto3 with another secret, and with a key that nobody has, in AWS' words."""
    good = standing.environment()["AWS_ACCESS_KEY_ID"]
    cases = {
        good: ("InvalidSignatureException", "The request signature we calculated does not match"),
        "AKIAUNKNOWN": ("UnrecognizedClientException", "The security token included in the request is invalid."),
    }
    for key, (code, text) in cases.items():
        service = client(standing, aws_access_key_id=key, aws_secret_access_key="wrong")
        with pytest.raises(ClientError) as refused:
            service.describe_certificate_authority(CertificateAuthorityArn=standing.ca_arn)
        error = refused.value.response["Error"]
        assert error["Code"] == code
        assert error["Message"].startswith(text)


def test_an_unsigned_request_is_refused(standing: Emulator) -> None:
    """There is no way in without a signature."""
    headers = {"X-Amz-Target": "ACMPrivateCA.GetCertificate", "Content-Type": "application/x-amz-json-1.1"}
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(standing.endpoint, data=b"{}", headers=headers))
    with refused.value as answer:
        assert json.load(answer)["__type"] == "MissingAuthenticationTokenException"


def test_sts_has_names_of_its_own(standing: Emulator) -> None:
    """The query protocol calls the same mistakes otherwise, with status 403."""
    good = standing.environment()["AWS_ACCESS_KEY_ID"]
    for key, code in ((good, "SignatureDoesNotMatch"), ("AKIAUNKNOWN", "InvalidClientTokenId")):
        service = client(standing, "sts", aws_access_key_id=key, aws_secret_access_key="wrong")
        with pytest.raises(ClientError) as refused:
            service.get_caller_identity()
        assert refused.value.response["Error"]["Code"] == code
        assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_a_session_ends() -> None:
    """When it has expired by the emulator's clock, both services say so; with another session token it is nobody's."""
    trust = {
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
            "Action": "sts:AssumeRole",
        }
    }
    with Emulator(Scenario(roles=[Role(trust_policy=trust)], keys=("EC_prime256v1",))) as emulator:
        role = "arn:aws:iam::111122223333:role/istio-pca"
        given = client(emulator, "sts").assume_role(RoleArn=role, RoleSessionName="test", DurationSeconds=900)
        keys = {
            "aws_access_key_id": given["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
            "aws_session_token": given["Credentials"]["SessionToken"],
        }
        arn = {"CertificateAuthorityArn": emulator.ca_arn}
        assert client(emulator, **keys).describe_certificate_authority(**arn)
        with pytest.raises(ClientError, match="UnrecognizedClientException"):
            client(emulator, **{**keys, "aws_session_token": "junk"}).describe_certificate_authority(**arn)
        emulator.clock.advance(timedelta(seconds=900))
        with pytest.raises(ClientError, match="ExpiredTokenException"):
            client(emulator, **keys).describe_certificate_authority(**arn)
        with pytest.raises(ClientError, match="ExpiredToken"):
            client(emulator, "sts", **keys).get_caller_identity()
