"""A small HTTP proxy that does to requests what bad networks and servers do."""

import contextlib
import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal
from urllib.parse import urlsplit

Fault = Literal["reset", "stall", "truncate", "503", "wrong range"]
STALL_S = 60.0


@dataclass
class Faults:
    """What happens to the next downloads whose path ends in `suffix`; then all go well.

    `always` happens to each of them, and each of `rates` to such a share of all requests, of
    whatever kind. `happened` counts.
    """

    endpoint: str
    suffix: str = ".tar"
    waiting: list[Fault] = field(default_factory=list)
    always: Fault | None = None
    happened: int = 0
    downloads: int = 0
    latency_s: float = 0.0  # before each request goes on
    rates: Mapping[Fault, float] = field(default_factory=dict)
    refused: str = ""  # S3's code of the error that all requests get, such as ExpiredToken
    requests: Counter[str] = field(default_factory=Counter)  # by method
    draws: random.Random = field(default_factory=lambda: random.Random(0))
    lock: threading.Lock = field(default_factory=threading.Lock)
    closing: threading.Event = field(default_factory=threading.Event)

    def next(self, method: str, path: str) -> Fault | None:
        with self.lock:
            self.requests[method] += 1
            draw = self.draws.random()
            for fault, rate in self.rates.items():
                draw -= rate
                if draw < 0:
                    self.happened += 1
                    return fault
            if method != "GET" or not path.endswith(self.suffix):
                return None
            self.downloads += 1
            fault = self.waiting.pop(0) if self.waiting else self.always
            self.happened += fault is not None
            return fault


@contextlib.contextmanager
def fault_proxy(endpoint: str) -> Iterator[Faults]:
    """A proxy in front of a server. Requests pass with their own Host header, which is signed."""
    upstream = urlsplit(endpoint).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            time.sleep(faults.latency_s)
            if faults.refused:
                self.refuse(faults.refused)
                return
            connection = http.client.HTTPConnection(upstream, timeout=STALL_S)
            connection.putrequest(
                self.command, self.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in self.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            data = answer.read()
            fault = faults.next(self.command, urlsplit(self.path).path)
            if fault == "503":
                self.send_response(503)
                self.send_header("content-length", "0")
                self.end_headers()
            else:
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                        self.send_header(name, value)
                size = answer.getheader("content-length") or str(len(data))
                self.send_header("content-length", size)
                self.end_headers()
                self.send_body(data, fault)
            connection.close()

        def refuse(self, code: str) -> None:
            said = f"<Error><Code>{code}</Code><Message>refused by the proxy</Message></Error>"
            body = b"" if self.command == "HEAD" else said.encode()
            self.send_response(400 if code == "ExpiredToken" else 403)
            self.send_header("content-type", "application/xml")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def send_body(self, data: bytes, fault: Fault | None) -> None:
            if fault == "wrong range":
                data = data[1:] + data[:1]
            if fault not in ("reset", "stall", "truncate"):
                self.wfile.write(data)
                return
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            if fault == "stall":
                faults.closing.wait(STALL_S)
            if fault == "reset":  # closing with this option set sends RST
                self.connection.setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                )
            with contextlib.suppress(OSError):
                if fault != "reset":
                    self.connection.shutdown(socket.SHUT_WR)
            self.connection.close()

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:  # clients that went away
            pass

        daemon_threads = True

    server = Server(("127.0.0.1", 0), Handler)
    faults = Faults(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield faults
    finally:
        faults.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
