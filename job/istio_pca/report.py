"""What people and machines see: log lines, results, the chain as a tree, its validity as a line.

It holds no secret and is given none: of a bundle it shows certificates and the kind of the key. It decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TextIO

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from istio_pca.bundle import Bundle, Problem
from istio_pca.errors import IstioPcaError
from istio_pca.layout import CACERTS
from istio_pca.plan import Decision

_WIDTH: Final = 48
BOLD, DIM, PLAIN = "\033[1m", "\033[2m", "\033[0m"
GREEN, YELLOW, RED = "\033[32m", "\033[33m", "\033[31m"


class StoryLog:
    """The port `Log`: readable lines on a terminal, one JSON object a line elsewhere. Keeps the phases' durations."""

    def __init__(self, stream: TextIO, now: Callable[[], datetime], monotonic: Callable[[], float]) -> None:
        self._stream, self._now, self._monotonic = stream, now, monotonic
        self._for_people = stream.isatty()
        self.phases: dict[str, float] = {}
        """Seconds by phase, in the order of their first beginning."""
        self.warnings: list[str] = []
        self._target = ""

    def turn_to(self, target: object) -> None:
        """From now on it is about this Secret."""
        self.phases, self.warnings, self._target = {}, [], str(target)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begin = self._monotonic()
        if self._for_people:  # until the line with its time takes its place
            print(f"{DIM}  {name:<9}      …{PLAIN}", end="\r", file=self._stream, flush=True)
        try:
            yield
        finally:
            seconds = self._monotonic() - begin
            self.phases[name] = round(self.phases.get(name, 0.0) + seconds, 4)
            self._line("info", f"  {name:<9}{seconds:7.2f} s", DIM, phase=name, seconds=round(seconds, 4))

    def decision(self, decision: Decision) -> None:
        name = type(decision).__name__.lower()
        self._line("info", f"{name}  {self._target}: {decision.reason}", BOLD, decision=name, reason=decision.reason)

    def warning(self, text: str, *, loud: bool = False) -> None:
        """`loud`: as an error, for what cannot be waited for."""
        self.warnings.append(text)
        self._line("error" if loud else "warning", f"warning: {text}", RED if loud else YELLOW, message=text)

    def retry(self, error: BaseException, seconds: float) -> None:
        self._line(
            "warning", f"  {error}; again in {seconds:.1f} s", YELLOW, message=str(error), retryIn=round(seconds, 2)
        )

    def failure(self, error: IstioPcaError) -> None:
        """The last line of a run that fails: what, and what to do next."""
        self._line(
            "error",
            f"{error.reason}: {error.message}\n{error.hint}",
            RED,
            reason=error.reason,
            message=error.message,
            hint=error.hint,
            exitCode=error.exit_code,
        )

    def _line(self, level: str, text: str, colour: str, **fields: object) -> None:
        if self._for_people:
            first, _, rest = text.partition("\n")
            line = f"{colour}{first}{PLAIN}" + (f"\n{rest}" if rest else "")
        else:
            about = {"target": self._target} if self._target else {}
            moment = self._now().isoformat(timespec="milliseconds")
            line = json.dumps({"time": moment, "level": level, **about, **fields})
        print(line, file=self._stream, flush=True)


def problems_document(problems: Iterable[Problem]) -> list[dict[str, str]]:
    """What is wrong, for machines."""
    return [{"code": problem.code, "text": problem.text} for problem in problems]


def chain_document(bundle: Bundle) -> list[dict[str, str]]:
    """The path for machines, the intermediate first."""
    return [
        {
            "subject": certificate.subject.rfc4514_string(),
            "serial": f"{certificate.serial_number:032x}",
            "key": kind(certificate),
            "notBefore": certificate.not_valid_before_utc.isoformat(),
            "notAfter": certificate.not_valid_after_utc.isoformat(),
        }
        for certificate in bundle.path
    ]


def chain_tree(bundle: Bundle) -> str:
    """The path for people, the root on top."""
    rows = []
    for depth, certificate in enumerate(reversed(bundle.path)):
        branch = "   " * (depth - 1) + "└─ " if depth else ""
        rows.append((branch + certificate.subject.rfc4514_string(), kind(certificate), certificate))
    widest = max(len(name) for name, _, _ in rows)
    lines = [f"  {name:<{widest}}  {key:<9} until {one.not_valid_after_utc:%Y-%m-%d}" for name, key, one in rows]
    use = f"{bundle.layout.reader} {'signs with' if bundle.layout is CACERTS else 'serves'} this"
    return "\n".join([*lines[:-1], f"{lines[-1]}  ← {use}"])


def bundle_text(headline: str, bundle: Bundle, renew_after: datetime, now: datetime) -> str:
    """A bundle for people: what is said of it, its chain, its life."""
    return "\n\n".join((headline, chain_tree(bundle), time_line(bundle, renew_after, now)))


def time_line(bundle: Bundle, renew_after: datetime, now: datetime) -> str:
    """The intermediate's life as a line: where it is now, and from when on it is renewed."""
    begin, last = bundle.certificate.not_valid_before_utc, bundle.not_after

    def column(moment: datetime) -> int:
        share = (moment - begin) / (last - begin)
        return round(min(max(share, 0.0), 1.0) * (_WIDTH - 1))

    line = ["─"] * _WIDTH
    line[column(renew_after) :] = ["╌"] * (_WIDTH - column(renew_after))
    line[column(renew_after)] = "◆"
    line[column(now)] = "●"
    left = (last - now).days
    return (
        f"  {begin:%Y-%m-%d} ├{''.join(line)}┤ {last:%Y-%m-%d}\n"
        f"  {'':10}  ● now, {left} days left   ◆ renewed from {renew_after:%Y-%m-%d} on"
    )


def span(left: timedelta) -> str:
    """A time that is left, in the unit that people would use."""
    if left < timedelta():
        return "over"
    if left >= timedelta(days=2):
        return f"{left.days} days left"
    return f"{left / timedelta(hours=1):.0f} hours left"


def since(gone: timedelta) -> str:
    """A time that is over, in minutes: Kubernetes remembers Events for an hour."""
    minutes = max(0, round(gone / timedelta(minutes=1)))
    return f"{minutes} minute{'s'[: minutes != 1]} ago"


def files_table(files: Mapping[str, bytes]) -> str:
    """The files of the Secret, and what each holds."""
    lines = []
    for name, content in files.items():
        certificates = content.count(b"-----BEGIN CERTIFICATE-----")
        holds = (
            "the private key, PKCS#8" if not certificates else f"{certificates} certificate{'s'[: certificates > 1]}"
        )
        lines.append(f"  {name:<16}{len(content):>6} bytes  {holds}")
    return "\n".join(lines)


def kind(certificate: x509.Certificate) -> str:
    """Of its key: "RSA 2048", "EC P-256"."""
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return f"EC P-{key.key_size}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__


def document(stream: TextIO, fields: Mapping[str, Any]) -> str:
    """A result for machines: one JSON document, on one line but for a terminal; moments in ISO 8601, UTC."""

    def plain(value: object) -> str:
        return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)

    return json.dumps(dict(fields), indent=2 if stream.isatty() else None, default=plain)
