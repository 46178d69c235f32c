"""Triton kernels for batch-1 decoding: each chosen weight is read once, packed, and used in registers.

Their plain PyTorch twins are ``packing.linear`` and ``packing.expert_mlp``. This module is imported only where the
kernels were chosen at loading (a CUDA device) or under Triton's interpreter (TRITON_INTERPRET=1, for tests without a
GPU).

A program computes ``BLOCK_N`` outputs and walks the inputs ``BLOCK_W`` words at a time: consecutive lanes read
consecutive words of a row, so the loads coalesce, and a level never leaves the registers. Sums are in float32.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from model.quant.packing import PackedWeight


def _configs() -> list[Any]:
    if triton.knobs.runtime.interpret:
        return [triton.Config({"BLOCK_N": 16, "BLOCK_W": 16})]  # the interpreter has no clock worth tuning for
    shapes = [(n, w, warps) for n in (1, 2, 4, 8, 16) for w in (32, 64, 128) for warps in (1, 2, 4)]
    return [
        triton.Config({"BLOCK_N": n, "BLOCK_W": w}, num_warps=warps)
        for n, w, warps in shapes
        if 64 <= n * w // warps <= 512  # words per warp: at least two and at most sixteen a thread
    ]


@triton.jit
def _rows_dot(
    x_ptr, words_ptr, scale_ptr, zero_ptr, rows, rows_ok, n_inputs, n_words, n_groups,
    BITS: tl.constexpr, GROUP: tl.constexpr, SYMMETRIC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    """Dot products of ``x`` with packed rows: float32 [BLOCK_N]."""
    PER_WORD: tl.constexpr = 32 // BITS
    lane = tl.arange(0, PER_WORD)
    total = tl.zeros([BLOCK_N], dtype=tl.float32)
    for start in range(0, n_words, BLOCK_W):
        word = start + tl.arange(0, BLOCK_W)
        ok = rows_ok[:, None] & (word < n_words)[None, :]
        words = tl.load(words_ptr + rows[:, None] * n_words + word[None, :], mask=ok, other=0)  # [N, W]
        column = word[:, None] * PER_WORD + lane[None, :]  # [W, P]
        x = tl.load(x_ptr + column, mask=column < n_inputs, other=0.0).to(tl.float32)
        levels = (words[:, :, None] >> (lane * BITS)[None, None, :]) & ((1 << BITS) - 1)  # [N, W, P]
        partial = tl.sum(levels.to(tl.float32) * x[None, :, :], axis=2)  # [N, W]
        x_sum = tl.sum(x, axis=1)  # [W]
        place = rows[:, None] * n_groups + ((word * PER_WORD) // GROUP)[None, :]
        scale = tl.load(scale_ptr + place, mask=ok, other=0.0).to(tl.float32)
        if SYMMETRIC:
            partial -= (1 << (BITS - 1)) * x_sum[None, :]
        else:
            partial -= tl.load(zero_ptr + place, mask=ok, other=0).to(tl.float32) * x_sum[None, :]
        total += tl.sum(partial * scale, axis=1)
    return total


@triton.autotune(configs=_configs(), key=["n_outputs", "n_inputs", "BITS", "GROUP"], cache_results=True)
@triton.jit
def _matvec_kernel(
    out_ptr, x_ptr, bias_ptr, words_ptr, scale_ptr, zero_ptr, n_outputs, n_inputs, n_words, n_groups,
    BITS: tl.constexpr, GROUP: tl.constexpr, SYMMETRIC: tl.constexpr, HAS_BIAS: tl.constexpr,
    BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    token = tl.program_id(1)
    rows_ok = rows < n_outputs
    total = _rows_dot(
        x_ptr + token * n_inputs, words_ptr, scale_ptr, zero_ptr, rows.to(tl.int64), rows_ok, n_inputs, n_words,
        n_groups, BITS, GROUP, SYMMETRIC, BLOCK_N, BLOCK_W,
    )  # fmt: skip
    if HAS_BIAS:
        total += tl.load(bias_ptr + rows, mask=rows_ok, other=0.0).to(tl.float32)
    tl.store(out_ptr + token * n_outputs + rows, total.to(out_ptr.dtype.element_ty), mask=rows_ok)


@triton.autotune(configs=_configs(), key=["n_inner", "n_inputs", "BITS", "GROUP"], cache_results=True)
@triton.jit
def _gate_up_kernel(
    hidden_ptr, x_ptr, experts_ptr, words_ptr, scale_ptr, zero_ptr, n_chosen, n_inner, n_inputs, n_words, n_groups,
    BITS: tl.constexpr, GROUP: tl.constexpr, SYMMETRIC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    choice = tl.program_id(1)  # token * n_chosen + slot
    expert = tl.load(experts_ptr + choice).to(tl.int64)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows_ok = rows < n_inner
    x_ptr += (choice // n_chosen) * n_inputs
    gate_rows = expert * 2 * n_inner + rows
    gate = _rows_dot(
        x_ptr, words_ptr, scale_ptr, zero_ptr, gate_rows, rows_ok, n_inputs, n_words, n_groups,
        BITS, GROUP, SYMMETRIC, BLOCK_N, BLOCK_W,
    )  # fmt: skip
    up = _rows_dot(
        x_ptr, words_ptr, scale_ptr, zero_ptr, gate_rows + n_inner, rows_ok, n_inputs, n_words, n_groups,
        BITS, GROUP, SYMMETRIC, BLOCK_N, BLOCK_W,
    )  # fmt: skip
    hidden = gate / (1.0 + tl.exp(-gate)) * up  # SwiGLU
    tl.store(hidden_ptr + choice * n_inner + rows, hidden.to(hidden_ptr.dtype.element_ty), mask=rows_ok)


@triton.autotune(configs=_configs(), key=["n_outputs", "n_inner", "BITS", "GROUP"], cache_results=True)
@triton.jit
def _down_kernel(
    out_ptr, hidden_ptr, experts_ptr, gates_ptr, words_ptr, scale_ptr, zero_ptr, n_chosen, n_outputs, n_inner, n_words,
    n_groups,
    BITS: tl.constexpr, GROUP: tl.constexpr, SYMMETRIC: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    token = tl.program_id(1)
    rows = tl.program_id(0) * BLOCK_N + tl.arange(0, BLOCK_N)
    rows_ok = rows < n_outputs
    total = tl.zeros([BLOCK_N], dtype=tl.float32)
    # One program adds all chosen experts in order: no atomics, so a run repeats bit by bit.
    for slot in range(n_chosen):
        choice = token * n_chosen + slot
        expert = tl.load(experts_ptr + choice).to(tl.int64)
        dot = _rows_dot(
            hidden_ptr + choice * n_inner, words_ptr, scale_ptr, zero_ptr, expert * n_outputs + rows, rows_ok, n_inner,
            n_words, n_groups, BITS, GROUP, SYMMETRIC, BLOCK_N, BLOCK_W,
        )  # fmt: skip
        total += dot * tl.load(gates_ptr + choice).to(tl.float32)
    tl.store(out_ptr + token * n_outputs + rows, total.to(out_ptr.dtype.element_ty), mask=rows_ok)


@triton.jit
def _rows_kernel(
    out_ptr, ids_ptr, words_ptr, scale_ptr, zero_ptr, width, n_words, n_groups,
    BITS: tl.constexpr, GROUP: tl.constexpr, SYMMETRIC: tl.constexpr, BLOCK_W: tl.constexpr,
):  # fmt: skip
    PER_WORD: tl.constexpr = 32 // BITS
    row = tl.load(ids_ptr + tl.program_id(1)).to(tl.int64)
    word = tl.program_id(0) * BLOCK_W + tl.arange(0, BLOCK_W)
    ok = word < n_words
    lane = tl.arange(0, PER_WORD)
    words = tl.load(words_ptr + row * n_words + word, mask=ok, other=0)
    levels = ((words[:, None] >> (lane * BITS)[None, :]) & ((1 << BITS) - 1)).to(tl.float32)  # [W, P]
    place = row * n_groups + (word * PER_WORD) // GROUP
    scale = tl.load(scale_ptr + place, mask=ok, other=0.0).to(tl.float32)
    if SYMMETRIC:
        levels -= 1 << (BITS - 1)
    else:
        levels -= tl.load(zero_ptr + place, mask=ok, other=0).to(tl.float32)[:, None]
    column = word[:, None] * PER_WORD + lane[None, :]
    target = out_ptr + tl.program_id(1).to(tl.int64) * width + column
    tl.store(target, (levels * scale[:, None]).to(out_ptr.dtype.element_ty), mask=column < width)


@triton.jit
def _plain_rows_kernel(out_ptr, ids_ptr, table_ptr, width, BLOCK: tl.constexpr):
    row = tl.load(ids_ptr + tl.program_id(1)).to(tl.int64)
    column = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    ok = column < width
    values = tl.load(table_ptr + row * width + column, mask=ok, other=0.0)
    target = out_ptr + tl.program_id(1).to(tl.int64) * width + column
    tl.store(target, values.to(out_ptr.dtype.element_ty), mask=ok)


ROWS_BLOCK = 256


def gather_rows(ids: Tensor, table: Tensor | PackedWeight, dtype: torch.dtype) -> Tensor:
    """Rows ``ids`` [...] of a table [rows, width] -> [..., width]; the table may lie in pinned host memory."""
    flat = ids.reshape(-1).contiguous()
    width = table.shape[-1]
    out = torch.empty(flat.shape[0], width, dtype=dtype, device=ids.device)
    if isinstance(table, PackedWeight):
        n_words = table.words.shape[-1]
        _rows_kernel[(triton.cdiv(n_words, ROWS_BLOCK), flat.shape[0])](
            out, flat, *_storage(table), width, n_words, table.scale.shape[-1], BLOCK_W=ROWS_BLOCK, **_layout(table)
        )
    else:
        _plain_rows_kernel[(triton.cdiv(width, ROWS_BLOCK), flat.shape[0])](out, flat, table, width, BLOCK=ROWS_BLOCK)
    return out.view(*ids.shape, width)


def _storage(weight: PackedWeight) -> tuple[Tensor, Tensor, Tensor]:
    # A symmetric weight has no zero points; the kernel never reads the stand-in.
    return weight.words, weight.scale, weight.scale if weight.zero is None else weight.zero


def _layout(weight: PackedWeight) -> dict[str, Any]:
    spec = weight.spec
    return {"BITS": spec.bits, "GROUP": spec.group_size(weight.n_inputs), "SYMMETRIC": spec.symmetric}


def matvec(x: Tensor, weight: PackedWeight, bias: Tensor | None = None) -> Tensor:
    """``x`` [T, inputs] (few tokens) times a packed matrix: [T, outputs] in ``x``'s dtype."""
    n_tokens, n_inputs = x.shape
    n_outputs, n_words = weight.words.shape
    x = x.contiguous()
    out = torch.empty(n_tokens, n_outputs, dtype=x.dtype, device=x.device)
    _matvec_kernel[lambda block: (triton.cdiv(n_outputs, block["BLOCK_N"]), n_tokens)](
        out, x, x if bias is None else bias, *_storage(weight), n_outputs, n_inputs, n_words, weight.scale.shape[-1],
        HAS_BIAS=bias is not None, **_layout(weight),
    )  # fmt: skip
    return out


def expert_mlp(x: Tensor, experts: Tensor, gates: Tensor, gate_up: PackedWeight, down: PackedWeight) -> Tensor:
    """Chosen experts' SwiGLU, summed with their gates, in two launches; the choice never leaves the device.

    ``x`` [T, D]; ``experts`` int [T, k]; ``gates`` [T, k]; ``gate_up`` [E, 2I, D]; ``down`` [E, D, I]. Returns [T, D].
    """
    n_tokens, n_inputs = x.shape
    n_chosen, n_inner, n_outputs = experts.shape[1], down.n_inputs, down.words.shape[1]
    x, experts, gates = x.contiguous(), experts.contiguous(), gates.contiguous()
    hidden = torch.empty(n_tokens * n_chosen, n_inner, dtype=x.dtype, device=x.device)
    _gate_up_kernel[lambda block: (triton.cdiv(n_inner, block["BLOCK_N"]), n_tokens * n_chosen)](
        hidden, x, experts, *_storage(gate_up), n_chosen, n_inner, n_inputs, gate_up.words.shape[-1],
        gate_up.scale.shape[-1], **_layout(gate_up),
    )  # fmt: skip
    out = torch.empty(n_tokens, n_outputs, dtype=x.dtype, device=x.device)
    _down_kernel[lambda block: (triton.cdiv(n_outputs, block["BLOCK_N"]), n_tokens)](
        out, hidden, experts, gates, *_storage(down), n_chosen, n_outputs, n_inner, down.words.shape[-1],
        down.scale.shape[-1], **_layout(down),
    )  # fmt: skip
    return out
