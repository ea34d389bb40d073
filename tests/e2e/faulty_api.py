"""The real API server behind a proxy that makes faults: by the number of the call, or by its name for good.

A call is named by its verb and its object: "PUT cacerts", "POST Event". The proxy listens on loopback; behind it
`kubectl proxy` has the credentials.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

SLOW = 1.5
"""Seconds before the answer of a slow call."""


class FaultyApi(ThreadingHTTPServer):
    """`fault` and `when` say what is wrong: the kind, and the number of a call (from 0) or its name."""

    daemon_threads = True

    def __init__(self, behind: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.reset()

    def reset(self, kind: str = "", when: int | str = -1, happens: Callable[[], object] | None = None) -> None:
        """From now on: this fault, or what happens just before that call."""
        self.calls: list[str] = []
        self._kind, self._when, self._happens = kind, when, happens

    def due(self, name: str) -> str:
        self.calls.append(name)
        hit = self._when in {len(self.calls) - 1, name}
        if hit and self._happens:
            happens, self._happens = self._happens, None
            happens()
        return self._kind if hit else ""

    def kubeconfig(self, folder: Path) -> Path:
        cluster = {"name": "c", "cluster": {"server": f"http://127.0.0.1:{self.server_address[1]}"}}
        context = {"name": "c", "context": {"cluster": "c", "user": "u"}}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "c",
            "clusters": [cluster],
            "contexts": [context],
            "users": [{"name": "u", "user": {}}],
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(document))
        return file


class _Handler(BaseHTTPRequestHandler):
    server: FaultyApi

    def _any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind = self.server.due(_name(self.command, self.path, body))
        if kind.isdigit():
            self._refuse(int(kind))
        elif kind != "drop-before":
            status, content = self._forward(body)
            if kind == "slow":
                time.sleep(SLOW)
            if kind != "drop-after":
                with contextlib.suppress(OSError):  # who found it too slow has gone
                    self._answer(status, content, cut=kind == "truncated")

    do_GET = do_POST = do_PUT = do_DELETE = _any  # noqa: N815 -- names of http.server

    def _forward(self, body: bytes) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.server.behind, timeout=30)
        kinds = {"Content-Type": "application/json", "Accept": "application/json"}
        with contextlib.closing(connection):
            connection.request(self.command, self.path, body or None, kinds)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def _refuse(self, status: int) -> None:
        text = f"made to fail with {status}"
        document = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": text, "code": status}
        self._answer(status, json.dumps(document).encode(), retry_after=status == 429)

    def _answer(self, status: int, content: bytes, *, cut: bool = False, retry_after: bool = False) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        if retry_after:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)

    def log_message(self, *_: Any) -> None:
        """Bodies and paths of a failing test are noise."""


def _name(method: str, path: str, body: bytes) -> str:
    if method != "POST":
        return f"{method} {path.split('?', maxsplit=1)[0].rpartition('/')[2]}"
    document = json.loads(body)
    return "POST Event" if document["kind"] == "Event" else f"POST {document['metadata']['name']}"


@contextlib.contextmanager
def faulty_api() -> Iterator[FaultyApi]:
    command = ["kubectl", "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, f"kubectl proxy said {line!r}"
            with FaultyApi(int(found[1])) as server:
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                yield server
                server.shutdown()
        finally:
            process.terminate()
