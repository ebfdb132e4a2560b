"""An S3 server in a process of its own, behind a proxy whose requests fail as those of a network do."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SECRET = "hunter2-never-to-be-seen"


@contextmanager
def s3_server() -> Iterator[int]:
    """Start moto's server; give its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = f"from moto.server import main; main(['-H', '127.0.0.1', '-p', '{port}'])"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            assert process.poll() is None, "the server did not start"
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield port
    finally:
        process.kill()
        process.wait()


class Proxy(ThreadingHTTPServer):
    """Passes requests on; every `every`-th of them fails in the way that `fault` names, or in several ways by turns.

    "status": the answer is an error, and nothing was done. "closed": there is no answer, and nothing was done. "lost":
    it was done, but there is no answer. "half": half of the answer arrives. "slow": the answer comes after two seconds.

    Attributes
    ----------
    of_reads : bool
        Whether reads of objects fail alone, as by default; otherwise all requests.
    ignores_conditions : bool
        Whether the server is not told of conditions, as old servers know none.
    is_down : bool
        Whether nothing is answered at all.
    methods : list of str
        Of the requests that arrived.
    """

    daemon_threads = True

    def __init__(self, target: int):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.lock = target, threading.Lock()
        self.reset()

    def reset(self):
        """Answer all requests."""
        self.fault: str | tuple[str, ...] = ""
        self.every, self.of_reads, self.is_down, self.ignores_conditions = 0, True, False, False
        self.n_reads = self.n_faults = 0
        self.methods: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self) -> str:
        with self.lock:
            self.n_reads += 1
            if not self.every or self.n_reads % self.every:
                return ""
            self.n_faults += 1
            return self.fault if isinstance(self.fault, str) else self.fault[self.n_faults % len(self.fault)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Proxy

    def do_GET(self):
        self._pass_on()

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET  # noqa: N815

    def _pass_on(self):
        if self.server.is_down:
            self.close_connection = True
            return
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.methods.append(self.command)
        is_read = self.command == "GET" and "Range" in self.headers
        fault = self.server.next_fault() if is_read or not self.server.of_reads else ""
        if fault == "closed":
            self.close_connection = True
            return
        if fault == "slow":
            time.sleep(2)
        if fault == "status":
            self._answer(503, [], b"")
            return
        status, headers, content = self._ask(body)
        if fault == "lost":
            self.close_connection = True
            return
        self._answer(status, headers, content, half=fault == "half")

    def _ask(self, body):
        headers = dict(self.headers)
        if self.server.ignores_conditions:
            headers.pop("If-None-Match", None)
        connection = http.client.HTTPConnection("127.0.0.1", self.server.target, timeout=20)
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.getheaders(), answer.read()

    def _answer(self, status, headers, content, half=False):
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "connection", "transfer-encoding", "server", "date"):
                self.send_header(name, value)
        length = dict(headers).get("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.close_connection = True

    def log_message(self, *arguments):
        pass
