"""/_emulator/: what tests ask and order by HTTP. Not of AWS, not signed; no key or credential is in its answers."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final

from pca_emulator.faults import Fault
from pca_emulator.gateway import Reply
from pca_emulator.scenario import STATUSES
from pca_emulator.sigv4 import HttpRequest
from pca_emulator.world import World

PREFIX: Final = "/_emulator/"


class Admin:
    def __init__(self, world: World) -> None:
        self._world = world

    def reply(self, request: HttpRequest) -> Reply:
        path = request.path.removeprefix(PREFIX)
        try:
            given = json.loads(request.body) if request.body else {}
            match request.method, path.split("/"):
                case "GET", ["authorities", name, "root.pem"]:
                    text = self._world.authorities[name].root_pem + "\n"
                    return Reply(200, text.encode(), "application/x-pem-file")
                case "GET", [what]:
                    return _json(self._shown(what))
                case "DELETE", [what]:
                    return _json(self._cleared(what))
                case "POST", [what]:
                    return _json(self._ordered(what, given))
                case _:
                    raise LookupError(f"{request.method} {request.path}")
        except LookupError as error:
            return _json({"error": f"there is no {error}"}, 404)
        except (ValueError, TypeError) as error:
            return _json({"error": str(error)}, 400)

    def _shown(self, what: str) -> Any:
        match what:
            case "healthz":
                return {"status": "ok"}
            case "state":
                return state(self._world)
            case "requests":
                return [
                    {
                        **asdict(each),
                        "time": each.time.isoformat(),
                        "template": each.template,
                        "token": each.token,
                    }
                    for each in self._world.requests
                ]
            case "issued":
                return [
                    {
                        "arn": each.arn,
                        "authorityArn": each.authority_arn,
                        "serial": each.serial,
                        "template": each.template,
                        "signingAlgorithm": each.signing_algorithm,
                        "token": each.token,
                        "issuedAt": each.issued_at.isoformat(),
                        "notBefore": each.certificate.not_valid_before_utc.isoformat(),
                        "notAfter": each.certificate.not_valid_after_utc.isoformat(),
                        "failed": each.failed,
                        "revoked": each.revoked,
                        "certificate": each.pem,
                    }
                    for each in self._world.service.issued
                ]
            case "faults":
                return [asdict(fault) for fault in self._world.faults.faults]
            case _:
                raise LookupError(what)

    def _cleared(self, what: str) -> Any:
        match what:
            case "requests":
                self._world.forget_requests()
            case "faults":
                self._world.faults.clear()
            case _:
                raise LookupError(what)
        return {}

    def _ordered(self, what: str, given: dict[str, Any]) -> Any:
        match what:
            case "reset":
                self._world.forget_requests()
                self._world.faults.clear()
            case "faults":
                self._world.faults.add(Fault(**given))
            case "status":
                set_status(self._world, given["status"], given.get("authority", ""))
            case "clock":
                self._world.clock.advance(timedelta(seconds=given["advanceSeconds"]))
            case _:
                raise LookupError(what)
        return state(self._world)


def set_status(world: World, status: str, authority: str = "") -> None:
    """Set the status of an authority, by name; of the first one without a name."""
    if status not in STATUSES:
        raise ValueError(f"status: {status!r} is not one of {', '.join(STATUSES)}")
    name = authority or next(iter(world.authorities))
    world.authorities[name].set_status(status, world.clock.now())


def state(world: World) -> dict[str, Any]:
    now = world.clock.now()
    return {
        "now": now.isoformat(),
        "authorities": [
            {
                "name": name,
                "arn": authority.arn,
                "status": authority.status(now),
                "usageMode": authority.spec.usage_mode,
                "levels": authority.spec.levels,
            }
            for name, authority in world.authorities.items()
        ],
        "issued": len(world.service.issued),
        "requests": len(world.requests),
        "faults": [asdict(fault) for fault in world.faults.faults],
    }


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, json.dumps(value).encode(), "application/json")
