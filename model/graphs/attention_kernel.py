"""Attention of one new position over a cache whose length is on the device: Triton, in two launches.

Programs share out the rows in pieces of ``ROWS``; those behind the length end at once, so that one graph serves every
length and reads no more rows than there are. int8 caches are read as they are stored. The plain twin is
``decoder.masked_attention``. This module is imported only on a CUDA device, or under Triton's interpreter.

Hkv key/value heads, G query heads for each, D head dimension, S rows of the cache.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

ROWS = 128  # of the cache, for one program
BLOCK = 32  # of them at a time
SMALLEST_DOT = 16  # what the card's matrix units take


@triton.jit
def _partial_kernel(
    sums_ptr, tops_ptr, weights_ptr, q_ptr, keys_ptr, values_ptr, key_scales_ptr, value_scales_ptr, length_ptr,
    head_stride, scale_stride, factor,
    GROUPS: tl.constexpr, GROUPS_PAD: tl.constexpr, DIM: tl.constexpr, DIM_PAD: tl.constexpr, IS_INT8: tl.constexpr,
    ROWS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Softmax over one piece: the weighted sum of values, the largest score, and the sum of weights."""
    head, piece = tl.program_id(0), tl.program_id(1)
    start = piece * ROWS
    end = tl.minimum(start + ROWS, tl.load(length_ptr).to(tl.int32) + 1)
    group, dim = tl.arange(0, GROUPS_PAD), tl.arange(0, DIM_PAD)
    group_ok, dim_ok = group < GROUPS, dim < DIM
    places = (head * GROUPS + group)[:, None] * DIM + dim[None, :]
    q = tl.load(q_ptr + places, mask=group_ok[:, None] & dim_ok[None, :], other=0.0)  # [G, D]
    top = tl.full([GROUPS_PAD], float("-inf"), dtype=tl.float32)
    weight = tl.zeros([GROUPS_PAD], dtype=tl.float32)
    sums = tl.zeros([GROUPS_PAD, DIM_PAD], dtype=tl.float32)
    head_start = head.to(tl.int64) * head_stride
    scale_start = head.to(tl.int64) * scale_stride
    for first in range(start, end, BLOCK):
        row = first + tl.arange(0, BLOCK)
        ok = row < end
        cells = head_start + row[:, None].to(tl.int64) * DIM + dim[None, :]
        mask = ok[:, None] & dim_ok[None, :]
        keys = tl.load(keys_ptr + cells, mask=mask, other=0).to(q.dtype)  # [S, D]
        scores = tl.dot(q, tl.trans(keys), input_precision="ieee") * factor  # [G, S]
        if IS_INT8:
            scores *= tl.load(key_scales_ptr + scale_start + row, mask=ok, other=0.0).to(tl.float32)[None, :]
        scores = tl.where(ok[None, :], scores, float("-inf"))
        new_top = tl.maximum(top, tl.max(scores, axis=1))
        p = tl.exp(scores - new_top[:, None])
        fade = tl.exp(top - new_top)
        weight = weight * fade + tl.sum(p, axis=1)
        if IS_INT8:
            p *= tl.load(value_scales_ptr + scale_start + row, mask=ok, other=0.0).to(tl.float32)[None, :]
        values = tl.load(values_ptr + cells, mask=mask, other=0).to(q.dtype)
        sums = sums * fade[:, None] + tl.dot(p.to(q.dtype), values, input_precision="ieee")
        top = new_top
    place = (head * tl.num_programs(1) + piece) * GROUPS + group
    tl.store(tops_ptr + place, top, mask=group_ok)
    tl.store(weights_ptr + place, weight, mask=group_ok)
    if start < end:
        tl.store(sums_ptr + place[:, None] * DIM + dim[None, :], sums, mask=group_ok[:, None] & dim_ok[None, :])


@triton.jit
def _join_kernel(
    out_ptr, sums_ptr, tops_ptr, weights_ptr, length_ptr, n_pieces,
    GROUPS: tl.constexpr, DIM: tl.constexpr, DIM_PAD: tl.constexpr, PIECES_PAD: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """The pieces of one query head as one softmax."""
    head, group = tl.program_id(0), tl.program_id(1)
    n_used = tl.load(length_ptr).to(tl.int32) // ROWS + 1
    piece, dim = tl.arange(0, PIECES_PAD), tl.arange(0, DIM_PAD)
    first = head * n_pieces * GROUPS + group
    tops = tl.load(tops_ptr + first + piece * GROUPS, mask=piece < n_used, other=float("-inf"))
    weights = tl.load(weights_ptr + first + piece * GROUPS, mask=piece < n_used, other=0.0)
    top = tl.max(tops, axis=0)
    total = tl.sum(weights * tl.exp(tops - top), axis=0)
    out = tl.zeros([DIM_PAD], dtype=tl.float32)
    for number in range(n_used):
        place = first + number * GROUPS
        share = tl.exp(tl.load(tops_ptr + place) - top)
        out += share * tl.load(sums_ptr + place * DIM + dim, mask=dim < DIM, other=0.0)
    target = out_ptr + (head * GROUPS + group) * DIM + dim
    tl.store(target, (out / total).to(out_ptr.dtype.element_ty), mask=dim < DIM)


class DecodeAttention:
    """Working memory of the kernels for one cache; its layers take turns."""

    def __init__(self, keys: Tensor, n_query_heads: int) -> None:
        """`keys` [Hkv, S, D]: those of any layer."""
        n_heads, capacity, self.dim = keys.shape
        self.groups = n_query_heads // n_heads
        self.n_pieces = triton.cdiv(capacity, ROWS)
        shape = (n_heads, self.n_pieces, self.groups)
        self._sums = torch.empty(*shape, self.dim, dtype=torch.float32, device=keys.device)
        self._tops = torch.empty(shape, dtype=torch.float32, device=keys.device)
        self._weights = torch.empty_like(self._tops)

    def __call__(
        self, q: Tensor, keys: Tensor, values: Tensor, length: Tensor, scales: tuple[Tensor, Tensor] | None
    ) -> Tensor:
        """q [Hkv, G, D] over rows 0..length of keys and values [Hkv, S, D] -> [Hkv, G, D].

        `length` [1] long on the device; `scales` [Hkv, S, 1] of int8 keys and values.
        """
        n_heads = keys.shape[0]
        q = q.contiguous()
        out = torch.empty_like(q)
        dim_pad = max(SMALLEST_DOT, triton.next_power_of_2(self.dim))
        key_scales, value_scales = scales if scales is not None else (q, q)  # stand-ins, never read
        _partial_kernel[(n_heads, self.n_pieces)](
            self._sums, self._tops, self._weights, q, keys, values, key_scales, value_scales, length,
            keys.stride(0), key_scales.stride(0), self.dim**-0.5,
            GROUPS=self.groups, GROUPS_PAD=max(SMALLEST_DOT, triton.next_power_of_2(self.groups)), DIM=self.dim,
            DIM_PAD=dim_pad, IS_INT8=scales is not None, ROWS=ROWS, BLOCK=BLOCK,
        )  # fmt: skip
        _join_kernel[(n_heads, self.groups)](
            out, self._sums, self._tops, self._weights, length, self.n_pieces,
            GROUPS=self.groups, DIM=self.dim, DIM_PAD=dim_pad, PIECES_PAD=triton.next_power_of_2(self.n_pieces),
            ROWS=ROWS,
        )  # fmt: skip
        return out
