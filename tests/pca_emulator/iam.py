"""IAM policies: identity, resource and trust policies with the operators that ACM PCA and IRSA users write.

What it does not understand is a ValueError when the scenario is read, never "no match" in silence.
Source: IAM User Guide, "Policy evaluation logic" and "Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

from pca_emulator.errors import ServiceError
from pca_emulator.scenario import Policy

Context = Mapping[str, Sequence[str]]
"""Values of condition keys. A key that is not there is absent, as in IAM."""


class Decision(Enum):
    ALLOWED = "allowed"
    DENIED = "explicit deny"
    SILENT = "implicit deny"


@dataclass(frozen=True)
class Principal:
    """Who calls."""

    arn: str
    account: str
    user_id: str
    policies: tuple[Policy, ...] = field(default=(), repr=False)
    role_arn: str = ""

    def names(self) -> set[str]:
        """All that a policy may call it."""
        partition = self.arn.split(":")[1]
        root = f"arn:{partition}:iam::{self.account}:root"
        return {"*", self.account, root, self.arn, self.role_arn} - {""}


_OPERATORS: Final = {"StringEquals", "StringNotEquals", "StringLike", "StringNotLike", "ArnEquals", "ArnLike"}
_STATEMENT_KEYS: Final = {
    *("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Principal", "Condition"),
}


def check(policy: Policy) -> None:
    """Raise ValueError for anything in a policy that this module would not evaluate."""
    for statement in _listed(policy.get("Statement", ())):
        if unknown := set(statement) - _STATEMENT_KEYS:
            raise ValueError(f"policy: {', '.join(sorted(unknown))} is not evaluated here")
        if statement.get("Effect") not in {"Allow", "Deny"}:
            raise ValueError("policy: a statement needs the Effect Allow or Deny")
        if not {"Action", "NotAction"} & set(statement):
            raise ValueError("policy: a statement needs Action or NotAction")
        for operator in statement.get("Condition", {}):
            if _plain(operator) not in _OPERATORS:
                raise ValueError(f"policy: the condition operator {operator} is not evaluated here")


def evaluate(
    policies: Iterable[Policy],
    action: str,
    resource: str,
    context: Context,
    principals: set[str] | None = None,
) -> Decision:
    """What the policies say about an action on a resource; `principals` only for policies that name one."""
    decision = Decision.SILENT
    for policy in policies:
        for statement in _listed(policy.get("Statement", ())):
            if _applies(statement, action, resource, context, principals):
                if statement["Effect"] == "Deny":
                    return Decision.DENIED
                decision = Decision.ALLOWED
    return decision


def authorize(
    principal: Principal, action: str, resource: str, context: Context, resource_policy: Policy | None
) -> None:
    """Raise AccessDeniedException, in AWS' words, unless the principal may.

    Within one account either policy is enough; from another account both must allow.
    """
    own = evaluate(principal.policies, action, resource, context)
    shared = Decision.SILENT
    if resource_policy is not None:
        shared = evaluate([resource_policy], action, resource, context, principal.names())
    text = f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}"
    if own is Decision.DENIED:
        raise ServiceError("AccessDeniedException", f"{text} with an explicit deny in an identity-based policy")
    if shared is Decision.DENIED:
        raise ServiceError("AccessDeniedException", f"{text} with an explicit deny in a resource-based policy")
    foreign = resource != "*" and resource.split(":")[4] != principal.account
    if own is not Decision.ALLOWED and (foreign or shared is not Decision.ALLOWED):
        because = f"because no identity-based policy allows the {action} action"
        raise ServiceError("AccessDeniedException", f"{text} {because}")
    if foreign and shared is not Decision.ALLOWED:
        because = f"because no resource-based policy allows the {action} action"
        raise ServiceError("AccessDeniedException", f"{text} {because}")


def _applies(
    statement: Mapping[str, Any], action: str, resource: str, context: Context, principals: set[str] | None
) -> bool:
    if "Action" in statement:
        acts = any(like(each.lower(), action.lower()) for each in _listed(statement["Action"]))
    else:
        acts = not any(like(each.lower(), action.lower()) for each in _listed(statement["NotAction"]))
    if "NotResource" in statement:
        concerns = not any(like(each, resource) for each in _listed(statement["NotResource"]))
    else:  # a trust policy has no Resource: it concerns its own role
        concerns = any(like(each, resource) for each in _listed(statement.get("Resource", "*")))
    meant = principals is None or bool(principals & _principals(statement))
    return acts and concerns and meant and _conditions_hold(statement.get("Condition", {}), context)


def _principals(statement: Mapping[str, Any]) -> set[str]:
    given = statement.get("Principal", {})
    if isinstance(given, str):
        return {given}
    return {each for kind in given.values() for each in _listed(kind)}


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    lowered = {key.lower(): values for key, values in context.items()}
    return all(
        _holds(operator, [str(each) for each in _listed(wanted)], lowered.get(key.lower()))
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _holds(operator: str, wanted: list[str], found: Sequence[str] | None) -> bool:
    plain = _plain(operator)
    negative = "Not" in plain
    if found is None:  # absent: positive operators fail, negated ones hold, ...IfExists and ForAllValues do not ask
        return negative or operator.endswith("IfExists") or operator.startswith("ForAllValues:")
    fuzzy = plain.endswith("Like") or plain.startswith("Arn")

    def matches(value: str) -> bool:
        return any(like(each, value) if fuzzy else each == value for each in wanted) is not negative

    every = negative or operator.startswith("ForAllValues:")
    return all(map(matches, found)) if every else any(map(matches, found))


def _plain(operator: str) -> str:
    return operator.removeprefix("ForAnyValue:").removeprefix("ForAllValues:").removesuffix("IfExists")


def like(pattern: str, value: str) -> bool:
    """IAM's wildcards: * and ?, nothing else."""
    expression = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.fullmatch(expression, value, re.DOTALL) is not None


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def everything_policy() -> Policy:
    return {"Statement": [{"Effect": "Allow", "Action": ["acm-pca:*", "sts:AssumeRole"], "Resource": "*"}]}


def least_policy(authority_arns: Iterable[str]) -> Policy:
    """What istio-pca needs: read these authorities, and issue from them by its templates alone."""
    arns = list(authority_arns)
    partitions = sorted({arn.split(":")[1] for arn in arns})
    templates = [
        f"arn:{partition}:acm-pca:::template/{name}/V1"
        for partition in partitions
        for name in (*(f"SubordinateCACertificate_PathLen{n}" for n in range(4)), "EndEntityServerAuthCertificate")
    ]
    reads = ["DescribeCertificateAuthority", "GetCertificate", "GetCertificateAuthorityCertificate"]
    issue = {
        "Effect": "Allow",
        "Action": "acm-pca:IssueCertificate",
        "Resource": arns,
        "Condition": {"StringEquals": {"acm-pca:TemplateArn": templates}},
    }
    read = {"Effect": "Allow", "Action": [f"acm-pca:{each}" for each in reads], "Resource": arns}
    return {"Version": "2012-10-17", "Statement": [issue, read]}


def irsa_trust_policy(provider_arn: str, issuer: str, service_accounts: Iterable[str]) -> Policy:
    """The trust policy that EKS users write for IRSA."""
    host = issuer.removeprefix("https://")
    subjects = [f"system:serviceaccount:{each.replace('/', ':')}" for each in service_accounts]
    return {
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{host}:aud": "sts.amazonaws.com", f"{host}:sub": subjects}},
            }
        ]
    }


def pod_identity_trust_policy() -> Policy:
    """The trust policy that EKS asks for; every ServiceAccount with an association may have the role."""
    actions = ["sts:AssumeRole", "sts:TagSession"]
    return {"Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"}, "Action": actions}]}
