"""The command line: wires adapters to the verbs, prints, and gives the exit code.

No decision about certificates is made here, and nothing else of the package reads the environment or exits.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from istio_pca import policy, report
from istio_pca.arguments import command_line, config_of
from istio_pca.config import Config, duration
from istio_pca.errors import IstioPcaError
from istio_pca.ports import Clock, Mesh, PrivateCA, SecretStore, World
from istio_pca.report import StoryLog
from istio_pca.target import Target, targets
from istio_pca.verbs import EACH, Answer, Task

TERMINATION_LOG = Path("/dev/termination-log")
"""What is written there, `kubectl describe pod` shows as the container's last word."""
_WORTH_ANOTHER_POD = (20, 1)
_POLICY = "Print the least IAM policy and the trust policy for this config; ask nobody."


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb; returns the exit code."""
    try:
        helps = {"policy": _POLICY, **{name: text for name, (_, text) in EACH.items()}}
        arguments = command_line(helps).parse_args(argv)
        config = config_of(arguments, os.environ)
        if not targets(config):
            return _show(arguments, Answer("disabled: the config asks for no Secret", {"action": "disabled"}))
        return _policy(arguments, config) if arguments.verb == "policy" else _each(arguments, config)
    except IstioPcaError as error:
        return _failed(_log(), error)
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001 -- the last border: whatever else happens is a bug, and is told as one
        # places, not values: an unforeseen exception may quote a key
        places = " < ".join(
            f"{frame.name}:{frame.lineno}" for frame in reversed(traceback.extract_tb(error.__traceback__))
        )
        return _failed(_log(), IstioPcaError(f"{type(error).__name__} at {places}"))


def _each(arguments: argparse.Namespace, config: Config) -> int:
    """Do it for every Secret: one that fails does not keep the others from being done."""
    act, _ = EACH[arguments.verb]
    clock = Clock(_now, time.monotonic, time.sleep)
    end = clock.monotonic() + duration(config.retry_for).total_seconds()
    log = _log()
    connect = functools.cache(_connect(config, log))
    codes, actions = [], Counter[str]()
    wanted = targets(config)
    for target in wanted:
        log.turn_to(target)
        # half of what is left of the window, or one that fails would leave nothing for those after it
        left = max(0.0, end - clock.monotonic())
        deadline = clock.monotonic() + (left if target is wanted[-1] else left / 2)
        try:
            store, mesh = _place(arguments, target)
            world = World(store, connect, clock, log, deadline, mesh)
            answer = act(Task(target, world, log, colour=sys.stdout.isatty()))
            actions[f"to {answer.document.get('action')}"] += 1
            codes.append(_show(arguments, answer))
        except IstioPcaError as error:
            actions["refused"] += 1
            codes.append(_failed(log, error))
    if arguments.verb == "plan" and arguments.output == "text":
        told = ", ".join(f"{count} {what}" for what, count in actions.items())
        sys.stdout.write(f"\nPlan: {told}. Nothing was changed.\n")
    # as long as a repetition may help one of them, another Pod is worth it
    return next((code for code in _WORTH_ANOTHER_POD if code in codes), max(codes))


def _policy(arguments: argparse.Namespace, config: Config) -> int:
    namespace = config.cacerts.namespace
    accounts = arguments.service_account or [f"{namespace}/{name}" for name in policy.SERVICE_ACCOUNTS]
    if arguments.pod_identity:
        identity = policy.pod_identity(arguments.pod_identity, accounts)
    else:
        identity = policy.irsa(arguments.oidc_provider or policy.PROVIDER, accounts)
    documents = policy.documents(config, identity)
    match arguments.format:
        case "hcl":
            text = policy.as_hcl(documents)
        case "cloudformation":
            documents = policy.as_cloudformation(documents)
            text = json.dumps(documents, indent=2)
        case _:
            text = "\n\n".join(
                f"{name}  {policy.USES[name]}\n{json.dumps(one, indent=2)}" for name, one in documents.items()
            )
    return _show(arguments, Answer(text, documents))


def _failed(log: StoryLog, error: IstioPcaError) -> int:
    """Say it in the log, and in a Pod to the kubelet too."""
    log.failure(error)
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        with contextlib.suppress(OSError), TERMINATION_LOG.open("a") as file:
            file.write(f"{error.reason}: {error.message}\n{error.hint}\n")
    return error.exit_code


def _connect(config: Config, log: StoryLog) -> Callable[[], PrivateCA]:
    def connect() -> PrivateCA:
        with log.phase("connect"):
            # here, not above: a run that keeps needs no AWS, and boto3 takes longer to load than all the rest
            from istio_pca.pca import AcmPca  # noqa: PLC0415

            return AcmPca(config)

    return connect


def _place(arguments: argparse.Namespace, target: Target) -> tuple[SecretStore, Mesh | None]:
    """Where its Secrets are, and the istiod beside them."""
    if arguments.output_dir:
        from istio_pca.directory import DirectorySecrets  # noqa: PLC0415 -- one store is loaded, not both

        return DirectorySecrets(Path(arguments.output_dir), target.namespace), None
    from istio_pca.cluster import ClusterSecrets  # noqa: PLC0415 -- likewise
    from istio_pca.istiod import IstiodReplicas  # noqa: PLC0415 -- likewise
    from istio_pca.kube import Namespace  # noqa: PLC0415 -- likewise

    namespace = Namespace(target.namespace, kubeconfig=arguments.kubeconfig, context=arguments.context)
    return ClusterSecrets(namespace), IstiodReplicas(namespace)


def _show(arguments: argparse.Namespace, answer: Answer) -> int:
    """One document a line for machines; for people, paragraphs."""
    text = report.document(sys.stdout, answer.document) if arguments.output == "json" else answer.text
    sys.stdout.write(text + "\n")
    return answer.code


def _log() -> StoryLog:
    return StoryLog(sys.stderr, _now, time.monotonic)


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    sys.exit(main())
