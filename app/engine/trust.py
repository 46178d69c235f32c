"""Which certificate an engine may show: the system's authorities, one more of the user's, or one pinned certificate."""

from __future__ import annotations

import hashlib
import hmac
import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from app.engine.target import Target

TIMEOUT_S = 10.0


class TrustError(ValueError):
    """The connection must not be made; the message and `remedy` are for people."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def trust(target: Target) -> ssl.SSLContext | None:
    """How to verify the other side; None for an address without TLS. Blocks for a pinned certificate (one connection).

    Raises TrustError, and OSError when the other side cannot be reached.
    """
    if urlsplit(target.url).scheme != "wss":
        return None
    if target.fingerprint:
        return pinned(target)
    context = ssl.create_default_context()
    if target.ca_file:
        path = Path(target.ca_file).expanduser()
        try:
            context.load_verify_locations(cafile=str(path))
        except OSError as error:  # ssl.SSLError, for a file without a certificate, is one
            why = error.strerror if not isinstance(error, ssl.SSLError) else "it holds no certificate in PEM form"
            raise TrustError(
                f"the file of the certificate authority, {path}, cannot be used: {why}.", CA_REMEDY
            ) from None
    return context


def pinned(target: Target) -> ssl.SSLContext:
    """A context that takes the certificate with this fingerprint and no other.

    The certificate is fetched first, on a connection of its own on which nothing is said. If it is the right one it
    becomes the only one that is trusted, so the handshake itself refuses any other before the token is sent. Its name
    does not matter: a fingerprint says more than a name does. Its time does.
    """
    parts = urlsplit(target.url)
    assert parts.hostname is not None
    ask = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ask.check_hostname = False
    ask.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((parts.hostname, parts.port or 443), TIMEOUT_S) as plain,
        ask.wrap_socket(plain, server_hostname=parts.hostname) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True) or b""
    shown = hashlib.sha256(certificate).hexdigest()
    if not hmac.compare_digest(shown, target.fingerprint):
        raise TrustError(
            f"{parts.hostname} shows another certificate than the one whose fingerprint was entered "
            f"(it shows {shown[:16]}…, expected {target.fingerprint[:16]}…).",
            "If the engine was set up anew, enter the fingerprint that it prints now; if not, somebody is in between.",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be an authority's
    context.load_verify_locations(cadata=certificate)
    return context


CA_REMEDY = "Choose the authority's certificate as a PEM file in the settings, under Remote engine."
