"""What AWS and botocore say when something goes wrong, as errors of ours. It makes no call.

Source: AWS Private CA and STS API References, and errors as they are seen: several are not in the service models.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import botocore.exceptions
import botocore.parsers

from istio_pca.errors import (
    AuthorityError,
    DeniedError,
    IstioPcaError,
    NoCredentialsError,
    NotIssuedYetError,
    RequestRejectedError,
    TransientError,
    one_line,
    seconds_to_wait,
)

_DENIED: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "InvalidClientTokenId",
        "InvalidIdentityToken",
        "IDPRejectedClaim",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_CANNOT: Final = frozenset(
    {"InvalidStateException", "LimitExceededException", "ResourceNotFoundException", "InvalidArnException"}
)
_REJECTED: Final = frozenset(
    {"InvalidArgsException", "MalformedCSRException", "RequestFailedException", "ValidationException"}
)
_PASSING: Final = frozenset(
    {
        "ConcurrentModificationException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IDPCommunicationError",
        "InternalFailure",
        "InternalServerError",
        "RequestExpired",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)


@contextmanager
def translated(action: str, resource: str = "") -> Iterator[None]:
    """Let nothing of botocore out: every failure of `action` on `resource` leaves as one of ours."""
    what = f"{action} on {resource}" if resource else action
    try:
        yield
    except botocore.exceptions.ClientError as error:
        # without its cause, which may quote headers; the message says all that helps
        raise _classified(error, action, resource) from None
    except botocore.exceptions.NoCredentialsError:
        raise NoCredentialsError("there are no AWS credentials in the environment") from None
    except (botocore.exceptions.HTTPClientError, botocore.exceptions.ConnectionError) as error:
        raise TransientError(f"{what}: {one_line(error)}", hint="Can the Pod reach the endpoint?") from None
    except (botocore.parsers.ResponseParserError, KeyError, ValueError) as error:
        raise TransientError(f"{what}: the answer is not what the API promises ({type(error).__name__})") from None
    except botocore.exceptions.BotoCoreError as error:
        raise NoCredentialsError(
            f"{what}: {one_line(error)}", hint="Check the AWS_* variables and the AWS config of this process."
        ) from None


def _classified(error: Any, action: str, resource: str) -> IstioPcaError:
    code = error.response.get("Error", {}).get("Code", "")
    answer = error.response.get("ResponseMetadata", {})
    status = answer.get("HTTPStatusCode", 0)
    what = f"{action} on {resource}" if resource else action
    text = f"{what}: {code}: {one_line(error.response.get('Error', {}).get('Message', ''))}"
    if code == "RequestInProgressException":
        return NotIssuedYetError(text)
    if code in _DENIED:
        return DeniedError(text, hint=_permission(action, resource))
    if code in _REJECTED:
        return RequestRejectedError(text)
    if code in _CANNOT:
        return AuthorityError(text)
    if code in _PASSING or status >= 500 or status == 429:
        return TransientError(text, retry_after=seconds_to_wait(answer.get("HTTPHeaders", {}).get("retry-after")))
    return AuthorityError(text, hint="AWS gave an error that istio-pca does not know; see its text.")


def _permission(action: str, resource: str) -> str:
    """The statement to add. AWS' own text says who was denied."""
    if action.startswith("acm-pca:"):
        # GetCertificate too is allowed on the CA, not on the certificate
        authority = resource.partition("/certificate/")[0]
        statement = f'{{"Effect": "Allow", "Action": "{action}", "Resource": "{authority}"}}'
        return (
            f"Add to the policy of that role: {statement}. A private CA of another account must be shared too: "
            "RAM permission AWSRAMSubordinateCACertificatePathLen0IssuanceCertificateAuthority."
        )
    return "Does the trust policy of the role name this cluster's OIDC provider, namespace and ServiceAccount?"
