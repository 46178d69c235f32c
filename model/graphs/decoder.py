"""One position through a decoder with its place in the cache held on the device.

The plain path slices the cache by the conversation's length, so that its shapes grow by one per token. Here the row is
written at an index on the device and attention looks at a fixed number of rows with what lies beyond the length masked.
T new positions, S rows of the cache that are looked at, Hq/Hkv query and key/value heads, G query heads for each
key/value head, D head dimension.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from model.network.cache import KVCache
from model.network.decoder import Decoder
from model.network.int8_cache import Int8KVCache, from_levels, to_levels
from model.network.layers import Attention, DecoderLayer, Rope, rotate

if TYPE_CHECKING:
    from model.graphs.attention_kernel import DecodeAttention

# Rows that attention looks at without the kernel: this or a doubling of it that holds the conversation.
FIRST_BUCKET = 512

# (layer, queries [T, Hq, D], new keys and values [T, Hkv, D]) -> [T, Hq, D]; keeps the keys and values
Attend = Callable[[int, Tensor, Tensor, Tensor], Tensor]


class StaticCache:
    """A window on the first `bucket` rows of a cache of full size; `length` [1] long lives on the device.

    `kernel`: attention by `attention_kernel`, which reads no more rows than there are; else by the plain twin, which
    looks at the whole window.
    """

    def __init__(self, cache: KVCache, bucket: int, length: Tensor, n_query_heads: int, *, kernel: bool) -> None:
        self.length = length
        self.columns = torch.arange(bucket, device=length.device)
        self.dtype = cache.dtype
        self._keys = [buffer[:, :bucket] for buffer in cache.keys]
        self._values = [buffer[:, :bucket] for buffer in cache.values]
        self._groups = n_query_heads // cache.keys[0].shape[0]
        self._kernel: DecodeAttention | None = None
        if kernel:
            from model.graphs.attention_kernel import DecodeAttention

            self._kernel = DecodeAttention(self._keys[0], n_query_heads)
        self._scales: tuple[list[Tensor], list[Tensor]] | None = None
        if isinstance(cache, Int8KVCache):
            self._scales = (
                [buffer[:, :bucket] for buffer in cache.key_scales],
                [buffer[:, :bucket] for buffer in cache.value_scales],
            )

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Writes k and v [1, Hkv, D] at `length` and looks with q [1, Hq, D] at the rows up to there: [1, Hq, D]."""
        keys, values = self._keys[layer], self._values[layer]
        k, v = k.transpose(0, 1), v.transpose(0, 1)
        scales = None
        if self._scales is None:
            keys.index_copy_(1, self.length, k)
            values.index_copy_(1, self.length, v)
        else:
            scales = self._scales[0][layer], self._scales[1][layer]
            for rows, row_scales, new in ((keys, scales[0], k), (values, scales[1], v)):
                levels, scale = to_levels(new)
                rows.index_copy_(1, self.length, levels)
                row_scales.index_copy_(1, self.length, scale)
        grouped = q.view(keys.shape[0], self._groups, q.shape[-1])
        if self._kernel is not None:
            out = self._kernel(grouped, keys, values, self.length, scales)
        else:
            if scales is not None:
                keys = from_levels(keys, scales[0], self.dtype)
                values = from_levels(values, scales[1], self.dtype)
            out = masked_attention(grouped, keys, values, self.columns <= self.length)
        return out.reshape(q.shape)


def masked_attention(q: Tensor, keys: Tensor, values: Tensor, mask: Tensor) -> Tensor:
    """q [Hkv, G, D] over keys and values [Hkv, S, D], mask [S] (True: may look) -> [Hkv, G, D]."""
    scores = torch.bmm(q, keys.transpose(1, 2)).float() * q.shape[-1] ** -0.5  # [Hkv, G, S]
    scores = scores.masked_fill(~mask, -torch.inf)
    return torch.bmm(scores.softmax(dim=-1).to(values.dtype), values)


def has_kernel(device: torch.device) -> bool:
    """Whether attention has its kernel there."""
    return device.type == "cuda"


def window_for(n_rows: int, cache: KVCache) -> int:
    """Rows of `cache` that a step for a conversation of `n_rows` is made for."""
    bucket = bucket_for(n_rows, cache.capacity)
    return cache.capacity if has_kernel(cache.device) else bucket


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

    def __call__(self, x: Tensor, rope: tuple[Tensor, Tensor], attend: Attend) -> Tensor:
        """x [T, H] -> [T, H], normalised; `attend` holds the keys and values."""
        for number, layer in enumerate(self.layers):
            normed = _norm(layer.input_layernorm, x)
            x = x + self._attend(layer.self_attn, normed, rope, attend, number)
            x = x + layer.mlp(_norm(layer.post_attention_layernorm, x))
        return _norm(self.norm, x)

    def _attend(self, part: Attention, x: Tensor, rope: tuple[Tensor, Tensor], attend: Attend, number: int) -> Tensor:
        n_new = x.shape[0]
        qkv = part.qkv(x).view(n_new, part.q_heads + 2 * part.kv_heads, part.head_dim)
        qk, v = qkv.split((part.q_heads + part.kv_heads, part.kv_heads), dim=1)
        qk = F.rms_norm(qk, (part.head_dim,), None, part.q_norm.eps) * self._qk_weights[number]
        q, k = rotate(qk, *rope).split((part.q_heads, part.kv_heads), dim=1)
        out = attend(number, q, k, v)  # [T, Hq, D]
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
