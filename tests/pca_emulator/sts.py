"""The operations of STS that lead a Pod to a role: AssumeRoleWithWebIdentity, AssumeRole, GetCallerIdentity.

Session policies and session tags are not emulated, and refused as such.
"""

from __future__ import annotations

from typing import Any, Final

from pca_emulator import iam, oidc
from pca_emulator.clock import Clock
from pca_emulator.errors import ServiceError, not_emulated
from pca_emulator.iam import Decision, Principal
from pca_emulator.identities import Credentials, Identities
from pca_emulator.scenario import Role

OPERATIONS: Final = ("AssumeRoleWithWebIdentity", "AssumeRole", "GetCallerIdentity")
UNSIGNED: Final = ("AssumeRoleWithWebIdentity",)
_UNSUPPORTED: Final = (
    *("Policy", "PolicyArns", "Tags", "TransitiveTagKeys", "ProvidedContexts", "ProviderId"),
    *("ExternalId", "SerialNumber", "TokenCode", "SourceIdentity"),
)


class SecurityTokenService:
    def __init__(self, known: Identities, provider: oidc.Provider | None, clock: Clock) -> None:
        self._known = known
        self._provider = provider
        self._clock = clock

    def perform(self, operation: str, principal: Principal | None, parameters: dict[str, Any]) -> dict[str, Any]:
        if refused := [name for name in _UNSUPPORTED if parameters.get(name)]:
            raise not_emulated(", ".join(refused))
        if principal is None:
            return self._assume_with_web_identity(parameters)
        if operation == "AssumeRole":
            return self._assume(principal, parameters)
        return {"Arn": principal.arn, "UserId": principal.user_id, "Account": principal.account}

    def _assume_with_web_identity(self, parameters: dict[str, Any]) -> dict[str, Any]:
        denied = ServiceError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        role = self._known.roles.get(parameters["RoleArn"])
        if self._provider is None:
            raise ServiceError("InvalidIdentityToken", "No OpenIDConnect provider found in your account")
        claims = self._provider.claims(parameters["WebIdentityToken"], self._clock.wall())
        if role is None:
            raise denied  # AWS does not tell whether the role exists
        provider_arn = self._provider.arn(role.partition, role.account)
        host = self._provider.issuer.removeprefix("https://")
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        context = {f"{host}:sub": [claims["sub"]], f"{host}:aud": audiences}
        trust = [role.trust_policy] if role.trust_policy else []
        if role.service_accounts:
            trust.append(iam.irsa_trust_policy(provider_arn, self._provider.issuer, role.service_accounts))
        action = "sts:AssumeRoleWithWebIdentity"
        if iam.evaluate(trust, action, parameters["RoleArn"], context, {provider_arn}) is not Decision.ALLOWED:
            raise denied
        used = next(each for each in audiences if each in self._provider.audiences)
        return {
            **self._session(role, parameters),
            "SubjectFromWebIdentityToken": claims["sub"],
            "Provider": provider_arn,
            "Audience": used,
        }

    def _assume(self, principal: Principal, parameters: dict[str, Any]) -> dict[str, Any]:
        arn = parameters["RoleArn"]
        role = self._known.roles.get(arn)
        trust = [role.trust_policy] if role and role.trust_policy else []
        action = "sts:AssumeRole"
        trusted = iam.evaluate(trust, action, arn, {}, principal.names())
        own = iam.evaluate(principal.policies, action, arn, {})
        # in one account a trust policy that names the very caller is enough
        named = iam.evaluate(trust, action, arn, {}, {principal.arn, principal.role_arn} - {""})
        enough = own is Decision.ALLOWED or (
            named is Decision.ALLOWED and role is not None and role.account == principal.account
        )
        if role is None or trusted is not Decision.ALLOWED or own is Decision.DENIED or not enough:
            text = f"User: {principal.arn} is not authorized to perform: {action} on resource: {arn}"
            raise ServiceError("AccessDenied", text, 403)
        return self._session(role, parameters)

    def _session(self, role: Role, parameters: dict[str, Any]) -> dict[str, Any]:
        seconds = parameters.get("DurationSeconds", 3600)
        name = parameters["RoleSessionName"]
        key, principal = self._known.open_session(role, name, seconds, self._clock.now())
        return {
            "Credentials": _shown(key),
            "AssumedRoleUser": {"AssumedRoleId": principal.user_id, "Arn": principal.arn},
            "PackedPolicySize": "0",
        }


def _shown(key: Credentials) -> dict[str, str]:
    assert key.expires is not None
    return {
        "AccessKeyId": key.access_key_id,
        "SecretAccessKey": key.secret_access_key,
        "SessionToken": key.session_token,
        "Expiration": f"{key.expires:%Y-%m-%dT%H:%M:%SZ}",
    }
