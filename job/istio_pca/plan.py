"""Plan: what to do about what is there. A decision is data, with its reason; nobody obeys it here.

The table of decisions is in tests/unit/test_plan.py. What is not understood is refused, never replaced.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from istio_pca.bundle import Bundle, Problem, read
from istio_pca.checks import describe, judged
from istio_pca.journal import Journal
from istio_pca.request import key_pem
from istio_pca.secret import SPEC, Secret
from istio_pca.target import Target


@dataclass(frozen=True)
class Keep:
    """All is well: nothing is asked of AWS and nothing is written."""

    reason: str
    bundle: Bundle


@dataclass(frozen=True)
class Issue:
    """There is no certificate: get the first."""

    reason: str


@dataclass(frozen=True)
class Renew:
    """Get the next certificate; the present one stays in force until it is written."""

    reason: str
    bundle: Bundle
    outlast: datetime | None
    """The new one must end after this, or it is not worth its price; None when it is wanted for another reason."""


@dataclass(frozen=True)
class Resume:
    """A request is open: go on with its key and its token."""

    reason: str
    journal: Journal


@dataclass(frozen=True)
class Discard:
    """A journal that serves nothing any more: delete it, and look again."""

    reason: str
    journal: Journal


@dataclass(frozen=True)
class Wait:
    """Another run is at work: look again later."""

    reason: str


@dataclass(frozen=True)
class Refuse:
    """Doing anything could hurt."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Replace:
    """A Secret that the private CA did not sign is there, and the config says to put another in its place."""

    reason: str


@dataclass(frozen=True)
class Adopt:
    """A healthy Secret that we did not write: ours from now on if the private CA signed it, which it must be asked."""

    reason: str
    found: Secret
    bundle: Bundle
    otherwise: Replace | Resume | Discard | Wait | Refuse


Decision = Keep | Issue | Renew | Resume | Discard | Wait | Refuse | Replace | Adopt


def decide(target: Target, found: Secret | None, pending: Journal | None, now: datetime) -> Decision:
    """What to do about the Secret, given what is there of it and of its journal."""
    decision = _wanted(target, found, pending, now)
    if found and found.immutable and isinstance(decision, Renew | Replace | Adopt | Resume):
        return Refuse(
            f"the Secret {target} is immutable, and it would have to be changed: {decision.reason}",
            f"Delete it and run this again: kubectl delete secret -n {target.namespace} {found.name}. "
            "A running istiod goes on with what it has read.",
        )
    return decision


def _wanted(target: Target, found: Secret | None, pending: Journal | None, now: datetime) -> Decision:
    again = _open_request(target, pending, now)
    if found is None:
        return again or Issue("there was no Secret")
    bundle, defects = judged(read(found.data, target.layout), now, target.dns_names)
    if not found.ours:
        return _foreign(target, found, bundle, defects, again)
    changed = found.annotations[SPEC] != target.spec
    if bundle is None or not _to_be_expected(defects, changed=changed):
        return _damaged(target, found, defects)
    if pending is not None and pending.key == key_pem(bundle.key):
        return Discard("its certificate is in the Secret", pending)
    if changed:
        return again or Renew("it was made for another config", bundle, None)
    due = renew_at(target, bundle)
    if now < due:
        if pending is not None and not _may_be_alive(target, pending, now):
            return Discard("its certificate is not needed", pending)
        return Keep(f"valid until {_day(bundle.not_after)}, due for renewal {_day(due)}", bundle)
    return again or Renew(f"due since {_day(due)}, ends {_day(bundle.not_after)}", bundle, bundle.not_after)


def renew_at(target: Target, bundle: Bundle) -> datetime:
    """From when on the bundle is due: `renewBefore` its end, by default when a third of its life is left.

    A life that had to be cut may be shorter than `renewBefore`; then the default holds, or it would be due for ever.
    """
    life = bundle.not_after - bundle.certificate.not_valid_before_utc
    wanted = life / 3 if target.renew_before is None else target.renew_before
    return bundle.not_after - (wanted if wanted < life else life / 3)


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%MZ}"


def _open_request(target: Target, pending: Journal | None, now: datetime) -> Resume | Discard | Wait | None:
    """What an open request asks for, if a certificate is needed."""
    if pending is None:
        return None
    created = pending.created or now
    if pending.spec != target.spec:
        if _may_be_alive(target, pending, now):
            return Wait("a run with another config has a request open")
        return Discard("it was opened for another config", pending)
    if now >= pending.request.end - _a_third(pending.request.end - created):
        return Discard("its certificate would be due for renewal at once", pending)
    return Resume("a request was open", pending)


def _may_be_alive(target: Target, pending: Journal, now: datetime) -> bool:
    """No run lasts longer than its window, so only a young journal may belong to a run that is alive."""
    return now - (pending.created or now) < target.retry_for


def _a_third(span: timedelta) -> timedelta:
    return max(span, timedelta()) / 3


def _to_be_expected(defects: tuple[Problem, ...], *, changed: bool) -> bool:
    """An ended certificate is a reason to renew, and so is one without the names of another wish.

    Whatever else is wrong is not understood.
    """
    return {problem.code for problem in defects} <= ({"expired", "names"} if changed else {"expired"})


def _foreign(
    target: Target,
    found: Secret,
    bundle: Bundle | None,
    defects: tuple[Problem, ...],
    again: Resume | Discard | Wait | None,
) -> Decision:
    """What to do about a Secret that does not bear our annotations; `again` is what an open request asks for."""
    what = f"the Secret {target} was not made by istio-pca ({describe(defects) or 'it is healthy'})"
    otherwise: Replace | Resume | Discard | Wait | Refuse
    if target.when_foreign == "replace":
        otherwise = again or Replace(what)
    else:
        otherwise = Refuse(
            what,
            f"Look at it: {_look(target, found)}. To put one of the private CA in its place, "
            f"set config.{target.path}.whenForeign=replace; to keep it, {target.to_leave_it}.",
        )
    if bundle is None or defects:
        return otherwise
    return Adopt("a healthy Secret is there that istio-pca did not write", found, bundle, otherwise)


def _damaged(target: Target, found: Secret, defects: tuple[Problem, ...]) -> Refuse:
    return Refuse(
        f"the Secret {target} is damaged: {describe(defects)}",
        f"Look at it: {_look(target, found)}. If it cannot be mended, delete it and run this again: "
        "a new certificate is then issued.",
    )


def _look(target: Target, found: Secret) -> str:
    # names of keys and annotations, not their content: nobody should have a signing key on a screen
    return f"kubectl describe secret -n {target.namespace} {found.name}"
