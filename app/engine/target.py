"""Where an engine that the user named is, and how it is spoken to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from app.engine.address import check_url

MAX_TOKEN_CHARS = 8192
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FINGERPRINT = re.compile(r"(?:sha-?256[:=/ ]*)?([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Target:
    """An engine's address and what it takes to be let in. `checked` is the way to make one from what people enter."""

    url: str
    token: str = ""
    kind: str = "auto"
    """Key of a dialect (`app.dialects`), or "auto"."""
    model: str = ""
    """"": what the engine serves, or the dialect's own choice."""
    headers: tuple[tuple[str, str], ...] = ()
    query: tuple[tuple[str, str], ...] = ()
    ca_file: str = ""
    """PEM file of an authority to trust besides the system's."""
    fingerprint: str = ""
    """SHA-256 of the one certificate to trust, as 64 hexadecimal digits."""

    def __repr__(self) -> str:
        """Without the secret, which must not reach a log."""
        return f"Target({self.url!r}, kind={self.kind!r}, model={self.model!r})"


def checked(
    url: str,
    token: str = "",
    kind: str = "auto",
    model: str = "",
    headers: tuple[str, ...] = (),
    query: str = "",
    ca_file: str = "",
    fingerprint: str = "",
) -> Target:
    """A target from what was entered; raises ValueError, with a message for people, that never holds the token."""
    url, pasted = split_pasted(url.strip())
    check_url(url)
    token = (token or pasted.get("token", "")).strip()
    if len(token) > MAX_TOKEN_CHARS or any(not " " <= char <= "~" for char in token):
        raise ValueError("The key or token holds a line break or another character that cannot be sent. Copy it again.")
    return Target(
        url,
        token,
        kind or "auto",
        model.strip(),
        tuple(header(line) for line in headers if line.strip()),
        tuple(parse_qsl(query.strip().lstrip("?"), keep_blank_values=True)),
        ca_file.strip(),
        fingerprint_of(fingerprint or pasted.get("sha256", "")),
    )


def split_pasted(url: str) -> tuple[str, dict[str, str]]:
    """The address in a line to paste, and what follows its "#": `wss://HOST:PORT/v1/realtime#token=...&sha256=...`.

    A fragment is never sent to a server, so the secret does not travel in the address.
    """
    address, _, fragment = url.partition("#")
    return address, dict(parse_qsl(fragment))


def header(line: str) -> tuple[str, str]:
    """A header from "Name: value"; raises ValueError."""
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _HEADER_NAME.fullmatch(name) or any(not " " <= char <= "~" for char in value):
        raise ValueError(f"The header {name[:40]!r} cannot be sent; expected a line such as “Name: value”.")
    return name, value


def fingerprint_of(text: str) -> str:
    """64 lower-case digits from any usual spelling (colons, spaces, "sha256:"); raises ValueError."""
    if not text.strip():
        return ""
    found = _FINGERPRINT.fullmatch(re.sub(r"(?<=[0-9a-f]{2})[: ](?=[0-9a-f]{2})", "", text.strip().lower()))
    if found is None:
        raise ValueError("The certificate's fingerprint is not one: expected the 64 hexadecimal digits of its SHA-256.")
    return found.group(1)


def with_query(url: str, more: tuple[tuple[str, str], ...]) -> str:
    """The address with these parameters; one that it has already stays as it is."""
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    names = {name for name, _ in given}
    query = urlencode([*given, *((name, value) for name, value in more if name not in names)])
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
