"""The only module with sockets: a threading HTTP server in front of the gateway and the admin API."""

from __future__ import annotations

import socket
import socketserver
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from pca_emulator.admin import PREFIX, Admin
from pca_emulator.gateway import Gateway, Reply
from pca_emulator.sigv4 import HttpRequest
from pca_emulator.world import World

_LARGEST_BODY: Final = 1 << 20


class Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], world: World) -> None:
        self.world = world
        self.gateway = Gateway(world)
        self.admin = Admin(world)
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        socketserver.TCPServer.server_bind(self)  # HTTPServer's own asks DNS for our name, which may take seconds
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error; a bug is shown by socketserver."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet for head and body: else Nagle's algorithm costs 40 ms
    disable_nagle_algorithm = True
    server: Server

    def _respond(self) -> None:
        if self.server.world.stopping.is_set():  # a kept-alive connection outlives the listener
            self.close_connection = True
            return
        try:
            length = int(self.headers.get("Content-Length", 0))
        except ValueError:
            length = -1
        if not 0 <= length <= _LARGEST_BODY:
            self.close_connection = True
            self._send(Reply(413, b"", "text/plain"))
            return
        request = HttpRequest(
            method=self.command,
            path=self.path,
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self._chunks() if self.headers.get("Transfer-Encoding") == "chunked" else self.rfile.read(length),
        )
        handler = self.server.admin if self.path.startswith(PREFIX) else self.server.gateway
        self._send(handler.reply(request))

    def _chunks(self) -> bytes:
        """A body of unknown length (RFC 9112 section 7.1), as the API server's proxy sends it."""
        body = b""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body[:_LARGEST_BODY]

    do_GET = do_POST = do_DELETE = do_PUT = _respond  # noqa: N815 - http.server's names

    def _send(self, reply: Reply) -> None:
        if reply.lost:
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Content-Length", str(len(reply.body)))
        self.send_header("x-amzn-RequestId", reply.request_id)
        if reply.retry_after:
            self.send_header("Retry-After", str(reply.retry_after))
        self.end_headers()
        self.wfile.write(reply.body[: len(reply.body) // 2] if reply.cut else reply.body)
        if reply.cut:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name of the base class
        """Quiet: the log of requests is under /_emulator/requests."""
