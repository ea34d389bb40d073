"""The verbs, for one Secret: what each does, and what it answers to people and to machines.

Nothing is wired, printed or exited here: `__main__` does. No decision about certificates is made here: the story does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from istio_pca import report
from istio_pca.bundle import Bundle, Problem, read
from istio_pca.checks import judged
from istio_pca.ensure import ensure, present, preview
from istio_pca.errors import AuthorityError, IstioPcaError, RefusedError
from istio_pca.plan import Refuse, renew_at
from istio_pca.ports import Announcement, World
from istio_pca.proof import NOBODY, Proof, proven
from istio_pca.report import StoryLog
from istio_pca.secret import Secret
from istio_pca.status import Status
from istio_pca.target import Target


@dataclass(frozen=True)
class Task:
    """A Secret, and the world in which something is to be done about it."""

    target: Target
    world: World
    log: StoryLog
    colour: bool = False
    """Whether people see it on a terminal."""


@dataclass(frozen=True)
class Answer:
    """The same for people and for machines."""

    text: str
    document: Mapping[str, Any] = field(repr=False)
    code: int = 0


def to_ensure(task: Task) -> Answer:
    target, world, log, now = task.target, task.world, task.log, task.world.clock.now
    try:
        outcome = ensure(target, world)
    except IstioPcaError as error:
        still = _what_holds(task)
        text = f"{error.message}. {still}{error.hint}"
        world.store.announce(Announcement(target.name, error.reason, text, now(), warning=True))
        raise
    bundle, proof = outcome.bundle, outcome.proof
    if outcome.action != "kept":
        text = f"{outcome.reason}; serial {bundle.serial}, until {bundle.not_after:%Y-%m-%d}{_confirmation(proof)}"
        late = proof.confirmed is False
        world.store.announce(Announcement(target.name, outcome.action.capitalize(), text, now(), warning=late))
    headline = f"{outcome.action}  {target}: {outcome.reason}"
    text = report.bundle_text(headline, bundle, outcome.renew_after, now())
    return Answer(
        text + "\n\n" + report.files_table(bundle.files()),
        {
            "target": target,
            "action": outcome.action,
            "reason": outcome.reason,
            "certificateArn": outcome.certificate_arn,
            "serial": bundle.serial,
            "notAfter": bundle.not_after,
            "renewAfter": outcome.renew_after,
            "istiodConfirmed": proof.confirmed,
            "warnings": log.warnings,
            "phases": log.phases,
        },
    )


def _what_holds(task: Task) -> str:
    """How long the certificate that is there still holds, after a run that failed; less than a day is loud."""
    with contextlib.suppress(IstioPcaError):
        found = present(task.target, task.world)
        bundle, _ = read(found.data, task.target.layout) if found else (None, ())
        if found and found.ours and bundle:
            left = bundle.not_after - task.world.clock.now()
            text = f"what is there holds until {bundle.not_after:%Y-%m-%d %H:%MZ}, {report.span(left)}"
            task.log.warning(text, loud=left < timedelta(days=1))
            return f"{text[0].upper()}{text[1:]}. "
    return ""


def _confirmation(proof: Proof) -> str:
    match proof.confirmed:
        case None:
            return ""
        case True:
            return f"; confirmed by {proof.replicas} istiod"
        case False:
            return f"; not confirmed: {'; '.join(proof.late)}"


def to_plan(task: Task) -> Answer:
    target = task.target
    decision, request = preview(target, task.world)
    if isinstance(decision, Refuse):
        raise RefusedError(decision.reason, hint=decision.hint)
    action = type(decision).__name__.lower()
    asked: dict[str, Any] = {}
    text = f"{action}  {target}: {decision.reason}"
    if request:
        asked = {
            "certificateAuthorityArn": request.authority_arn,
            "templateArn": request.template_arn,
            "signingAlgorithm": request.signing_algorithm,
            "keyAlgorithm": target.key_algorithm,
            "subject": target.subject.rfc4514_string(),
            "dnsNames": list(target.dns_names),
            "notAfter": request.end,
        }
        rows = {**asked, "dnsNames": ", ".join(target.dns_names)}
        text += "\n\n" + "\n".join(f"  + {name:<24}{value}" for name, value in rows.items() if value)
    return Answer(
        text,
        {
            "target": target,
            "action": action,
            "reason": decision.reason,
            "request": asked,
            "warnings": task.log.warnings,
        },
    )


def to_verify(task: Task) -> Answer:
    target, now = task.target, task.world.clock.now()
    _, bundle, defects = _inspected(task, now)
    if bundle is None or defects:
        text = "\n".join([f"bad  {target}", *(f"  ✗ {problem.text}" for problem in defects)])
    else:
        last = "and a workload certificate under it" if target.signs_workloads else "and what a client would say"
        headline = f"good  {target}: key, chain, lives, extensions, {last}"
        text = report.bundle_text(headline, bundle, renew_at(target, bundle), now)
    return Answer(
        text,
        {
            "target": target,
            "healthy": not defects,
            "problems": report.problems_document(defects),
            "chain": report.chain_document(bundle) if bundle else [],
        },
        AuthorityError.exit_code if defects else 0,
    )


def to_status(task: Task) -> Answer:
    """What `verify` checks, what istiod serves now, and when it is due: health by the exit code."""
    target, world, now = task.target, task.world, task.world.clock.now()
    found, bundle, defects = _inspected(task, now)
    mesh = world.mesh if target.signs_workloads else None
    proof = proven(bundle, mesh, world, window=0) if bundle and mesh else NOBODY
    status = Status(target, found, bundle, defects, proof, now, world.store.latest_news(target.name))
    code = 0 if status.health == "good" else AuthorityError.exit_code
    return Answer(status.text(colour=task.colour), status.document(), code)


def _inspected(task: Task, now: datetime) -> tuple[Secret, Bundle | None, tuple[Problem, ...]]:
    """The Secret that is there, its bundle if it can be read, and what is wrong with it.

    Raises:
        AuthorityError: there is none.
    """
    target = task.target
    found = present(target, task.world)
    if found is None:
        raise AuthorityError(f"there is no Secret {target}", hint="Run `istio-pca ensure`, or the Job of the chart.")
    return found, *judged(read(found.data, target.layout), now, target.dns_names)


EACH: Mapping[str, tuple[Callable[[Task], Answer], str]] = {
    "ensure": (to_ensure, "Make the Secrets match the config: keep, issue, resume or renew."),
    "plan": (to_plan, "Say what ensure would do and why; change nothing."),
    "status": (to_status, "Show at a glance what is there, until when, and what istiod serves."),
    "verify": (to_verify, "Check the Secrets that are there: key, chain, and a certificate under it."),
}
"""What is done for each Secret of the config, with its help."""
