"""One way to fetch bytes over HTTP: by ranges, with time limits, checked against what was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import requests
from urllib3.exceptions import HTTPError, ReadTimeoutError

from model_hub.errors import AccessError, NotFoundError
from model_hub.files import RemoteFile
from model_hub.sources import Body

CHUNK_BYTES = 1 << 18
CONNECT_TIMEOUT_S = 15.0
STALL_TIMEOUT_S = 30.0
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+)")


class SizeError(OSError):
    """The server's file has another size than was published."""


@dataclass
class Web:
    """A connection pool with its time limits. Not for use by several threads at once."""

    connect_timeout_s: float = CONNECT_TIMEOUT_S
    stall_timeout_s: float = STALL_TIMEOUT_S

    def __post_init__(self) -> None:
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def text(self, url: str, headers: Mapping[str, str] | None = None) -> str:
        """A small file. Raises OSError (requests' exceptions are some) and GetError."""
        with self._get(url, dict(headers or {})) as response:
            _raise_for_status(response, url)
            return response.content.decode("utf-8")

    def size(self, url: str) -> int | None:
        """Bytes of a file, or None where the server does not say. Raises OSError and GetError."""
        with self._session.head(url, allow_redirects=True, timeout=self.connect_timeout_s) as response:
            _raise_for_status(response, url)
            length = response.headers.get("Content-Length")
            return int(length) if length is not None and length.isdigit() else None

    @contextmanager
    def body(self, url: str, file: RemoteFile, offset: int, headers: Mapping[str, str]) -> Iterator[Body]:
        """The file from `offset` on, or from 0 when the server does not send parts.

        Raises SizeError when it has another length than published, OSError when the connection fails or stalls,
        GetError for what trying again cannot mend.
        """
        # Ranges count bytes of what is sent: a compressed transfer would count other ones.
        asked = {**headers, "Accept-Encoding": "identity"}
        if offset:
            asked["Range"] = f"bytes={offset}-"
        with self._get(url, asked) as response:
            if response.status_code == requests.codes.requested_range_not_satisfiable:
                raise SizeError(f"{file.name} ends before byte {offset}; {file.n_bytes} bytes were published")
            _raise_for_status(response, url)
            start, total = 0, response.headers.get("Content-Length")
            if response.status_code == requests.codes.partial_content:
                found = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
                if found is None:
                    raise OSError(f"the server answered with a part of {file.name} without saying which")
                start, total = int(found[1]), found[2]
            if total is not None and int(total) != file.n_bytes:
                raise SizeError(f"{file.name} has {total} bytes there; {file.n_bytes} were published")
            if start > offset:
                raise OSError(f"the server sent {file.name} from byte {start}; {offset} was asked for")
            yield Body(start, _chunks(response))

    def _get(self, url: str, headers: Mapping[str, str]) -> requests.Response:
        return self._session.get(
            url, headers=dict(headers), stream=True, timeout=(self.connect_timeout_s, self.stall_timeout_s)
        )


def why(error: BaseException) -> str:
    """What the system said, without the wrappings of the libraries above it."""
    seen: BaseException | None = error
    while seen is not None:
        found = next((item for item in (seen, *_inside(seen)) if isinstance(item, OSError) and item.strerror), None)
        if found is not None:
            return str(found.strerror)
        seen = seen.__cause__ or seen.__context__
    return str(error).splitlines()[0][:200] if str(error) else type(error).__name__


def _inside(error: BaseException) -> list[object]:
    """What requests and urllib3 hide in their errors' arguments."""
    inner = [*error.args, getattr(error, "reason", None)]
    return [*inner, *(getattr(item, "reason", None) for item in inner)]


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """What has come, as it comes: a connection that breaks costs nothing of what it brought before."""
    try:
        while chunk := response.raw.read1(CHUNK_BYTES, decode_content=False):
            yield chunk
    except ReadTimeoutError as error:
        raise TimeoutError("nothing came for a while") from error
    except HTTPError as error:
        raise ConnectionError("the connection broke") from error


def _raise_for_status(response: requests.Response, url: str) -> None:
    code = response.status_code
    if code in (401, 403):
        raise AccessError(f"{url} may not be read (HTTP {code}).", "Accept the licence at the site, and give a token.")
    if code == 404:
        raise NotFoundError(f"{url} does not exist.", "Look at the name and the revision.")
    response.raise_for_status()
