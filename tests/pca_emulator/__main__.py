"""`python -m pca_emulator`: the emulator as a process. One JSON line on stdout says that it is ready."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shlex
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pca_emulator import keys, scenario
from pca_emulator.emulator import Emulator
from pca_emulator.scenario import AuthoritySpec, Oidc, Role, Scenario

_POLL_SECONDS = 0.2


def main() -> int:
    parser = _parser()
    options = parser.parse_args()
    try:
        wanted = scenario.load(options.scenario) if options.scenario else _scenario(options)
        emulator = Emulator(wanted, bind=options.bind, port=options.port)
    except (ValueError, TypeError, OSError) as error:
        parser.error(str(error))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    end = time.monotonic() + options.stop_after if options.stop_after else None
    with emulator, contextlib.ExitStack() as cleanup:
        if options.write_env:
            _write_environment(options.write_env, emulator)
            cleanup.callback(options.write_env.unlink, missing_ok=True)  # its key is worth nothing any more
        sys.stdout.write(json.dumps(_ready(emulator)) + "\n")
        sys.stdout.flush()
        while not stop.wait(_POLL_SECONDS):
            orphan = options.with_parent and os.getppid() != parent
            if orphan or (end is not None and time.monotonic() >= end):
                break
    return 0


def _parser() -> argparse.ArgumentParser:
    only = AuthoritySpec()
    parser = argparse.ArgumentParser(prog="pca_emulator", description="A strict emulator of AWS Private CA and STS.")
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: loopback only)")
    parser.add_argument("--port", type=int, default=0, help="0: any free one, see the JSON line")
    parser.add_argument(
        "--write-env", type=Path, metavar="FILE", help="write a file for the shell's `source`, mode 0600"
    )
    parser.add_argument("--stop-after", type=float, metavar="SECONDS", help="end after this time")
    parser.add_argument("--with-parent", action="store_true", help="end when the parent process ends")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="JSON or YAML; instead of all options below")
    group = parser.add_argument_group("one authority")
    group.add_argument("--levels", type=int, default=only.levels, help="1 is a root CA (default: %(default)s)")
    group.add_argument(
        "--keys", default="RSA_2048", help=f"by level, root first, commas: {', '.join(keys.KEY_ALGORITHMS)}"
    )
    group.add_argument("--usage-mode", default=only.usage_mode, help=" or ".join(scenario.USAGE_MODES))
    group.add_argument("--status", default=only.status)
    group.add_argument("--id", default="", help="last part of the ARN (default: random)")
    group.add_argument("--validity-days", type=float, default=only.validity_days)
    group.add_argument("--path-length", type=int, help="of the CA that signs")
    group.add_argument("--partition", default=only.partition)
    group.add_argument("--region", default=only.region)
    group.add_argument("--account", default=only.account)
    group.add_argument("--issue-delay", type=float, default=0.0, metavar="SECONDS")
    group.add_argument("--no-quotas", action="store_true", help="no limits of calls per second")
    group = parser.add_argument_group("one role, assumed with ServiceAccount tokens")
    group.add_argument("--role", default="istio-pca", help="its name (default: %(default)s)")
    group.add_argument(
        "--service-account", action="append", default=[], metavar="NAMESPACE/NAME", help="may be repeated"
    )
    group.add_argument(
        "--oidc-from-cluster", action="store_true", help="in a Pod: ask the API server for issuer and keys"
    )
    group.add_argument("--issuer", default="")
    group.add_argument("--audience", default="sts.amazonaws.com")
    group.add_argument("--jwks", default="", metavar="FILE")
    group.add_argument("--jwks-url", default="")
    group.add_argument("--jwks-token-file", default="", help="bearer token for --jwks-url")
    group.add_argument("--jwks-ca-file", default="", help="CA for --jwks-url")
    return parser


def _scenario(options: argparse.Namespace) -> Scenario:
    given = Oidc(
        issuer=options.issuer,
        audiences=(options.audience,),
        jwks=options.jwks,
        jwks_url=options.jwks_url,
        token_file=options.jwks_token_file,
        ca_file=options.jwks_ca_file,
        from_cluster=options.oidc_from_cluster,
    )
    role = Role(name=options.role, service_accounts=tuple(options.service_account))
    return Scenario(
        roles=(role,) if options.service_account else (),
        oidc=given if any((options.issuer, options.jwks, options.jwks_url, options.oidc_from_cluster)) else None,
        issue_delay=options.issue_delay,
        quotas=None if options.no_quotas else scenario.AWS_QUOTAS,
        levels=options.levels,
        keys=tuple(options.keys.split(",")),
        usage_mode=options.usage_mode,
        status=options.status,
        id=options.id,
        validity_days=options.validity_days,
        path_length=options.path_length,
        partition=options.partition,
        region=options.region,
        account=options.account,
    )


def _ready(emulator: Emulator) -> dict[str, Any]:
    where = emulator.endpoint
    return {
        "endpoint": where,
        "pid": os.getpid(),
        "authorities": [
            {"name": name, "arn": authority.arn, "root": f"{where}/_emulator/authorities/{name}/root.pem"}
            for name, authority in emulator.world.authorities.items()
        ],
        "roles": list(emulator.world.identities.roles),
    }


def _write_environment(path: Path, emulator: Emulator) -> None:
    """Whole or not at all, and never readable for others: there is a secret key in it."""
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in emulator.environment().items()]
    part = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.writelines(lines)
    part.replace(path)


if __name__ == "__main__":
    sys.exit(main())
