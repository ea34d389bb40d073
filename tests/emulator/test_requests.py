"""Bad requests: the service model's constraints in AWS' words, ARNs, CSRs, and operations that are not there."""

from __future__ import annotations

import json
import urllib.request
from typing import Any
from urllib.error import HTTPError

import boto3
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding

from emulator.material import client, csr, issue, request
from pca_emulator import Emulator, Scenario
from pca_emulator.validation import check, from_json, input_shape

_ARN_PATTERN = r"arn:[\w+=/,.@-]+:acm-pca:[\w+=/,.@-]*:[0-9]*:[\w+=,.@-]+(/[\w+=,.@-]+)*"


def _refused(emulator: Emulator, operation: str = "issue_certificate", **parameters: Any) -> dict[str, str]:
    with pytest.raises(ClientError) as refused:
        getattr(client(emulator), operation)(**parameters)
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    error: dict[str, str] = refused.value.response["Error"]
    return error


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"IdempotencyToken": "x" * 37},
            f"Value '{'x' * 37}' at 'idempotencyToken' failed to satisfy constraint: "
            "Member must have length less than or equal to 36",
        ),
        (
            {"IdempotencyToken": "\u20ac"},
            "Value '\u20ac' at 'idempotencyToken' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]*",
        ),
        (
            {"CertificateAuthorityArn": "not-an-arn"},
            "Value 'not-an-arn' at 'certificateAuthorityArn' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_ARN_PATTERN}",
        ),
        (
            {"Csr": b"x" * 32_769},
            "Value 'java.nio.HeapByteBuffer[pos=0 lim=32769 cap=32769]' at 'csr' failed to satisfy constraint: "
            "Member must have length less than or equal to 32768",
        ),
        (
            {"Validity": {"Type": "WEEKS", "Value": 1}},
            "Value 'WEEKS' at 'validity.type' failed to satisfy constraint: "
            "Member must satisfy enum value set: [END_DATE, ABSOLUTE, DAYS, MONTHS, YEARS]",
        ),
    ],
)
def test_what_boto3_lets_through_is_refused_in_aws_words(
    standing: Emulator, changed: dict[str, Any], message: str
) -> None:
    """boto3 checks neither upper bounds nor patterns, enums or sizes: the server must."""
    error = _refused(standing, **request(standing, **changed))
    assert error == {"Code": "ValidationException", "Message": f"1 validation error detected: {message}"}


def test_all_violations_are_told_at_once() -> None:
    """Also what boto3 itself would not send: absent members, and numbers below their bound."""
    shape = input_shape("acm-pca", "IssueCertificate")
    with pytest.raises(Exception, match="^ValidationException: 4 validation errors detected: ") as refused:
        check(shape, {"Csr": b"", "Validity": {"Type": "DAYS", "Value": 0}})
    assert str(refused.value).split(" detected: ")[1].split("; ") == [
        "Value null at 'certificateAuthorityArn' failed to satisfy constraint: Member must not be null",
        "Value 'java.nio.HeapByteBuffer[pos=0 lim=0 cap=0]' at 'csr' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
        "Value null at 'signingAlgorithm' failed to satisfy constraint: Member must not be null",
        "Value '0' at 'validity.value' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ]


@pytest.mark.parametrize("body", [[], {"Csr": 1}, {"Csr": "***"}, {"Validity": {"Value": "1"}}, {"Validity": []}])
def test_wrong_types_are_serialization_errors(body: Any) -> None:
    """JSON of another type than the model's is no value at all."""
    with pytest.raises(Exception, match="^SerializationException"):
        from_json(input_shape("acm-pca", "IssueCertificate"), body)


def _broken_signature() -> bytes:
    der = bytearray(x509.load_pem_x509_csr(csr()).public_bytes(Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM)


@pytest.mark.parametrize(
    "malformed",
    [
        b"not a CSR",
        b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        x509.load_pem_x509_csr(csr()).public_bytes(Encoding.DER),
        _broken_signature(),
        csr(subject=False),
        csr(rsa.generate_private_key(65537, 1024)),
    ],
    ids=["text", "garbage", "DER", "signature", "nameless", "short key"],
)
def test_malformed_csrs_are_refused(standing: Emulator, malformed: bytes) -> None:
    """Syntax, the proof of possession, and a name of either kind."""
    before = len(standing.issued)
    assert _refused(standing, **request(standing, Csr=malformed))["Code"] == "MalformedCSRException"
    assert len(standing.issued) == before


def test_a_san_is_name_enough(standing: Emulator) -> None:
    """Either a subject or a SAN: AWS asks for no more."""
    names = x509.SubjectAlternativeName([x509.DNSName("istiod.istio-system.svc")])
    assert issue(standing, Csr=csr(subject=False, extensions=(names,)))


def test_unknown_things_are_not_found(standing: Emulator) -> None:
    """An authority or a certificate that is not there, or is of another authority."""
    unknown = standing.ca_arn[:-4] + "0000"
    assert _refused(standing, **request(standing, CertificateAuthorityArn=unknown)) == {
        "Code": "ResourceNotFoundException",
        "Message": f"Could not find Certificate Authority {unknown}.",
    }
    missing = f"{standing.ca_arn}/certificate/{'0' * 32}"
    for arn in (missing, f"{unknown}/certificate/{'0' * 32}"):
        error = _refused(standing, "get_certificate", CertificateAuthorityArn=standing.ca_arn, CertificateArn=arn)
        assert error["Code"] == "ResourceNotFoundException"


def test_an_arn_of_something_else_is_invalid(standing: Emulator) -> None:
    """It passes the pattern, but it names no authority."""
    arn = f"{standing.ca_arn}/certificate/{'0' * 32}"
    assert _refused(standing, **request(standing, CertificateAuthorityArn=arn))["Code"] == "InvalidArnException"


def test_an_authority_is_found_in_its_own_region_only(standing: Emulator) -> None:
    """Who signs for another region talks to another endpoint: there is no such authority."""
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client(standing, region="us-east-1").describe_certificate_authority(CertificateAuthorityArn=standing.ca_arn)


def test_operations_that_are_not_emulated_say_so(standing: Emulator) -> None:
    """A client error, so that nobody retries it."""
    assert _refused(standing, "get_policy", ResourceArn=standing.ca_arn) == {
        "Code": "UnknownOperationException",
        "Message": "This emulator has no GetPolicy, AWS has.",
    }


def test_other_protocols_are_refused(standing: Emulator) -> None:
    """Only POST / is the API; Smithy's CBOR protocol has paths of its own."""
    url = f"{standing.endpoint}/service/ACMPrivateCA/operation/GetCertificate"
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(url, method="POST", data=b"\xa0"))
    with refused.value as answer:
        assert answer.code == 404
        assert json.load(answer)["__type"] == "UnknownOperationException"


def test_what_describe_tells() -> None:
    """Serial, dates, mode, type and algorithms are those of the CA's certificate."""
    with Emulator(Scenario(levels=3, keys=("RSA_2048", "EC_prime256v1", "EC_secp384r1"), id="known")) as emulator:
        answer = client(emulator).describe_certificate_authority(CertificateAuthorityArn=emulator.ca_arn)
        told = answer["CertificateAuthority"]
        own = emulator.authority().signer.certificate
    assert told["Arn"] == "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/known"
    assert (told["Type"], told["Status"], told["UsageMode"]) == ("SUBORDINATE", "ACTIVE", "GENERAL_PURPOSE")
    assert (told["Serial"], told["NotAfter"]) == (f"{own.serial_number:032x}", own.not_valid_after_utc)
    configuration = told["CertificateAuthorityConfiguration"]
    assert (configuration["KeyAlgorithm"], configuration["SigningAlgorithm"]) == ("EC_secp384r1", "SHA384WITHECDSA")
    assert configuration["Subject"]["CommonName"] == "main level 3 CA"


def test_tags_and_permissions() -> None:
    """Tags are the scenario's; no permission is given to anybody."""
    with Emulator(Scenario(tags={"team": "mesh"}, keys=("EC_prime256v1",))) as emulator:
        service = client(emulator)
        assert service.list_tags(CertificateAuthorityArn=emulator.ca_arn)["Tags"] == [{"Key": "team", "Value": "mesh"}]
        assert service.list_permissions(CertificateAuthorityArn=emulator.ca_arn)["Permissions"] == []


def test_an_unmodified_boto3_finds_it_by_its_environment(standing: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables are enough; no argument of boto3 is."""
    for name, value in standing.environment().items():
        monkeypatch.setenv(name, value)
    session = boto3.Session(region_name="eu-west-1")
    identity = session.client("sts").get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::111122223333:user/emulator"
    answer = session.client("acm-pca").describe_certificate_authority(CertificateAuthorityArn=standing.ca_arn)
    assert answer["CertificateAuthority"]["Arn"] == standing.ca_arn
