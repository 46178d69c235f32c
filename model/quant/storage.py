"""Packed weights behind the loader's ``Storage`` seam: quantised while loading, or read from a quantised checkpoint.

The modules choose between kernel and plain twin once, when they are made; a forward only looks at how many positions
it got.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

import torch
from torch import Tensor, nn

from model.errors import CheckpointError
from model.quant import packing
from model.quant.fit import quantize
from model.quant.formats import GetTensor, GptqPacked, StoredFormat, module_name
from model.quant.packing import PackedWeight, stack_packed
from model.quant.parts import Policy

Shape = tuple[int, ...]
Matvec = Callable[[Tensor, PackedWeight, Tensor | None], Tensor]
GatherRows = Callable[[Tensor, Tensor | PackedWeight, torch.dtype], Tensor]
ExpertMLP = Callable[[Tensor, Tensor, Tensor, PackedWeight, PackedWeight], Tensor]
# Positions up to which re-reading the packed weight per position beats unpacking all of it once.
MAX_MATVEC_POSITIONS = 4


class Backend:
    """Which functions do few-position products: the plain twins, or the Triton kernels on a CUDA device."""

    def __init__(self, *, kernels: bool) -> None:
        self.matvec: Matvec | None = None
        self.expert_mlp: ExpertMLP | None = None
        self.gather_rows: GatherRows | None = None
        if kernels:
            from model.quant import kernels as triton_kernels

            self.matvec, self.expert_mlp = triton_kernels.matvec, triton_kernels.expert_mlp
            self.gather_rows = triton_kernels.gather_rows


def backend_for(device: torch.device) -> Backend:
    """Kernels on CUDA, plain twins elsewhere."""
    return Backend(kernels=device.type == "cuda")


class PackedLinear(nn.Module):
    """x [..., inputs] -> [..., outputs] with a packed weight; stays on the device it was made on."""

    def __init__(self, weight: PackedWeight, bias: Tensor | None, backend: Backend) -> None:
        super().__init__()
        self.weight = weight
        self.bias = bias
        self.matvec = backend.matvec

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        if self.matvec is not None and rows.shape[0] <= MAX_MATVEC_POSITIONS:
            return self.matvec(rows, self.weight, self.bias).view(*x.shape[:-1], -1)
        return packing.linear(x, self.weight, self.bias)


class PackedExperts(nn.Module):
    """The forward of ``network.moe.Experts`` with packed weights: x [T, H], chosen [T, K], gates [T, K] -> [T, H]."""

    def __init__(self, gate_up: PackedWeight, down: PackedWeight, backend: Backend) -> None:
        super().__init__()
        self.gate_up, self.down = gate_up, down
        self.expert_mlp = backend.expert_mlp

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        if self.expert_mlp is not None and x.shape[0] <= MAX_MATVEC_POSITIONS:
            return self.expert_mlp(x, chosen, gates, self.gate_up, self.down)
        return packing.expert_mlp(x, chosen, gates, self.gate_up, self.down)


class PackedEmbedding(nn.Module):
    """Rows of a packed table: ids [...] -> [..., width] in ``dtype``."""

    def __init__(self, table: PackedWeight, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = table
        self.dtype = dtype

    def forward(self, ids: Tensor) -> Tensor:
        return packing.embedding(ids, self.weight, self.dtype)


PackOne = Callable[[str, GetTensor], PackedWeight | None]


class PackedStorage:
    """The loader's ``Storage``: puts packed modules where ``pack`` gives a packed weight, None (plain) elsewhere."""

    def __init__(self, pack: PackOne, *, device: torch.device, dtype: torch.dtype, backend: Backend) -> None:
        self._pack = pack
        self._device = device
        self._dtype = dtype
        self._backend = backend

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        weight = self._joined(names, get)
        return None if weight is None else PackedLinear(weight.to(self._device), bias, self._backend)

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        if self._pack(down[0], get) is None:
            return None
        # Expert by expert onto the device: what is held twice is one layer's packed experts.
        stacked_gate_up = stack_packed([self._required(pair, get) for pair in gate_up], dim=0)
        stacked_down = stack_packed([self._required([name], get) for name in down], dim=0)
        return PackedExperts(stacked_gate_up, stacked_down, self._backend)

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        table = self._pack(name, get)
        return None if table is None else PackedEmbedding(table.to(self._device), self._dtype)

    def _required(self, names: Sequence[str], get: GetTensor) -> PackedWeight:
        weight = self._joined(names, get)
        if weight is None:
            raise CheckpointError(f"{names[0]} is not quantised, but other experts of its layer are")
        return weight.to(self._device)

    def _joined(self, names: Sequence[str], get: GetTensor) -> PackedWeight | None:
        packed = [self._pack(name, get) for name in names]
        weights = [weight for weight in packed if weight is not None]
        if not weights:
            return None
        if len(weights) != len(names) or any(weight.spec != weights[0].spec for weight in weights):
            raise CheckpointError(f"{', '.join(names)} are one product, but not all are quantised alike")
        return weights[0] if len(weights) == 1 else stack_packed(weights, dim=-2)


def quantising_storage(policy: Policy, *, device: torch.device, dtype: torch.dtype, backend: Backend) -> PackedStorage:
    """Quantises the policy's matrices of a 16/32-bit checkpoint while loading (round-to-nearest is not used)."""

    def pack(name: str, get: GetTensor) -> PackedWeight | None:
        weight = get(name)
        spec = policy.spec_of(name, tuple(weight.shape))
        return None if spec is None else quantize(weight, spec, scale_dtype=dtype)

    return PackedStorage(pack, device=device, dtype=dtype, backend=backend)


def stored_storage(
    form: StoredFormat,
    expected: dict[str, Shape],
    present: Container[str],
    *,
    device: torch.device,
    dtype: torch.dtype,
    backend: Backend,
) -> PackedStorage:
    """Reads the packed matrices of a quantised checkpoint; what it left unquantised stays plain."""

    def pack(name: str, get: GetTensor) -> PackedWeight | None:
        shape = expected[name]
        if form.tensors_of(name, shape, present) is None:
            return None
        order = f"{module_name(name)}.g_idx"
        if isinstance(form, GptqPacked) and order in present:
            form.check_order(name, get(order))
        packed = form.read(name, shape, get)
        return PackedWeight(packed.words, packed.scale.to(dtype), packed.zero, packed.n_inputs, packed.spec)

    return PackedStorage(pack, device=device, dtype=dtype, backend=backend)


def stored_tensors(
    form: StoredFormat, expected: dict[str, Shape], present: Container[str]
) -> tuple[dict[str, Shape], frozenset[str]]:
    """What a quantised checkpoint must hold instead of ``expected``, and which of those names are packed data."""
    stored: dict[str, Shape] = {}
    packed: set[str] = set()
    for name, shape in expected.items():
        tensors = form.tensors_of(name, shape, present)
        if tensors is None:
            stored[name] = shape
        else:
            stored |= tensors
            packed |= tensors.keys()
    return stored, frozenset(packed)
