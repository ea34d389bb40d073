"""The life of a CA, from its creation to its end (API Reference; User Guide, "private CA lifecycle")."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from emulator.material import client, csr, ec_key, fetch, issue, issued, openssl_verifies, pem, workload_leaf
from pca_emulator import Emulator, Scenario, User

ROOT_TEMPLATE = "arn:aws:acm-pca:::template/RootCACertificate/V1"
_TOKEN = "a" * 36


def _configuration(name: str, algorithm: str = "EC_prime256v1", signing: str = "SHA256WITHECDSA") -> dict[str, Any]:
    subject = {"Country": "DE", "Organization": "Example", "CommonName": name}
    return {"KeyAlgorithm": algorithm, "SigningAlgorithm": signing, "Subject": subject}


def _create(emulator: Emulator, kind: str = "SUBORDINATE", name: str = "", **more: Any) -> str:
    wanted = {"CertificateAuthorityConfiguration": _configuration(name or f"a {kind}"), **more}
    answer = client(emulator).create_certificate_authority(CertificateAuthorityType=kind, **wanted)
    return str(answer["CertificateAuthorityArn"])


def _csr(emulator: Emulator, arn: str) -> bytes:
    return str(client(emulator).get_certificate_authority_csr(CertificateAuthorityArn=arn)["Csr"]).encode()


def _told(emulator: Emulator, arn: str) -> dict[str, Any]:
    answer = client(emulator).describe_certificate_authority(CertificateAuthorityArn=arn)
    told: dict[str, Any] = answer["CertificateAuthority"]
    return told


def _signed(emulator: Emulator, arn: str, by: str = "", path_length: int = 1, years: int = 5) -> tuple[str, str]:
    """The ARN of a certificate for this CA's CSR, signed by another CA or by itself, and its PEM."""
    template = f"SubordinateCACertificate_PathLen{path_length}/V1" if by else "RootCACertificate/V1"
    certificate = issue(
        emulator,
        CertificateAuthorityArn=by or arn,
        Csr=_csr(emulator, arn),
        TemplateArn=f"arn:aws:acm-pca:::template/{template}",
        Validity={"Type": "YEARS", "Value": years if by else 20},
    )
    answer = client(emulator).get_certificate(CertificateAuthorityArn=by or arn, CertificateArn=certificate)
    return certificate, str(answer["Certificate"])


def _import(emulator: Emulator, arn: str, certificate: str, chain: str = "") -> None:
    given = {"CertificateChain": chain.encode()} if chain else {}
    client(emulator).import_certificate_authority_certificate(
        CertificateAuthorityArn=arn, Certificate=certificate.encode(), **given
    )


def _do(emulator: Emulator, operation: str, arn: str, **more: Any) -> None:
    getattr(client(emulator), f"{operation}_certificate_authority")(CertificateAuthorityArn=arn, **more)


def _code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


@dataclass
class Pair:
    """A root and a subordinate under it, both made by the API."""

    root: str
    root_pem: str
    subordinate: str
    subordinate_certificate: str


@pytest.fixture
def pair(emulator: Emulator) -> Pair:
    root, subordinate = _create(emulator, "ROOT"), _create(emulator)
    _, root_pem = _signed(emulator, root)
    _import(emulator, root, root_pem)
    certificate, own = _signed(emulator, subordinate, by=root)
    _import(emulator, subordinate, own, root_pem)
    return Pair(root, root_pem, subordinate, certificate)


def test_a_created_authority_waits_for_its_key_then_for_its_certificate() -> None:
    """CREATING, without a CSR; then PENDING_CERTIFICATE, with one, the same each time, for the subject it was given."""
    with Emulator(Scenario(issue_delay=60, keys=("EC_prime256v1",))) as emulator:
        arn = _create(emulator, name="Mesh", Tags=[{"Key": "team", "Value": "mesh"}])
        assert _told(emulator, arn)["Status"] == "CREATING"
        with pytest.raises(ClientError) as early:
            _csr(emulator, arn)
        emulator.clock.advance(timedelta(seconds=60))
        told = _told(emulator, arn)
        first = _csr(emulator, arn)

        assert _code(early) == "RequestInProgressException"
        assert (told["Type"], told["Status"], told["UsageMode"]) == (
            "SUBORDINATE",
            "PENDING_CERTIFICATE",
            "GENERAL_PURPOSE",
        )
        assert told["CertificateAuthorityConfiguration"] == _configuration("Mesh")
        assert not {"Serial", "NotBefore", "NotAfter"} & told.keys()
        assert x509.load_pem_x509_csr(first).subject.rfc4514_string() == "CN=Mesh,O=Example,C=DE"
        assert x509.load_pem_x509_csr(first).is_signature_valid
        assert _csr(emulator, arn) == first
        assert client(emulator).list_tags(CertificateAuthorityArn=arn)["Tags"] == [{"Key": "team", "Value": "mesh"}]


def test_a_workload_verifies_up_to_a_created_root(emulator: Emulator, pair: Pair, tmp_path: Path) -> None:
    """A root signs itself, then a subordinate, which signs an intermediate: openssl accepts a workload under it."""
    key = ec_key()
    certificate, chain = fetch(emulator, issue(emulator, CertificateAuthorityArn=pair.subordinate, Csr=csr(key)))

    assert [each.subject.rfc4514_string() for each in chain] == [
        "CN=a SUBORDINATE,O=Example,C=DE",
        "CN=a ROOT,O=Example,C=DE",
    ]
    assert pem(chain[-1]) == pair.root_pem + "\n"
    assert openssl_verifies(tmp_path, workload_leaf(certificate, key), [certificate, chain[0]], pair.root_pem)
    assert not openssl_verifies(tmp_path, workload_leaf(certificate, key), [certificate], pair.root_pem)


def test_an_authority_with_a_certificate_is_active_and_tells_it(emulator: Emulator, pair: Pair) -> None:
    """The certificate is the one that was imported, with its serial and its end; a root has no chain above it."""
    own = client(emulator).get_certificate_authority_certificate(CertificateAuthorityArn=pair.subordinate)
    told = _told(emulator, pair.subordinate)
    certificate = x509.load_pem_x509_certificate(own["Certificate"].encode())

    assert (told["Status"], _told(emulator, pair.root)["Status"]) == ("ACTIVE", "ACTIVE")
    assert pair.subordinate_certificate.endswith(told["Serial"])
    assert told["Serial"] == f"{certificate.serial_number:032x}"
    assert told["NotAfter"] == certificate.not_valid_after_utc
    assert own["CertificateChain"] == pair.root_pem
    root = client(emulator).get_certificate_authority_certificate(CertificateAuthorityArn=pair.root)
    assert (root["Certificate"], root.get("CertificateChain")) == (pair.root_pem, None)


@pytest.mark.parametrize("mode", ["GENERAL_PURPOSE", "SHORT_LIVED_CERTIFICATE"])
def test_nothing_limits_a_roots_own_certificate(emulator: Emulator, mode: str) -> None:
    """Neither a CA above it nor the mode; it points to no key above, has no path length, and no chain."""
    arn = _create(emulator, "ROOT", UsageMode=mode)
    number, own = _signed(emulator, arn)
    answer = client(emulator).get_certificate(CertificateAuthorityArn=arn, CertificateArn=number)
    certificate = x509.load_pem_x509_certificate(own.encode())

    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_after_utc > datetime.now(UTC) + timedelta(days=7000)
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length is None
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    assert "CertificateChain" not in answer


def test_before_its_certificate_an_authority_signs_nothing_but_a_roots_own(emulator: Emulator) -> None:
    """The state forbids all other templates; a root's template is not for other keys, nor for subordinates."""
    root, subordinate = _create(emulator, "ROOT"), _create(emulator)
    cases = {
        "another template": {"CertificateAuthorityArn": root},
        "another key": {"CertificateAuthorityArn": root, "TemplateArn": ROOT_TEMPLATE},
        "a subordinate": {
            "CertificateAuthorityArn": subordinate,
            "TemplateArn": ROOT_TEMPLATE,
            "Csr": _csr(emulator, subordinate),
        },
    }
    errors = {}
    for case, changed in cases.items():
        with pytest.raises(ClientError) as refused:
            issue(emulator, **changed)
        errors[case] = refused.value.response["Error"]

    assert {case: error["Code"] for case, error in errors.items()} == {
        "another template": "InvalidStateException",
        "another key": "ValidationException",
        "a subordinate": "ValidationException",
    }
    text = "The certificate authority is not in a valid state for issuing certificates"
    assert errors["another template"]["Message"] == text
    assert emulator.issued == []


def _self_made(
    emulator: Emulator, arn: str, constraints: x509.BasicConstraints, *, critical: bool = True
) -> tuple[str, str]:
    """A certificate for this CA's key, and the root of somebody else who signed it."""
    wanted, key, now = x509.load_pem_x509_csr(_csr(emulator, arn)), ec_key(), datetime.now(UTC)
    above = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody else")])

    def made(name: x509.Name, public_key: Any, extension: x509.BasicConstraints, *, critical: bool) -> str:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(above)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(now + timedelta(days=300))
            .add_extension(extension, critical)
        )
        return pem(builder.sign(key, hashes.SHA256()))

    root = made(above, key.public_key(), x509.BasicConstraints(ca=True, path_length=1), critical=True)
    return made(wanted.subject, wanted.public_key(), constraints, critical=critical), root


def test_a_root_outside_aws_can_stand_above(emulator: Emulator, tmp_path: Path) -> None:
    """A subordinate takes a certificate from anywhere, and sends its chain."""
    arn, key = _create(emulator), ec_key()
    own, root = _self_made(emulator, arn, x509.BasicConstraints(ca=True, path_length=0))
    _import(emulator, arn, own, root)
    leaf = issue(
        emulator,
        CertificateAuthorityArn=arn,
        Csr=csr(key),
        TemplateArn=None,
        Validity={"Type": "DAYS", "Value": 1},
    )
    certificate, chain = fetch(emulator, leaf)

    certificate.verify_directly_issued_by(chain[0])
    assert pem(*chain) == own + root


def test_a_wrong_certificate_is_not_imported(emulator: Emulator, pair: Pair) -> None:
    """The errors are told apart, the CA still waits, and then takes a good one."""
    arn, root = _create(emulator, name="another"), pair.root_pem
    _, good = _signed(emulator, arn, by=pair.root, path_length=0)
    _, under = _signed(emulator, arn, by=pair.subordinate, path_length=0, years=1)
    _, foreign = _signed(emulator, _create(emulator, name="a third"), by=pair.root)
    leaf = pem(issued(emulator, CertificateAuthorityArn=pair.root, Csr=_csr(emulator, arn), TemplateArn=None))
    own = client(emulator).get_certificate_authority_certificate(CertificateAuthorityArn=pair.subordinate)
    middle = own["Certificate"]
    as_long, above = _self_made(emulator, arn, x509.BasicConstraints(ca=True, path_length=1))
    uncritical, other = _self_made(emulator, arn, x509.BasicConstraints(ca=True, path_length=0), critical=False)
    cases = {
        "another key": (foreign, root, "CertificateMismatchException"),
        "a chain of another root": (good, above, "CertificateMismatchException"),
        "a chain that ends too early": (under, middle, "CertificateMismatchException"),
        "a chain from the root down": (under, f"{root}\n{middle}", "CertificateMismatchException"),
        "a path as long as the one above": (as_long, above, "CertificateMismatchException"),
        "no chain": (good, "", "InvalidRequestException"),
        "itself in the chain": (good, f"{good}\n{root}", "InvalidRequestException"),
        "a self-signed one": (_self_signed_with(emulator, arn), root, "InvalidRequestException"),
        "not PEM": ("none", root, "MalformedCertificateException"),
        "two": (f"{good}\n{root}", root, "MalformedCertificateException"),
        "a leaf": (leaf, root, "MalformedCertificateException"),
        "constraints that are not critical": (uncritical, other, "MalformedCertificateException"),
    }
    codes = {}
    for case, (certificate, chain, _) in cases.items():
        with pytest.raises(ClientError) as refused:
            _import(emulator, arn, certificate, chain)
        codes[case] = _code(refused)

    assert codes == {case: code for case, (_, _, code) in cases.items()}
    assert _told(emulator, arn)["Status"] == "PENDING_CERTIFICATE"
    _import(emulator, arn, under, f"{middle}\n{root}")
    assert _told(emulator, arn)["Status"] == "ACTIVE"


def _self_signed_with(emulator: Emulator, arn: str) -> str:
    """What no client can make: only the emulator has the key."""
    authority = emulator.authority(arn.rpartition("/")[2])
    name, now = authority.configuration.name, datetime.now(UTC)
    return pem(
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(authority.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=300))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(authority.key, hashes.SHA256())
    )


def test_a_root_takes_its_own_certificate_alone(emulator: Emulator, pair: Pair) -> None:
    """Neither one that another CA signed nor a chain."""
    arn = _create(emulator, "ROOT", name="another")
    _, below = _signed(emulator, arn, by=pair.root)
    _, own = _signed(emulator, arn)
    for certificate, chain in ((below, ""), (own, pair.root_pem)):
        with pytest.raises(ClientError) as refused:
            _import(emulator, arn, certificate, chain)
        assert _code(refused) == "InvalidRequestException"
    _import(emulator, arn, own)
    assert _told(emulator, arn)["Status"] == "ACTIVE"


def test_a_disabled_authority_issues_nothing_until_it_is_active_again(emulator: Emulator, pair: Pair) -> None:
    """What it has issued can still be fetched."""
    earlier = issue(emulator, CertificateAuthorityArn=pair.subordinate)
    _do(emulator, "update", pair.subordinate, Status="DISABLED")
    assert _told(emulator, pair.subordinate)["Status"] == "DISABLED"
    with pytest.raises(ClientError) as refused:
        issue(emulator, CertificateAuthorityArn=pair.subordinate)
    assert _code(refused) == "InvalidStateException"
    assert fetch(emulator, earlier)
    _do(emulator, "update", pair.subordinate, Status="ACTIVE")
    assert issue(emulator, CertificateAuthorityArn=pair.subordinate) != earlier


@pytest.mark.parametrize(
    ("status", "code"), [("DELETED", "InvalidArgsException"), ("PENDING_CERTIFICATE", "InvalidArgsException")]
)
def test_an_update_switches_on_and_off_alone(emulator: Emulator, pair: Pair, status: str, code: str) -> None:
    """No other status can be ordered."""
    with pytest.raises(ClientError) as refused:
        _do(emulator, "update", pair.subordinate, Status=status)
    assert (_code(refused), _told(emulator, pair.subordinate)["Status"]) == (code, "ACTIVE")


def test_an_authority_without_a_certificate_cannot_be_switched(emulator: Emulator) -> None:
    """It can neither be active nor disabled."""
    arn = _create(emulator)
    with pytest.raises(ClientError) as refused:
        _do(emulator, "update", arn, Status="ACTIVE")
    assert (_code(refused), _told(emulator, arn)["Status"]) == ("InvalidStateException", "PENDING_CERTIFICATE")


def test_only_a_disabled_authority_is_deleted(emulator: Emulator, pair: Pair) -> None:
    """While it is active it is not; once deleted it issues nothing, takes nothing, and is not deleted again."""
    with pytest.raises(ClientError) as active:
        _do(emulator, "delete", pair.subordinate)
    assert active.value.response["Error"] == {
        "Code": "InvalidStateException",
        "Message": "The certificate authority is not in a valid state for deletion.",
    }
    assert _told(emulator, pair.subordinate)["Status"] == "ACTIVE"
    _do(emulator, "update", pair.subordinate, Status="DISABLED")
    _do(emulator, "delete", pair.subordinate)
    assert _told(emulator, pair.subordinate)["Status"] == "DELETED"
    for attempt in (
        lambda: issue(emulator, CertificateAuthorityArn=pair.subordinate),
        lambda: _do(emulator, "delete", pair.subordinate),
        lambda: _do(emulator, "update", pair.subordinate, Status="ACTIVE"),
        lambda: _csr(emulator, pair.subordinate),
        lambda: _import(emulator, pair.subordinate, pair.root_pem),
    ):
        with pytest.raises(ClientError) as refused:
            attempt()
        assert _code(refused) == "InvalidStateException"


def test_a_deleted_authority_can_be_restored_for_as_long_as_was_said(emulator: Emulator, pair: Pair) -> None:
    """It is again what it was before; once the time is over there is no such authority."""
    _do(emulator, "update", pair.subordinate, Status="DISABLED")
    _do(emulator, "delete", pair.subordinate, PermanentDeletionTimeInDays=7)
    told = _told(emulator, pair.subordinate)
    assert told["RestorableUntil"] - told["LastStateChangeAt"] == timedelta(days=7)
    _do(emulator, "restore", pair.subordinate)
    assert _told(emulator, pair.subordinate)["Status"] == "DISABLED"
    assert "RestorableUntil" not in _told(emulator, pair.subordinate)
    with pytest.raises(ClientError) as living:
        _do(emulator, "restore", pair.subordinate)
    assert _code(living) == "InvalidStateException"

    _do(emulator, "delete", pair.subordinate, PermanentDeletionTimeInDays=7)
    emulator.clock.advance(timedelta(days=7))
    for operation in ("restore", "describe"):
        with pytest.raises(ClientError) as gone:
            _do(emulator, operation, pair.subordinate)
        assert _code(gone) == "ResourceNotFoundException"


def test_an_authority_that_waits_for_its_certificate_can_be_deleted(emulator: Emulator) -> None:
    """Restored, it waits again. Without a number of days it is thirty."""
    arn = _create(emulator)
    _do(emulator, "delete", arn)
    told = _told(emulator, arn)
    _do(emulator, "restore", arn)
    assert (told["Status"], told["RestorableUntil"] - told["LastStateChangeAt"]) == ("DELETED", timedelta(days=30))
    assert _told(emulator, arn)["Status"] == "PENDING_CERTIFICATE"


@pytest.mark.parametrize("days", [6, 31])
def test_a_deletion_takes_seven_to_thirty_days(emulator: Emulator, days: int) -> None:
    """Fewer and more are refused by the model's own bounds."""
    arn = _create(emulator)
    with pytest.raises(Exception, match=str(days)):  # boto3 itself refuses the lower bound
        _do(emulator, "delete", arn, PermanentDeletionTimeInDays=days)
    assert _told(emulator, arn)["Status"] == "PENDING_CERTIFICATE"


def _revoke(emulator: Emulator, arn: str, serial: str) -> None:
    client(emulator).revoke_certificate(
        CertificateAuthorityArn=arn, CertificateSerial=serial, RevocationReason="SUPERSEDED"
    )


def test_a_certificate_is_revoked_once(emulator: Emulator, pair: Pair) -> None:
    """By its serial, with colons or without, also of a disabled CA; it can still be fetched."""
    first, second = (issue(emulator, CertificateAuthorityArn=pair.subordinate) for _ in range(2))
    colons = ":".join(first[-32:][n : n + 2] for n in range(0, 32, 2)).upper()
    _revoke(emulator, pair.subordinate, colons)
    with pytest.raises(ClientError) as again:
        _revoke(emulator, pair.subordinate, first[-32:])
    _do(emulator, "update", pair.subordinate, Status="DISABLED")
    _revoke(emulator, pair.subordinate, second[-32:])

    assert _code(again) == "RequestAlreadyProcessedException"
    assert [each.revoked for each in emulator.issued if each.arn in {first, second}] == ["SUPERSEDED", "SUPERSEDED"]
    assert fetch(emulator, first)


def test_what_cannot_be_revoked(emulator: Emulator, pair: Pair) -> None:
    """A root's own certificate, one of another CA, an unknown one, and what is no serial."""
    (root_own,) = [each.serial for each in emulator.issued if each.signs_itself]
    codes = []
    for arn, serial in (
        (pair.root, root_own),
        (pair.subordinate, pair.subordinate_certificate[-32:]),
        (pair.root, "0" * 32),
        (pair.root, "a serial"),
    ):
        with pytest.raises(ClientError) as refused:
            _revoke(emulator, arn, serial)
        codes.append(_code(refused))
    assert codes == [
        "InvalidRequestException",
        "ResourceNotFoundException",
        "ResourceNotFoundException",
        "InvalidRequestException",
    ]
    assert not any(each.revoked for each in emulator.issued)


def test_the_same_token_is_the_same_authority_for_five_minutes(emulator: Emulator) -> None:
    """Also for another configuration; then it is another one."""
    first = _create(emulator, IdempotencyToken=_TOKEN)
    assert _create(emulator, "ROOT", IdempotencyToken=_TOKEN) == first
    assert _create(emulator, IdempotencyToken="another") != first
    emulator.clock.advance(timedelta(minutes=5))
    assert _create(emulator, IdempotencyToken=_TOKEN) != first


def test_without_a_token_the_same_configuration_is_the_same_authority(emulator: Emulator) -> None:
    """For the same five minutes, as AWS was seen to do it; another configuration is another authority."""
    first = _create(emulator)
    assert _create(emulator) == first
    assert _create(emulator, name="another") != first
    emulator.clock.advance(timedelta(minutes=5))
    assert _create(emulator) != first


def test_the_list_is_of_the_callers_region_and_has_pages(emulator: Emulator) -> None:
    """The scenario's authority and those that were created, one on each page if so wished."""
    arns = [emulator.ca_arn, _create(emulator), _create(emulator, "ROOT")]
    pages = client(emulator).get_paginator("list_certificate_authorities")
    found = [page["CertificateAuthorities"] for page in pages.paginate(PaginationConfig={"PageSize": 1})]

    assert [[each["Arn"] for each in page] for page in found] == [[arn] for arn in arns]
    assert found[1][0] == _told(emulator, arns[1])
    assert client(emulator, region="us-east-1").list_certificate_authorities()["CertificateAuthorities"] == []
    with pytest.raises(ClientError) as refused:
        client(emulator).list_certificate_authorities(NextToken="nonsense")
    assert _code(refused) == "InvalidNextTokenException"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        (_configuration("a", "RSA_2048"), "InvalidArgsException"),
        (_configuration("a", "EC_prime256v1", "SHA256WITHRSA"), "InvalidArgsException"),
        (_configuration("a", "ML_DSA_44", "ML_DSA_44"), "NotEmulatedException"),
        (_configuration("a", "RSA_1024"), "ValidationException"),
        (_configuration("x" * 65), "ValidationException"),
    ],
)
def test_a_configuration_that_cannot_be_is_refused(emulator: Emulator, changed: dict[str, Any], code: str) -> None:
    """The signing algorithm is of the key's family; the rest is the model's."""
    with pytest.raises(ClientError) as refused:
        _create(emulator, CertificateAuthorityConfiguration=changed)
    assert _code(refused) == code
    assert len(client(emulator).list_certificate_authorities()["CertificateAuthorities"]) == 1


@pytest.mark.parametrize(
    "more",
    [
        {"RevocationConfiguration": {"OcspConfiguration": {"Enabled": True}}},
        {"KeyStorageSecurityStandard": "FIPS_140_2_LEVEL_2_OR_HIGHER"},
        {
            "CertificateAuthorityConfiguration": {
                **_configuration("a"),
                "CsrExtensions": {"KeyUsage": {"CRLSign": True}},
            }
        },
    ],
)
def test_what_is_not_emulated_is_not_ignored(emulator: Emulator, more: dict[str, Any]) -> None:
    """A wish that would not be kept is refused, with a code that AWS has not."""
    with pytest.raises(ClientError) as refused:
        _create(emulator, **more)
    assert _code(refused) == "NotEmulatedException"


def test_who_creates_needs_the_right_for_every_resource() -> None:
    """An authority that is not there yet has no ARN: a policy for one ARN does not allow to make another."""
    ours = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/*"
    statements = [
        {"Effect": "Allow", "Action": "acm-pca:CreateCertificateAuthority", "Resource": resource}
        for resource in (ours, "*")
    ]
    users = [User(name=f"u{n}", policy={"Statement": [each]}) for n, each in enumerate(statements)]
    wanted = {"CertificateAuthorityConfiguration": _configuration("a"), "CertificateAuthorityType": "ROOT"}
    with Emulator(Scenario(users=users, keys=("EC_prime256v1",))) as emulator:
        with pytest.raises(ClientError) as denied:
            client(emulator, user="u0").create_certificate_authority(**wanted)
        made = client(emulator, user="u1").create_certificate_authority(**wanted)["CertificateAuthorityArn"]

    assert _code(denied) == "AccessDeniedException"
    assert made.startswith(ours[:-1])
