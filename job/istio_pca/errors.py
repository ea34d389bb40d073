"""Every way to fail, as a tree: what it means, how the process exits, what to do next.

Adapters raise these, `ensure` retries those that are `retriable`, `__main__` prints one and exits.
This module imports nothing of ours and decides nothing.

The exit codes are a contract with the chart's `podFailurePolicy`: 10 to 13 end the Job at once,
1 and 20 are tried again in a new Pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

_LONGEST_TEXT: Final = 300
_LONGEST_WAIT: Final = 3600.0


def one_line(text: object, longest: int = _LONGEST_TEXT) -> str:
    """Foreign text, fit for a message: on one line, and cut, since what is quoted at length may hold anything."""
    line = " ".join(str(text).split())
    return line if len(line) <= longest else line[:longest] + "…"


def seconds_to_wait(header: str | None) -> float:
    """Of a Retry-After header in seconds (RFC 9110 section 10.2.3); 0 if there is none, or it is a date."""
    return min(float(header), _LONGEST_WAIT) if header and header.isascii() and header.isdigit() else 0.0


class IstioPcaError(Exception):
    """The root of the tree, and what a bug ends as: a message for people, and a hint that says what to do next."""

    exit_code: ClassVar[int] = 1
    reason: ClassVar[str] = "InternalError"
    hint: str = "This is a bug in istio-pca: please report it with the log."
    retriable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        if hint is not None:
            self.hint = hint


@dataclass(frozen=True)
class ConfigProblem:
    """One thing that is wrong in the config."""

    path: str
    """Where, in the names of values.yaml: `cacerts.validity`."""
    given: str
    """What was given, cut to a readable length."""
    allowed: str
    """What is allowed there."""

    def __str__(self) -> str:
        return f"{self.path}: {self.allowed} (given: {self.given})"


class ConfigError(IstioPcaError):
    """The config cannot be used. Carries every problem, not only the first."""

    exit_code = 10
    reason = "BadConfig"
    hint = "Correct the values named above; `istio-pca plan` checks them without changing anything."

    def __init__(self, problems: tuple[ConfigProblem, ...], *, hint: str | None = None) -> None:
        super().__init__("; ".join(map(str, problems)), hint=hint)
        self.problems = problems


class RefusedError(IstioPcaError):
    """Doing what was asked could hurt a mesh, so nothing was done."""

    exit_code = 11
    reason = "Refused"
    hint = "Look at the Secret named above; nothing was changed."


class AuthorityError(IstioPcaError):
    """The private CA cannot do it: not ACTIVE, of a wrong kind, not found, or what it gave fails the checks."""

    exit_code = 12
    reason = "AuthorityCannot"
    hint = "Check the private CA: `aws acm-pca describe-certificate-authority --certificate-authority-arn ARN`."


class RequestRejectedError(AuthorityError):
    """This very request can never give a usable certificate, so its journal is of no use any more."""

    reason = "RequestRejected"
    hint = "The next run starts over with a new key. If it fails again, check the private CA and the config."


class DeniedError(IstioPcaError):
    """Not allowed. Retried inside the window because IAM settles late; after it, denied for good."""

    exit_code = 13
    reason = "AccessDenied"
    hint = "Allow the action named above to the role of the Job's ServiceAccount."
    retriable = True


class TransientError(IstioPcaError):
    """Something that passes: throttling, an outage, a lost connection. Worth another Pod."""

    exit_code = 20
    reason = "Unavailable"
    hint = "Nothing is lost: run it again, it goes on where it stopped."
    retriable = True

    def __init__(self, message: str, *, hint: str | None = None, retry_after: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after
        """Seconds that the other side asked for, before the next try; 0 if it named none."""


class NotIssuedYetError(TransientError):
    """ACM PCA has taken the request and has not signed it yet."""

    reason = "NotIssuedYet"


class DisturbedError(TransientError):
    """Another run was faster or is at work. Repeating the call would not help: all is looked at and decided anew."""

    reason = "Disturbed"
    retriable = False


class BusyError(DisturbedError):
    """Another run, with another config, has a request open."""

    reason = "Busy"


class ConflictError(DisturbedError):
    """Somebody else changed the Secret between our reading and our writing: read and decide again."""

    reason = "Conflict"


class NoCredentialsError(TransientError):
    """No AWS credentials at all. Not retried here: only a new Pod gets what a webhook failed to inject."""

    reason = "NoCredentials"
    hint = (
        "In a cluster: put eks.amazonaws.com/role-arn into serviceAccount.annotations, or make an EKS Pod Identity "
        "association. On a laptop: set AWS_PROFILE."
    )
    retriable = False
