"""Where a model comes from: Hugging Face, ModelScope, a mirror of either, a web folder, or a folder of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import urlsplit

from model_hub.errors import NotFoundError
from model_hub.files import Listing, RemoteFile

Service = Literal["huggingface", "modelscope", "web", "folder"]

HUGGING_FACE = "https://huggingface.co"
MODELSCOPE = "https://modelscope.cn"
MODELSCOPE_ABROAD = "https://modelscope.ai"
_HUGGING_FACE_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_MODELSCOPE_HOSTS = frozenset({"modelscope.cn", "www.modelscope.cn", "modelscope.ai", "www.modelscope.ai"})
_REPOSITORY = re.compile(r"[\w][\w.-]*/[\w][\w.-]*", re.ASCII)
_PREFIXES: dict[str, Service] = {"hf": "huggingface", "ms": "modelscope"}


@dataclass(frozen=True)
class Body:
    """Bytes of a file from `start` on. A source that cannot begin in the middle begins at 0."""

    start: int
    chunks: Iterator[bytes]


class Source(Protocol):
    """One repository at one place."""

    label: str
    """What people read: "Qwen/Qwen3-Omni-30B-A3B-Instruct at huggingface.co"."""

    def listing(self, revision: str) -> Listing:
        """Names, sizes and checksums of a revision ("": the newest). Raises GetError."""

    def open(self, file: RemoteFile, revision: str, offset: int) -> AbstractContextManager[Body]:
        """The file's bytes from `offset` on. Raises GetError for what trying again cannot mend, else OSError."""


@dataclass(frozen=True)
class Address:
    """What a person gave, understood. `place` is the service's address, or the folder; `revision` "" is the newest."""

    service: Service
    place: str
    repository: str
    revision: str = ""

    @property
    def folder_name(self) -> str:
        """A name for the model's folder: "Qwen--Qwen3-Omni-30B-A3B-Instruct"."""
        name = self.repository or Path(self.place).name
        return re.sub(r"[^\w.-]+", "-", name.replace("/", "--"), flags=re.ASCII).strip("-.") or "model"

    @property
    def text(self) -> str:
        """The same as a person would write it; `parse_address` reads it back."""
        if self.service == "folder":
            return self.place
        if self.service == "web":
            return f"{self.place}/{self.repository}"
        prefix = "hf" if self.service == "huggingface" else "ms"
        usual = HUGGING_FACE if prefix == "hf" else MODELSCOPE
        at = f"@{self.revision}" if self.revision else ""
        if self.place == usual:
            return f"{prefix}:{self.repository}{at}"
        return f"{prefix}+{self.place}/{self.repository}{at}"


def parse_address(text: str, service: Service = "huggingface") -> Address:
    """Understands a repository name, a web address, or a folder; raises NotFoundError for anything else.

    "owner/name", "owner/name@revision" (at `service`), "hf:owner/name", "ms:owner/name", an address at
    huggingface.co or modelscope.cn, "https://mirror/owner/name" (a mirror of Hugging Face, or a web folder with
    SHA256SUMS), "hf+https://mirror/owner/name" and "ms+https://mirror/owner/name", a folder.
    """
    text = text.strip()
    prefix, colon, rest = text.partition(":")
    if colon and prefix in _PREFIXES and not rest.startswith("//"):
        return _repository(rest, _PREFIXES[prefix])
    if text.startswith(("hf+http", "ms+http")):
        return _mirror(text[3:], _PREFIXES[text[:2]])
    if text.startswith(("http://", "https://")):
        return _web(text)
    folder = Path(text).expanduser()
    try:
        is_folder, is_file = bool(text) and folder.is_dir(), folder.is_file()
    except OSError as error:  # a folder above it is closed to this user
        raise NotFoundError(f"{text} cannot be read ({error.strerror}).", "Look at who may read it.") from error
    if is_folder:
        return Address("folder", str(folder.resolve()), "")
    if is_file:
        raise NotFoundError(f"{text} is a file.", "Give the folder that holds the model's config.json.")
    if _REPOSITORY.fullmatch(text.partition("@")[0]) and not text.startswith((".", "/", "~")):
        return _repository(text, service)
    raise NotFoundError(
        f"{text!r} is no folder here, no name of the catalogue and no address.",
        "Give a name of “models list”, OWNER/NAME, a web address or a folder.",
    )


def _repository(text: str, service: Service) -> Address:
    name, _, revision = text.partition("@")
    if _REPOSITORY.fullmatch(name) is None:
        raise NotFoundError(f"{text!r} is no name of a repository.", "Give OWNER/NAME.")
    return Address(service, HUGGING_FACE if service == "huggingface" else MODELSCOPE, name, revision)


def _web(text: str) -> Address:
    parts = urlsplit(text)
    host = parts.hostname or ""
    pieces = [piece for piece in parts.path.split("/") if piece]
    if host in _HUGGING_FACE_HOSTS and len(pieces) >= 2:
        revision = pieces[3] if len(pieces) > 3 and pieces[2] in ("tree", "blob", "resolve") else ""
        return Address("huggingface", HUGGING_FACE, "/".join(pieces[:2]), revision)
    if host in _MODELSCOPE_HOSTS and pieces[:1] == ["models"] and len(pieces) >= 3:
        return Address("modelscope", f"https://{host.removeprefix('www.')}", "/".join(pieces[1:3]))
    return _mirror(text, "web")


def _mirror(text: str, service: Service) -> Address:
    url, _, revision = text.partition("@")
    parts = urlsplit(url)
    pieces = [piece for piece in parts.path.split("/") if piece]
    if not parts.hostname or len(pieces) < 2:
        raise NotFoundError(f"{text!r} names no repository.", "Give an address that ends in /OWNER/NAME.")
    base = "/".join((f"{parts.scheme}://{parts.netloc}", *pieces[:-2]))
    return Address(service, base, "/".join(pieces[-2:]), revision)
