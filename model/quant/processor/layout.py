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
from torch import Tensor

from model.quant.packing import QuantSpec

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


def aligned(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor whose first element lies at a multiple of a cache line."""
    count = 1
    for size in shape:
        count *= size
    raw = torch.empty(count * dtype.itemsize + ALIGN, dtype=torch.uint8)
    skip = -raw.data_ptr() % ALIGN
    return raw[skip : skip + count * dtype.itemsize].view(dtype).view(shape)
