"""The files of a repository: which are wanted, and how each is proved to have arrived whole."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Protocol

from model_hub.errors import UnsuitableError

Algorithm = Literal["sha256", "git-sha1"]

TOKENIZER_FILES = frozenset({"merges.txt", "vocab.json", "chat_template.jinja"})
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
INDEX_FILE = "model.safetensors.index.json"
SINGLE_FILE = "model.safetensors"
SUMS_FILE = "SHA256SUMS"
_PLAIN_NAME = re.compile(r"[\w][\w.+-]*", re.ASCII)


class Hash(Protocol):
    """What `hashlib` gives."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


@dataclass(frozen=True)
class Digest:
    """A published checksum. `git-sha1` is the name that git gives the contents of a small file."""

    algorithm: Algorithm
    value: str

    def start(self, n_bytes: int) -> Hash:
        """An empty hash of a file that will have `n_bytes`."""
        if self.algorithm == "sha256":
            return hashlib.sha256()
        return hashlib.sha1(b"blob %d\0" % n_bytes, usedforsecurity=False)


@dataclass(frozen=True)
class RemoteFile:
    """One file as its publisher lists it. `digest` is None only where the source is a folder of this machine."""

    name: str
    n_bytes: int
    digest: Digest | None

    @property
    def is_weights(self) -> bool:
        return self.name.endswith(".safetensors")


@dataclass(frozen=True)
class Listing:
    """All files of one revision. `revision` stays valid when the publisher changes the repository."""

    revision: str
    files: tuple[RemoteFile, ...]


def is_wanted(name: str) -> bool:
    """Whether a file is a model's: safetensors, JSON, and what tokenizers need; nothing that could run as code."""
    if _PLAIN_NAME.fullmatch(name) is None:  # no folders, no way out of the folder
        return False
    return name.endswith((".safetensors", ".json")) or name in TOKENIZER_FILES


def choose_files(listing: Listing, where: str) -> tuple[RemoteFile, ...]:
    """The wanted files, small ones first, so that an unsuitable model is refused before its weights come.

    Raises UnsuitableError for a repository without a model in safetensors.
    """
    wanted = [file for file in listing.files if is_wanted(file.name)]
    names = {file.name for file in listing.files}
    if not any(file.is_weights for file in wanted):
        if any(name.endswith(".gguf") for name in names):
            raise UnsuitableError(
                f"{where} holds GGUF files only; GGUF of this family has the Thinker without the Talker, so no voice.",
                "Get the safetensors of this model.",
            )
        pickles = sorted(name for name in names if name.endswith(PICKLES))
        found = f"{pickles[0]}, a pickle that could run code," if pickles else f"{len(names)} files"
        raise UnsuitableError(f"{where} holds {found} and no safetensors.", "Get the safetensors of this model.")
    if "config.json" not in names:
        raise UnsuitableError(f"{where} holds no config.json.", "Give the repository of a whole model.")
    return tuple(sorted(wanted, key=lambda file: (file.is_weights, file.name)))
