"""`make demo`: an emulated private CA signs an intermediate for Istio into a folder, and every step is shown.

It runs the real command line; only AWS is emulated (tests/pca_emulator), on loopback. Only the folder stays behind.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path("build/demo")
BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")


def say(text: str) -> None:
    print(f"\n{BOLD}{text}{PLAIN}", flush=True)


def run(environment: dict[str, str], *arguments: str) -> None:
    print(f"$ istio-pca {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "istio_pca", *arguments], env=environment, check=True)


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    variables = FOLDER / "emulator.env"
    say("1. An emulated AWS Private CA: a root, and the CA under it that signs (loopback only)")
    emulator = subprocess.Popen(
        [sys.executable, "-m", "pca_emulator", "--with-parent", "--issue-delay", "0.5", "--write-env", str(variables)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert emulator.stdout is not None
    try:
        ready = json.loads(emulator.stdout.readline())
        arn = ready["authorities"][0]["arn"]
        print(arn)
        given = dict(word.split("=", 1) for word in shlex.split(variables.read_text()) if "=" in word)
        environment = {**os.environ, **given}
        environment["ISTIO_PCA_CONFIG"] = json.dumps({"certificateAuthorityArn": arn, "clusterName": "demo"})
        where = ("--output-dir", str(FOLDER / "secrets"))

        say("2. What would be done, and why")
        run(environment, "plan", *where)
        say("3. Do it: key, request, journal, issue, wait, verify, write")
        run(environment, "ensure", *where)
        say("4. Check what is there, as istiod and a workload would")
        run(environment, "verify", *where)
        say("5. At a glance")
        run(environment, "status", *where)
        say("6. Do it again: it keeps what is good, and asks AWS nothing")
        run(environment, "ensure", *where)
    finally:
        emulator.terminate()
        emulator.wait(10)
        variables.unlink(missing_ok=True)
    say(f"The four files are in {FOLDER}/secrets/istio-system/cacerts")
    print('The same with your private CA and your cluster: see README.md, "On your laptop" and "In your cluster".')


if __name__ == "__main__":
    main()
