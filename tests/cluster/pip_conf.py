"""How pip on this machine reaches its index, as a pip.conf for a container: `pip_conf.py CA_IN_CONTAINER CA_COPY`.

Prints the file. Certificates that pip trusts here are copied to CA_COPY, and named by CA_IN_CONTAINER.
It does not pass on folders of wheels: they are not in the container.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

ORDER = ("global.", "install.", ":env:.")  # the later wins, as pip has it
LOCAL = {"cert", "find-links", "cache-dir", "target", "user", "prefix", "root", "require-virtualenv", "log"}


def settings() -> dict[str, str]:
    command = [sys.executable, "-m", "pip", "config", "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found: dict[str, str] = {}
    for level in ORDER:
        for line in lines:
            key, _, value = line.partition("=")
            if key.startswith(level):
                found[key.removeprefix(level)] = str(ast.literal_eval(value))
    return found


def main(ca_in_container: str, ca_copy: Path) -> None:
    found = settings()
    # what pip itself would take, in its order
    trusted = [found.get("cert"), os.environ.get("REQUESTS_CA_BUNDLE"), os.environ.get("CURL_CA_BUNDLE")]
    ca = next((path for path in trusted if path and Path(path).is_file()), None)
    print("[global]")
    for key, value in sorted(found.items()):
        if key not in LOCAL:
            print(f"{key} = {value}".replace("\n", "\n    "))
    if ca:
        shutil.copyfile(ca, ca_copy)
        print(f"cert = {ca_in_container}")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
