"""A hub on loopback that the client libraries of Hugging Face and ModelScope talk to as they are.

Serves a folder as the repository OWNER/NAME of both services and as a plain web folder. Faults are set per file, and
every byte of a file's contents that is sent is counted.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

PIECE_BYTES = 16 * 1024
SMALL_BYTES = 10_000
"""Larger files are "LFS": known by their SHA-256 and reached by a redirect, as at Hugging Face."""


@dataclass
class Fault:
    """What goes wrong with a file, and how many times. `at`: after how many bytes of an answer."""

    kind: str
    """"corrupt", "cut" (the connection ends), "short" (a smaller file), "stall", "error" (HTTP 500), "gated"."""
    times: int = 1_000_000
    at: int = 0


@dataclass
class Hub:
    """What is served. `gate(total, file)` is called before each piece is sent, with all bytes sent so far."""

    folder: Path
    repository: str
    url: str = ""
    cdn: str = ""
    """Another host than `url`'s, as at Hugging Face: a token must not follow there."""
    commit: str = hashlib.sha1(b"first", usedforsecurity=False).hexdigest()
    token: str = ""
    """If set, only a request with it is answered."""
    faults: dict[str, Fault] = field(default_factory=dict)
    sent: Counter[str] = field(default_factory=Counter)
    leaked: int = 0
    """Requests that carried a token to the other host."""
    requests: Counter[str] = field(default_factory=Counter)
    log: list[str] = field(default_factory=list)
    gate: Callable[[int, str], None] = lambda _total, _file: None
    ending: threading.Event = field(default_factory=threading.Event)
    _contents: dict[tuple[Path, int], bytes] = field(default_factory=dict)
    _sums: dict[int, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def contents(self, path: Path) -> bytes:
        """A file's bytes; read once."""
        with self.lock:
            key = (path, path.stat().st_mtime_ns)
            if key not in self._contents:
                self._contents[key] = path.read_bytes()
            return self._contents[key]

    def sha256(self, path: Path) -> str:
        data = self.contents(path)
        with self.lock:
            if id(data) not in self._sums:
                self._sums[id(data)] = hashlib.sha256(data).hexdigest()
            return self._sums[id(data)]

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.iterdir() if path.is_file())

    def forget_counts(self) -> None:
        self.sent.clear()
        self.requests.clear()

    @property
    def n_bytes_sent(self) -> int:
        return sum(self.sent.values())

    def take_fault(self, name: str) -> Fault | None:
        with self.lock:
            fault = self.faults.get(name)
            if fault is None or fault.times == 0:
                return None
            fault.times -= 1
            return fault


@contextmanager
def serve_hub(folder: Path, repository: str = "tiny/flash") -> Iterator[Hub]:
    """Serves until the block ends."""
    hub = Hub(folder, repository)

    class Handler(_Handler):
        pass

    Handler.hub = hub
    server = _Server(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    hub.cdn = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="hub", daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        hub.ending.set()
        server.shutdown()
        server.server_close()
        thread.join(10)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is killed breaks its connection: that is what is being tested."""


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:  # the base's name
        self.hub.log.append(format % args)

    def do_HEAD(self) -> None:  # the base's name
        self._answer(head=True)

    def do_GET(self) -> None:
        self._answer(head=False)

    def _answer(self, *, head: bool) -> None:
        hub, parts = self.hub, urlsplit(self.path)
        path, query = unquote(parts.path), parse_qs(parts.query)
        if hub.token and self.headers.get("Authorization") != f"Bearer {hub.token}" and not path.startswith("/cdn/"):
            self._json(401, {"error": "Access to this model is restricted"}, {"X-Error-Code": "GatedRepo"})
        elif path.startswith("/api/v1/"):
            self._modelscope(path.removeprefix("/api/v1/"), query, head=head)
        elif path.startswith("/api/models/"):
            self._hugging_face_api(path.removeprefix("/api/models/"))
        elif path.startswith(f"/{hub.repository}/resolve/"):
            revision, _, name = path.removeprefix(f"/{hub.repository}/resolve/").partition("/")
            self._resolve(revision, name, head=head)
        elif path.startswith("/cdn/"):
            hub.leaked += "Authorization" in self.headers
            self._file(path.removeprefix("/cdn/"), head=head)
        elif path.startswith(f"/plain/{hub.repository}/"):
            self._file(path.removeprefix(f"/plain/{hub.repository}/"), head=head)
        else:
            self._json(404, {"error": "Not found"})

    def _hugging_face_api(self, rest: str) -> None:
        hub = self.hub
        what, _, after = rest.removeprefix(hub.repository).lstrip("/").partition("/")
        if not rest.startswith(hub.repository) or what not in ("", "revision", "tree"):
            self._json(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
            return
        if after and after not in ("main", hub.commit):
            self._json(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
            return
        siblings, tree = [], []
        for path in hub.files():
            data = hub.contents(path)
            entry: dict[str, Any] = {
                "rfilename": path.name,
                "size": len(data),
                "blobId": _git_sha1(data) if len(data) <= SMALL_BYTES else "0" * 40,
            }
            if len(data) > SMALL_BYTES:
                entry["lfs"] = {"sha256": hub.sha256(path), "size": len(data), "pointerSize": 134}
                lfs = {"oid": entry["lfs"]["sha256"], "size": len(data), "pointerSize": 134}
            else:
                lfs = None
            siblings.append(entry)
            tree.append({"type": "file", "path": path.name, "size": len(data), "oid": entry["blobId"], "lfs": lfs})
        if what == "tree":
            self._json(200, tree)
            return
        self._json(200, {"id": hub.repository, "modelId": hub.repository, "sha": hub.commit, "siblings": siblings})

    def _resolve(self, revision: str, name: str, *, head: bool) -> None:
        hub = self.hub
        path = hub.folder / name
        if revision not in ("main", hub.commit) or path.parent != hub.folder or not path.is_file():
            self._json(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        data = hub.contents(path)
        headers = {"X-Repo-Commit": hub.commit}
        if len(data) > SMALL_BYTES:
            headers |= {
                "X-Linked-Size": str(len(data)),
                "X-Linked-Etag": f'"{hub.sha256(path)}"',
                "Location": f"{hub.cdn}/cdn/{name}",
            }
            self._head(302, headers | {"Content-Length": "0"})
            return
        self._file(name, head=head, extra=headers | {"ETag": f'"{_git_sha1(data)}"'})

    def _modelscope(self, rest: str, query: dict[str, list[str]], *, head: bool) -> None:
        hub = self.hub
        base = f"models/{hub.repository}"
        if not rest.startswith(base):
            self._json(404, {"Code": 10010205001, "Message": "not found", "Success": False})
        elif rest == f"{base}/repo/files":
            files = []
            for path in hub.files():
                data = hub.contents(path)
                files.append({
                    "Name": path.name, "Path": path.name, "Type": "blob", "Size": len(data),
                    "Sha256": hub.sha256(path), "Revision": hub.commit, "Mode": "33188",
                    "IsLFS": len(data) > SMALL_BYTES, "CommittedDate": 1_700_000_000,
                })  # fmt: skip
            self._json(200, {"Code": 200, "Success": True, "Message": "success", "Data": {"Files": files}})
        elif rest == f"{base}/repo":
            self._file(query["FilePath"][0], head=head)
        elif rest == f"{base}/revisions":
            revisions = {"Branches": [{"Revision": "master"}], "Tags": []}
            self._json(200, {"Code": 200, "Success": True, "Data": {"RevisionMap": revisions}})
        else:
            self._json(200, {"Code": 200, "Success": True, "Data": {"Name": "flash", "Path": "tiny"}})

    def _file(self, name: str, *, head: bool, extra: dict[str, str] | None = None) -> None:
        hub = self.hub
        path = hub.folder / name
        if not path.is_file() or path.parent != hub.folder:
            self._json(404, {"error": "Entry not found"})
            return
        data = hub.contents(path)
        fault = None if head else hub.take_fault(name)
        if fault is not None and fault.kind == "error":
            self._json(500, {"error": "broken"})
            return
        if fault is not None and fault.kind == "short":
            data = data[: fault.at]
        if fault is not None and fault.kind == "corrupt":
            data = data[: fault.at] + bytes([data[fault.at] ^ 1]) + data[fault.at + 1 :]
        start, status, headers = 0, 200, {"Accept-Ranges": "bytes", **(extra or {})}
        asked = self.headers.get("Range", "")
        if asked.startswith("bytes="):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), int(last) + 1 if last else len(data)
            if start >= len(data):
                self._head(416, {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"})
                return
            status, headers["Content-Range"] = 206, f"bytes {start}-{end - 1}/{len(data)}"
            data_sent = data[start:end]
        else:
            data_sent = data
        self._head(status, headers | {"Content-Length": str(len(data_sent))})
        if not head:
            self._send(name, data_sent, fault)

    def _send(self, name: str, data: bytes, fault: Fault | None) -> None:
        hub = self.hub
        with hub.lock:
            hub.requests[name] += 1
        for begin in range(0, len(data), PIECE_BYTES):
            piece = data[begin : begin + PIECE_BYTES]
            if fault is not None and fault.kind in ("cut", "stall") and begin + len(piece) > fault.at:
                if fault.kind == "stall":
                    hub.ending.wait()
                self.close_connection = True
                return
            hub.gate(hub.n_bytes_sent, name)
            try:
                self.wfile.write(piece)
                self.wfile.flush()
            except OSError:
                self.close_connection = True
                return
            with hub.lock:
                hub.sent[name] += len(piece)

    def _json(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        fields = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
        self._head(status, fields)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


def _git_sha1(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
