"""What time and state do: pending and failed issuance, idempotency, the CA's status, quotas."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from emulator.material import client, csr, fetch, issue, request
from pca_emulator import AuthoritySpec, Emulator, Scenario
from pca_emulator.errors import ServiceError
from pca_emulator.quotas import Quotas

_TOKEN = "a" * 36


def _code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return str(raised.value.response["Error"]["Code"])


def test_a_certificate_is_pending_until_the_issue_delay_is_over() -> None:
    """The ARN comes at once; until then GetCertificate answers RequestInProgress."""
    with Emulator(Scenario(issue_delay=60, keys=("EC_prime256v1",))) as emulator:
        arn = issue(emulator)
        with pytest.raises(ClientError) as pending:
            fetch(emulator, arn)
        assert _code(pending) == "RequestInProgressException"
        emulator.clock.advance(timedelta(seconds=60))
        assert fetch(emulator, arn)[0].serial_number == int(arn[-32:], 16)


def test_the_sdks_own_waiter_works() -> None:
    """It retries RequestInProgress, and nothing else."""
    with Emulator(Scenario(issue_delay=60, keys=("EC_prime256v1",))) as emulator:
        arn = issue(emulator)
        asking = client(emulator)
        # after the first answer the delay is over, however slow the machine is
        asking.meta.events.register(
            "after-call.acm-pca.GetCertificate", lambda **_: emulator.clock.advance(timedelta(seconds=60))
        )
        waiter = asking.get_waiter("certificate_issued")
        waiter.wait(CertificateAuthorityArn=emulator.ca_arn, CertificateArn=arn, WaiterConfig={"Delay": 1})
        outcomes = [each.outcome for each in emulator.requests if each.operation == "GetCertificate"]
        assert outcomes == ["RequestInProgressException", "ok"]


def test_the_same_token_is_the_same_certificate_for_five_minutes(emulator: Emulator) -> None:
    """By the emulator's clock; a second later it is another one."""
    parameters = {"Csr": csr(), "IdempotencyToken": _TOKEN}
    first = issue(emulator, **parameters)
    assert issue(emulator, **parameters) == first
    assert len(emulator.issued) == 1
    emulator.clock.advance(timedelta(minutes=5))
    assert issue(emulator, **parameters) != first
    assert len(emulator.issued) == 2


def test_the_same_token_with_another_request_is_still_the_earlier_certificate(emulator: Emulator) -> None:
    """There is no error for it: a client that does not compare keys gets a certificate for somebody else's."""
    first = issue(emulator, IdempotencyToken=_TOKEN)
    assert issue(emulator, Csr=csr(), Validity={"Type": "DAYS", "Value": 5}, IdempotencyToken=_TOKEN) == first


def test_without_a_token_every_call_is_a_certificate(emulator: Emulator) -> None:
    """And every certificate is billed."""
    parameters = {"Csr": csr()}
    assert issue(emulator, **parameters) != issue(emulator, **parameters)
    assert len(emulator.issued) == 2


def test_tokens_of_different_authorities_are_different() -> None:
    """A token counts within its authority."""
    specs = [AuthoritySpec(name=name, keys=("EC_prime256v1",)) for name in ("one", "two")]
    with Emulator(Scenario(specs)) as emulator:
        arns = {
            issue(emulator, CertificateAuthorityArn=spec.arn, IdempotencyToken=_TOKEN).split("/certificate/")[0]
            for spec in specs
        }
        assert arns == {spec.arn for spec in specs}


def test_a_refused_request_does_not_use_up_its_token(emulator: Emulator) -> None:
    """Only a certificate that exists is remembered."""
    with pytest.raises(ClientError):
        issue(emulator, Csr=b"not a CSR", IdempotencyToken=_TOKEN)
    assert issue(emulator, IdempotencyToken=_TOKEN)


def test_racing_calls_with_one_token_make_one_certificate(emulator: Emulator) -> None:
    """All of them get the same ARN."""
    service, parameters = client(emulator), request(emulator, IdempotencyToken=_TOKEN)
    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(service.issue_certificate, **parameters) for _ in range(16)]
        arns = {each.result()["CertificateArn"] for each in futures}
    assert len(arns) == len(emulator.issued) == 1


@pytest.mark.parametrize("status", ["CREATING", "PENDING_CERTIFICATE", "DISABLED", "DELETED", "EXPIRED", "FAILED"])
def test_only_an_active_authority_issues(emulator: Emulator, status: str) -> None:
    """Describe tells every status; issuing is refused in AWS' words, and works again after the repair."""
    emulator.set_status(status)
    told = client(emulator).describe_certificate_authority(CertificateAuthorityArn=emulator.ca_arn)
    assert told["CertificateAuthority"]["Status"] == status
    with pytest.raises(ClientError) as refused:
        issue(emulator)
    assert refused.value.response["Error"] == {
        "Code": "InvalidStateException",
        "Message": "The certificate authority is not in a valid state for issuing certificates",
    }
    emulator.set_status("ACTIVE")
    assert issue(emulator)


@pytest.mark.parametrize(
    ("status", "serves"),
    [
        ("DISABLED", True),
        ("EXPIRED", True),
        ("CREATING", False),
        ("PENDING_CERTIFICATE", False),
        ("DELETED", False),
        ("FAILED", False),
    ],
)
def test_what_is_issued_can_be_fetched_while_the_authority_has_a_certificate(
    emulator: Emulator, status: str, serves: bool
) -> None:
    """Both operations that read certificates follow the status, each with its own text."""
    arn, own = issue(emulator), emulator.ca_arn
    emulator.set_status(status)
    service = client(emulator)
    if serves:
        assert service.get_certificate(CertificateAuthorityArn=own, CertificateArn=arn)["Certificate"]
        assert service.get_certificate_authority_certificate(CertificateAuthorityArn=own)["Certificate"]
        return
    with pytest.raises(ClientError) as refused:
        service.get_certificate(CertificateAuthorityArn=own, CertificateArn=arn)
    text = f"The certificate authority {own} is not in the correct state to have"
    assert refused.value.response["Error"]["Message"] == f"{text} issued certificates."
    with pytest.raises(ClientError) as refused:
        service.get_certificate_authority_certificate(CertificateAuthorityArn=own)
    assert refused.value.response["Error"]["Message"] == f"{text} a certificate signing request"


def test_an_authority_without_a_certificate_tells_no_dates() -> None:
    """A CA that waits for its certificate has no serial and no end."""
    with Emulator(Scenario(status="PENDING_CERTIFICATE", keys=("EC_prime256v1",))) as emulator:
        answer = client(emulator).describe_certificate_authority(CertificateAuthorityArn=emulator.ca_arn)
        assert not {"Serial", "NotBefore", "NotAfter"} & answer["CertificateAuthority"].keys()


@pytest.mark.parametrize("validity_days", [-1, 2])
def test_an_authority_expires_by_itself(validity_days: float) -> None:
    """When its own certificate has ended, at the start or later."""
    with Emulator(Scenario(validity_days=validity_days, keys=("EC_prime256v1",))) as emulator:
        if validity_days > 0:
            issue(emulator, Validity={"Type": "DAYS", "Value": 1})
            emulator.clock.advance(timedelta(days=validity_days))
        answer = client(emulator).describe_certificate_authority(CertificateAuthorityArn=emulator.ca_arn)
        assert answer["CertificateAuthority"]["Status"] == "EXPIRED"
        with pytest.raises(ClientError, match="InvalidStateException"):
            issue(emulator, Validity={"Type": "DAYS", "Value": 1})


def test_calls_beyond_the_quota_are_throttled() -> None:
    """By operation; others are not touched."""
    with Emulator(Scenario(quotas={"IssueCertificate": 0.001}, keys=("EC_prime256v1",))) as emulator:
        arn = issue(emulator)
        with pytest.raises(ClientError) as throttled:
            issue(emulator)
        assert throttled.value.response["Error"] == {"Code": "ThrottlingException", "Message": "Rate exceeded"}
        assert fetch(emulator, arn)
        assert len(emulator.issued) == 1


def test_a_quota_fills_up_again() -> None:
    """Two a second: two at once, then one each half second."""
    seconds = [100.0]
    quotas = Quotas({"GetCertificate": 2}, lambda: seconds[0])

    def passes() -> bool:
        try:
            quotas.spend("GetCertificate")
        except ServiceError:
            return False
        return True

    assert [passes(), passes(), passes()] == [True, True, False]
    seconds[0] += 0.5
    assert [passes(), passes()] == [True, False]
    seconds[0] += 60
    assert [passes(), passes(), passes()] == [True, True, False]
