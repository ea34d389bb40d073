"""What an emulator holds when it starts: authorities, users with keys, roles for ServiceAccounts. Only data."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

ACCOUNT: Final = "111122223333"
ALLOW_ALL: Final[Mapping[str, Any]] = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": ["acm-pca:*", "sts:*"], "Resource": "*"}],
}


@dataclass(frozen=True)
class AuthoritySpec:
    """A private CA and the hierarchy above it."""

    name: str = "Example"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    levels: int = 2
    """1: the private CA is the root itself; 2: a subordinate under it; 3: one more between."""
    keys: tuple[str, ...] = ("EC_prime256v1",)
    """Key algorithm by level, the root first; the last one counts for the levels below."""
    usage_mode: str = "GENERAL_PURPOSE"
    status: str = "ACTIVE"
    validity_days: float = 3650
    signing_algorithm: str = ""
    """Empty: the usual one for the key."""
    spare_path_length: int = 0
    """How many CA levels more than the one intermediate may stand below."""
    region: str = "eu-west-1"
    account: str = ACCOUNT
    partition: str = "aws"

    def key(self, level: int) -> str:
        return self.keys[min(level, len(self.keys) - 1)]


@dataclass(frozen=True)
class User:
    """Static credentials, as on a laptop."""

    access_key_id: str = "AKIAEXAMPLEEXAMPLE00"
    secret_access_key: str = field(default="an example is no secret", repr=False)
    arn: str = f"arn:aws:iam::{ACCOUNT}:user/laptop"
    policy: Mapping[str, Any] = field(default_factory=lambda: ALLOW_ALL)


@dataclass(frozen=True)
class Role:
    """An IAM role. `${OIDC_PROVIDER}` in its trust policy stands for the cluster's issuer without https://."""

    arn: str
    trust: Mapping[str, Any]
    policy: Mapping[str, Any] = field(default_factory=lambda: ALLOW_ALL)


@dataclass(frozen=True)
class Scenario:
    """The whole."""

    authorities: tuple[AuthoritySpec, ...] = field(default_factory=lambda: (AuthoritySpec(),))
    users: tuple[User, ...] = field(default_factory=lambda: (User(),))
    roles: tuple[Role, ...] = ()
    issue_delay: float = 0.0
    """Seconds that ACM PCA works on a certificate."""
    quotas: bool = True
    """Whether AWS' default quotas per second hold."""

    @classmethod
    def of(cls, **settings: Any) -> Scenario:
        """One authority with these settings; `issue_delay` and `quotas` go to the scenario."""
        own = {name: settings.pop(name) for name in ("issue_delay", "quotas", "roles", "users") if name in settings}
        return cls(authorities=(AuthoritySpec(**settings),), **own)

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """The same names as the fields above."""
        document = json.loads(text)
        authorities = tuple(
            AuthoritySpec(**{**one, "keys": tuple(one.get("keys", ("EC_prime256v1",)))})
            for one in document.pop("authorities")
        )
        users = tuple(User(**one) for one in document.pop("users", ()))
        roles = tuple(Role(**one) for one in document.pop("roles", ()))
        return cls(authorities=authorities, users=users, roles=roles, **document)
