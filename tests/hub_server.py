"""A small Hub on this machine: what a download of one file needs of the real one, and its faults on request.

Like the real one it answers ``/OWNER/REPO/resolve/main/FILE`` with the file's facts and a redirect to another origin,
the CDN, which serves the bytes, whole or from an offset.
"""

import hashlib
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubFile:
    """A file of a repository.

    Attributes:
        content: what the CDN sends.
        announced: what the Hub's facts describe; not equal to ``content`` where the file is truncated or wrong.
        break_at: bytes after which the next transfer of the whole file breaks off.
    """

    content: bytes
    announced: bytes
    break_at: int | None = None


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    range: str | None


class HubServer:
    """Serves ``files``, keyed ``OWNER/REPO/FILE``, until the ``with`` block ends; ``requests`` is the log.

    ``failure`` is a status that is sent instead of every answer: 200 is a page of something that is no Hub.
    """

    def __init__(self) -> None:
        self.files: dict[str, HubFile] = {}
        self.requests: list[Request] = []
        self.failure: int | None = None
        handler = type("Handler", (_Handler,), {"hub": self})
        self._servers = [ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2)]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def put(self, key: str, content: bytes, announced: bytes | None = None, break_at: int | None = None) -> None:
        """Serve a file, with the facts of ``announced`` where that is given."""
        self.files[key] = HubFile(content, content if announced is None else announced, break_at)

    def reset(self) -> None:
        """Serve nothing, without a fault, with an empty log."""
        self.files.clear()
        self.requests.clear()
        self.failure = None

    def __enter__(self) -> "HubServer":
        for server in self._servers:
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Keep the tests' output clean."""

    def _answer(self) -> None:
        self.hub.requests.append(Request(self.command, self.path, self.headers.get("Range")))
        if self.hub.failure is not None:
            self._send(self.hub.failure, {}, b"<html>maintenance</html>")
        elif self.path.startswith("/cdn/"):
            self._send_content(self.hub.files[self.path.removeprefix("/cdn/")])
        else:
            self._send_facts(self.path.removeprefix("/").replace("/resolve/main/", "/"))

    def _send_facts(self, key: str) -> None:
        file = self.hub.files.get(key)
        if file is not None:
            facts = {
                "X-Repo-Commit": COMMIT,
                "X-Linked-Size": str(len(file.announced)),
                "X-Linked-Etag": f'"{hashlib.sha256(file.announced).hexdigest()}"',
                "Location": f"{self.hub.cdn}/cdn/{key}",
            }
            self._send(302, facts)
        elif any(other.rpartition("/")[0] == key.rpartition("/")[0] for other in self.hub.files):
            self._send(404, {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            self._send(404, {"X-Error-Code": "RepoNotFound"})

    def _send_content(self, file: HubFile) -> None:
        wanted = self.headers.get("Range")
        if wanted is None:
            end, file.break_at = file.break_at, None
            self._send(200, {}, file.content, end)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        span = f"bytes {start}-{len(file.content) - 1}/{len(file.content)}"
        self._send(206, {"Content-Range": span}, file.content[start:])

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"", end: int | None = None) -> None:
        """Answer; where ``end`` is given the connection closes after that many bytes of the body."""
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:end])
