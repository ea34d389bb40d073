"""The verbs: wires adapters to the story, prints, and gives the exit code.

No decision about certificates is made here, and nothing else of the package reads the environment or exits.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from istio_pca import policy, report
from istio_pca.arguments import command_line, config_of
from istio_pca.bundle import read
from istio_pca.checks import judged
from istio_pca.config import Config
from istio_pca.ensure import ensure, present, preview
from istio_pca.errors import AuthorityError, IstioPcaError, RefusedError
from istio_pca.plan import Refuse, renew_at
from istio_pca.ports import Announcement, Clock, PrivateCA, SecretStore, World
from istio_pca.secret import NAME

TERMINATION_LOG = Path("/dev/termination-log")
"""What is written there, `kubectl describe pod` shows as the container's last word."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    log = report.StoryLog(sys.stderr, _now, time.monotonic)
    try:
        arguments = command_line({name: text for name, (_, text) in _VERBS.items()}).parse_args(argv)
        config = config_of(arguments, os.environ)
        if not config.cacerts.enabled:
            text = "disabled: the config says cacerts.enabled: false"
            return _show(arguments, text, target=_target(config), action="disabled")
        verb, _ = _VERBS[arguments.verb]
        return verb(arguments, config, log)
    except IstioPcaError as error:
        return _failed(log, error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 -- the last border: whatever else happens is a bug, and is told as one
        # places, not values: an unforeseen exception may quote a key
        places = " < ".join(
            f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))
        )
        return _failed(log, IstioPcaError(f"{type(error).__name__} at {places}"))


def _failed(log: report.StoryLog, error: IstioPcaError) -> int:
    """Say it in the log, and in a Pod to the kubelet too."""
    log.failure(error)
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        with contextlib.suppress(OSError):
            TERMINATION_LOG.write_text(f"{error.reason}: {error.message}\n{error.hint}\n")
    return error.exit_code


def _ensure(arguments: argparse.Namespace, config: Config, log: report.StoryLog) -> int:
    world = _world(arguments, config, log)
    try:
        outcome = ensure(config, world)
    except IstioPcaError as error:
        world.store.announce(Announcement(error.reason, f"{error.message}. {error.hint}", _now(), warning=True))
        raise
    bundle = outcome.bundle
    if outcome.action != "kept":
        text = f"{outcome.reason}; serial {bundle.serial}, until {bundle.not_after:%Y-%m-%d}"
        world.store.announce(Announcement(outcome.action.capitalize(), text, _now()))
    headline = f"{outcome.action}  {_target(config)}: {outcome.reason}"
    text = report.bundle_text(headline, bundle, outcome.renew_after, _now())
    text += "\n\n" + report.files_table(bundle.files())
    return _show(
        arguments,
        text,
        target=_target(config),
        action=outcome.action,
        reason=outcome.reason,
        certificateArn=outcome.certificate_arn,
        serial=bundle.serial,
        notAfter=bundle.not_after,
        renewAfter=outcome.renew_after,
        warnings=log.warnings,
        phases=log.phases,
    )


def _plan(arguments: argparse.Namespace, config: Config, log: report.StoryLog) -> int:
    decision, request = preview(config, _world(arguments, config, log))
    if isinstance(decision, Refuse):
        raise RefusedError(decision.reason, hint=decision.hint)
    action = type(decision).__name__.lower()
    asked: dict[str, Any] = {}
    text = f"{action}  {_target(config)}: {decision.reason}"
    if request:
        asked = {
            "certificateAuthorityArn": request.authority_arn,
            "templateArn": request.template_arn,
            "signingAlgorithm": request.signing_algorithm,
            "keyAlgorithm": config.cacerts.key_algorithm,
            "commonName": config.common_name,
            "notAfter": request.end,
        }
        text += "\n\n" + "\n".join(f"  + {name:<24}{value}" for name, value in asked.items())
    return _show(
        arguments,
        text,
        target=_target(config),
        action=action,
        reason=decision.reason,
        request=asked,
        warnings=log.warnings,
    )


def _verify(arguments: argparse.Namespace, config: Config, log: report.StoryLog) -> int:
    found = present(config, _world(arguments, config, log))
    if found is None:
        raise AuthorityError(
            f"there is no Secret {_target(config)}", hint="Run `istio-pca ensure`, or the Job of the chart."
        )
    bundle, defects = judged(read(found.data), _now())
    if bundle is None or defects:
        text = "\n".join([f"bad  {_target(config)}", *(f"  ✗ {problem.text}" for problem in defects)])
    else:
        headline = f"good  {_target(config)}: key, chain, lives, extensions, and a workload certificate under it"
        text = report.bundle_text(headline, bundle, renew_at(config, bundle), _now())
    _show(
        arguments,
        text,
        target=_target(config),
        healthy=not defects,
        problems=[{"code": problem.code, "text": problem.text} for problem in defects],
        chain=report.chain_document(bundle) if bundle else [],
    )
    return AuthorityError.exit_code if defects else 0


def _policy(arguments: argparse.Namespace, config: Config, _log: report.StoryLog) -> int:
    namespace = config.cacerts.namespace
    accounts = arguments.service_account or [f"{namespace}/{name}" for name in policy.SERVICE_ACCOUNTS]
    documents = policy.documents(config, arguments.oidc_provider or policy.PROVIDER, accounts)
    text = "\n\n".join(f"{name}\n{json.dumps(document, indent=2)}" for name, document in documents.items())
    return _show(arguments, text, **documents)


_VERBS: dict[str, tuple[Callable[[argparse.Namespace, Config, report.StoryLog], int], str]] = {
    "ensure": (_ensure, "Make the Secret match the config: keep, issue, resume or renew."),
    "plan": (_plan, "Say what ensure would do and why; change nothing."),
    "policy": (_policy, "Print the least IAM policy and the trust policy for this config; ask nobody."),
    "verify": (_verify, "Check the Secret that is there: key, chain, and a workload certificate under it."),
}


def _world(arguments: argparse.Namespace, config: Config, log: report.StoryLog) -> World:
    def connect() -> PrivateCA:
        # here, not above: a run that keeps needs no AWS, and boto3 takes longer to load than all the rest
        from istio_pca.pca import AcmPca  # noqa: PLC0415

        with log.phase("connect"):
            return AcmPca(config)

    return World(_store(arguments, config), connect, Clock(_now, time.monotonic, time.sleep), log)


def _store(arguments: argparse.Namespace, config: Config) -> SecretStore:
    namespace = config.cacerts.namespace
    if arguments.output_dir:
        from istio_pca.directory import DirectorySecrets  # noqa: PLC0415 -- one store is loaded, not both

        return DirectorySecrets(Path(arguments.output_dir), namespace)
    from istio_pca.cluster import ClusterSecrets  # noqa: PLC0415 -- likewise

    return ClusterSecrets(namespace, kubeconfig=arguments.kubeconfig, context=arguments.context)


def _show(arguments: argparse.Namespace, text: str, **fields: Any) -> int:
    sys.stdout.write((report.document(sys.stdout, **fields) if arguments.output == "json" else text) + "\n")
    return 0


def _target(config: Config) -> str:
    return f"{config.cacerts.namespace}/{NAME}"


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
