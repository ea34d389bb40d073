"""`python -m pca_emulator`: one emulator on loopback; says where it is in one line of JSON, and stops when told."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from pathlib import Path

from pca_emulator import Emulator, Scenario, oidc
from pca_emulator.sts import Keys


def main() -> int:
    parser = argparse.ArgumentParser(prog="pca_emulator", description=__doc__)
    parser.add_argument("--bind", default="127.0.0.1", help="address to listen on (default: loopback)")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.add_argument("--scenario", type=Path, metavar="FILE", help="JSON: authorities, users, roles (see README)")
    parser.add_argument(
        "--levels", type=int, default=2, choices=(1, 2, 3), help="of the one authority without a scenario"
    )
    parser.add_argument("--key", default="EC_prime256v1", help="key algorithm of that authority")
    parser.add_argument("--issue-delay", type=float, default=0.0, metavar="SECONDS")
    parser.add_argument("--oidc-from-cluster", action="store_true", help="check tokens with this Pod's cluster's keys")
    parser.add_argument("--oidc-issuer", metavar="URL", help="with --jwks: the issuer of the tokens")
    parser.add_argument("--jwks", type=Path, metavar="FILE", help="its key set")
    parser.add_argument(
        "--write-env", type=Path, metavar="FILE", help="write the variables for a client there, mode 0600"
    )
    parser.add_argument("--with-parent", action="store_true", help="stop when the parent process ends")
    parser.add_argument("--stop-after", type=float, metavar="SECONDS", help="stop by itself")
    given = parser.parse_args()
    if given.scenario:
        scenario = Scenario.from_json(given.scenario.read_text())
    else:
        scenario = Scenario.of(levels=given.levels, keys=(given.key,), issue_delay=given.issue_delay)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    parent = os.getppid()
    with Emulator(scenario, keys=_keys(given), bind=given.bind, port=given.port) as emulator:
        if given.write_env:
            _write_private(given.write_env, emulator.environment())
        print(json.dumps({"endpoint": emulator.endpoint, "authorities": emulator.core.listing()}), flush=True)
        waited = 0.0
        while not stop.wait(0.5):
            waited += 0.5
            orphaned = given.with_parent and os.getppid() != parent
            if orphaned or (given.stop_after and waited >= given.stop_after):
                break
    return 0


def _keys(given: argparse.Namespace) -> Keys | None:
    if given.oidc_from_cluster:
        return oidc.from_cluster()
    return oidc.from_file(given.oidc_issuer, given.jwks) if given.jwks else None


def _write_private(path: Path, variables: dict[str, str]) -> None:
    """Nobody else may read it, from its first instant: real scenarios may hold real-looking keys."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.writelines(f"export {name}='{value}'\n" for name, value in variables.items())


if __name__ == "__main__":
    sys.exit(main())
