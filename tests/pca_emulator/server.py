"""The HTTP side: ACM PCA (JSON 1.1), STS (query), and `/_emulator/` for tests.

It finds out who calls and whether they may, lets faults happen, and keeps the log of requests. The rules are elsewhere.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

from pca_emulator import iam, sts, templates, validation
from pca_emulator.authority import pem
from pca_emulator.clock import Clock
from pca_emulator.errors import AwsError, DroppedError
from pca_emulator.faults import Fault, Faults
from pca_emulator.scenario import Scenario
from pca_emulator.service import PrivateCaService
from pca_emulator.sigv4 import Principal, authenticate

_FAULT_ERRORS = {
    "throttle": AwsError("ThrottlingException", "Rate exceeded"),
    "error-500": AwsError("InternalFailure", "The request processing has failed because of an unknown error.", 500),
    "error-503": AwsError(
        "ServiceUnavailable", "The request has failed due to a temporary failure of the server.", 503
    ),
    "expired-token": AwsError("ExpiredTokenException", "The security token included in the request is expired"),
}


@dataclass(frozen=True)
class Request:
    """One line of the log."""

    operation: str
    principal: str
    template: str
    token: str
    outcome: str
    """ok, dropped, or the code of the error."""
    at: datetime


@dataclass(frozen=True)
class Reply:
    status: int
    kind: str
    body: bytes


class Core:
    """Everything behind the socket."""

    def __init__(self, scenario: Scenario, keys: sts.Keys | None) -> None:
        self.clock = Clock()
        self.faults = Faults()
        self.pca = PrivateCaService(scenario, self.clock)
        self.sts = sts.TokenService(scenario, self.clock, keys)
        self.requests: list[Request] = []

    def answer(self, headers: Mapping[str, str], body: bytes) -> tuple[Reply, dict[str, Fault]]:
        """The reply to one API request, and the faults that shape how it is sent."""
        target = headers.get("X-Amz-Target", "")
        if target.startswith("ACMPrivateCA."):
            return self._private_ca(target.partition(".")[2], headers, body)
        return self._token_service(dict(parse_qsl(body.decode(errors="replace"))), headers, body)

    def _private_ca(self, operation: str, headers: Mapping[str, str], body: bytes) -> tuple[Reply, dict[str, Fault]]:
        faults = self.faults.next(operation)
        who, given = "", {}
        outcome = "dropped"
        try:
            principal, region = authenticate(self.sts.principals, "acm-pca", headers, body, self.clock.now())
            who = principal.arn
            given = _loaded(body)
            self._fail_if_told(faults, f"acm-pca:{operation}", principal)
            content = self._authorized(operation, given, principal, region)
            answer = self.pca.operations[operation](content, faults)
            outcome = "dropped" if "drop-after-commit" in faults else "ok"
            return Reply(200, "application/x-amz-json-1.1", json.dumps(answer).encode()), faults
        except AwsError as error:
            outcome = error.code
            document = {"__type": error.code, "message": error.message}
            return Reply(error.status, "application/x-amz-json-1.1", json.dumps(document).encode()), faults
        finally:
            self._note(operation, who, given, outcome)

    def _authorized(self, operation: str, given: Any, principal: Principal, region: str) -> dict[str, Any]:
        if operation not in self.pca.operations:
            raise AwsError("UnknownOperationException", f"The operation {operation} is not emulated.")
        self.pca.throttle(operation)
        content = validation.checked("acm-pca", operation, given)
        arn = content["CertificateAuthorityArn"]
        if arn.split(":")[3] != region:
            raise AwsError("ResourceNotFoundException", f"Could not find Certificate Authority {arn}.")
        template = content.get("TemplateArn") or templates.arn(arn.split(":")[1])
        context = {"acm-pca:TemplateArn": template} if operation == "IssueCertificate" else {}
        iam.require(principal.arn, principal.policy, f"acm-pca:{operation}", arn, context)
        return content

    def _token_service(
        self, given: dict[str, str], headers: Mapping[str, str], body: bytes
    ) -> tuple[Reply, dict[str, Fault]]:
        action = given.pop("Action", "")
        given.pop("Version", None)
        faults = self.faults.next(action)
        who, outcome = "", "dropped"
        try:
            self._fail_if_told(faults, f"sts:{action}", None)
            if action == "AssumeRoleWithWebIdentity":
                text = self.sts.assume_with_web_identity(validation.checked("sts", action, given))
            else:
                caller, _ = authenticate(self.sts.principals, "sts", headers, body, self.clock.now())
                who = caller.arn
                match action:
                    case "AssumeRole":
                        text = self.sts.assume(validation.checked("sts", action, given), caller)
                    case "GetCallerIdentity":
                        text = self.sts.identity(caller)
                    case _:
                        raise AwsError("InvalidAction", f"The action {action} is not emulated.")
            outcome = "dropped" if "drop-after-commit" in faults else "ok"
            return Reply(200, "text/xml", text.encode()), faults
        except AwsError as error:
            outcome = error.code
            return Reply(error.status, "text/xml", sts.error_xml(error).encode()), faults
        finally:
            self._note(action, who, {}, outcome)

    def _fail_if_told(self, faults: Mapping[str, Fault], action: str, principal: Principal | None) -> None:
        if "drop-before-commit" in faults:
            raise DroppedError
        for kind in faults:
            if kind in _FAULT_ERRORS:
                raise _FAULT_ERRORS[kind]
        if "denied" in faults:
            who = principal.arn if principal else "anonymous"
            code = "AccessDeniedException" if action.startswith("acm-pca:") else "AccessDenied"
            text = f"User: {who} is not authorized to perform: {action}"
            raise AwsError(code, text, 400 if action.startswith("acm-pca:") else 403)

    def _note(self, operation: str, who: str, given: Any, outcome: str) -> None:
        fields = given if isinstance(given, dict) else {}
        template, token = str(fields.get("TemplateArn", "")), str(fields.get("IdempotencyToken", ""))
        self.requests.append(Request(operation, who, template, token, outcome, self.clock.now()))

    def control(self, method: str, path: str, given: Mapping[str, Any]) -> Any:
        """`/_emulator/…`: what tests look at and change."""
        match method, path:
            case "GET", "health":
                return {"ok": True}
            case "GET", "authorities":
                return self.listing()
            case "GET", "requests":
                return [asdict(request) for request in self.requests]
            case "GET", "issued":
                return [
                    {
                        "arn": one.arn,
                        "authority": one.authority_arn,
                        "template": one.template,
                        "certificate": pem(one.certificate),
                    }
                    for one in self.pca.issued
                ]
            case "DELETE", "requests":
                self.requests.clear()
            case "DELETE", "faults":
                self.faults.clear()
            case "POST", "faults":
                self.faults.add(Fault(**given))
            case "POST", "status":
                self.pca.authorities[given["arn"]].status = given["status"]
            case "POST", "clock":
                self.clock.advance(timedelta(seconds=given["seconds"]))
            case _:
                raise AwsError("NotFound", f"there is no {method} {path}", 404)
        return {"ok": True}

    def listing(self) -> list[dict[str, str]]:
        return [
            {"name": one.spec.name, "arn": one.arn, "status": one.status, "root": pem(one.chain[-1])}
            for one in self.pca.authorities.values()
        ]


def _loaded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise AwsError("SerializationException", "The request is not JSON.") from None


class Handler(BaseHTTPRequestHandler):
    """One connection. Every reply ends it: a test that drops one must not disturb the next."""

    core: Core
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.startswith("/_emulator/"):
            self._control(body)
            return
        try:
            reply, faults = self.core.answer(dict(self.headers.items()), body)
        except DroppedError:
            self._drop()
            return
        if "slow" in faults:
            time.sleep(faults["slow"].seconds)
        if "drop-after-commit" in faults:
            self._drop()
            return
        self._send(reply, cut="truncated" in faults)

    def do_GET(self) -> None:
        self._control(b"")

    do_DELETE = do_GET  # noqa: N815 -- the name that http.server looks for

    def _control(self, body: bytes) -> None:
        try:
            answer = self.core.control(self.command, self.path.removeprefix("/_emulator/"), json.loads(body or b"{}"))
            self._send(Reply(200, "application/json", json.dumps(answer, default=str).encode()))
        except AwsError as error:
            self._send(Reply(error.status, "application/json", json.dumps({"error": error.message}).encode()))
        except (KeyError, TypeError, ValueError) as error:
            self._send(Reply(400, "application/json", json.dumps({"error": repr(error)}).encode()))

    def _send(self, reply: Reply, *, cut: bool = False) -> None:
        self.close_connection = True
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)

    def _drop(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
        """Silent: the log of requests is at /_emulator/requests."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], core: Core) -> None:
        super().__init__(address, type("BoundHandler", (Handler,), {"core": core}))

    def start(self) -> threading.Thread:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        return thread
