"""Status: one Secret at a glance, as values and as text. It looks at what it is given, asks nobody, decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from istio_pca import report
from istio_pca.bundle import Bundle, Problem
from istio_pca.plan import renew_at
from istio_pca.ports import Announcement
from istio_pca.proof import Proof
from istio_pca.secret import AUTHORITY, CERTIFICATE, VERSION, Secret
from istio_pca.target import Target

_WIDTH: Final = 32
_GRACE: Final = timedelta(days=2)
"""A CronJob runs once a day: what is due for longer is not being renewed."""


@dataclass(frozen=True)
class Status:
    """What there is to know."""

    target: Target
    found: Secret
    bundle: Bundle | None
    problems: tuple[Problem, ...]
    proof: Proof
    now: datetime
    news: Announcement | None = None
    """The last result that is remembered."""

    @property
    def health(self) -> str:
        """good, late (due for longer than a CronJob takes), or bad."""
        if self.bundle is None or self.problems:
            return "bad"
        return "late" if self.now > renew_at(self.target, self.bundle) + _GRACE else "good"

    def document(self) -> dict[str, Any]:
        """For machines."""
        bundle, notes, news = self.bundle, self.found.annotations, self.news
        return {
            "target": self.target,
            "health": self.health,
            "problems": report.problems_document(self.problems),
            "certificateAuthorityArn": notes.get(AUTHORITY, ""),
            "certificateArn": notes.get(CERTIFICATE, ""),
            "writtenBy": notes.get(VERSION, ""),
            "chain": report.chain_document(bundle) if bundle else [],
            "notAfter": bundle.not_after if bundle else None,
            "renewAfter": renew_at(self.target, bundle) if bundle else None,
            "daysLeft": (bundle.not_after - self.now).days if bundle else None,
            "istiodConfirmed": self.proof.confirmed,
            "istiodReplicas": self.proof.replicas,
            "istiodLate": list(self.proof.late),
            "lastResult": {"reason": news.reason, "message": news.text, "at": news.at} if news else None,
        }

    def text(self, *, colour: bool) -> str:
        """For people; colours for a terminal."""

        def painted(text: str) -> str:
            return f"{self._colour}{text}{report.PLAIN}" if colour else text

        notes, bundle = self.found.annotations, self.bundle
        rows = [("authority", notes.get(AUTHORITY, "not known: istio-pca did not write it"))]
        if notes.get(CERTIFICATE):
            number = notes[CERTIFICATE].rpartition("/")[2]
            rows.append(("certificate", f"{number}, written by istio-pca {notes.get(VERSION)}"))
        if bundle:
            begin, due = bundle.certificate.not_valid_before_utc, renew_at(self.target, bundle)
            rows.append(("life", f"{begin:%Y-%m-%d} to {bundle.not_after:%Y-%m-%d}, renewed from {due:%Y-%m-%d} on"))
            rows.append(("", f"{painted(self._bar(bundle))} {report.span(bundle.not_after - self.now)}"))
        if self.target.signs_workloads:
            rows.append(("istiod", self._istiod()))
        if self.news:
            ago = report.since(self.now - self.news.at)
            rows.append(("last result", f"{self.news.reason}, {ago}: {self.news.text}"))
        lines = [f"{self.target}  {painted(self.health)}", *(f"  ✗ {problem.text}" for problem in self.problems)]
        lines += [f"  {name:<12}{value}" for name, value in rows]
        return "\n".join([*lines, "", report.chain_tree(bundle)] if bundle else lines)

    @property
    def _colour(self) -> str:
        return {"good": report.GREEN, "late": report.YELLOW}.get(self.health, report.RED)

    def _bar(self, bundle: Bundle) -> str:
        """What is left of the life."""
        begin, end = bundle.certificate.not_valid_before_utc, bundle.not_after
        full = round(min(max((end - self.now) / (end - begin), 0.0), 1.0) * _WIDTH)
        return "█" * full + "░" * (_WIDTH - full)

    def _istiod(self) -> str:
        proof = self.proof
        match proof.confirmed:
            case None:
                return "none runs here, or it cannot be reached from here"
            case True:
                return f"{proof.replicas} of {proof.replicas} serve under it"
            case False:
                return f"{len(proof.late)} of {proof.replicas} do not serve under it: {'; '.join(proof.late)}"
