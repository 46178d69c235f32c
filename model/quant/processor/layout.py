"""How a packed weight lies in memory for products on a processor: sixteen outputs side by side.

A step is 64 bytes: for each of sixteen outputs four bytes, each the level of one input (8 bits) or of two (4 bits: the
low halves are four inputs in order, the high halves the next four). So one load gives sixteen outputs the same inputs,
and no sum has to go across a register. Along the inputs steps follow each other; then come the next sixteen outputs.
Scales and zero points are [blocks, groups, 16]. The layout is the same on every processor and holds what
`packing.PackedWeight` holds, number by number; outputs are padded to sixteen and inputs to a step with zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from model.quant.packing import PackedWeight, QuantSpec, unpack_levels

LANES = 16
STEP_BYTES = 64
ALIGN = 64


@dataclass(frozen=True)
class Interleaved:
    """A matrix, or a stack of experts' matrices, in this layout. Never written to after it was made.

    ``words`` uint8 [..., blocks, steps, 64], ``scale`` bfloat16 or float32 [..., blocks, groups, 16], ``zero`` uint8
    [..., blocks, groups, 16]; ``shape`` [..., outputs, inputs] of what it stands for.
    """

    words: Tensor
    scale: Tensor
    zero: Tensor
    shape: tuple[int, ...]
    spec: QuantSpec

    @property
    def n_outputs(self) -> int:
        return self.shape[-2]

    @property
    def n_inputs(self) -> int:
        return self.shape[-1]

    @property
    def n_blocks(self) -> int:
        return self.words.shape[-3]

    @property
    def n_groups(self) -> int:
        return self.scale.shape[-2]

    @property
    def inputs_per_step(self) -> int:
        return inputs_per_step(self.spec.bits)

    @property
    def padded_inputs(self) -> int:
        return self.words.shape[-2] * self.inputs_per_step

    @property
    def steps_per_group(self) -> int:
        return self.spec.group_size(self.n_inputs) // self.inputs_per_step

    @property
    def last_steps(self) -> int:
        """Steps of the last group, which may be short."""
        return self.words.shape[-2] - (self.n_groups - 1) * self.steps_per_group

    @property
    def n_bytes(self) -> int:
        return self.words.nbytes + self.scale.nbytes + self.zero.nbytes


def inputs_per_step(bits: int) -> int:
    """Inputs of one output in a step."""
    return 4 * (8 // bits)


def interleave(weight: PackedWeight) -> Interleaved:
    """The same weight in this layout, exactly. ``weight`` [..., outputs, inputs] lies on the CPU."""
    lead, spec = weight.shape[:-2], weight.spec
    per_step = inputs_per_step(spec.bits)
    n_blocks = -(-weight.shape[-2] // LANES)
    n_steps = -(-weight.n_inputs // per_step)
    words = aligned((*lead, n_blocks, n_steps, STEP_BYTES), torch.uint8)
    dtype = torch.float32
    if bool((weight.scale.to(torch.bfloat16) == weight.scale).all()):
        dtype = torch.bfloat16  # half the bytes, and nothing is lost
    scale = aligned((*lead, n_blocks, spec.n_groups(weight.n_inputs), LANES), dtype)
    zero = aligned(scale.shape, torch.uint8)
    parts = [weight] if not lead else [weight[index] for index in range(lead[0])]
    targets = [(words, scale, zero)] if not lead else list(zip(words, scale, zero, strict=True))
    for part, (to_words, to_scale, to_zero) in zip(parts, targets, strict=True):
        to_words.copy_(_steps(part, n_blocks, n_steps, per_step))
        to_scale.copy_(_lanes(part.scale, n_blocks))
        zeros = torch.full_like(part.scale, spec.middle, dtype=torch.uint8) if part.zero is None else part.zero
        to_zero.copy_(_lanes(zeros, n_blocks))
    return Interleaved(words, scale, zero, weight.shape, spec)


def _steps(part: PackedWeight, n_blocks: int, n_steps: int, per_step: int) -> Tensor:
    n_outputs = part.words.shape[0]
    levels = unpack_levels(part.words, part.spec.bits, part.n_inputs)
    levels = F.pad(levels, (0, n_steps * per_step - part.n_inputs, 0, n_blocks * LANES - n_outputs))
    levels = levels.view(n_blocks, LANES, n_steps, per_step // 4, 4)  # [B, 16, S, planes, 4]
    if part.spec.bits == 4:
        levels = (levels[..., 0, :] | levels[..., 1, :] << 4).unsqueeze(-2)
    return levels.squeeze(-2).transpose(1, 2).reshape(n_blocks, n_steps, STEP_BYTES)


def _lanes(rows: Tensor, n_blocks: int) -> Tensor:
    """[outputs, groups] -> [blocks, groups, 16]."""
    padded = F.pad(rows, (0, 0, 0, n_blocks * LANES - rows.shape[0]))
    return padded.view(n_blocks, LANES, -1).transpose(1, 2)


def aligned(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor whose first element lies at a multiple of a cache line."""
    count = 1
    for size in shape:
        count *= size
    raw = torch.empty(count * dtype.itemsize + ALIGN, dtype=torch.uint8)
    skip = -raw.data_ptr() % ALIGN
    return raw[skip : skip + count * dtype.itemsize].view(dtype).view(shape)
