"""Packed weights behind the loader's ``Storage`` seam: quantised while loading, or read from a quantised checkpoint.

The modules choose between kernel and plain twin once, when they are made; a forward only looks at how many positions
it got.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from model.errors import CheckpointError
from model.quant import packing
from model.quant.fit import quantize
from model.quant.formats import GetTensor, StoredFormat
from model.quant.packing import PackedWeight, stack_packed
from model.quant.parts import Policy

if TYPE_CHECKING:
    from model.quant.processor.team import Team

Shape = tuple[int, ...]
Matvec = Callable[[Tensor, PackedWeight, Tensor | None], Tensor]
GatherRows = Callable[[Tensor, Tensor | PackedWeight, torch.dtype], Tensor]
ExpertMLP = Callable[[Tensor, Tensor, Tensor, PackedWeight, PackedWeight], Tensor]
# Positions up to which re-reading the packed weight per position beats unpacking all of it once.
MAX_MATVEC_POSITIONS = 4


class Backend:
    """What multiplies packed weights: plain twins, Triton kernels on a card, or compiled products on a processor."""

    def __init__(self, *, kernels: bool = False, on_processor: bool = False) -> None:
        """`kernels`: few-position products by Triton; `on_processor`: every product by `model.quant.processor`."""
        self.matvec: Matvec | None = None
        self.expert_mlp: ExpertMLP | None = None
        self.gather_rows: GatherRows | None = None
        if kernels:
            from model.quant import kernels as triton_kernels

            self.matvec, self.expert_mlp = triton_kernels.matvec, triton_kernels.expert_mlp
            self.gather_rows = triton_kernels.gather_rows
        self._team: Team | None = None
        if on_processor:
            from model.quant.processor.team import Team

            self._team = Team()

    def linear(self, weight: PackedWeight, bias: Tensor | None) -> nn.Module:
        """The module that multiplies by a packed matrix."""
        if self._team is None:
            return PackedLinear(weight, bias, self)
        from model.quant.processor.interleaving import interleave
        from model.quant.processor.storage import InterleavedLinear

        return InterleavedLinear(interleave(weight), bias, self._team)

    def experts(self, gate_up: PackedWeight, down: PackedWeight) -> nn.Module:
        """The module of a layer's packed experts."""
        if self._team is None:
            return PackedExperts(gate_up, down, self)
        from model.quant.processor.interleaving import interleave
        from model.quant.processor.storage import InterleavedExperts

        return InterleavedExperts(interleave(gate_up), interleave(down), self._team)


def has_compiler() -> bool:
    """Whether numba is there to compile the processor's products."""
    return find_spec("numba") is not None


def backend_for(device: torch.device, *, recorded: bool = False) -> Backend:
    """Triton kernels on a card, compiled products on a processor where numba is installed, else the plain twins.

    `recorded`: for steps that ask the host nothing, which on a processor only the plain twins can.
    """
    on_processor = device.type == "cpu" and not recorded and has_compiler()
    return Backend(kernels=device.type == "cuda", on_processor=on_processor)


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
        return None if weight is None else self._backend.linear(weight.to(self._device), bias)

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        if self._pack(down[0], get) is None:
            return None
        # Expert by expert onto the device: what is held twice is one layer's packed experts.
        stacked_gate_up = stack_packed([self._required(pair, get) for pair in gate_up], dim=0)
        stacked_down = stack_packed([self._required([name], get) for name in down], dim=0)
        return self._backend.experts(stacked_gate_up, stacked_down)

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
        if form.order_name(name) in present:
            form.check_order(name, get(form.order_name(name)))
        packed = form.read(name, shape, get)
        if packed.words.dtype != torch.int32:
            raise CheckpointError(f"{name}: its packed words are {packed.words.dtype}, expected int32; get it again")
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
