"""The cluster that KUBECONFIG names, by kubectl and helm: nothing here knows how it was made."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

T = TypeVar("T")
Document = dict[str, Any]

SLOW_MACHINE = 180.0
"""Seconds that a condition may take: bounds are for hangs, not for speed."""


def run(*command: str, given: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    answer = subprocess.run(command, input=given, capture_output=True, text=True, timeout=600, check=False)
    if check and answer.returncode:
        raise AssertionError(f"$ {' '.join(command)}\nexit {answer.returncode}\n{answer.stdout}\n{answer.stderr}")
    return answer


def kubectl(*arguments: str, given: str | None = None, check: bool = True) -> str:
    return run("kubectl", *arguments, given=given, check=check).stdout


def get(kind: str, name: str, namespace: str) -> Document:
    found: Document = json.loads(kubectl("get", kind, name, "-n", namespace, "-o", "json"))
    return found


def exists(kind: str, name: str, namespace: str) -> bool:
    return bool(kubectl("get", kind, name, "-n", namespace, "--ignore-not-found", "-o", "name"))


def apply(*objects: Mapping[str, Any]) -> None:
    kubectl("apply", "-f", "-", given="\n---\n".join(map(json.dumps, objects)))


def apply_soon(*objects: Mapping[str, Any]) -> None:
    """Again until it is accepted: a webhook's Service may lead nowhere for a moment after its Pod is ready."""
    given = "\n---\n".join(map(json.dumps, objects))
    wait("it to be accepted", lambda: run("kubectl", "apply", "-f", "-", given=given, check=False).returncode == 0, 60)


def pods(selector: str, namespace: str) -> list[Document]:
    found: list[Document] = json.loads(kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "json"))["items"]
    return found


def established(*kinds: str) -> None:
    """The API server serves them: until it has looked at a new kind it has no condition, and `kubectl wait` fails."""
    command = ("kubectl", "wait", "--for=condition=Established", *(f"crd/{kind}" for kind in kinds))
    wait("the kinds", lambda: run(*command, check=False).returncode == 0)


def completes(job: str, namespace: str) -> None:
    kubectl("wait", f"job/{job}", "-n", namespace, "--for=condition=complete", f"--timeout={SLOW_MACHINE:.0f}s")


def run_now(cron: str, job: str, namespace: str) -> None:
    """What the CronJob would make at its hour, under this name, until it is done."""
    kubectl("create", "job", job, f"--from=cronjob/{cron}", "-n", namespace)
    completes(job, namespace)


def due_now(secret: str, namespace: str) -> None:
    """Make it one that the next run renews: as if it had been made for another wish."""
    age = json.dumps({"metadata": {"annotations": {"istio-pca/spec": "of another wish"}}})
    kubectl("patch", "secret", secret, "-n", namespace, "--type", "merge", "-p", age)


def result(job: str, namespace: str, target: str = "istio-system/cacerts") -> Document:
    """What the Job says that it did about this Secret, phase by phase."""
    lines = [json.loads(line) for line in kubectl("logs", "-n", namespace, f"job/{job}").splitlines()]
    (found,) = [line for line in lines if "action" in line and line["target"] == target]
    outcome: Document = found
    return outcome


def secret_data(name: str, namespace: str) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in get("secret", name, namespace)["data"].items()}


def helm(
    version: str, *arguments: str, given: str | None = None, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Helm 3 or 4: `helm3` or `helm4` on PATH, or where HELM3 and HELM4 say."""
    return run(os.environ.get(version.upper(), version), *arguments, given=given, check=check)


def wait(what: str, condition: Callable[[], T], seconds: float = SLOW_MACHINE) -> T:
    """The first truthy answer of the condition."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        answer = condition()
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")


@contextlib.contextmanager
def port_forward(
    target: str, namespace: str, port: int, *, address: str = "127.0.0.1", local: str = ""
) -> Iterator[int]:
    """A port of this machine, any one of its loopback, that leads to `port` of the target."""
    command = ["kubectl", "port-forward", "-n", namespace, target, f"{local}:{port}", "--address", address]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.search(rf"{re.escape(address)}:(\d+)", line)
        assert found, f"kubectl port-forward said {line!r}"
        port_here = int(found[1])
        wait("the forwarded port", lambda: _open(address, port_here))
        yield port_here
    finally:
        process.terminate()
        process.wait(10)


def _open(address: str, port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((address, port), timeout=2):
        return True
    return False


def namespace(name: str, **labels: str) -> None:
    apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    wait(f"the ServiceAccount of {name}", lambda: exists("serviceaccount", "default", name))


def remove_namespaces(*names: str) -> None:
    kubectl("delete", "namespace", *names, "--ignore-not-found", "--wait=true", "--timeout=180s")
