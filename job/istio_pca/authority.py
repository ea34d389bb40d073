"""Authority: what AWS Private CA says about the CA, and what follows from it.

A value object: it does not ask AWS (`pca` does), and it does not look at certificates (`bundle` does).
Source: AWS Private CA API Reference, DescribeCertificateAuthority; User Guide, "certificate templates" and "CA modes".
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from istio_pca.errors import AuthorityError

SHORT_LIVED_LIMIT: Final = timedelta(days=7)
"""A CA in short-lived mode issues nothing that lasts longer."""
MARGIN: Final = timedelta(hours=2)
"""AWS refuses an end at or beyond the CA's own, and dates notBefore back by an hour; the rest is for slow clocks."""
SHORTEST_LIFE: Final = timedelta(hours=24)
"""Istio's workloads live 24 h by default: a signer that ends sooner would shorten all of them at once."""

_SIGNING_ALGORITHMS: Final = frozenset(
    {"SHA256WITHRSA", "SHA384WITHRSA", "SHA512WITHRSA", "SHA256WITHECDSA", "SHA384WITHECDSA", "SHA512WITHECDSA"}
)
_WAY_OUT: Final = {
    "CREATING": "Wait until the private CA is created and its certificate is installed.",
    "PENDING_CERTIFICATE": "Install the private CA's own certificate first (import-certificate-authority-certificate).",
    "DISABLED": "Enable it: aws acm-pca update-certificate-authority --status ACTIVE --certificate-authority-arn ARN.",
    "DELETED": "Restore it (restore-certificate-authority), or name another private CA.",
    "EXPIRED": "Renew the private CA's own certificate, or name another private CA.",
    "FAILED": "Create the private CA again.",
}


def template_arn(authority_arn: str, template: str) -> str:
    """The template of this name in the CA's own partition."""
    partition = authority_arn.split(":")[1]
    return f"arn:{partition}:acm-pca:::template/{template}"


@dataclass(frozen=True)
class Authority:
    """A private CA that has been described."""

    arn: str
    status: str
    usage_mode: str
    """GENERAL_PURPOSE or SHORT_LIVED_CERTIFICATE."""
    key_algorithm: str
    signing_algorithm: str
    """Of the CA's configuration; the algorithm it signs with here."""
    not_after: datetime | None
    """End of the CA's own certificate; None while it has none."""

    def template_arn(self, template: str) -> str:
        """See the function of this name."""
        return template_arn(self.arn, template)

    def check(self) -> None:
        """Raise AuthorityError unless this CA can sign an intermediate that Istio can use."""
        if self.status != "ACTIVE" or self.not_after is None:
            hint = _WAY_OUT.get(self.status, "Only an ACTIVE private CA issues certificates.")
            raise AuthorityError(f"the private CA {self.arn} is {self.status}, not ACTIVE", hint=hint)
        if self.signing_algorithm not in _SIGNING_ALGORITHMS:
            raise AuthorityError(
                f"the private CA {self.arn} signs with {self.signing_algorithm}, which not every Envoy can verify",
                hint=f"Name a private CA that signs with one of {', '.join(sorted(_SIGNING_ALGORITHMS))}.",
            )

    def latest_end(self, wanted: timedelta, now: datetime) -> tuple[datetime, str]:
        """The end date for a certificate that should live for `wanted`, and the warning if it had to be cut.

        Raises:
            AuthorityError: the CA ends too soon for any useful certificate.
        """
        self.check()
        ends = {now + wanted: ""}
        if self.usage_mode == "SHORT_LIVED_CERTIFICATE":
            limit = "validity is cut to 7 days: the private CA is in short-lived mode"
            ends[now + SHORT_LIVED_LIMIT - MARGIN] = limit
        if self.not_after is not None:
            ends[self.not_after - MARGIN] = (
                f"validity is cut: the private CA itself ends {self.not_after:%Y-%m-%d %H:%M}Z"
            )
        end = min(ends)
        if end < now + min(SHORTEST_LIFE, wanted):
            raise AuthorityError(
                f"the private CA {self.arn} ends {self.not_after:%Y-%m-%d %H:%M}Z, too soon to sign an intermediate",
                hint=_WAY_OUT["EXPIRED"],
            )
        return end.replace(microsecond=0), ends[end]
