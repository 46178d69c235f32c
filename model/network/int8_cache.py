"""Key/value caches in int8: half the memory of bfloat16, with one scale for each head and position.

A row never changes once it is written, so going back, forking and compacting are exact, as in the plain cache. Moving
positions (`shift`) rounds keys once more; it happens once in thousands of positions.
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.checkpoint.config import DecoderConfig
from model.network.cache import FIRST_CAPACITY, KVCache

LEVELS = 127  # each way
SCALE_DTYPE = torch.float16


class Int8KVCache(KVCache):
    """A `KVCache` whose keys and values are int8 levels, with a 16-bit scale for each head and position.

    `append` gives the layer's rows back in `dtype`, the new ones as they will be read later: so the outputs do not
    depend on how the input was cut into calls.
    """

    def __init__(
        self,
        config: DecoderConfig,
        *,
        device: torch.device,
        dtype: torch.dtype,
        capacity: int = FIRST_CAPACITY,
    ) -> None:
        super().__init__(config, device=device, dtype=torch.int8, capacity=capacity)
        self.dtype = dtype
        shape = (config.num_key_value_heads, capacity, 1)
        self.key_scales = [torch.zeros(shape, device=device, dtype=SCALE_DTYPE) for _ in self.keys]
        self.value_scales = [torch.zeros(shape, device=device, dtype=SCALE_DTYPE) for _ in self.values]

    def buffers(self) -> tuple[list[Tensor], ...]:
        """Levels and scales."""
        return self.keys, self.values, self.key_scales, self.value_scales

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k and v [T, Hkv, D] of one layer; returns all rows of the layer, [Hkv, length + T, D] in `dtype`."""
        end = self.length + k.shape[0]
        if layer == 0:
            self.reserve(end)
        new = slice(self.length, end)
        self.keys[layer][:, new], self.key_scales[layer][:, new] = to_levels(k.transpose(0, 1))
        self.values[layer][:, new], self.value_scales[layer][:, new] = to_levels(v.transpose(0, 1))
        keys = from_levels(self.keys[layer][:, :end], self.key_scales[layer][:, :end], self.dtype)
        return keys, from_levels(self.values[layer][:, :end], self.value_scales[layer][:, :end], self.dtype)

    def _keys(self, layer: int, start: int) -> Tensor:
        rows = slice(start, self.length)
        return from_levels(self.keys[layer][:, rows], self.key_scales[layer][:, rows], torch.float32)

    def _set_keys(self, layer: int, start: int, keys: Tensor) -> None:
        rows = slice(start, self.length)
        self.keys[layer][:, rows], self.key_scales[layer][:, rows] = to_levels(keys)


def to_levels(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [..., D] -> int8 levels [..., D] and float16 scales [..., 1]; rounded with the scale that is stored."""
    scale = (rows.abs().amax(dim=-1, keepdim=True).float() / LEVELS).to(SCALE_DTYPE)
    # A row of zeros, or one too small for a 16-bit scale, becomes zeros.
    divisor = torch.where(scale > 0, scale, torch.ones_like(scale)).float()
    levels = (rows.float() / divisor).round_().clamp_(-LEVELS, LEVELS)
    return torch.where(scale > 0, levels, torch.zeros_like(levels)).to(torch.int8), scale


def from_levels(levels: Tensor, scale: Tensor, dtype: torch.dtype) -> Tensor:
    """The inverse of `to_levels`; rounded once, to `dtype`, as the attention kernel reads them."""
    return (levels.float() * scale.float()).to(dtype)
