"""STS: credentials for ServiceAccount tokens, whose signature, issuer, audience, life and subject are really checked.

Source: AWS STS API Reference, AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity; EKS User Guide, IRSA.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from xml.sax.saxutils import escape

import jwt

from pca_emulator import iam
from pca_emulator.clock import Clock
from pca_emulator.errors import AwsError
from pca_emulator.scenario import Role, Scenario
from pca_emulator.sigv4 import Principal

AUDIENCE: Final = "sts.amazonaws.com"
"""The client id that an EKS cluster's OIDC provider is registered with."""
NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"

Keys = Callable[[], tuple[str, Mapping[str, Any]]]
"""The issuer, and its key set (RFC 7517)."""


class TokenService:
    """Who is who. Thread-safe: a principal is added in one step."""

    def __init__(self, scenario: Scenario, clock: Clock, keys: Keys | None) -> None:
        self._clock, self._keys = clock, keys
        self._roles = {role.arn: role for role in scenario.roles}
        self.principals: dict[str, Principal] = {
            user.access_key_id: Principal(user.arn, user.secret_access_key, user.policy) for user in scenario.users
        }

    def assume_with_web_identity(self, given: Mapping[str, str]) -> str:
        claims = self._verified(given["WebIdentityToken"])
        role = self._roles.get(given["RoleArn"])
        provider = str(claims["iss"]).removeprefix("https://")
        context = {f"{provider}:sub": str(claims["sub"]), f"{provider}:aud": AUDIENCE}
        if role is None or not iam.allowed(
            _named(role.trust, provider), "sts:AssumeRoleWithWebIdentity", role.arn, context
        ):
            raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        return self._session(role, given["RoleSessionName"], "AssumeRoleWithWebIdentity")

    def assume(self, given: Mapping[str, str], caller: Principal) -> str:
        role = self._roles.get(given["RoleArn"])
        allowed = role and iam.allowed(caller.policy, "sts:AssumeRole", role.arn, {})
        if role is None or not allowed or not _trusts(role, caller):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {given['RoleArn']}",
                403,
            )
        return self._session(role, given["RoleSessionName"], "AssumeRole")

    def identity(self, caller: Principal) -> str:
        account = caller.arn.split(":")[4]
        inside = f"<Arn>{escape(caller.arn)}</Arn><UserId>AIDAEXAMPLE</UserId><Account>{account}</Account>"
        return _answer("GetCallerIdentity", inside)

    def _session(self, role: Role, name: str, action: str) -> str:
        key_id, secret, token = (
            "ASIA" + secrets.token_hex(8).upper(),
            secrets.token_urlsafe(30),
            secrets.token_urlsafe(60),
        )
        expires = self._clock.now() + timedelta(hours=1)
        arn = role.arn.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{name}"
        self.principals[key_id] = Principal(arn, secret, role.policy, token, expires)
        inside = (
            f"<Credentials><AccessKeyId>{key_id}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>"
            f"<SessionToken>{token}</SessionToken><Expiration>{_iso(expires)}</Expiration></Credentials>"
            f"<AssumedRoleUser><Arn>{escape(arn)}</Arn><AssumedRoleId>AROAEXAMPLE:{escape(name)}</AssumedRoleId></AssumedRoleUser>"
        )
        return _answer(action, inside)

    def _verified(self, token: str) -> Mapping[str, Any]:
        if self._keys is None:
            raise AwsError("InvalidIdentityToken", "No OpenIDConnect provider found in your account")
        issuer, keys = self._keys()
        try:
            header = jwt.get_unverified_header(token)
            key = next(jwt.PyJWK(one) for one in keys["keys"] if one.get("kid") == header.get("kid"))
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256", "ES256"],
                audience=AUDIENCE,
                issuer=issuer,
                options={"require": ["exp", "iss", "sub", "aud"], "verify_exp": False},
            )
        except StopIteration:
            raise AwsError(
                "InvalidIdentityToken", "Couldn't retrieve verification key from your identity provider"
            ) from None
        except jwt.InvalidAudienceError:
            raise AwsError("InvalidIdentityToken", "Incorrect token audience") from None
        except jwt.InvalidIssuerError:
            raise AwsError(
                "InvalidIdentityToken", f"No OpenIDConnect provider found in your account for {issuer}"
            ) from None
        except jwt.PyJWTError:
            raise AwsError("InvalidIdentityToken", "The ID Token provided is not a valid JWT") from None
        now = self._clock.now()
        if now.timestamp() >= claims["exp"]:
            raise AwsError(
                "ExpiredTokenException",
                f"Token expired: current date/time {int(now.timestamp())} must be before {claims['exp']}",
            )
        return claims


def error_xml(error: AwsError) -> str:
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>{error.code}</Code>'
        f"<Message>{escape(error.message)}</Message></Error><RequestId>emulated</RequestId></ErrorResponse>"
    )


def _answer(action: str, inside: str) -> str:
    return (
        f'<{action}Response xmlns="{NAMESPACE}"><{action}Result>{inside}</{action}Result>'
        f"<ResponseMetadata><RequestId>emulated</RequestId></ResponseMetadata></{action}Response>"
    )


def _named(trust: Mapping[str, Any], provider: str) -> Mapping[str, Any]:
    """The trust policy, with the cluster's own issuer in the place that waits for it."""
    if isinstance(trust, dict):
        return {key.replace("${OIDC_PROVIDER}", provider): _named(value, provider) for key, value in trust.items()}
    if isinstance(trust, list):
        return [_named(one, provider) for one in trust]
    return trust


def _trusts(role: Role, caller: Principal) -> bool:
    named = {
        principal
        for statement in role.trust["Statement"]
        for principal in [statement.get("Principal", {}).get("AWS", "")]
        if statement["Effect"] == "Allow" and statement["Action"] == "sts:AssumeRole"
    }
    # an assumed role is trusted by the name of the role that it came from
    role_arn = caller.arn.replace(":sts:", ":iam:").replace(":assumed-role/", ":role/").rpartition("/")[0]
    return bool(named & {caller.arn, role_arn})


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
