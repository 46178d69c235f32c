"""Weights that stay in host memory while the rest of the model is on a card: the token table and some layers' experts.

On a card they lie in pinned memory, which kernels can address: a decode step then reads the chosen experts over the
link, each byte once, without asking the host and inside a CUDA graph. Computing them on the processor instead would
need the host in the middle of every layer, and unpacking int4 there is slower than the link (docs/memory.md). Prefill,
which uses most experts, copies those it needs one by one.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.memory import Memory
from model.network.filling import Storage
from model.network.moe import mix
from model.quant import packing
from model.quant.formats import GetTensor
from model.quant.packing import PackedWeight
from model.quant.parts import Component, part_of
from model.quant.plan import layer_of
from model.quant.storage import MAX_MATVEC_POSITIONS, Backend, PackedEmbedding, PackedExperts

Weight = Tensor | PackedWeight


class HostExperts(nn.Module):
    """Experts of one layer in host memory, with the forward of ``model.network.moe.Experts``.

    ``moved_bytes`` counts what was copied to the device so far.
    """

    def __init__(self, gate_up: Weight, down: Weight, device: torch.device, backend: Backend) -> None:
        super().__init__()
        self.gate_up, self.down = pinned(gate_up, device), pinned(down, device)
        self.device = device
        self.expert_mlp = backend.expert_mlp
        self.moved_bytes = 0

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """x [T, H], chosen [T, K], gates [T, K] -> [T, H]."""
        gate_up, down = self.gate_up, self.down
        if (
            self.expert_mlp is not None
            and x.shape[0] <= MAX_MATVEC_POSITIONS
            and isinstance(gate_up, PackedWeight)
            and isinstance(down, PackedWeight)
        ):
            return self.expert_mlp(x, chosen, gates, gate_up, down)
        return mix(
            x,
            chosen,
            gates,
            lambda rows, expert: _product(rows, self._fetch(gate_up, expert)),
            lambda rows, expert: _product(rows, self._fetch(down, expert)),
        )

    def _fetch(self, weight: Weight, expert: int) -> Weight:
        """One expert's matrix, copied to the device."""
        if isinstance(weight, PackedWeight):
            there = weight[expert].to(self.device, copy=True)
            self.moved_bytes += there.n_bytes
            return there
        copied = weight[expert].to(self.device, copy=True)
        self.moved_bytes += copied.nbytes
        return copied


class HostEmbedding(nn.Module):
    """A token table in host memory: ids [...] on the device -> rows [..., H] on the device."""

    def __init__(self, table: Weight, device: torch.device, dtype: torch.dtype, backend: Backend) -> None:
        super().__init__()
        self.table = pinned(table, device)
        self.device, self.dtype = device, dtype
        self.gather_rows = backend.gather_rows

    def forward(self, ids: Tensor) -> Tensor:
        if self.gather_rows is not None:
            return self.gather_rows(ids, self.table, self.dtype)
        return packing.gather_rows(ids.to("cpu"), self.table, self.dtype).to(self.device)


def _product(x: Tensor, weight: Weight) -> Tensor:
    return packing.linear(x, weight) if isinstance(weight, PackedWeight) else F.linear(x, weight)


def pinned(weight: Weight, device: torch.device) -> Weight:
    """In host memory; where the device is a card, in pages that it can address."""
    if device.type != "cuda":
        return weight
    return weight.pinned() if isinstance(weight, PackedWeight) else weight.pin_memory()


class PlacedStorage:
    """The loader's ``Storage`` that keeps what ``memory`` says on the host and leaves the rest to ``inner``.

    ``on_host`` packs what stays on the host (None: it is kept as it is); it must be made for the CPU.
    """

    def __init__(
        self,
        inner: Storage | None,
        on_host: Storage | None,
        memory: Memory,
        *,
        device: torch.device,
        dtype: torch.dtype,
        backend: Backend,
    ) -> None:
        self._inner = inner
        self._on_host = on_host
        self._memory = memory
        self._device, self._dtype, self._backend = device, dtype, backend

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        return None if self._inner is None else self._inner.linear(names, get, bias)

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        name = down[0]
        stays = part_of(name) is Component.THINKER_EXPERTS and layer_of(name) < self._memory.host_expert_layers
        if not stays:
            return None if self._inner is None else self._inner.experts(gate_up, down, get)
        packed = None if self._on_host is None else self._on_host.experts(gate_up, down, get)
        if isinstance(packed, PackedExperts):
            return HostExperts(packed.gate_up, packed.down, self._device, self._backend)
        stacked_gate_up = torch.stack([torch.cat([get(part) for part in pair]) for pair in gate_up]).to(self._dtype)
        stacked_down = torch.stack([get(part) for part in down]).to(self._dtype)
        return HostExperts(stacked_gate_up, stacked_down, self._device, self._backend)

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        if not (part_of(name) is Component.THINKER_EMBEDDING and self._memory.embedding_on_host):
            return None if self._inner is None else self._inner.embedding(name, get)
        packed = None if self._on_host is None else self._on_host.embedding(name, get)
        table: Weight = packed.weight if isinstance(packed, PackedEmbedding) else get(name).to(self._dtype)
        return HostEmbedding(table, self._device, self._dtype, self._backend)
