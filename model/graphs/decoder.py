"""One position through a decoder with its place in the cache held on the device.

The plain path slices the cache by the conversation's length, so that its shapes grow by one per token. Here the row is
written at an index on the device and attention looks at a fixed number of rows with what lies beyond the length masked.
T new positions, S rows of the cache that are looked at, Hq/Hkv query and key/value heads, D head dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from model.cache import KVCache
from model.int8_cache import Int8KVCache, from_levels, to_levels
from model.layers import Attention, Decoder, DecoderLayer, Rope, rotate

# Rows that attention looks at: the smallest of these that holds the conversation, or all the cache has.
FIRST_BUCKET = 512

Append = Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]


class StaticCache:
    """A window on the first `bucket` rows of a cache of full size; `length` [1] long lives on the device."""

    def __init__(self, cache: KVCache, bucket: int, length: Tensor) -> None:
        self.length = length
        self.columns = torch.arange(bucket, device=length.device)
        self.dtype = cache.dtype
        self._keys = [buffer[:, :bucket] for buffer in cache.keys]
        self._values = [buffer[:, :bucket] for buffer in cache.values]
        self._scales: tuple[list[Tensor], list[Tensor]] | None = None
        if isinstance(cache, Int8KVCache):
            self._scales = (
                [buffer[:, :bucket] for buffer in cache.key_scales],
                [buffer[:, :bucket] for buffer in cache.value_scales],
            )

    def mask(self) -> Tensor:
        """Which rows the position at `length` may look at: [1, S]."""
        return (self.columns <= self.length).unsqueeze(0)

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Writes k and v [1, Hkv, D] at `length`; returns all rows of the window, [Hkv, S, D]."""
        keys, values = self._keys[layer], self._values[layer]
        k, v = k.transpose(0, 1), v.transpose(0, 1)
        if self._scales is None:
            return keys.index_copy_(1, self.length, k), values.index_copy_(1, self.length, v)
        key_scales, value_scales = self._scales[0][layer], self._scales[1][layer]
        for rows, scales, new in ((keys, key_scales, k), (values, value_scales, v)):
            levels, scale = to_levels(new)
            rows.index_copy_(1, self.length, levels)
            scales.index_copy_(1, self.length, scale)
        return from_levels(keys, key_scales, self.dtype), from_levels(values, value_scales, self.dtype)


def bucket_for(n_rows: int, capacity: int) -> int:
    """Rows to look at for a conversation of `n_rows`. Raises ValueError when the cache has fewer."""
    if n_rows > capacity:
        raise ValueError(f"{n_rows} rows do not fit a cache of {capacity}")
    bucket = FIRST_BUCKET
    while bucket < n_rows:
        bucket *= 2
    return min(bucket, capacity)


class StaticDecoder:
    """A decoder's layers for a fixed number of new positions; shares the weights of the plain one."""

    def __init__(self, decoder: Decoder) -> None:
        self.layers = [cast(DecoderLayer, layer) for layer in decoder.layers]
        self.norm = decoder.norm
        self._qk_weights = [_norm_weights(layer.self_attn) for layer in self.layers]

    def __call__(self, x: Tensor, rope: tuple[Tensor, Tensor], append: Append, mask: Tensor | None) -> Tensor:
        """x [T, H] -> [T, H], normalised; `append` keeps the keys and values, mask [T, S] (True: may look)."""
        for number, layer in enumerate(self.layers):
            normed = _norm(layer.input_layernorm, x)
            x = x + self._attend(layer.self_attn, normed, rope, append, number, mask)
            x = x + layer.mlp(_norm(layer.post_attention_layernorm, x))
        return _norm(self.norm, x)

    def _attend(
        self,
        part: Attention,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        append: Append,
        number: int,
        mask: Tensor | None,
    ) -> Tensor:
        n_new, groups = x.shape[0], part.q_heads // part.kv_heads
        qkv = part.qkv(x).view(n_new, part.q_heads + 2 * part.kv_heads, part.head_dim)
        qk, v = qkv.split((part.q_heads + part.kv_heads, part.kv_heads), dim=1)
        qk = F.rms_norm(qk, (part.head_dim,), None, part.q_norm.eps) * self._qk_weights[number]
        q, k = rotate(qk, *rope).split((part.q_heads, part.kv_heads), dim=1)
        keys, values = append(number, k, v)  # [Hkv, S, D]
        q = q.view(n_new, part.kv_heads, groups, part.head_dim).permute(1, 2, 0, 3)
        q = q.reshape(part.kv_heads, groups * n_new, part.head_dim)
        # Products by hand: a fused kernel would give one block of a card to each head, and few of them are busy then.
        scores = torch.bmm(q, keys.transpose(1, 2)).float() * part.head_dim**-0.5  # [Hkv, G*T, S]
        if mask is not None:
            scores = scores.masked_fill(~mask.repeat(groups, 1), -torch.inf)
        out = torch.bmm(scores.softmax(dim=-1).to(values.dtype), values)
        out = out.view(part.kv_heads, groups, n_new, part.head_dim).permute(2, 0, 1, 3)
        return cast(Tensor, part.o_proj(out.reshape(n_new, part.q_heads * part.head_dim)))


def tables(rope: Rope, position: Tensor) -> tuple[Tensor, Tensor]:
    """cos and signed sin of text positions [T] on the device, each [T, 1, D]: `Rope.text` without the host."""
    angles = position.unsqueeze(1) * rope.both_halves
    return angles.cos().unsqueeze(1), (angles.sin() * rope.sign).unsqueeze(1)


def _norm(norm: torch.nn.Module, x: Tensor) -> Tensor:
    # Not norm(x): on a CPU that may leave torch for fewer calls.
    return F.rms_norm(x, (x.shape[-1],), cast(Tensor, norm.weight), cast(float, norm.eps))


def _norm_weights(part: Attention) -> Tensor:
    """The weights of both norms, a row for each head: [Hq + Hkv, D]."""
    rows: Sequence[Tensor] = (
        part.q_norm.weight.expand(part.q_heads, -1),
        part.k_norm.weight.expand(part.kv_heads, -1),
    )
    return torch.cat(list(rows))
