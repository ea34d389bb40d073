"""Users with static keys, roles, and the sessions that STS hands out. It evaluates no policy (iam does)."""

from __future__ import annotations

import hmac
import secrets
import string
import threading
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pca_emulator import iam
from pca_emulator.errors import ServiceError
from pca_emulator.iam import Principal
from pca_emulator.scenario import Role, Scenario, User

_ALPHABET = string.ascii_uppercase + "234567"


@dataclass(frozen=True)
class Credentials:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(default="", repr=False)
    expires: datetime | None = None


class Identities:
    """Who may sign requests, by access key."""

    def __init__(self, scenario: Scenario) -> None:
        first = scenario.authorities[0]
        arns = [spec.arn for spec in scenario.authorities]
        self._lock = threading.Lock()
        self._known: dict[str, tuple[Credentials, Principal]] = {}
        self.user_keys: dict[str, Credentials] = {}
        self.roles: dict[str, Role] = {}
        for given in scenario.users:
            user = replace(given, account=given.account or first.account, partition=given.partition or first.partition)
            self._add_user(user)
        for each in scenario.roles:
            role = replace(
                each,
                account=each.account or first.account,
                partition=each.partition or first.partition,
                policy=iam.least_policy(arns) if each.policy is None else each.policy,
            )
            iam.check(role.policy or {})
            iam.check(role.trust_policy or {})
            self.roles[role_arn(role)] = role

    def _add_user(self, user: User) -> None:
        key = Credentials(user.access_key_id or _key_id("AKIA"), user.secret_access_key or secrets.token_urlsafe(30))
        policy = iam.everything_policy() if user.policy is None else user.policy
        iam.check(policy)
        arn = f"arn:{user.partition}:iam::{user.account}:user/{user.name}"
        self._known[key.access_key_id] = (key, Principal(arn, user.account, _key_id("AIDA"), (policy,)))
        self.user_keys[user.name] = key

    def open_session(self, role: Role, name: str, seconds: int, now: datetime) -> tuple[Credentials, Principal]:
        if seconds > role.max_session_seconds:
            text = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
            raise ServiceError("ValidationError", text)
        end = (now + timedelta(seconds=seconds)).replace(microsecond=0)
        key = Credentials(_key_id("ASIA"), secrets.token_urlsafe(30), secrets.token_urlsafe(180), end)
        arn = f"arn:{role.partition}:sts::{role.account}:assumed-role/{role.name}/{name}"
        policies = (role.policy,) if role.policy else ()
        principal = Principal(arn, role.account, f"{_key_id('AROA')}:{name}", policies, role_arn(role))
        with self._lock:
            self._known[key.access_key_id] = (key, principal)
        return key, principal

    def find(self, access_key_id: str, session_token: str, now: datetime) -> tuple[Credentials, Principal]:
        """Whose access key it is.

        Raises:
            ServiceError: nobody's, with another session token, or of a session that has ended.
        """
        known = self._known.get(access_key_id)
        if known is None or not hmac.compare_digest(known[0].session_token.encode(), session_token.encode()):
            text = "The security token included in the request is invalid."
            raise ServiceError("UnrecognizedClientException", text)
        if known[0].expires is not None and now >= known[0].expires:
            raise ServiceError("ExpiredTokenException", "The security token included in the request is expired")
        return known


def role_arn(role: Role) -> str:
    return f"arn:{role.partition}:iam::{role.account}:role/{role.name}"


def _key_id(prefix: str) -> str:
    return prefix + "".join(secrets.choice(_ALPHABET) for _ in range(16))
