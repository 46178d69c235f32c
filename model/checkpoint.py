"""Strict loading of a published checkpoint: every tensor is accounted for by name and shape before anything runs."""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn

from model.errors import CheckpointError
from model.moe import Experts
from model.safetensors_file import SafetensorsFile
from model.tensors import Shape
from model.weights import Embedding, FusedLinear, Linear

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
PICKLE_SUFFIXES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
NAMES_SHOWN = 5

GetTensor = Callable[[str], Tensor]


class Storage(Protocol):
    """Chooses, when loading, how a weight is kept; each method may return None for "plain".

    Names are full names in the checkpoint (`thinker.model.layers.0.self_attn.q_proj.weight`); several names are one
    fused product, in order. `get` returns a tensor of the checkpoint as a view of its file.
    """

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        """A module for x [..., in] -> [..., sum of out]."""

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        """A module with the forward of `model.moe.Experts`; `gate_up` has (gate, up) of each expert."""

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        """A module for ids [...] -> [..., H]."""


class Checkpoint:
    """The open files of one checkpoint directory."""

    def __init__(self, directory: Path | str) -> None:
        """Opens all files and reads their headers; raises CheckpointError naming the file."""
        self.directory = Path(directory)
        self.files = {path.name: SafetensorsFile(path) for path in _files(self.directory)}
        self.file_of: dict[str, str] = {}
        for name, file in self.files.items():
            for tensor in file.entries:
                if tensor in self.file_of:
                    raise CheckpointError(f"{tensor!r} is in {self.file_of[tensor]} and again in {name}; keep one")
                self.file_of[tensor] = name
        _check_index(self.directory, self.file_of)

    def shape(self, name: str) -> Shape:
        """Shape of a stored tensor."""
        return self.files[self.file_of[name]].entries[name].shape

    def tensor(self, name: str) -> Tensor:
        """A stored tensor as a view of its file."""
        return self.files[self.file_of[name]].tensor(name)

    def release(self, names: Iterable[str]) -> None:
        """Gives back the pages of tensors that were copied."""
        for name in names:
            if name in self.file_of:
                self.files[self.file_of[name]].release(name)

    def verify(self, expected: dict[str, Shape], *, packed: Container[str] = ()) -> None:
        """Raises CheckpointError unless exactly the expected tensors are there, with their shapes and a float dtype.

        `packed` names hold quantised data, whose dtypes the format's reader checks.
        """
        missing = [name for name in expected if name not in self.file_of]
        if missing:
            raise CheckpointError(
                f"{self.directory}: {len(missing)} tensors are missing, first {_some(missing)}; "
                "the download is incomplete or belongs to another config.json"
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
            entry = self.files[file].entries[name]
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
        content = json.loads(index.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{index} is not valid JSON ({error}); download it again") from error
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


class Filler:
    """Fills modules that were built on meta with the tensors of a checkpoint, by assignment."""

    def __init__(
        self, checkpoint: Source, *, device: torch.device, dtype: torch.dtype, storage: Storage | None = None
    ) -> None:
        self.checkpoint = checkpoint
        self.device = device
        self.dtype = dtype
        self.storage = storage

    def fill(self, module: nn.Module, prefix: str) -> None:
        """Fills `module` and its children; `prefix` is where its tensors are in the checkpoint ("talker.model.").

        A fused weight is put together piece by piece, and the pages of its pieces are given back at once.
        """
        for name, child in list(module.named_children()):
            replacement = self._replacement(child, name, prefix)
            if replacement is not None:
                setattr(module, name, replacement)
            elif isinstance(child, FusedLinear):
                self._fill_fused(child, prefix)
            elif isinstance(child, Experts):
                self._fill_experts(child, f"{prefix}{name}.")
            else:
                self.fill(child, f"{prefix}{name}.")
        for name, parameter in list(module.named_parameters(recurse=False)):
            tensor = self._to_device(self.checkpoint.tensor(prefix + name), release=prefix + name)
            if tensor.shape != parameter.shape:
                raise CheckpointError(
                    f"{prefix}{name} has shape {tuple(tensor.shape)}, built: {tuple(parameter.shape)}"
                )
            setattr(module, name, nn.Parameter(tensor, requires_grad=False))

    def _to_device(self, tensor: Tensor, release: str) -> Tensor:
        moved = tensor.to(device=self.device, dtype=self.dtype)
        if moved.data_ptr() != tensor.data_ptr():
            self.checkpoint.release([release])
        return moved

    def _replacement(self, child: nn.Module, name: str, prefix: str) -> nn.Module | None:
        if self.storage is None:
            return None
        get = self.checkpoint.tensor
        if isinstance(child, Experts):
            count = child.gate_up.shape[0]
            gate_up, down = _expert_names(f"{prefix}{name}.", count)
            names = [part for pair in gate_up for part in pair] + down
            module = self.storage.experts(gate_up, down, get)
        elif isinstance(child, Embedding):
            names = [f"{prefix}{name}.weight"]
            module = self.storage.embedding(names[0], get)
        elif isinstance(child, Linear):
            parts = [prefix + part for part in child.parts] if isinstance(child, FusedLinear) else [prefix + name]
            names = [f"{part}.weight" for part in parts]
            bias = None
            if child.bias is not None:
                bias = torch.cat([self.checkpoint.tensor(f"{part}.bias") for part in parts])
                bias = bias.to(device=self.device, dtype=self.dtype)
            module = self.storage.linear(names, get, bias)
        else:
            return None
        if module is not None:
            self.checkpoint.release(names)
        return module

    def _fill_fused(self, child: FusedLinear, prefix: str) -> None:
        weight = torch.empty(child.weight.shape, device=self.device, dtype=self.dtype)
        names = [f"{prefix}{part}.weight" for part in child.parts]
        for piece, name in zip(torch.split(weight, list(child.sizes)), names, strict=True):
            piece.copy_(self.checkpoint.tensor(name))
        child.weight = nn.Parameter(weight, requires_grad=False)
        self.checkpoint.release(names)
        if child.bias is not None:
            biases = [self.checkpoint.tensor(f"{prefix}{part}.bias") for part in child.parts]
            child.bias = nn.Parameter(torch.cat(biases).to(self.device, self.dtype), requires_grad=False)

    def _fill_experts(self, child: Experts, prefix: str) -> None:
        gate_up_names, down_names = _expert_names(prefix, child.gate_up.shape[0])
        gate_up = torch.empty(child.gate_up.shape, device=self.device, dtype=self.dtype)
        down = torch.empty(child.down.shape, device=self.device, dtype=self.dtype)
        for expert, (pair, down_name) in enumerate(zip(gate_up_names, down_names, strict=True)):
            for piece, name in zip(gate_up[expert].chunk(2), pair, strict=True):
                piece.copy_(self.checkpoint.tensor(name))
            down[expert].copy_(self.checkpoint.tensor(down_name))
            self.checkpoint.release([*pair, down_name])
        child.gate_up = nn.Parameter(gate_up, requires_grad=False)
        child.down = nn.Parameter(down, requires_grad=False)


def _expert_names(prefix: str, count: int) -> tuple[list[tuple[str, str]], list[str]]:
    gate_up = [(f"{prefix}{n}.gate_proj.weight", f"{prefix}{n}.up_proj.weight") for n in range(count)]
    return gate_up, [f"{prefix}{n}.down_proj.weight" for n in range(count)]


def check_filled(module: nn.Module) -> None:
    """Raises CheckpointError if any parameter or buffer of `module` is still without storage."""
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if tensor.is_meta:
            raise CheckpointError(f"{name} was not filled from the checkpoint")
