"""The files of a published checkpoint: every tensor is accounted for by name and shape before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from model.checkpoint.config_types import ModelConfig
from model.checkpoint.json_file import read_json
from model.checkpoint.layouts import QUANTISED_ENDS, VOICE_PREFIXES, published_pieces
from model.checkpoint.safetensors_file import SafetensorsFile
from model.checkpoint.tensors import Shape
from model.errors import CheckpointError, ConfigError

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
NAMES_SHOWN = 5

GetTensor = Callable[[str], Tensor]


class Checkpoint:
    """The open files of one checkpoint directory."""

    def __init__(self, directory: Path | str) -> None:
        """Opens all files and reads their headers; raises CheckpointError naming the file."""
        self.directory = Path(directory)
        self.files = {path.name: SafetensorsFile(path) for path in _files(self.directory)}
        stored_in: dict[str, str] = {}
        for name, file in self.files.items():
            for tensor in file.entries:
                if tensor in stored_in:
                    raise CheckpointError(f"{tensor!r} is in {stored_in[tensor]} and again in {name}; keep one")
                stored_in[tensor] = name
        _check_index(self.directory, stored_in)
        entries = {tensor: self.files[file].entries[tensor] for tensor, file in stored_in.items()}
        self.pieces = published_pieces(entries)
        self.file_of = {name: stored_in[piece.stored] for name, piece in self.pieces.items()}
        """Published names of the tensors -> file."""

    @property
    def has_voice(self) -> bool:
        """Whether there is any tensor of the parts that speak."""
        return any(name.startswith(VOICE_PREFIXES) for name in self.file_of)

    @property
    def quantised_name(self) -> str | None:
        """A tensor that only a quantised checkpoint has; None where there is none."""
        return next((name for name in self.file_of if name.endswith(QUANTISED_ENDS)), None)

    def leave_out_voice(self) -> None:
        """The parts that speak are not asked for: their tensors count as not there."""
        self.pieces = {name: piece for name, piece in self.pieces.items() if not name.startswith(VOICE_PREFIXES)}
        self.file_of = {name: self.file_of[name] for name in self.pieces}

    def shape(self, name: str) -> Shape:
        """Shape of a tensor."""
        return self.pieces[name].shape

    def tensor(self, name: str) -> Tensor:
        """A tensor as a view of its file."""
        piece = self.pieces[name]
        return piece.of(self.files[self.file_of[name]].tensor(piece.stored))

    def release(self, names: Iterable[str]) -> None:
        """Gives back the pages of tensors that were copied."""
        for name in names:
            if name in self.file_of:
                self.files[self.file_of[name]].release(self.pieces[name].stored)

    def verify(self, expected: dict[str, Shape], *, packed: Container[str] = ()) -> None:
        """Raises CheckpointError unless exactly the expected tensors are there, with their shapes and a float dtype.

        `packed` names hold quantised data, whose dtypes the format's reader checks.
        """
        missing = [name for name in expected if name not in self.file_of]
        if missing:
            quantised = self.quantised_name
            why = (
                "the download is incomplete or belongs to another config.json"
                if quantised is None
                else f"the files are quantised ({quantised!r}) in another way than config.json says; "
                "use the config.json published with these files"
            )
            raise CheckpointError(
                f"{self.directory}: {len(missing)} tensors are missing, first {_some(missing)}; {why}"
            )
        extra = [name for name in self.file_of if name not in expected]
        if extra:
            where = self.file_of[extra[0]]
            raise CheckpointError(
                f"{self.directory}: {len(extra)} tensors belong to nothing, first {_some(extra)} in {where}; "
                "use the config.json published with these files"
            )
        for name, shape in expected.items():
            file = self.file_of[name]
            entry = self.pieces[name]
            if entry.shape != tuple(shape):
                raise CheckpointError(
                    f"{self.directory / file}: {name!r} has shape {entry.shape}, config.json wants {tuple(shape)}; "
                    "use the config.json published with these files"
                )
            if name not in packed and entry.dtype not in FLOATS:
                raise CheckpointError(
                    f"{self.directory / file}: {name!r} is {entry.dtype}, expected one of {FLOATS}; "
                    "this quantised format is not known"
                )


def open_checkpoint(directory: Path, config: ModelConfig) -> tuple[Checkpoint, ModelConfig]:
    """The files, and the config without a voice where the files have none or the config wants none.

    Raises CheckpointError; tensors are verified later.
    """
    checkpoint = Checkpoint(directory)
    if not checkpoint.has_voice:
        config = config.without_voice
    if config.talker is None:
        checkpoint.leave_out_voice()
    return checkpoint, config


def index_names(directory: Path) -> frozenset[str]:
    """The tensors that the index names. Raises CheckpointError."""
    return frozenset(_weight_map(directory / INDEX_FILE))


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise CheckpointError(f"{directory} is no directory; give the directory of a published checkpoint")
    index = directory / INDEX_FILE
    if index.exists():
        return [directory / name for name in sorted(set(_weight_map(index).values()))]
    if (directory / SINGLE_FILE).exists():
        return [directory / SINGLE_FILE]
    pickles = sorted(path.name for path in directory.iterdir() if path.suffix in PICKLE_SUFFIXES)
    if pickles:
        raise CheckpointError(
            f"{directory} holds {pickles[0]}, a pickle, and no safetensors; pickles can run code and are never loaded. "
            "Get the safetensors files of this checkpoint"
        )
    raise CheckpointError(f"{directory} holds neither {SINGLE_FILE} nor {INDEX_FILE}; download the checkpoint again")


def _weight_map(index: Path) -> dict[str, str]:
    try:
        content = read_json(index)
    except ConfigError as error:
        raise CheckpointError(f"{error}") from error
    weight_map = content.get("weight_map") if isinstance(content, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(f"{index} has no weight_map; download it again")
    for tensor, file in weight_map.items():
        if not isinstance(file, str) or Path(file).name != file or Path(file).suffix in PICKLE_SUFFIXES:
            raise CheckpointError(
                f"{index}: {tensor!r} lies in {file!r}; expected a safetensors file in this directory"
            )
    return weight_map


def _check_index(directory: Path, file_of: dict[str, str]) -> None:
    index = directory / INDEX_FILE
    if not index.exists():
        return
    for tensor, file in _weight_map(index).items():
        if file_of.get(tensor) != file:
            found = file_of.get(tensor, "none of the files")
            raise CheckpointError(f"{index} says that {tensor!r} is in {file}; it is in {found}. Download both again")


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMES_SHOWN])
    return shown + (", ..." if len(names) > NAMES_SHOWN else "")


class Source(Protocol):
    """Where tensors come from: a checkpoint, or chance."""

    def tensor(self, name: str) -> Tensor:
        """A tensor by its published name."""

    def release(self, names: Iterable[str]) -> None:
        """These were copied and will not be asked for again."""
