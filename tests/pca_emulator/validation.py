"""Requests against botocore's own service model: required, unknown, type, length, range, pattern, enum; in AWS' words.

boto3 sends much that the service refuses (a token of 40 characters, "not-an-arn"); the service model knows better.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final

import botocore.loaders
import botocore.model

from pca_emulator.errors import AwsError


@cache
def model(service: str) -> botocore.model.ServiceModel:
    return botocore.model.ServiceModel(botocore.loaders.Loader().load_service_model(service, "service-2"), service)


def checked(service: str, operation: str, given: Any) -> dict[str, Any]:
    """The input with its blobs decoded.

    Raises:
        AwsError: ValidationException with every violation, or SerializationException.
    """
    shape = model(service).operation_model(operation).input_shape
    if not isinstance(given, dict):
        raise AwsError("SerializationException", "The request is not a JSON object.")
    content: dict[str, Any] = _decoded(shape, given)
    problems = list(_violations(shape, content, ""))
    if problems:
        count = f"{len(problems)} validation error{'s' if len(problems) > 1 else ''} detected: "
        raise AwsError("ValidationException", count + "; ".join(problems))
    return content


def _decoded(shape: Any, value: Any) -> Any:
    if shape.type_name == "structure" and isinstance(value, dict):
        return {
            name: _decoded(shape.members[name], one) if name in shape.members else one for name, one in value.items()
        }
    if shape.type_name == "list" and isinstance(value, list):
        return [_decoded(shape.member, one) for one in value]
    if shape.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise AwsError("SerializationException", "A blob is not base64.") from None
    return value


_KINDS: Final = {
    "structure": dict,
    "list": list,
    "string": str,
    "blob": bytes,
    "long": int,
    "integer": int,
    "boolean": bool,
}


def _violations(shape: Any, value: Any, path: str) -> Iterator[str]:
    if shape.type_name in _KINDS and not isinstance(value, _KINDS[shape.type_name]):
        yield _violation(value, path, f"be of type {shape.type_name}")
    elif shape.type_name == "structure":
        yield from _members(shape, value, path)
    elif shape.type_name == "list":
        for one in value:
            yield from _violations(shape.member, one, f"{path}.member")
    else:
        yield from _limits(shape.metadata, value, path)


def _members(shape: Any, value: Mapping[str, Any], path: str) -> Iterator[str]:
    for name in shape.required_members:
        if value.get(name) is None:
            yield f"Value null at {_member(path, name)} failed to satisfy constraint: Member must not be null"
    for name, one in value.items():
        if name not in shape.members:
            yield f"Value at {_member(path, name)} failed to satisfy constraint: Member must be known"
        elif one is not None:
            yield from _violations(shape.members[name], one, _member(path, name))


def _limits(rules: Mapping[str, Any], value: Any, path: str) -> Iterator[str]:
    size, unit = (value, "value") if isinstance(value, int) else (len(value), "length")
    if "min" in rules and size < rules["min"]:
        yield _violation(value, path, f"have {unit} greater than or equal to {rules['min']}")
    if "max" in rules and size > rules["max"]:
        yield _violation(value, path, f"have {unit} less than or equal to {rules['max']}")
    if not isinstance(value, str):
        return
    if "enum" in rules and value not in rules["enum"]:
        yield _violation(value, path, f"satisfy enum value set: [{', '.join(rules['enum'])}]")
    if "pattern" in rules and not re.fullmatch(_python(rules["pattern"]), value):
        yield _violation(value, path, f"satisfy regular expression pattern: {rules['pattern']}")


def _violation(value: Any, path: str, constraint: str) -> str:
    shown = "<blob>" if isinstance(value, bytes) else value
    return f"Value {shown} at {path or 'request'} failed to satisfy constraint: Member must {constraint}"


def _member(path: str, name: str) -> str:
    own = name[0].lower() + name[1:]
    return f"{path}.{own}" if path else own


def _python(pattern: str) -> str:
    """The model's patterns are Java's: their long escapes are written in another way here."""
    return re.sub(r"\\x\{([0-9A-Fa-f]+)\}", lambda match: f"\\U{match[1]:0>8}", pattern)
