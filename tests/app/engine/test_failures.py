"""Why there is no connection: each cause has its own true sentence, and what to do. Certificates are real ones."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from app.engine.connection import Connection
from app.engine.failures import Disconnected
from app.engine.target import Target, checked, fingerprint_of
from model.realtime.events import SessionCreated
from tests.app.engine_server import PATIENCE_S, Inbox

TODAY = datetime.now(UTC)


@dataclass
class Signed:
    """A certificate with its key; `issuer` None: signed by itself."""

    name: str
    issuer: Signed | None = None
    host: str = "127.0.0.1"
    ends: datetime = TODAY + timedelta(days=2)

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        issuer = self.issuer or self
        try:
            names: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(self.host))
        except ValueError:
            names = x509.DNSName(self.host)
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer.name)]))
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(TODAY - timedelta(days=9))
            .not_valid_after(self.ends)
            .add_extension(x509.SubjectAlternativeName([names]), critical=False)
            .add_extension(x509.BasicConstraints(ca=self.issuer is None, path_length=None), critical=True)
            .sign(issuer.key, hashes.SHA256())
        )

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def context(self, folder: Path) -> ssl.SSLContext:
        """For a server that shows it."""
        path = folder / f"{self.name}.pem"
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        path.write_bytes(self.pem + key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context


@contextmanager
def engine(context: ssl.SSLContext | None, refuse: tuple[int, str, dict[str, str]] | None = None) -> Iterator[int]:
    """A server that begins a session, or refuses with a status, a body and headers; its port."""
    ports: queue.Queue[int] = queue.Queue()
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    def answer(connection: ServerConnection, _: Request) -> Response | None:
        if refuse is None:
            return None
        status, body, headers = refuse
        response = connection.respond(HTTPStatus(status), body)
        for name, value in headers.items():
            response.headers[name] = value
        return response

    async def behave(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "session.created", "session": {}}))
        await connection.wait_closed()

    async def run() -> None:
        end = asyncio.Event()
        async with serve(behave, "127.0.0.1", 0, ssl=context, process_request=answer, close_timeout=0.2) as server:
            ends.append((asyncio.get_running_loop(), end))
            ports.put(next(iter(server.sockets)).getsockname()[1])
            await end.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield ports.get(timeout=PATIENCE_S)
    finally:
        for loop, end in ends:
            loop.call_soon_threadsafe(end.set)
        thread.join(PATIENCE_S)


def end_of(target: Target, open_timeout_s: float = 10.0) -> Disconnected | SessionCreated:
    """How connecting ends, or begins."""
    inbox = Inbox()
    connection = Connection(target, inbox, open_timeout_s)
    connection.start()
    event: Disconnected | SessionCreated = inbox.until((Disconnected, SessionCreated))
    assert connection.close(3.0)
    return event


def reason(target: Target, open_timeout_s: float = 10.0) -> str:
    end = end_of(target, open_timeout_s)
    assert isinstance(end, Disconnected)
    assert end.remedy, end.reason
    return end.reason


def wss(port: int) -> str:
    return f"wss://127.0.0.1:{port}/v1/realtime"


def test_a_certificate_that_signs_itself(tmp_path: Path) -> None:
    own, other = Signed("own"), Signed("other")
    with engine(own.context(tmp_path)) as port:
        assert "signed by nobody" in reason(Target(wss(port)))
        assert isinstance(end_of(Target(wss(port), fingerprint=own.fingerprint)), SessionCreated)
        assert "another certificate" in reason(Target(wss(port), fingerprint=other.fingerprint))


def test_a_pinned_certificate_may_be_for_any_name_but_not_expired(tmp_path: Path) -> None:
    named = Signed("named", host="elsewhere.example")
    with engine(named.context(tmp_path)) as port:
        assert isinstance(end_of(Target(wss(port), fingerprint=named.fingerprint)), SessionCreated)
    old = Signed("old", ends=TODAY - timedelta(days=1))
    with engine(old.context(tmp_path)) as port:
        assert "has expired" in reason(Target(wss(port), fingerprint=old.fingerprint))


def test_an_authority_of_ones_own(tmp_path: Path) -> None:
    authority = Signed("authority")
    ca_file = tmp_path / "authority.crt"
    ca_file.write_bytes(authority.pem)

    def with_ca(port: int) -> Target:
        return Target(wss(port), ca_file=str(ca_file))

    good = Signed("good", authority)
    with engine(good.context(tmp_path)) as port:
        assert "signed by nobody" in reason(Target(wss(port)))
        assert isinstance(end_of(with_ca(port)), SessionCreated)
        assert isinstance(end_of(Target(wss(port), fingerprint=good.fingerprint)), SessionCreated)
    with engine(Signed("old", authority, ends=TODAY - timedelta(days=1)).context(tmp_path)) as port:
        assert "has expired" in reason(with_ca(port))
    with engine(Signed("elsewhere", authority, host="elsewhere.example").context(tmp_path)) as port:
        assert "for another name" in reason(with_ca(port))


def test_a_file_that_is_no_authority(tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    assert "no certificate in PEM form" in reason(Target("wss://127.0.0.1:9/", ca_file=str(empty)))
    assert "cannot be used" in reason(Target("wss://127.0.0.1:9/", ca_file=str(tmp_path / "gone.pem")))


def test_the_wrong_kind_of_address(tmp_path: Path) -> None:
    with engine(None) as port:
        assert "does not speak TLS" in reason(Target(wss(port)))
    with engine(Signed("own").context(tmp_path)) as port:
        assert "wants an encrypted connection" in reason(Target(f"ws://127.0.0.1:{port}/v1/realtime"))


def test_something_that_says_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        said = reason(Target(f"ws://127.0.0.1:{silent.getsockname()[1]}/v1/realtime"), open_timeout_s=0.3)
    assert "says nothing" in said


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "Nothing listens" in reason(Target(f"ws://127.0.0.1:{taken.getsockname()[1]}/v1/realtime"))


@pytest.mark.parametrize(
    ("status", "body", "said", "final"),
    [
        (
            400,
            '{"error": {"message": "Missing required parameter: model"}}',
            "Missing required parameter: model.",
            True,
        ),
        (401, '{"message": "Invalid key"}', "refuses the key or token (401). It says: Invalid key.", True),
        (403, "no", "refuses the key or token (403)", True),
        (404, "<!DOCTYPE html><p>x", "no Realtime engine at this path (404).", True),
        (503, "full", "as many clients as it takes (503). It says: Full.", False),
        (500, "", "trouble of its own (500)", False),
        (418, "\x1b[31mtea\n" * 200, "It says: [31mtea", True),
    ],
)
def test_refusals_say_what_the_server_said(status: int, body: str, said: str, final: bool) -> None:
    with engine(None, (status, body, {})) as port:
        end = end_of(Target(f"ws://127.0.0.1:{port}/v1/realtime", "token"))
    assert isinstance(end, Disconnected)
    assert said in end.reason
    assert end.final == final
    assert end.reason.isprintable()
    assert len(end.reason) < 500


def test_a_rate_limit_says_how_long() -> None:
    with engine(None, (429, "slow down", {"Retry-After": "7"})) as port:
        end = end_of(Target(f"ws://127.0.0.1:{port}/v1/realtime"))
    assert isinstance(end, Disconnected)
    assert end.retry_after_s == 7.0


def test_a_token_is_never_printed() -> None:
    with pytest.raises(ValueError, match="line break") as error:
        checked("wss://box/v1/realtime", token="sec\nret")
    assert "ret" not in str(error.value)
    assert "secret" not in repr(Target("wss://box/v1/realtime", "secret"))


def test_what_people_enter() -> None:
    target = checked(
        f"wss://box:1/v1/realtime#token=abc&sha256={'AB:' * 31}AB", headers=("X-A: b",), query="?a=1&b=2", model=" m "
    )
    assert (target.url, target.token, target.fingerprint) == ("wss://box:1/v1/realtime", "abc", "ab" * 32)
    assert (target.headers, target.query, target.model) == ((("X-A", "b"),), (("a", "1"), ("b", "2")), "m")
    assert fingerprint_of("sha256:" + "0f" * 32) == "0f" * 32
    for wrong in ("abc", "zz" * 32, "ab" * 31):
        with pytest.raises(ValueError, match="64 hexadecimal digits"):
            fingerprint_of(wrong)
    for wrong in ("no colon", "a b: c", ": x", "a: b\nc"):
        with pytest.raises(ValueError, match="Name: value"):
            checked("wss://box/", headers=(wrong,))
