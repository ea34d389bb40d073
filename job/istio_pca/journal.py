"""Journal: the open request, kept in the Secret `<name>-pending`, so that one certificate stays one.

It holds the private key and the whole request before ACM PCA is asked, and the certificate's ARN once it has answered.
Whoever finds it can go on with the same key and the same token. It does not store itself: `ensure` does.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Final

from istio_pca import __version__
from istio_pca.bundle import Bundle
from istio_pca.errors import RefusedError
from istio_pca.request import SigningRequest
from istio_pca.secret import (
    AUTHORITY,
    CERTIFICATE,
    MANAGED_BY,
    NOT_AFTER,
    RENEW_AFTER,
    SERIAL,
    SPEC,
    UNPRUNED,
    VERSION,
    Secret,
)
from istio_pca.target import Target

_KEY: Final = "ca-key.pem"
_REQUEST: Final = "request.json"


def pending_name(name: str) -> str:
    return f"{name}-pending"


@dataclass(frozen=True)
class Journal:
    """One request that has been, or is about to be, sent."""

    name: str
    """Of the Secret that it is for."""
    request: SigningRequest
    key: bytes = field(repr=False)
    """PKCS#8 PEM."""
    spec: str
    """What it was made for; see `Target.spec`."""
    certificate_arn: str = ""
    """Empty until ACM PCA has answered."""
    version: str = ""
    created: datetime | None = None

    def issued_as(self, certificate_arn: str) -> Journal:
        return replace(self, certificate_arn=certificate_arn)

    def to_secret(self) -> Secret:
        notes = {AUTHORITY: self.request.authority_arn, SPEC: self.spec, **UNPRUNED}
        if self.certificate_arn:
            notes[CERTIFICATE] = self.certificate_arn
        return Secret(
            name=pending_name(self.name),
            data={_KEY: self.key, _REQUEST: json.dumps(asdict(self.request)).encode()},
            annotations=notes,
            labels=MANAGED_BY,
            version=self.version,
        )

    def fulfilled(self, bundle: Bundle, renew_after: datetime, before: Secret | None) -> Secret:
        """The Secret that this request was for, in place of `before`, whose other labels and annotations it keeps.

        No ownerReference: it must outlive the Job, the release and Argo CD's Application.
        """
        before = before or Secret(self.name, {})
        notes = {
            **_notes(self.request.authority_arn, bundle, renew_after, self.spec),
            CERTIFICATE: self.certificate_arn,
        }
        return Secret(
            name=self.name,
            data=bundle.files(),
            annotations={**before.annotations, **notes},
            labels={**before.labels, **MANAGED_BY},
            type=bundle.layout.type,
            version=before.version,
        )

    @classmethod
    def from_secret(cls, secret: Secret) -> Journal:
        """Read it back.

        Raises:
            RefusedError: something else has this name; it may be anything, so it is not touched.
        """
        try:
            return cls(
                name=secret.name.removesuffix("-pending"),
                request=SigningRequest(**json.loads(secret.data[_REQUEST])),
                key=secret.data[_KEY],
                spec=secret.annotations[SPEC],
                certificate_arn=secret.annotations.get(CERTIFICATE, ""),
                version=secret.version,
                created=secret.created,
            )
        except (KeyError, ValueError, TypeError):
            raise RefusedError(
                f"the Secret {secret.name} is not a journal of istio-pca",
                hint=f"If nothing else needs it: kubectl delete secret {secret.name}. Then run this again.",
            ) from None


def adopt(target: Target, bundle: Bundle, renew_after: datetime, found: Secret) -> Secret:
    """The Secret that is there, with our annotations: from now on it is kept and renewed like one of our own."""
    notes = _notes(target.authority_arn, bundle, renew_after, target.spec)
    return replace(found, annotations={**found.annotations, **notes}, labels={**found.labels, **MANAGED_BY})


def _notes(authority_arn: str, bundle: Bundle, renew_after: datetime, spec: str) -> dict[str, str]:
    return {
        **UNPRUNED,
        AUTHORITY: authority_arn,
        SERIAL: bundle.serial,
        NOT_AFTER: bundle.not_after.isoformat(),
        RENEW_AFTER: renew_after.isoformat(timespec="seconds"),
        SPEC: spec,
        VERSION: __version__,
    }
