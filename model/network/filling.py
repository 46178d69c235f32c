"""Filling modules from a checkpoint, and the seam where each weight's storage is chosen.

`Storage` makes the module that computes x @ weight.T (or a set of experts) from the checkpoint's tensors; without one
weights stay as published. `model/quant/` and `cpu_storage` have others. Storage is chosen when loading, never in a
forward.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from model.checkpoint.files import GetTensor, Source
from model.errors import CheckpointError
from model.network.moe import Experts
from model.network.weights import Embedding, FusedLinear, Linear


class Storage(Protocol):
    """Chooses, when loading, how a weight is kept; each method may return None for "plain".

    Names are full names in the checkpoint (`thinker.model.layers.0.self_attn.q_proj.weight`); several names are one
    fused product, in order. `get` returns a tensor of the checkpoint as a view of its file.
    """

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        """A module for x [..., in] -> [..., sum of out]."""

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        """A module with the forward of `model.network.moe.Experts`; `gate_up` has (gate, up) of each expert."""

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        """A module for ids [...] -> [..., H]."""


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
