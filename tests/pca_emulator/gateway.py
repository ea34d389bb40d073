"""From a request off the wire to the reply: protocol, signature, validation, permission, quota, faults, operation.

It opens no socket (`server` does) and decides nothing about certificates (`service` does).
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from pca_emulator import iam, pod_identity, sigv4, sts, tampering, templates, validation
from pca_emulator.errors import ServiceError
from pca_emulator.faults import REFUSALS, TAMPERINGS, Fault
from pca_emulator.iam import Principal
from pca_emulator.lifecycle import Home
from pca_emulator.service import in_progress, request_failed
from pca_emulator.sigv4 import Caller, HttpRequest
from pca_emulator.world import World

_STS_NAMESPACE: Final = "https://sts.amazonaws.com/doc/2011-06-15/"
_STS_CODES: Final = {
    "UnrecognizedClientException": ("InvalidClientTokenId", 403),
    "InvalidSignatureException": ("SignatureDoesNotMatch", 403),
    "ExpiredTokenException": ("ExpiredToken", 403),
    "MissingAuthenticationTokenException": ("MissingAuthenticationToken", 403),
    "IncompleteSignatureException": ("IncompleteSignature", 400),
    "ThrottlingException": ("Throttling", 400),
}
"""The names of the query protocol for what the JSON protocol calls otherwise."""
_JSON: Final = "application/x-amz-json-1.1"


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    content_type: str
    lost: bool = False
    """Close the connection instead of answering."""
    cut: bool = False
    """Announce the whole body, send half of it."""
    retry_after: int = 0
    """Seconds, for the header of this name."""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))


@dataclass
class Call:
    """One call while it is worked on; what of it is known when it fails goes to the log."""

    service: str
    operation: str
    parameters: dict[str, Any] = field(default_factory=dict)
    principal: Principal | None = None
    region: str = ""
    fault: Fault | None = None


class _DroppedError(Exception):
    """The connection is to be closed without an answer."""


class Gateway:
    def __init__(self, world: World) -> None:
        self._world = world

    def reply(self, request: HttpRequest) -> Reply:
        target = request.headers.get("x-amz-target", "")
        if (request.method, request.path) == ("GET", pod_identity.PATH):
            call = Call("eks-auth", pod_identity.OPERATION)
            return self._performed(call, request, self._agent, _json_answer, _json_error)
        if request.method != "POST" or request.path != "/":
            return _json_error(ServiceError("UnknownOperationException", "Requests are POST /", 404))
        if target:
            call = Call("acm-pca", target.removeprefix("ACMPrivateCA."))
            return self._performed(call, request, self._private_ca, _json_answer, _json_error)
        pairs = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        call = Call("sts", pairs.get("Action", ""))
        return self._performed(
            call,
            request,
            lambda a, b: self._sts(a, b, pairs),
            lambda answer: _xml_answer(call, answer),
            _xml_error,
        )

    def _performed(
        self,
        call: Call,
        request: HttpRequest,
        perform: Callable[[Call, HttpRequest], dict[str, Any]],
        answered: Callable[[dict[str, Any]], Reply],
        failed: Callable[[ServiceError], Reply],
    ) -> Reply:
        outcome = "ok"
        try:
            reply = answered(perform(call, request))
        except ServiceError as error:
            outcome, reply = error.code, failed(error)
        except _DroppedError:
            outcome, reply = "dropped", Reply(0, b"", "", lost=True)
        kind = call.fault.kind if call.fault else ""
        who = call.principal.arn if call.principal else ""
        self._world.log(call.service, call.operation, who, call.parameters, outcome, kind)
        if call.fault and kind == "slow":
            self._world.stopping.wait(call.fault.seconds)
        return Reply(
            reply.status,
            reply.body,
            reply.content_type,
            lost=reply.lost or kind == "drop-after-commit",
            cut=kind == "truncated",
            retry_after=max(1, round(call.fault.seconds)) if call.fault and kind == "throttle-retry-after" else 0,
            request_id=reply.request_id,
        )

    def _private_ca(self, call: Call, request: HttpRequest) -> dict[str, Any]:
        caller = self._caller(call, request)
        shape = validation.input_shape("acm-pca", call.operation)
        if shape is None or not request.headers["x-amz-target"].startswith("ACMPrivateCA."):
            raise ServiceError("UnknownOperationException", f"There is no operation {call.operation}.")
        service = self._world.service
        if call.operation not in {*service.operations, *service.lifecycle.of_account}:
            raise ServiceError("UnknownOperationException", f"This emulator has no {call.operation}, AWS has.")
        call.parameters = validation.from_json(shape, _parsed(request))
        validation.check(shape, call.parameters)
        self._authorize(call, caller)
        self._world.quotas.spend(call.operation)
        self._refuse(call)
        if call.operation in service.lifecycle.of_account:
            home = Home(caller.principal.arn.split(":")[1], caller.region, caller.principal.account)
            return service.lifecycle.of_account[call.operation](home, call.parameters)
        authority = service.authority(call.parameters["CertificateAuthorityArn"], caller.region)
        answer = service.operations[call.operation](authority, call.parameters)
        return self._tampered(call, answer)

    def _authorize(self, call: Call, caller: Caller) -> None:
        arn = call.parameters.get("CertificateAuthorityArn", "*")
        context: dict[str, list[str]] = {"aws:RequestedRegion": [caller.region]}
        if call.operation == "IssueCertificate":
            given = call.parameters.get("TemplateArn")
            context["acm-pca:TemplateArn"] = [given or templates.default_arn(arn.split(":")[1])]
        known = self._world.service.lifecycle.find(arn)
        policy = known.spec.policy if known else None
        iam.authorize(caller.principal, f"acm-pca:{call.operation}", arn, context, policy)

    def _sts(self, call: Call, request: HttpRequest, pairs: dict[str, str]) -> dict[str, Any]:
        if call.operation not in sts.OPERATIONS:
            text = f"Could not find operation {call.operation or 'without a name'} for this emulator"
            raise ServiceError("InvalidAction", text)
        if call.operation not in sts.UNSIGNED:
            self._caller(call, request)
        shape = validation.input_shape("sts", call.operation)
        call.parameters = validation.from_query(shape, pairs)
        validation.check(shape, call.parameters, "ValidationError")
        self._refuse(call)
        return self._world.sts.perform(call.operation, call.principal, call.parameters)

    def _agent(self, call: Call, request: HttpRequest) -> dict[str, Any]:
        self._refuse(call)
        call.principal, answer = self._world.pod_identity.credentials(request.headers.get("authorization", ""))
        return answer

    def _caller(self, call: Call, request: HttpRequest) -> Caller:
        clock, known = self._world.clock, self._world.identities
        try:
            caller = sigv4.verify(
                request, call.service, lambda key, token: known.find(key, token, clock.now()), clock.wall()
            )
        except ServiceError as error:
            raise _renamed(error) if call.service == "sts" else error from None
        call.principal, call.region = caller.principal, caller.region
        return caller

    def _refuse(self, call: Call) -> None:
        """Act out the faults that come before anything is done."""
        call.fault = self._world.faults.due(call.operation)
        kind = call.fault.kind if call.fault else ""
        if kind == "drop-before-commit":
            raise _DroppedError
        if kind in REFUSALS:
            error = ServiceError(*REFUSALS[kind])
            raise _renamed(error) if call.service == "sts" else error
        if kind == "access-denied":
            raise _denied(call)
        if kind == "idp-communication-error":
            raise ServiceError("IDPCommunicationError", "An error occurred while communicating with the IDP.")
        if call.operation == "GetCertificate" and kind in {"pending", "failed"}:
            arn = call.parameters["CertificateArn"]
            raise in_progress(arn) if kind == "pending" else request_failed(arn)

    def _tampered(self, call: Call, answer: dict[str, Any]) -> dict[str, Any]:
        """Act out the faults that come after it is done."""
        kind = call.fault.kind if call.fault else ""
        if kind == "failed":
            self._world.service.fail(answer["CertificateArn"])
        if kind not in TAMPERINGS:
            return answer
        if kind in {"wrong-key", "leaf", "foreign-signature"}:
            authority = self._world.service.authority(call.parameters["CertificateAuthorityArn"], call.region)
            issued = self._world.service.certificate(authority, call.parameters["CertificateArn"])
            return tampering.tampered_certificate(kind, answer, issued, authority)
        return tampering.tampered_chain(kind, answer)


def _denied(call: Call) -> ServiceError:
    action = f"{call.service}:{call.operation}"
    if call.principal is None:
        return ServiceError("AccessDenied", f"Not authorized to perform {action}", 403)
    resource = call.parameters.get("CertificateAuthorityArn", "*")
    text = (
        f"User: {call.principal.arn} is not authorized to perform: {action} on resource: {resource} "
        f"because no identity-based policy allows the {action} action"
    )
    return (
        ServiceError("AccessDenied", text, 403)
        if call.service == "sts"
        else ServiceError("AccessDeniedException", text)
    )


def _parsed(request: HttpRequest) -> Any:
    if not request.headers.get("content-type", "").startswith(_JSON):
        raise ServiceError("SerializationException", f"Content-Type must be {_JSON}")
    try:
        return json.loads(request.body or b"{}")
    except ValueError:
        raise ServiceError("SerializationException", "The request is not JSON") from None


def _renamed(error: ServiceError) -> ServiceError:
    code, status = _STS_CODES.get(error.code, (error.code, error.status))
    return ServiceError(code, error.message, status)


def _json_answer(answer: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(answer).encode(), _JSON)


def _json_error(error: ServiceError) -> Reply:
    return Reply(error.status, json.dumps({"__type": error.code, "message": error.message}).encode(), _JSON)


def _xml_answer(call: Call, answer: dict[str, Any]) -> Reply:
    name = call.operation
    request_id = str(uuid.uuid4())
    inner = f"<{name}Result>{_xml(answer)}</{name}Result>{_xml({'ResponseMetadata': {'RequestId': request_id}})}"
    text = f'<{name}Response xmlns="{_STS_NAMESPACE}">{inner}</{name}Response>'
    return Reply(200, text.encode(), "text/xml", request_id=request_id)


def _xml(value: Any) -> str:
    if isinstance(value, str):
        return escape(value)
    return "".join(f"<{name}>{_xml(each)}</{name}>" for name, each in value.items())


def _xml_error(error: ServiceError) -> Reply:
    request_id = str(uuid.uuid4())
    side = "Sender" if error.status < 500 else "Receiver"
    told = {"Type": side, "Code": error.code, "Message": error.message}
    inner = _xml({"Error": told, "RequestId": request_id})
    text = f'<ErrorResponse xmlns="{_STS_NAMESPACE}">{inner}</ErrorResponse>'
    return Reply(error.status, text.encode(), "text/xml", request_id=request_id)
