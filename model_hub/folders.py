"""A model in a folder: of this machine, or of a web server that serves it with its SHA256SUMS."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from urllib.parse import quote

from model_hub.errors import NetworkError, NotFoundError, WrongContentsError
from model_hub.files import SUMS_FILE, Digest, Listing, RemoteFile, is_wanted
from model_hub.http import CHUNK_BYTES, Web, why
from model_hub.sources import Body, Source

SIZES_HELP = f"Make it there: sha256sum * > {SUMS_FILE}"


class Folder(Source):
    """A folder of this machine. Its SHA256SUMS is used where there is one."""

    def __init__(self, path: Path) -> None:
        self.label = str(path)
        self._path = path

    def listing(self, revision: str) -> Listing:
        try:
            files = sorted(path for path in self._path.iterdir() if path.is_file())
            sums_path = self._path / SUMS_FILE
            sums = parse_sums(sums_path.read_text("utf-8"), str(sums_path)) if sums_path.is_file() else {}
        except (OSError, UnicodeDecodeError) as error:
            raise NotFoundError(f"{self._path} cannot be read ({why(error)}).", "Look at the folder.") from error
        found = tuple(RemoteFile(path.name, path.stat().st_size, sums.get(path.name)) for path in files)
        facts = ((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files if is_wanted(path.name))
        return Listing(hashlib.sha256(repr(tuple(facts)).encode()).hexdigest(), found)

    @contextmanager
    def open(self, file: RemoteFile, revision: str, offset: int) -> Iterator[Body]:
        try:
            opened = (self._path / file.name).open("rb")
        except OSError as error:
            raise NotFoundError(
                f"{self._path / file.name} cannot be read ({why(error)}).",
                "Look at the file, then get the model again.",
            ) from error
        with opened:
            opened.seek(offset)
            yield Body(offset, iter(lambda: opened.read(CHUNK_BYTES), b""))


class WebFolder(Source):
    """A folder behind a web address, with a SHA256SUMS as `sha256sum` writes it."""

    def __init__(self, address: str, web: Web) -> None:
        self.label = address
        self._address, self._web = address.rstrip("/"), web

    def listing(self, revision: str) -> Listing:
        url = f"{self._address}/{SUMS_FILE}"
        try:
            text = self._web.text(url)
        except NotFoundError as error:
            raise NotFoundError(f"{self._address} is no repository, and has no {SUMS_FILE}.", SIZES_HELP) from error
        except OSError as error:
            raise NetworkError(
                f"{url} does not answer ({why(error)}).", "Look at the network, and try again."
            ) from error
        sums = {name: digest for name, digest in parse_sums(text, url).items() if is_wanted(name)}
        try:
            files = tuple(RemoteFile(name, self._size(name), digest) for name, digest in sums.items())
        except OSError as error:
            raise NetworkError(f"{self._address} does not answer ({why(error)}).", "Try again.") from error
        return Listing(hashlib.sha256(text.encode()).hexdigest(), files)

    def open(self, file: RemoteFile, revision: str, offset: int) -> AbstractContextManager[Body]:
        return self._web.body(f"{self._address}/{quote(file.name)}", file, offset, {})

    def _size(self, name: str) -> int:
        n_bytes = self._web.size(f"{self._address}/{quote(name)}")
        if n_bytes is None:
            raise WrongContentsError(f"{self._address} does not say how large {name} is.", "Use another mirror.")
        return n_bytes


def parse_sums(text: str, where: str) -> dict[str, Digest]:
    """Lines of `sha256sum` -> checksums by name; raises NotFoundError for anything else."""
    sums: dict[str, Digest] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        value, _, name = line.partition(" ")
        name = name.strip().removeprefix("*").removeprefix("./")
        if len(value) != 64 or not name or set(value.lower()) - set("0123456789abcdef"):
            raise NotFoundError(f"{where} has the line {line[:80]!r}, which is no SHA-256 and name.", SIZES_HELP)
        sums[name] = Digest("sha256", value.lower())
    return sums
