"""What follows from what AWS says about a CA."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from istio_pca.authority import MARGIN, Authority
from istio_pca.errors import AuthorityError
from istio_pca.target import ca_template
from unit.pki import DAY, NOW

ARN = "arn:aws:acm-pca:eu-west-1:111122223333:certificate-authority/x"
GOOD = Authority(ARN, "ACTIVE", "GENERAL_PURPOSE", "RSA_2048", "SHA256WITHRSA", NOW + 3650 * DAY)


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
@pytest.mark.parametrize("path_length", [0, 1, 2, 3])
def test_template(partition: str, path_length: int) -> None:
    """The template is one for subordinate CAs, in the partition of the CA."""
    authority = replace(GOOD, arn=ARN.replace("arn:aws:", f"arn:{partition}:"))

    assert authority.template_arn(ca_template(path_length)) == (
        f"arn:{partition}:acm-pca:::template/SubordinateCACertificate_PathLen{path_length}/V1"
    )


@pytest.mark.parametrize(
    ("authority", "wanted", "given", "cut"),
    [
        (GOOD, 365 * DAY, 365 * DAY, False),
        (replace(GOOD, not_after=NOW + 100 * DAY), 365 * DAY, 100 * DAY - MARGIN, True),
        (replace(GOOD, not_after=NOW + 365 * DAY), 365 * DAY, 365 * DAY - MARGIN, True),
        (replace(GOOD, usage_mode="SHORT_LIVED_CERTIFICATE"), 365 * DAY, 7 * DAY - MARGIN, True),
        (replace(GOOD, usage_mode="SHORT_LIVED_CERTIFICATE"), 5 * DAY, 5 * DAY, False),
        (GOOD, timedelta(hours=1), timedelta(hours=1), False),
    ],
)
def test_latest_end(authority: Authority, wanted: timedelta, given: timedelta, cut: bool) -> None:
    """The wanted life, cut to the CA's own end and to seven days in short-lived mode; who is cut is told."""
    end, warning = authority.latest_end(wanted, NOW)

    assert end == NOW + given
    assert bool(warning) == cut


@pytest.mark.parametrize(
    "authority",
    [
        replace(GOOD, status=status)
        for status in ("CREATING", "PENDING_CERTIFICATE", "DISABLED", "DELETED", "EXPIRED", "FAILED", "NEW")
    ]
    + [
        replace(GOOD, signing_algorithm=name)
        for name in ("SHA256WITHRSA_PSS", "ML_DSA_65", "SM3WITHSM2", "SHA1WITHRSA")
    ]
    + [
        replace(GOOD, not_after=None),
        replace(GOOD, not_after=NOW + timedelta(hours=20)),
        replace(GOOD, not_after=NOW - DAY),
    ],
)
def test_unusable(authority: Authority) -> None:
    """A CA that cannot sign what Istio can use is found out before anything is asked of it."""
    with pytest.raises(AuthorityError):
        authority.latest_end(365 * DAY, NOW)
