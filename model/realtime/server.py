"""The WebSocket side of the engine: who may come in, what goes to the model thread, what goes back.

One asyncio loop. It reads, checks and queues; it never waits for the model. Limits and what happens at each:

- a message longer than `MAX_FRAME_BYTES` ends the connection (1009); one longer than the protocol's gets an `error`;
- the queues' own limits are in `link`; a client that takes nothing for `SLOW_CLIENT_S` is cut off;
- a client beyond `max_clients` is refused with 503 before the WebSocket opens; a wrong token with 401.

Beside `/v1/realtime` it answers `GET /health` (200 when a client would be served, else 503) and `GET /metrics` (with
the token; Prometheus text).
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import logging
import secrets
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from model.realtime.client_events import MAX_MESSAGE_BYTES, ClientEvent, WireError, parse_client_event
from model.realtime.dialects import of_handshake
from model.realtime.link import Link
from model.realtime.metrics import TEXT_TYPE, Metrics
from model.realtime.model_thread import Failure, ModelThread
from model.realtime.server_events import ErrorEvent, EventError

log = logging.getLogger(__name__)

MAX_FRAME_BYTES = 2 * MAX_MESSAGE_BYTES
SLOW_CLIENT_S = 30.0
FAILURE_GRACE_S = 2.0
"""After a failure to load, so that a client that has just read the address still gets the reason."""

PLACE_WAIT_S = 1.0

KEY_PROTOCOL = "openai-insecure-api-key."
"""How OpenAI's browser clients give a key: browsers cannot set headers of a WebSocket."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. Port 0: any free one."""

    host: str = "127.0.0.1"
    port: int = 0
    tls: ssl.SSLContext | None = None
    """Encrypts connections; None: plain ones."""


class RealtimeServer:
    """Listens from `start` to `stop`; its methods belong to the event loop, unless they say otherwise."""

    def __init__(self, address: Address, token: str, max_clients: int, make_model: Callable[..., ModelThread]) -> None:
        """`make_model(on_failure=...)` builds the model's thread."""
        self._address = address
        self._token = token
        self._max_clients = max_clients
        self._loop = asyncio.get_running_loop()
        self._failure: asyncio.Future[Failure] = self._loop.create_future()
        self._links: set[Link] = set()
        self._places = asyncio.Semaphore(max_clients)
        self._somebody_was_told = asyncio.Event()
        self._server: Server | None = None
        self.metrics = Metrics()
        self.model = make_model(on_failure=self._model_failed)

    async def start(self) -> str:
        """Listens and begins to load the model; returns the URL. Raises OSError when the port cannot be had."""
        self._server = await serve(
            self._serve_client,
            self._address.host,
            self._address.port,
            process_request=self._admit,
            select_subprotocol=_select_subprotocol,
            max_size=MAX_FRAME_BYTES,
            ssl=self._address.tls,
            compression=None,  # on loopback it only costs time, and sound hardly shrinks
            close_timeout=1,
        )
        self.model.start()
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        scheme = "ws" if self._address.tls is None else "wss"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/v1/realtime"

    async def failed(self) -> Failure:
        """Waits until the model cannot go on, and until a client has been told why (or none came to be told)."""
        failure = await asyncio.shield(self._failure)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._somebody_was_told.wait(), FAILURE_GRACE_S)
        return failure

    async def stop(self) -> None:
        """Ends within two seconds, whatever the model does."""
        if self._server is not None:
            self._server.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), 1.2)
        await asyncio.to_thread(self.model.stop, 0.5)

    # --- failures ---

    def _model_failed(self, failure: Failure) -> None:
        """Called on the model thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the engine is ending anyway
            self._loop.call_soon_threadsafe(self._set_failure, failure)

    def _set_failure(self, failure: Failure) -> None:
        if not self._failure.done():
            self._failure.set_result(failure)
        for link in self._links:
            _tell(link, failure)

    # --- connections ---

    async def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """Decides on the handshake: path, token, number of clients."""
        url = urlsplit(request.path)
        if url.path == "/health":
            return self._health(connection)
        if url.path == "/metrics" and self._token_fits(request.headers, url.query):
            return _respond(connection, http.HTTPStatus.OK, self.metrics.text().decode(), TEXT_TYPE)
        if not url.path.rstrip("/").endswith("/realtime"):
            return _refuse(connection, http.HTTPStatus.NOT_FOUND, "The Realtime API is at /v1/realtime.")
        if not self._token_fits(request.headers, url.query):
            return _refuse(
                connection,
                http.HTTPStatus.UNAUTHORIZED,
                "Wrong or missing token; give the engine's token as 'Authorization: Bearer'.",
            )
        try:
            # A client that comes back at once may be quicker than the end of its old connection.
            await asyncio.wait_for(self._places.acquire(), PLACE_WAIT_S)
        except TimeoutError:
            return _refuse(
                connection,
                http.HTTPStatus.SERVICE_UNAVAILABLE,
                f"This engine serves {self._max_clients} client(s) at a time, and has them. Close one, or start the "
                "engine with a larger --max-clients.",
            )
        connection_closed = self._loop.create_task(connection.wait_closed())
        connection_closed.add_done_callback(lambda _: self._places.release())
        return None

    def _health(self, connection: ServerConnection) -> Response:
        """For whoever watches the process; needs no token and tells no secret."""
        status = "ready" if self.model.is_ready else "loading"
        status = "failed" if self._failure.done() else status
        code = http.HTTPStatus.OK if status == "ready" else http.HTTPStatus.SERVICE_UNAVAILABLE
        body = {"status": status, "clients": len(self._links), "max_clients": self._max_clients}
        return _respond(connection, code, json.dumps(body), "application/json")

    def _token_fits(self, headers: Headers, query: str) -> bool:
        given = [value.removeprefix("Bearer ").strip() for value in headers.get_all("Authorization")]
        given += parse_qs(query).get("token", [])
        for value in headers.get_all("Sec-WebSocket-Protocol"):
            names = (name.strip() for name in value.split(","))
            given += [name.removeprefix(KEY_PROTOCOL) for name in names if name.startswith(KEY_PROTOCOL)]
        return any(secrets.compare_digest(token.encode(), self._token.encode()) for token in given)

    async def _serve_client(self, connection: ServerConnection) -> None:
        to_send, room = asyncio.Event(), asyncio.Event()

        def wake() -> None:
            to_send.set()
            room.set()

        def wake_from_model() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: the engine is ending
                self._loop.call_soon_threadsafe(wake)

        request = connection.request
        assert request is not None  # the handshake is done
        dialect = of_handshake(dict(request.headers.raw_items()), urlsplit(request.path).query)
        log.info("a client of kind %s", dialect.name)
        link = Link(wake_from_model, self.model.wake, dialect, self.metrics)
        self._links.add(link)
        self.metrics.connected()
        if self._failure.done():
            _tell(link, self._failure.result())
        else:
            self.model.attach(link)
        try:
            async with asyncio.TaskGroup() as tasks:
                reader = tasks.create_task(_read(connection, link, room))
                writer = tasks.create_task(self._write(connection, link, to_send, room))
                await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
                reader.cancel()
                writer.cancel()
        finally:
            link.close()
            self._links.discard(link)
            self.metrics.disconnected(link)

    async def _write(
        self, connection: ServerConnection, link: Link, to_send: asyncio.Event, room: asyncio.Event
    ) -> None:
        while True:
            to_send.clear()
            while (message := link.next_message()) is not None:
                try:
                    await asyncio.wait_for(connection.send(message), SLOW_CLIENT_S)
                except ConnectionClosed:
                    return
                except TimeoutError:
                    log.warning("a client took nothing for %.0f s and was disconnected", SLOW_CLIENT_S)
                    connection.transport.abort()  # a closing handshake would wait behind what it does not take
                    return
                room.set()
            if link.finishing:
                self._somebody_was_told.set()
                if link.failed:
                    await connection.close(CloseCode.INTERNAL_ERROR, "the engine or this session has failed")
                else:
                    await connection.close()
                return
            await to_send.wait()


async def _read(connection: ServerConnection, link: Link, room: asyncio.Event) -> None:
    while True:
        try:
            # As bytes: text that is not UTF-8 is then a malformed message instead of the end of the connection.
            message = await connection.recv(decode=False)
        except ConnectionClosed:
            return
        event: ClientEvent | WireError | None
        try:
            event = parse_client_event(message)
        except WireError as mistake:
            event = mistake
        if event is not None:
            link.post(event, len(message))
        while not link.has_room():
            room.clear()
            if not link.has_room():
                await room.wait()


def _tell(link: Link, failure: Failure) -> None:
    link.send(ErrorEvent(EventError(failure.message, "server_error", failure.code)))
    link.finish(failed=True)


def _refuse(connection: ServerConnection, status: http.HTTPStatus, message: str) -> Response:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error", "code": status.phrase}})
    return _respond(connection, status, body, "application/json")


def _respond(connection: ServerConnection, status: http.HTTPStatus, body: str, content_type: str) -> Response:
    response = connection.respond(status, body)
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = content_type
    return response


def _select_subprotocol(connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Browsers need one of what they offered; others offer nothing."""
    return Subprotocol("realtime") if "realtime" in offered else None
