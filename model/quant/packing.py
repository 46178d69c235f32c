"""The packed weight: its bit layout, and the plain PyTorch twin of every kernel that reads it.

The layout in memory and on disk is compressed-tensors' ``pack-quantized``, so one layout serves our own files,
published files and the kernels: along the input dimension, ``32 / bits`` unsigned levels stand in one int32, the
first in the lowest bits. A weight is ``scale * (level - zero)``; symmetric weights have the constant zero ``2 **
(bits - 1)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from model.network.moe import mix

WORD_BITS = 32
SUPPORTED_BITS = (4, 8)


@dataclass(frozen=True)
class QuantSpec:
    """How a matrix is stored.

    ``bits``: 4 or 8. ``group``: inputs that share one scale, a multiple of a word's levels, or 0 for one group per row.
    ``symmetric``: no zero points are stored.
    """

    bits: int = 4
    group: int = 128
    symmetric: bool = False

    def __post_init__(self) -> None:
        if self.bits not in SUPPORTED_BITS:
            raise ValueError(f"bits is {self.bits}; weight-only storage has 4 or 8")
        if self.group < 0 or self.group % self.levels_per_word:
            raise ValueError(
                f"group is {self.group}; with {self.bits} bits it must be a multiple of {self.levels_per_word}, "
                "or 0 for one group per row"
            )

    @property
    def levels_per_word(self) -> int:
        return WORD_BITS // self.bits

    @property
    def n_levels(self) -> int:
        return 1 << self.bits

    @property
    def middle(self) -> int:
        """The zero point of symmetric storage, in levels."""
        return 1 << (self.bits - 1)

    def group_size(self, n_inputs: int) -> int:
        return self.group or -(-n_inputs // self.levels_per_word) * self.levels_per_word

    def n_groups(self, n_inputs: int) -> int:
        return -(-n_inputs // self.group_size(n_inputs))

    def n_words(self, n_inputs: int) -> int:
        return -(-n_inputs // self.levels_per_word)

    def n_bytes(self, shape: tuple[int, ...]) -> int:
        """Bytes of a weight of ``shape`` [..., outputs, inputs] with 16-bit scales, zero points packed."""
        *lead, n_outputs, n_inputs = shape
        n_matrices = 1
        for size in lead:
            n_matrices *= size
        n_groups = self.n_groups(n_inputs)
        zero_words = 0 if self.symmetric else -(-n_outputs // self.levels_per_word) * n_groups
        return n_matrices * (n_outputs * (self.n_words(n_inputs) * 4 + n_groups * 2) + zero_words * 4)


def pack_levels(levels: Tensor, bits: int) -> Tensor:
    """Pack unsigned levels [..., n] (any integer dtype) into int32 words [..., ceil(n / per word)]; the tail is
    zeros.
    """
    per_word = WORD_BITS // bits
    n_words = -(-levels.shape[-1] // per_word)
    as_bytes = torch.nn.functional.pad(levels.to(torch.uint8), (0, n_words * per_word - levels.shape[-1]))
    if bits == 4:
        as_bytes = as_bytes[..., 0::2] | as_bytes[..., 1::2] << 4
    # Little-endian, as everywhere PyTorch runs: the first byte of a word is its lowest. A single word per row may keep
    # odd strides, which a view of another size does not take.
    return as_bytes.clone(memory_format=torch.contiguous_format).view(torch.int32)


def unpack_levels(words: Tensor, bits: int, n: int) -> Tensor:
    """Unsigned levels uint8 [..., n] of int32 words [..., ceil(n / per word)]."""
    if words.stride(-1) != 1 or not words.is_contiguous():
        # A single column counts as contiguous whatever its stride, but cannot be viewed as bytes.
        words = words.clone(memory_format=torch.contiguous_format).view(words.shape)
    as_bytes = words.view(torch.uint8)  # little-endian: the first level is the lowest bits of byte 0
    if bits == 4:
        as_bytes = torch.stack((as_bytes & 0xF, as_bytes >> 4), dim=-1).flatten(-2)
    return as_bytes[..., :n]


@dataclass
class PackedWeight:
    """One matrix, or a stack of experts' matrices, in weight-only storage.

    ``words`` int32 [..., outputs, words], ``scale`` float [..., outputs, groups], ``zero`` uint8 [..., outputs,
    groups] or None when symmetric. Held by one module; never written to after loading.
    """

    words: Tensor
    scale: Tensor
    zero: Tensor | None
    n_inputs: int
    spec: QuantSpec

    def __post_init__(self) -> None:
        n_words, n_groups = self.spec.n_words(self.n_inputs), self.spec.n_groups(self.n_inputs)
        lead = self.words.shape[:-1]
        expected = {"words": (*lead, n_words), "scale": (*lead, n_groups), "zero": (*lead, n_groups)}
        for name, shape in expected.items():
            tensor: Tensor | None = getattr(self, name)
            if tensor is not None and tuple(tensor.shape) != shape:
                raise ValueError(
                    f"packed weight with {self.n_inputs} inputs, {self.spec}: {name} has shape {tuple(tensor.shape)}, "
                    f"expected {shape}"
                )
        if self.words.dtype != torch.int32:
            raise ValueError(f"packed weight: words are {self.words.dtype}, expected torch.int32")
        if (self.zero is None) != self.spec.symmetric:
            raise ValueError(
                f"packed weight: zero points {'missing' if self.zero is None else 'given'} for {self.spec}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the weight that it stands for, [..., outputs, inputs]."""
        return (*self.words.shape[:-1], self.n_inputs)

    @property
    def n_bytes(self) -> int:
        tensors = [self.words, self.scale] + ([self.zero] if self.zero is not None else [])
        return sum(t.numel() * t.element_size() for t in tensors)

    def to(self, device: torch.device | str, *, copy: bool = False) -> PackedWeight:
        """On another device; ``copy``: also when it is there already."""
        zero = None if self.zero is None else self.zero.to(device, copy=copy)
        words, scale = self.words.to(device, copy=copy), self.scale.to(device, copy=copy)
        return PackedWeight(words, scale, zero, self.n_inputs, self.spec)

    def pinned(self) -> PackedWeight:
        """In host memory that a card can address."""
        zero = None if self.zero is None else self.zero.pin_memory()
        return PackedWeight(self.words.pin_memory(), self.scale.pin_memory(), zero, self.n_inputs, self.spec)

    def __getitem__(self, index: Tensor | int | slice) -> PackedWeight:
        """Rows of a matrix, or experts of a stack; ``index`` selects along the first dimension."""
        zero = None if self.zero is None else self.zero[index]
        return PackedWeight(self.words[index], self.scale[index], zero, self.n_inputs, self.spec)

    def dequantize(self, dtype: torch.dtype) -> Tensor:
        """The weight [..., outputs, inputs] as ``dtype``; computed in float32 and rounded once."""
        levels = unpack_levels(self.words, self.spec.bits, self.n_inputs).to(torch.float32)
        group = self.spec.group_size(self.n_inputs)
        scale = self.scale.to(torch.float32).repeat_interleave(group, dim=-1)[..., : self.n_inputs]
        if self.zero is None:
            return ((levels - self.spec.middle) * scale).to(dtype)
        zero = self.zero.to(torch.float32).repeat_interleave(group, dim=-1)[..., : self.n_inputs]
        return ((levels - zero) * scale).to(dtype)


def stack_packed(parts: list[PackedWeight], *, dim: int) -> PackedWeight:
    """Join packed weights: ``dim`` 0 stacks experts [E, outputs, inputs]; ``dim`` -2 puts outputs under outputs."""
    first = parts[0]
    if any(p.n_inputs != first.n_inputs or p.spec != first.spec for p in parts):
        raise ValueError("only packed weights with the same inputs and storage can be joined")
    join = torch.stack if dim == 0 else torch.cat
    zero = None if first.zero is None else join([p.zero for p in parts if p.zero is not None], dim)
    return PackedWeight(
        join([p.words for p in parts], dim), join([p.scale for p in parts], dim), zero, first.n_inputs, first.spec
    )


def linear(x: Tensor, weight: PackedWeight, bias: Tensor | None = None) -> Tensor:
    """``x`` [..., inputs] times the packed weight: [..., outputs], in ``x``'s dtype. Plain twin of the mat-vec
    kernel.
    """
    return torch.nn.functional.linear(x, weight.dequantize(x.dtype), bias)


def embedding(ids: Tensor, weight: PackedWeight, dtype: torch.dtype) -> Tensor:
    """Rows ``ids`` [...] of a packed table [rows, width]: [..., width]."""
    return weight[ids.reshape(-1)].dequantize(dtype).view(*ids.shape, weight.n_inputs)


def gather_rows(ids: Tensor, table: Tensor | PackedWeight, dtype: torch.dtype) -> Tensor:
    """Rows ``ids`` [...] of a plain or packed table: [..., width]. Plain twin of the kernel for tables on the host."""
    if isinstance(table, PackedWeight):
        return embedding(ids, table, dtype)
    return torch.nn.functional.embedding(ids, table).to(dtype)


def gathered_expert_mlp(x: Tensor, experts: Tensor, gates: Tensor, gate_up: PackedWeight, down: PackedWeight) -> Tensor:
    """`expert_mlp` for few positions without reading the choice back: the chosen matrices are unpacked as copies.

    The plain twin of the kernels where shapes and the order of operations must not depend on the data.
    """
    flat = experts.reshape(-1)
    rows = x.repeat_interleave(experts.shape[1], dim=0).unsqueeze(1)  # [T * k, 1, D]
    gate, up = torch.bmm(rows, gate_up[flat].dequantize(x.dtype).transpose(1, 2)).chunk(2, dim=-1)
    hidden = torch.nn.functional.silu(gate) * up  # [T * k, 1, I]
    done = torch.bmm(hidden, down[flat].dequantize(x.dtype).transpose(1, 2)).squeeze(1)  # [T * k, D]
    weighted = done.float().view(*experts.shape, -1) * gates.float().unsqueeze(-1)
    return weighted.sum(dim=1).to(x.dtype)


def expert_mlp(x: Tensor, experts: Tensor, gates: Tensor, gate_up: PackedWeight, down: PackedWeight) -> Tensor:
    """Chosen experts' SwiGLU, summed with their gates. Plain twin of the two expert kernels.

    ``x`` [T, D]; ``experts`` int [T, k]; ``gates`` [T, k]; ``gate_up`` [E, 2I, D] (gate rows first); ``down`` [E, D,
    I]. Returns [T, D] in ``x``'s dtype.
    """
    return mix(
        x,
        experts,
        gates,
        lambda rows, expert: linear(rows, gate_up[expert]),
        lambda rows, expert: linear(rows, down[expert]),
    )
