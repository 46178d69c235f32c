"""One file: from where an earlier run stopped to its published checksum.

`NAME.part` grows; it gets its name only when its checksum is right, so whatever has its name is whole. A run that is
killed leaves a `.part` that the next one reads once (for the checksum) and continues.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO

import requests

from model_hub.errors import GetError, NetworkError, WrongContentsError
from model_hub.files import Digest, Hash, RemoteFile
from model_hub.http import SizeError
from model_hub.sources import Source
from model_hub.store import NO_SPACE

TRIES_WITHOUT_A_BYTE = 6
TRIES_WITH_WRONG_CONTENTS = 3
LONGEST_WAIT_S = 30.0
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Watch:
    """What a transfer tells and asks. `grew(file, n)`: bytes that came over the network, or the loss of a broken part
    (negative); `wait(seconds)` is the pause before another try."""

    grew: Callable[[RemoteFile, int], None]
    note: Callable[[str], None]
    wait: Callable[[float], None]


def fetch(source: Source, file: RemoteFile, revision: str, folder: Path, watch: Watch) -> Path:
    """`folder`/NAME, whole and verified. Nothing is fetched when it is there already.

    Raises NetworkError, WrongContentsError, AccessError, NotFoundError, and OSError for what this disk does not take;
    what has come is kept.
    """
    path = folder / file.name
    if path.exists():
        return path
    part = path.with_name(path.name + ".part")
    wrong = idle = 0
    while True:
        had = _length(part)
        try:
            digest = _continue(source, file, revision, part, watch)
        except GetError:
            raise
        except (SizeError, OSError, HTTPException, requests.RequestException) as error:
            # Errors of this disk: it is full, or (they name a file) it does not let us write.
            if isinstance(error, OSError) and (error.errno in NO_SPACE or error.filename is not None):
                raise
            idle = 0 if _length(part) > had else idle + 1
            if isinstance(error, SizeError):
                wrong += 1
                watch.grew(file, -_length(part))
                part.unlink(missing_ok=True)
                if wrong == TRIES_WITH_WRONG_CONTENTS:
                    raise _wrong(source, f"{error}.") from error
            elif idle == TRIES_WITHOUT_A_BYTE:
                raise NetworkError(
                    f"{source.label} stopped sending {file.name} ({_why(error)}).",
                    "What has come is kept: look at the network and get the model again, it goes on from there.",
                ) from error
            watch.note(f"{file.name}: {_why(error)}; trying again")
            watch.wait(min(LONGEST_WAIT_S, 2.0**idle) if idle else 0.0)
            continue
        if file.digest is None or digest == file.digest.value:
            part.replace(path)
            _sync_folder(folder)
            return path
        wrong += 1
        watch.grew(file, -_length(part))
        part.unlink()
        if wrong == TRIES_WITH_WRONG_CONTENTS:
            raise _wrong(source, f"{file.name} arrived {wrong} times with another checksum than was published.")
        watch.note(f"{file.name}: wrong checksum; this file is fetched again")


def _continue(source: Source, file: RemoteFile, revision: str, part: Path, watch: Watch) -> str:
    """Fetches what is missing of the part; returns its checksum ("" where none was published)."""
    with part.open("ab+", buffering=0) as out:
        if out.tell() > file.n_bytes:  # longer than the file: another file's rest
            watch.grew(file, -out.tell())
            out.truncate(0)
        out.seek(0)
        hashed = _hash_of(out, file)
        if out.tell() < file.n_bytes:
            with source.open(file, revision, out.tell()) as body:
                if body.start != out.tell():  # the source cannot begin in the middle
                    watch.grew(file, body.start - out.tell())
                    out.truncate(body.start)
                    out.seek(0)
                    hashed = _hash_of(out, file)
                for chunk in body.chunks:
                    _write(out, chunk)
                    hashed.update(chunk)
                    watch.grew(file, len(chunk))
            if out.tell() < file.n_bytes:
                raise OSError(f"the connection ended after {out.tell()} of {file.n_bytes} bytes")
            if out.tell() > file.n_bytes:
                raise SizeError(f"{file.name} is longer there than the {file.n_bytes} bytes that were published")
        os.fsync(out.fileno())
    return hashed.hexdigest() if file.digest is not None else ""


def _hash_of(opened: BinaryIO, file: RemoteFile) -> Hash:
    """The checksum so far; leaves the position at the end."""
    digest = file.digest or Digest("sha256", "")
    hashed = digest.start(file.n_bytes)
    while block := opened.read(_READ_BYTES):
        hashed.update(block)
    return hashed


def _write(out: BinaryIO, chunk: bytes) -> None:
    """All of it: a nearly full disk takes a part before it says that it is full."""
    left = memoryview(chunk)
    while left:
        left = left[out.write(left) :]


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _wrong(source: Source, what: str) -> WrongContentsError:
    return WrongContentsError(
        f"{source.label}: {what}",
        "The other files are kept. Try again later or from another mirror; if the publisher has changed the model "
        "since this download began, remove it and get it again.",
    )


def _why(error: BaseException) -> str:
    if isinstance(error, requests.exceptions.ConnectTimeout):
        return "no connection in time"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "nothing came for a while"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code}"
    if isinstance(error, requests.exceptions.ChunkedEncodingError | requests.ConnectionError | HTTPException):
        return "the connection broke"
    return str(error)


def _sync_folder(folder: Path) -> None:
    """Makes a rename survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
