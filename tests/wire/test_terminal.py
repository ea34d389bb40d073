"""What a person sees: readable lines on a terminal, not JSON."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

from pca_emulator import Emulator
from wire.conftest import Cli
from wire.test_ensure import config


def seen(cli: Cli, *arguments: str, **variables: str) -> str:
    """The screen of a terminal in which this ran."""
    ours, theirs = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(cli.wheel), **cli.environment, **variables}
    command = [sys.executable, "-P", "-m", "istio_pca", *arguments, "--output-dir", str(cli.folder / "out")]
    with subprocess.Popen(command, env=environment, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        screen = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            screen += part
    os.close(ours)
    assert process.returncode is not None
    return screen.decode()


def test_ensure_shows_phases_and_the_chain(cli: Cli, emulator: Emulator) -> None:
    """Phases as they pass, then the chain from the root down to what istiod signs with, and its life."""
    screen = seen(cli, "ensure", ISTIO_PCA_CONFIG=json.dumps(config(emulator)))
    lines = screen.splitlines()
    (last,) = [line for line in lines if "istiod signs with this" in line]

    assert not [line for line in lines if line.startswith("{")]
    assert "CN=Istio CA blue" in last
    phases = ["read", "connect", "describe", "journal", "issue", "wait", "verify", "write"]
    ended = [line.rpartition("\r")[2] for line in lines]
    assert [line.split()[1] for line in ended if line.endswith(" s\x1b[0m")] == phases
    assert "◆" in screen
    # each is told when it begins, and on the same line when it has ended
    assert [part.split()[1] for part in screen.split("\r") if part.endswith("…\x1b[0m")] == phases


def test_a_failure_says_what_to_do(cli: Cli, emulator: Emulator) -> None:
    """The error, and below it what to do next."""
    emulator.set_status("DISABLED")
    screen = seen(cli, "ensure", ISTIO_PCA_CONFIG=json.dumps(config(emulator)))

    what, hint = screen.splitlines()[-2:]

    assert "AuthorityCannot" in what
    assert hint.startswith("Enable it: aws acm-pca update-certificate-authority")
