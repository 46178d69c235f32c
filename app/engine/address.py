"""Addresses of engines: what is one, and whether it is this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def check_url(url: str) -> None:
    """Raises ValueError, with a message for people, when this is no address of a Realtime engine."""
    try:
        parts = urlsplit(url)
        port = parts.port  # raises when it is none
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("ws", "wss") or not parts.hostname or port == 0:
        raise ValueError(f"{url!r} is not an engine's address; expected ws://HOST:PORT/v1/realtime or wss://HOST/...")


def is_on_this_machine(url: str) -> bool:
    """Whether what is sent to this address stays here."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
