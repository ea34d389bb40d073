"""IAM policies, as far as they are needed: actions, resources, and conditions on strings.

Source: IAM User Guide, "Policy evaluation logic". An operator that is not known here is an error, never a silent yes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

from pca_emulator.errors import AwsError


def allowed(policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> bool:
    """An explicit Deny wins; without an Allow the answer is no."""
    effects = {
        statement["Effect"]
        for statement in _listed(policy["Statement"])
        if _matches(statement.get("Action", ()), action.lower(), fold=True)
        and _matches(statement.get("Resource", "*"), resource)
        and _conditions_hold(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def require(principal: str, policy: Mapping[str, Any], action: str, resource: str, context: Mapping[str, str]) -> None:
    if not allowed(policy, action, resource, context):
        raise AwsError(
            "AccessDeniedException",
            f"User: {principal} is not authorized to perform: {action} on resource: {resource} "
            f"because no identity-based policy allows the {action} action",
        )


def _listed(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else (value,)


def _matches(patterns: Any, value: str, *, fold: bool = False) -> bool:
    return any(fnmatchcase(value, pattern.lower() if fold else pattern) for pattern in _listed(patterns))


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    for operator, wanted in conditions.items():
        for key, values in wanted.items():
            given = context.get(key)
            match operator:
                case "StringEquals":
                    held = given in _listed(values)
                case "StringLike" | "ArnLike" | "ArnEquals":
                    held = given is not None and _matches(values, given)
                case _:
                    raise ValueError(f"the condition operator {operator} is not emulated")
            if not held:
                return False
    return True
