"""Requests against botocore's own service model: types, then constraints, in the words AWS uses.

boto3 itself checks only required members, types and lower bounds; upper bounds, patterns, enums and
blob sizes reach the server.
"""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import Any

import botocore.session

from pca_emulator.errors import ServiceError


@cache
def input_shape(service: str, operation: str) -> Any:
    """The shape of an operation's parameters; None when the service has no such operation."""
    model = _model(service)
    return model.operation_model(operation).input_shape if operation in model.operation_names else None


@cache
def _model(service: str) -> Any:
    return botocore.session.get_session().get_service_model(service)


def check(shape: Any, parameters: dict[str, Any], code: str = "ValidationException") -> None:
    """Raise a ServiceError that tells every violated constraint."""
    found = _problems(shape, parameters, "")
    if found:
        errors = "error" if len(found) == 1 else "errors"
        raise ServiceError(code, f"{len(found)} validation {errors} detected: {'; '.join(found)}")


def _problems(shape: Any, value: Any, path: str) -> list[str]:
    match shape.type_name:
        case "structure":
            return _structure_problems(shape, value, path)
        case "list":
            return [
                *_bound_problems(shape, len(value), value, path, "length"),
                *(p for n, each in enumerate(value, 1) for p in _problems(shape.member, each, f"{path}.{n}.member")),
            ]
        case "string":
            return _string_problems(shape, value, path)
        case "blob":
            seen = f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"  # AWS shows it so
            return _bound_problems(shape, len(value), seen, path, "length")
        case "integer" | "long":
            return _bound_problems(shape, value, value, path, "value")
        case _:
            return []


def _structure_problems(shape: Any, value: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, member in shape.members.items():
        where = f"{path}.{_lower(name)}".lstrip(".")
        if value.get(name) is not None:
            found += _problems(member, value[name], where)
        elif name in shape.required_members:
            found.append(f"Value null at '{where}' failed to satisfy constraint: Member must not be null")
    return found


def _string_problems(shape: Any, value: str, path: str) -> list[str]:
    found = _bound_problems(shape, len(value), value, path, "length")
    pattern = shape.metadata.get("pattern")
    # Java's classes like \p{L} are unknown to Python; only the patterns of tags have them
    if pattern and "\\p{" not in pattern and not re.fullmatch(pattern, value, re.ASCII):
        found.append(_failed(value, path, f"satisfy regular expression pattern: {pattern}"))
    if shape.enum and value not in shape.enum:
        found.append(_failed(value, path, f"satisfy enum value set: [{', '.join(shape.enum)}]"))
    return found


def _bound_problems(shape: Any, size: int, value: object, path: str, what: str) -> list[str]:
    found = []
    if size < shape.metadata.get("min", size):
        found.append(_failed(value, path, f"have {what} greater than or equal to {shape.metadata['min']}"))
    if size > shape.metadata.get("max", size):
        found.append(_failed(value, path, f"have {what} less than or equal to {shape.metadata['max']}"))
    return found


def _failed(value: object, path: str, demand: str) -> str:
    return f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {demand}"


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]


def from_json(shape: Any, value: Any) -> Any:
    """A parsed JSON value as the shape has it. Unknown members are left out, as AWS does."""
    match shape.type_name:
        case "structure":
            members = _typed(value, dict, "structure").items()
            return {k: from_json(shape.members[k], v) for k, v in members if k in shape.members and v is not None}
        case "list":
            return [from_json(shape.member, each) for each in _typed(value, list, "list")]
        case "map":
            return {key: from_json(shape.value, each) for key, each in _typed(value, dict, "map").items()}
        case "string":
            return _typed(value, str, "String")
        case "integer" | "long":
            return _typed(value, int, "Long")
        case "boolean":
            return _typed(value, bool, "Boolean")
        case "blob":
            try:
                return base64.b64decode(_typed(value, str, "Blob"), validate=True)
            except binascii.Error:
                raise ServiceError("SerializationException", "Invalid base64") from None
        case _:
            return value


def _typed(value: Any, kind: type, name: str) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ServiceError("SerializationException", f"{type(value).__name__} can not be converted to {name}")
    return value


def from_query(shape: Any, pairs: dict[str, str]) -> dict[str, Any]:
    """The scalar parameters of a query request. Lists and structures are kept apart: none is emulated."""
    parameters: dict[str, Any] = {}
    for name, member in shape.members.items():
        given = pairs.get(name)
        if given is None:
            if any(key.startswith(f"{name}.") for key in pairs):
                parameters[name] = []
        elif member.type_name in {"integer", "long"}:
            if not re.fullmatch(r"-?\d{1,18}", given, re.ASCII):
                raise ServiceError("MalformedInput", "Unexpected input")
            parameters[name] = int(given)
        else:
            parameters[name] = given
    return parameters
