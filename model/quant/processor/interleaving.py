"""From the packed words of a checkpoint to the layout of products: one pass, no memory beside the result."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

from model.quant.packing import PackedWeight
from model.quant.processor.layout import LANES, STEP_BYTES, Interleaved, aligned


def interleave(weight: PackedWeight) -> Interleaved:
    """The same weight in the interleaved layout, exactly. ``weight`` [..., outputs, inputs] lies on the CPU."""
    lead, spec, n_outputs = weight.shape[:-2], weight.spec, weight.shape[-2]
    n_blocks, n_steps = -(-n_outputs // LANES), weight.words.shape[-1]
    words = aligned((*lead, n_blocks, n_steps, STEP_BYTES), torch.uint8)
    place_words(
        weight.words.reshape(-1, n_outputs, n_steps).contiguous().numpy().view(np.uint32),
        words.view(torch.int32).view(-1, n_blocks, n_steps, LANES).numpy().view(np.uint32),
        spec.bits == 4,
    )
    dtype = torch.float32
    if bool((weight.scale.to(torch.bfloat16) == weight.scale).all()):
        dtype = torch.bfloat16  # half the bytes, and nothing is lost
    scale = aligned((*lead, n_blocks, spec.n_groups(weight.n_inputs), LANES), dtype)
    scale.copy_(_lanes(weight.scale, n_blocks))
    zero = aligned(scale.shape, torch.uint8)
    if weight.zero is None:
        zero.fill_(spec.middle)
    else:
        zero.copy_(_lanes(weight.zero, n_blocks))
    return Interleaved(words, scale, zero, weight.shape, spec)


def _lanes(rows: Tensor, n_blocks: int) -> Tensor:
    """[..., outputs, groups] -> [..., blocks, groups, 16]."""
    padded = F.pad(rows, (0, 0, 0, n_blocks * LANES - rows.shape[-2]))
    return padded.view(*rows.shape[:-2], n_blocks, LANES, -1).transpose(-1, -2)


@njit(nogil=True, cache=True)
def place_words(words, to, halves):
    """uint32 words [E, outputs, words] -> [E, blocks, words, 16]; a word is one output's part of a step.

    `halves`: levels of 4 bits. Eight of them stand side by side in a word; the first four go to the low halves of four
    bytes, the others to the high halves.
    """
    for expert in range(words.shape[0]):
        for output in range(words.shape[1]):
            block, lane = output // LANES, output % LANES
            for place in range(words.shape[2]):
                word = words[expert, output, place]
                if halves:
                    low, high = word & np.uint32(0xFFFF), word >> np.uint32(16)
                    low = (low | low << np.uint32(8)) & np.uint32(0x00FF00FF)
                    high = (high | high << np.uint32(8)) & np.uint32(0x00FF00FF)
                    low = (low | low << np.uint32(4)) & np.uint32(0x0F0F0F0F)
                    high = (high | high << np.uint32(4)) & np.uint32(0x0F0F0F0F)
                    word = low | high << np.uint32(4)
                to[expert, block, place, lane] = word
        for output in range(words.shape[1], LANES * to.shape[1]):
            to[expert, output // LANES, :, output % LANES] = np.uint32(0)
