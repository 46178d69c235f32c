"""Why there is no connection to an engine, in sentences that are true, each with what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlsplit

from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, InvalidURI

from app.dialects.base import DEFAULT_WAIT_S, found, wait_of
from app.engine.trust import TrustError

MAX_SAID_CHARS = 300
"""Of what a server says about a refusal."""
PROBE_S = 2.0

_EXPIRED, _NOT_YET, _WRONG_HOST, _WRONG_IP = 10, 9, 62, 64
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's X509_V_ERR codes."""


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is over or never was. `final`: trying again cannot help (wrong token, wrong address).

    `retry_after_s`: the server asked for that much patience. `renews`: the session's time was up; a new one follows.
    """

    reason: str
    remedy: str = ""
    final: bool = False
    retry_after_s: float | None = None
    renews: bool = False


async def why_not(error: Exception, url: str, timeout_s: float) -> Disconnected:
    """What an exception while connecting means."""
    host = urlsplit(url).hostname or url
    match error:
        case TrustError():
            return Disconnected(_sentence(str(error)), error.remedy, final=True)
        case InvalidStatus():
            return refused(error, url)
        case ssl.SSLCertVerificationError():
            return _certificate(error, host)
        case ssl.SSLError():
            return _no_tls(url)
        case InvalidMessage() | EOFError() | ConnectionResetError():
            return await _no_answer(url, host)
        case InvalidURI() | InvalidHandshake():
            return Disconnected(
                f"{url} answers, but not as a Realtime engine: {error}.",
                "Check the path of the address; engines mostly end in /v1/realtime.",
                final=True,
            )
        case TimeoutError():
            return await _silent(url, host, timeout_s)
        case socket.gaierror():
            return Disconnected(f"There is no machine called {host}.", "Check the address, and the network.")
        case ConnectionRefusedError():
            return Disconnected(
                f"Nothing listens at {url}.", "Start the engine there, or check the port in the address."
            )
        case OSError():
            return Disconnected(f"{url} cannot be reached: {error}.", "Check the address and the network.")
        case ValueError():  # a host name that cannot be put into a request; never the token's text
            return Disconnected(f"{url} cannot be asked for.", "Check the address.", final=True)
        case _:
            return Disconnected(f"{url} cannot be reached: {error}.", "Check the address and that it runs.")


def refused(error: InvalidStatus, url: str) -> Disconnected:
    """A server that answered, and said no."""
    response = error.response
    status = response.status_code
    said = _body(bytes(response.body or b""))
    why = f" It says: {said}" if said else ""
    match status:
        case 401 | 403:
            return Disconnected(
                f"{url} refuses the key or token ({status}).{why}",
                "Enter the key that this engine expects, and check that it may use this model.",
                final=True,
            )
        case 404:
            return Disconnected(
                f"{url} has no Realtime engine at this path (404).{why}", "Check the address.", final=True
            )
        case 429:
            wait = response.headers.get("Retry-After", "")
            wait_s = float(wait) if wait.isascii() and wait.isdigit() else wait_of(said)
            return Disconnected(
                f"{url} is at its rate limit (429).{why}",
                "Wait a while, or look at the limits of your account.",
                retry_after_s=min(300.0, max(1.0, wait_s or DEFAULT_WAIT_S)),
            )
        case 503:
            return Disconnected(
                f"{url} is busy: it serves as many clients as it takes (503).{why}", "Close the other client."
            )
        case 400 | 405 | 422:
            return Disconnected(
                f"{url} cannot use the request ({status}).{why}",
                "Check the address and, in the settings, the model and the parameters.",
                final=True,
            )
        case _ if 300 <= status < 400:
            return Disconnected(f"{url} sends elsewhere ({status}).", "Enter the address it names.", final=True)
        case _ if status < 500:
            return Disconnected(f"{url} refuses the connection ({status}).{why}", "Check the address.", final=True)
        case _:
            return Disconnected(f"{url} has trouble of its own ({status}).{why}", "Try again later.")


def _certificate(error: ssl.SSLCertVerificationError, host: str) -> Disconnected:
    code = error.verify_code
    if code == _EXPIRED:
        return Disconnected(
            f"The certificate of {host} has expired.",
            "Whoever runs the engine has to renew it; check also this computer's clock.",
            final=True,
        )
    if code == _NOT_YET:
        return Disconnected(
            f"The certificate of {host} is not valid yet.", "Check the clocks of both computers.", final=True
        )
    if code in (_WRONG_HOST, _WRONG_IP):
        return Disconnected(
            f"The certificate that {host} shows is for another name.",
            "Use the address that the certificate is for, or enter its fingerprint in the settings.",
            final=True,
        )
    if code in _UNKNOWN_AUTHORITY:
        return Disconnected(
            f"The certificate of {host} is signed by nobody whom this computer knows.",
            "If the engine is yours, enter its certificate's fingerprint or its authority's file in the settings.",
            final=True,
        )
    return Disconnected(
        f"The certificate of {host} cannot be trusted: {error.verify_message}.",
        "Check the engine's certificate; its fingerprint or authority can be entered in the settings.",
        final=True,
    )


def _no_tls(url: str) -> Disconnected:
    return Disconnected(
        f"{url} does not speak TLS, so there is no secure connection.",
        "If the engine is yours and unencrypted on purpose, the address begins with ws:// instead of wss://.",
        final=True,
    )


async def _no_answer(url: str, host: str) -> Disconnected:
    """It hung up in the middle of the greeting: a port that wants TLS does that, and one that is no web server."""
    speaks_tls = await _speaks_tls(url)
    if urlsplit(url).scheme == "wss" and not speaks_tls and await _accepts(url):
        return _no_tls(url)
    if urlsplit(url).scheme == "ws" and speaks_tls:
        return Disconnected(
            f"{url} wants an encrypted connection.", "The address begins with wss:// instead of ws://.", final=True
        )
    return Disconnected(
        f"What listens at {url} hangs up: it is no Realtime engine.", f"Check the port: is it the engine's on {host}?"
    )


async def _silent(url: str, host: str, timeout_s: float) -> Disconnected:
    if await _accepts(url):
        return Disconnected(
            f"Something at {url} takes the connection and says nothing for {timeout_s:.0f} s.",
            f"It is no Realtime engine, or it hangs: look at what runs on this port of {host}.",
        )
    return Disconnected(
        f"{host} did not answer within {timeout_s:.0f} s.",
        "Check that the machine is on, that the address is right, and that no firewall is in between.",
    )


async def _accepts(url: str) -> bool:
    return await _opens(url, None)


async def _speaks_tls(url: str) -> bool:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return await _opens(url, context)


async def _opens(url: str, context: ssl.SSLContext | None) -> bool:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "wss" else 80)
    with contextlib.suppress(OSError, TimeoutError, ValueError):
        async with asyncio.timeout(PROBE_S):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=context)
            writer.transport.abort()
            return True
    return False


def _body(body: bytes) -> str:
    """What a refusal says, on one line: a JSON error's message, or its text."""
    text = body[:20_000].decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, RecursionError):
        data = json.loads(text)
        for place in (
            found(data, "error", "message"),
            found(data, "message"),
            found(data, "detail"),
            found(data, "error"),
        ):
            if isinstance(place, str) and place:
                text = place
                break
    if text.lower().startswith(("<!doctype", "<html")):
        return ""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return _sentence(line[:MAX_SAID_CHARS]) if line else ""


def _sentence(text: str) -> str:
    text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
