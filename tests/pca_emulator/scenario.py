"""Scenario: what an emulator is to be, as values and as a JSON (or YAML) document. It builds nothing.

Every mistake is a ValueError that names the place: a scenario that is half understood would test something else.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, TypedDict, TypeVar, Unpack

from pca_emulator import keys

USAGE_MODES: Final = ("GENERAL_PURPOSE", "SHORT_LIVED_CERTIFICATE")
STATUSES: Final = ("CREATING", "PENDING_CERTIFICATE", "ACTIVE", "DELETED", "DISABLED", "EXPIRED", "FAILED")
ACCOUNT: Final = "111122223333"
AWS_QUOTAS: Final[Mapping[str, float]] = {
    "IssueCertificate": 25,
    "GetCertificate": 75,
    "DescribeCertificateAuthority": 20,
    "GetCertificateAuthorityCertificate": 20,
    "ListTags": 20,
    "ListPermissions": 5,
    "CreateCertificateAuthority": 1,
    "GetCertificateAuthorityCsr": 10,
    "ImportCertificateAuthorityCertificate": 10,
    "ListCertificateAuthorities": 20,
    "RevokeCertificate": 20,
}
"""Calls per second and operation, AWS' defaults; those of other operations are not known here, and not limited."""

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class AuthoritySpec:
    """One private CA, and what is above it."""

    name: str = "main"
    """The id when empty."""
    levels: int = 2
    """1: a root CA that signs itself · 2 and more: the last one is the CA that ACM PCA offers."""
    keys: tuple[str, ...] = ("RSA_2048",)
    """Key algorithms, root first; the last one counts for all levels below too."""
    usage_mode: str = "GENERAL_PURPOSE"
    status: str = "ACTIVE"
    id: str = ""
    """The last part of the ARN; random when empty."""
    validity_days: float = 1825
    """Life of the CA that signs; those above live longer. Below zero: it has ended already."""
    path_length: int | None = None
    """Of the CA that signs. Default: what is left of 3 below the first subordinate CA."""
    partition: str = "aws"
    region: str = "eu-west-1"
    account: str = ACCOUNT
    policy: Policy | None = None
    """A resource policy, which callers from another account need (AWS: RAM share or PutPolicy)."""
    tags: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"authority {self.name!r}"
        _among(where, "levels", self.levels, range(1, 6))
        _among(where, "usageMode", self.usage_mode, USAGE_MODES)
        _among(where, "status", self.status, STATUSES)
        for algorithm in self.keys or ("",):
            _among(where, "keys", algorithm, keys.KEY_ALGORITHMS)
        if self.levels == 1 and self.path_length is not None:
            raise ValueError(f"{where}: a root CA of ACM PCA has no path length")
        if self.levels > 1:
            _among(where, "pathLength", self.own_path_length, range(6 - self.levels))
        if not self.id:
            object.__setattr__(self, "id", str(uuid.uuid4()))
        if not self.name:
            object.__setattr__(self, "name", self.id)

    @property
    def arn(self) -> str:
        return f"arn:{self.partition}:acm-pca:{self.region}:{self.account}:certificate-authority/{self.id}"

    @property
    def own_path_length(self) -> int:
        return 5 - self.levels if self.path_length is None else self.path_length

    def key_algorithm(self, depth: int) -> str:
        return self.keys[min(depth, len(self.keys) - 1)]


class AuthorityOptions(TypedDict, total=False):
    """The fields of AuthoritySpec, for a scenario with one authority."""

    name: str
    levels: int
    keys: tuple[str, ...]
    usage_mode: str
    status: str
    id: str
    validity_days: float
    path_length: int | None
    partition: str
    region: str
    account: str
    policy: Policy | None
    tags: Mapping[str, str]


@dataclass(frozen=True)
class User:
    """An IAM user with a static key. Without a policy: may do everything in ACM PCA and assume any role."""

    name: str = "emulator"
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    account: str = ""
    partition: str = ""
    policy: Policy | None = None


@dataclass(frozen=True)
class Role:
    """An IAM role. Without a policy: the least that istio-pca needs, on every authority of the scenario."""

    name: str = "istio-pca"
    service_accounts: tuple[str, ...] = ()
    """NAMESPACE/NAME: short for the trust policy that EKS users write for IRSA."""
    pod_identities: tuple[str, ...] = ()
    """NAMESPACE/NAME: the associations of EKS Pod Identity."""
    trust_policy: Policy | None = None
    policy: Policy | None = None
    account: str = ""
    partition: str = ""
    max_session_seconds: int = 3600


@dataclass(frozen=True)
class Oidc:
    """The IAM OIDC provider: whose tokens are believed. The source of keys is one of the last four groups."""

    issuer: str = ""
    """May be empty with `from_cluster`: the API server tells."""
    audiences: tuple[str, ...] = ("sts.amazonaws.com",)
    jwks: str = ""
    """File."""
    jwks_url: str = ""
    token_file: str = ""
    ca_file: str = ""
    from_cluster: bool = False


class Scenario:
    """All of an emulator: either `authorities`, or the fields of the only one as keywords."""

    def __init__(
        self,
        authorities: Sequence[AuthoritySpec] = (),
        *,
        users: Sequence[User] = (User(),),
        roles: Sequence[Role] = (),
        oidc: Oidc | None = None,
        issue_delay: float = 0.0,
        quotas: Mapping[str, float] | None = AWS_QUOTAS,
        **only: Unpack[AuthorityOptions],
    ) -> None:
        if authorities and only:
            raise ValueError("either authorities, or the fields of the only one")
        self.authorities = tuple(authorities) or (AuthoritySpec(**only),)
        self.users, self.roles, self.oidc = tuple(users), tuple(roles), oidc
        self.issue_delay, self.quotas = issue_delay, quotas
        for what, names in (
            ("authorities", [spec.name for spec in self.authorities]),
            ("authorities' ids", [spec.arn for spec in self.authorities]),
            ("users", [user.name for user in self.users]),
            ("roles", [role.name for role in self.roles]),
        ):
            if len(set(names)) != len(names):
                raise ValueError(f"two {what} have the same name: {', '.join(sorted(names))}")


_Value = TypeVar("_Value")


def load(path: Path) -> Scenario:
    """A scenario file. YAML needs PyYAML; JSON needs nothing."""
    text = path.read_text()
    if path.suffix in {".yaml", ".yml"}:
        import yaml  # optional: the emulator does without

        return from_document(yaml.safe_load(text))
    return from_document(json.loads(text))


def from_document(document: Any) -> Scenario:
    """The scenario of a parsed document, with keys in camelCase."""
    if not isinstance(document, dict):
        raise ValueError("a scenario is a mapping")  # noqa: TRY004 - all mistakes of a scenario are ValueErrors
    known = {"authorities", "users", "roles", "oidc", "issueDelay", "quotas"}
    if unknown := sorted(document.keys() - known):
        raise ValueError(f"scenario: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    quotas = document.get("quotas", True)
    oidc = document.get("oidc")
    return Scenario(
        [_read(AuthoritySpec, f"authorities[{n}]", given) for n, given in enumerate(document.get("authorities", []))],
        users=[_read(User, f"users[{n}]", given) for n, given in enumerate(document.get("users", [{}]))],
        roles=[_read(Role, f"roles[{n}]", given) for n, given in enumerate(document.get("roles", []))],
        oidc=None if oidc is None else _read(Oidc, "oidc", oidc),
        issue_delay=float(document.get("issueDelay", 0.0)),
        quotas=AWS_QUOTAS if quotas is True else quotas or None,
    )


def _read(kind: type[_Value], where: str, given: Any) -> _Value:
    if not isinstance(given, dict):
        raise ValueError(f"{where}: must be a mapping")  # noqa: TRY004 - likewise
    known = {_camel(each.name): each.name for each in fields(kind)}  # type: ignore[arg-type] # all are dataclasses
    if unknown := sorted(given.keys() - known.keys()):
        raise ValueError(f"{where}: unknown {', '.join(unknown)}; known: {', '.join(known)}")
    values = {known[key]: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return kind(**values)


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)


def _among(where: str, what: str, value: object, allowed: Sequence[object]) -> None:
    if value not in allowed:
        raise ValueError(f"{where}: {what} {value!r} is not one of {', '.join(map(str, allowed))}")
