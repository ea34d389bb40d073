"""The story of one Secret: make it match the config, from whatever state it is found in.

It reaches the world through the ports, and every call goes by the one retry policy. It may be killed at any line: what
it leaves is the Secret as it was, or the new one whole, and a journal from which the next run goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, assert_never

import tenacity

from istio_pca.bundle import Bundle
from istio_pca.errors import BusyError, DisturbedError, RefusedError
from istio_pca.issuing import Issuing
from istio_pca.journal import Journal, adopt, pending_name
from istio_pca.plan import (
    Adopt,
    Decision,
    Discard,
    Issue,
    Keep,
    Refuse,
    Renew,
    Replace,
    Resume,
    Wait,
    decide,
    renew_at,
)
from istio_pca.ports import World
from istio_pca.proof import NOBODY, WINDOW, Proof, proven
from istio_pca.request import SigningRequest
from istio_pca.retry import retrying
from istio_pca.secret import CERTIFICATE, Secret
from istio_pca.target import Target


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    action: str
    """kept, adopted, issued, renewed or replaced."""
    reason: str
    bundle: Bundle
    certificate_arn: str
    renew_after: datetime
    proof: Proof = NOBODY
    """Whether istiod signs with it, asked when it is new."""


def ensure(target: Target, world: World) -> Outcome:
    """Make the Secret match the config.

    Raises:
        IstioPcaError: classified; what was there before is untouched.
    """
    call = retrying(world)
    again = call.copy(retry=tenacity.retry_if_exception_type(DisturbedError))
    return again(_Run(target, world, call).turn)


def preview(target: Target, world: World) -> tuple[Decision, SigningRequest | None]:
    """What `ensure` would do, and what it would ask for. Changes nothing; asks AWS only where ensure would.

    Raises:
        IstioPcaError: what ensure would raise before it changes anything.
    """
    return _Run(target, world, retrying(world)).foresee()


def present(target: Target, world: World) -> Secret | None:
    """The Secret as it is now."""
    found: Secret | None = retrying(world)(world.store.read, target.name)
    return found


def look(target: Target, world: World, call: Callable[..., Any]) -> tuple[Secret | None, Decision]:
    """Read what is there, and decide."""
    with world.log.phase("read"):
        found = call(world.store.read, target.name)
        stored = call(world.store.read, pending_name(target.name))
    pending = Journal.from_secret(stored) if stored else None
    return found, decide(target, found, pending, world.clock.now())


class _Run:
    """One run of the story. A turn that is disturbed by another run starts again from what is then there."""

    def __init__(self, target: Target, world: World, call: tenacity.Retrying) -> None:
        self._target, self._store, self._world, self._call = target, world.store, world, call
        self._log = world.log
        self._issuing = Issuing(target, world, call)

    def turn(self) -> Outcome:
        """Decide and act."""
        found, decision = look(self._target, self._world, self._call)
        return self._act(decision, found)

    def _act(self, decision: Decision, found: Secret | None) -> Outcome:
        self._log.decision(decision)
        match decision:
            case Keep(reason, bundle):
                return self._outcome("kept", reason, bundle, found)
            case Refuse(reason, hint):
                raise RefusedError(reason, hint=hint)
            case Wait(reason):
                raise BusyError(reason)
            case Discard(_, journal):
                self._call(self._store.delete, journal.to_secret())
                return self.turn()
            case Issue(reason) | Replace(reason):
                return self._finish(found, self._issuing.open(self._issuing.describe(None), found), reason)
            case Renew(reason, bundle, outlast):
                authority = self._issuing.describe(bundle)
                if outlast and self._issuing.latest_end(authority)[0] <= outlast:
                    self._log.warning("the private CA ends too soon to sign a longer one: renew the private CA")
                    return self._outcome("kept", "a new one would not last longer", bundle, found)
                return self._finish(found, self._issuing.open(authority, found), reason)
            case Resume(reason, journal):
                return self._finish(found, journal, reason)
            case Adopt():
                signed = self._issuing.signed(decision.bundle)
                return self._adopt(decision) if signed else self._act(decision.otherwise, found)
            case _:
                assert_never(decision)

    def foresee(self) -> tuple[Decision, SigningRequest | None]:
        """The decision, after all that is asked before anything is changed."""
        _, decision = look(self._target, self._world, self._call)
        if isinstance(decision, Adopt) and not self._issuing.signed(decision.bundle):
            decision = decision.otherwise
        if not isinstance(decision, Issue | Replace | Renew):
            return decision, None
        authority = self._issuing.describe(decision.bundle if isinstance(decision, Renew) else None)
        return decision, self._issuing.draft(authority, "")

    def _finish(self, found: Secret | None, journal: Journal, reason: str) -> Outcome:
        bundle, secret = self._issuing.finish(found, journal)
        action = "issued" if found is None else "renewed" if found.ours else "replaced"
        return replace(
            self._outcome(action, reason, bundle, secret),
            proof=self._proof(bundle, WINDOW if action == "renewed" else 0),
        )

    def _proof(self, bundle: Bundle, window: float) -> Proof:
        """An istiod that did not start from this Secret, or under this root, takes it up at its restart only."""
        if not self._target.signs_workloads or self._world.mesh is None:
            return NOBODY
        with self._log.phase("confirm"):
            proof = proven(bundle, self._world.mesh, self._world, window)
        for why in proof.late:
            self._log.warning(f"not confirmed: {why}; if it stays so: kubectl rollout restart deployment/istiod")
        return proof

    def _adopt(self, decision: Adopt) -> Outcome:
        """Make it ours by what is written on it; its content stays as it is."""
        bundle = decision.bundle
        adopted = adopt(self._target, bundle, renew_at(self._target, bundle), decision.found)
        with self._log.phase("write"):
            self._call(self._store.replace, adopted)
        return self._outcome("adopted", decision.reason, bundle, adopted)

    def _outcome(self, action: str, reason: str, bundle: Bundle, secret: Secret | None) -> Outcome:
        arn = secret.annotations.get(CERTIFICATE, "") if secret else ""
        return Outcome(action, reason, bundle, arn, renew_at(self._target, bundle))
