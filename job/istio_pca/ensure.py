"""The story: make the Secret match the config, from whatever state it is found in.

It reaches the world through the ports, and holds the only retry policy. It may be killed at any line: what it leaves is
the Secret as it was, or the new one whole, and a journal from which the next run goes on.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, assert_never

import tenacity
from cryptography import x509

from istio_pca.authority import Authority
from istio_pca.bundle import ROOT, Bundle, assemble, pem
from istio_pca.checks import describe, problems
from istio_pca.config import Config, duration
from istio_pca.errors import (
    BusyError,
    ConflictError,
    IstioPcaError,
    NotIssuedYetError,
    RefusedError,
    RequestRejectedError,
)
from istio_pca.journal import Journal, pending_name
from istio_pca.plan import Decision, Discard, Issue, Keep, Refuse, Renew, Resume, Wait, decide, renew_at
from istio_pca.ports import PrivateCA, World
from istio_pca.request import SigningRequest, key_pem, new_csr, new_key, spec_digest
from istio_pca.secret import CERTIFICATE, NAME, Secret


@dataclass(frozen=True)
class Outcome:
    """How it ended."""

    action: str
    """kept, issued or renewed."""
    reason: str
    bundle: Bundle
    certificate_arn: str
    renew_after: datetime


POLL_FIRST: Final = 0.2
POLL_LONGEST: Final = 3.0


def ensure(config: Config, world: World) -> Outcome:
    """Make `cacerts` match the config.

    Raises:
        IstioPcaError: classified; what was there before is untouched.
    """
    call = _retrying(config, world)
    again = call.copy(retry=tenacity.retry_if_exception_type((ConflictError, BusyError)))
    return again(_Run(config, world, call).turn)


def preview(config: Config, world: World) -> tuple[Decision, SigningRequest | None]:
    """What `ensure` would do, and what it would ask for. Changes nothing; asks AWS only where ensure would buy."""
    call = _retrying(config, world)
    _, decision = look(config, world, call)
    if not isinstance(decision, Issue | Renew):
        return decision, None
    request, warning = draft(config, call(call(world.connect).describe), "", world.clock.now())
    if warning:
        world.log.warning(warning)
    return decision, request


def present(config: Config, world: World) -> Secret | None:
    """The Secret as it is now."""
    found: Secret | None = _retrying(config, world)(world.store.read, NAME)
    return found


def look(config: Config, world: World, call: Callable[..., Any]) -> tuple[Secret | None, Decision]:
    """Read what is there, and decide."""
    with world.log.phase("read"):
        found = call(world.store.read, NAME)
        stored = call(world.store.read, pending_name(NAME))
    pending = Journal.from_secret(stored) if stored else None
    return found, decide(config, found, pending, world.clock.now())


def draft(config: Config, authority: Authority, csr: str, now: datetime) -> tuple[SigningRequest, str]:
    """The request for this config under this authority, and the warning if its life had to be cut."""
    end, warning = authority.latest_end(duration(config.cacerts.validity), now)
    template = authority.template_arn(config.cacerts.path_length)
    request = SigningRequest(authority.arn, template, authority.signing_algorithm, csr, int(end.timestamp()))
    return request, warning


class _Run:
    """One run of the story. A turn that is disturbed by another run starts again from what is then there."""

    def __init__(self, config: Config, world: World, call: tenacity.Retrying) -> None:
        self._config, self._store, self._world, self._call = config, world.store, world, call
        self._log = world.log

    @functools.cached_property
    def _private_ca(self) -> PrivateCA:
        return self._call(self._world.connect)

    def turn(self) -> Outcome:
        found, decision = look(self._config, self._world, self._call)
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
            case Issue(reason):
                return self._finish(None, self._open(self._describe()), reason)
            case Renew(reason, bundle, outlast):
                authority = self._describe(bundle)
                if outlast and draft(self._config, authority, "", self._now())[0].end <= outlast:
                    self._log.warning("the private CA ends too soon to sign a longer one: renew the private CA")
                    return self._outcome("kept", "a new one would not last longer", bundle, found)
                return self._finish(found, self._open(authority), reason)
            case Resume(reason, journal):
                return self._finish(found, journal, reason)
            case _:
                assert_never(decision)

    def _now(self) -> datetime:
        return self._world.clock.now()

    def _describe(self, present: Bundle | None = None) -> Authority:
        """Ask about the CA, before anything is bought: can it sign, and has it the root that the mesh trusts?"""
        private_ca = self._private_ca
        with self._log.phase("describe"):
            authority: Authority = self._call(private_ca.describe)
            if present:
                _same_root(present, self._call(private_ca.root))
        return authority

    def _open(self, authority: Authority) -> Journal:
        """Write down the key and the whole request, so that every later run can send the same."""
        key = new_key(self._config.cacerts.key_algorithm)
        request, warning = draft(self._config, authority, new_csr(key, self._config), self._now())
        if warning:
            self._log.warning(warning)
        journal = Journal(NAME, request, key_pem(key), spec_digest(self._config))
        with self._log.phase("journal"):
            return Journal.from_secret(self._call(self._store.create, journal.to_secret()))

    def _finish(self, found: Secret | None, journal: Journal, reason: str) -> Outcome:
        """From an open request to the Secret."""
        try:
            journal = self._issue(journal)
            bundle = self._fetch(journal, found)
        except RequestRejectedError:
            self._call(self._store.delete, journal.to_secret())  # or every later run would meet the same answer
            raise
        secret = journal.fulfilled(bundle, renew_at(self._config, bundle), found)
        with self._log.phase("write"):
            self._call(self._store.replace if found else self._store.create, secret)
            self._call(self._store.delete, journal.to_secret())
        return self._outcome("renewed" if found else "issued", reason, bundle, secret)

    def _issue(self, journal: Journal) -> Journal:
        if journal.certificate_arn:
            return journal
        with self._log.phase("issue"):
            arn = self._call(self._private_ca.issue, journal.request)
            return Journal.from_secret(self._call(self._store.replace, journal.issued_as(arn).to_secret()))

    def _fetch(self, journal: Journal, found: Secret | None) -> Bundle:
        """Wait for the certificate, and let nothing through that istiod or a workload would refuse."""
        with self._log.phase("wait"):
            issued = self._call(self._private_ca.certificate, journal.certificate_arn)
        with self._log.phase("verify"):
            bundle, defects = assemble(
                issued.certificate,
                issued.chain,
                journal.key,
                root_in_chain=self._config.cacerts.root_in_chain,
                root_before=found.data[ROOT] if found else b"",
            )
            if bundle is not None:
                defects = problems(bundle, self._now())
            if bundle is None or defects:
                raise RequestRejectedError(
                    f"the certificate {journal.certificate_arn} fails the checks: {describe(defects)}"
                )
            if found:
                _same_root(bundle, found.data[ROOT].decode())
        return bundle

    def _outcome(self, action: str, reason: str, bundle: Bundle, secret: Secret | None) -> Outcome:
        arn = secret.annotations.get(CERTIFICATE, "") if secret else ""
        return Outcome(action, reason, bundle, arn, renew_at(self._config, bundle))


def _same_root(bundle: Bundle, root: str) -> None:
    """Raise RefusedError unless the bundle's path ends at this root (PEM), which the mesh trusts."""
    if pem(bundle.path[-1]) not in map(pem, x509.load_pem_x509_certificates(root.encode())):
        raise RefusedError(
            "the private CA has another root than the one that the mesh trusts",
            hint="A new root must be trusted by every workload before anything is signed under it. "
            "Name a private CA under the present root.",
        )


def _retrying(config: Config, world: World) -> tenacity.Retrying:
    """The one retry policy: what passes is retried with jitter, until `retryFor` is over for all calls together."""
    deadline = world.clock.monotonic() + duration(config.retry_for).total_seconds()
    polling = tenacity.wait_exponential(multiplier=POLL_FIRST, exp_base=1.3, max=POLL_LONGEST)
    backing_off = tenacity.wait_random_exponential(multiplier=0.5, max=20)

    def error(state: tenacity.RetryCallState) -> BaseException | None:
        return state.outcome.exception() if state.outcome else None

    def wait(state: tenacity.RetryCallState) -> float:
        return polling(state) if isinstance(error(state), NotIssuedYetError) else backing_off(state)

    def worth_another_try(error: BaseException) -> bool:
        # a conflict is not retried but decided anew, by the turn
        return isinstance(error, IstioPcaError) and error.retriable and not isinstance(error, ConflictError | BusyError)

    def report(state: tenacity.RetryCallState) -> None:
        failure = error(state)
        if failure and not isinstance(failure, NotIssuedYetError):
            world.log.retry(failure, state.upcoming_sleep)

    return tenacity.Retrying(
        retry=tenacity.retry_if_exception(worth_another_try),
        wait=wait,
        stop=lambda state: world.clock.monotonic() + state.upcoming_sleep > deadline,
        sleep=world.clock.sleep,
        before_sleep=report,
        reraise=True,
    )
