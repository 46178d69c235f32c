"""The modules of packed weights on a processor: linear layers and experts in the interleaved layout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.quant.processor import products
from model.quant.processor.layout import LANES, Interleaved, aligned
from model.quant.processor.products import CHUNKS_PER_THREAD, describe, row_bytes
from model.quant.processor.team import Team
from model.quant.processor.vector import TILE_ROWS

# Less work than this (weights times rows) is done before a helper has woken up.
SHARED_WORK = 1 << 19


class InterleavedLinear(nn.Module):
    """x [..., inputs] -> [..., outputs] in x's dtype; the plain twin is `model.quant.storage.PackedLinear`."""

    def __init__(self, weight: Interleaved, bias: Tensor | None, team: Team) -> None:
        super().__init__()
        self.weight, self.bias, self.team = weight, bias, team
        padded = None
        if bias is not None:
            padded = np.zeros(LANES * weight.n_blocks, np.float32)
            padded[: bias.shape[0]] = bias.float().numpy()
        self.padded_bias = padded  # kept: its address is in the description
        self.description = describe(weight, padded)
        self._row_bytes = row_bytes(weight)

    def forward(self, x: Tensor) -> Tensor:
        weight, team = self.weight, self.team
        rows = x.reshape(-1, weight.n_inputs).to(torch.float32).contiguous()
        n_rows = rows.shape[0]
        n_places = n_rows + TILE_ROWS - 1
        out = torch.empty(n_places, LANES * weight.n_blocks)
        activations = aligned((n_rows, self._row_bytes), torch.uint8)
        row_at = np.empty(n_places, np.int64)
        row_at[:n_rows] = activations.data_ptr() + self._row_bytes * np.arange(n_rows)
        row_at[n_rows:] = row_at[n_rows - 1] if n_rows else 0
        n_chunks = min(weight.n_blocks, CHUNKS_PER_THREAD * team.n_threads)
        job = np.array(
            [
                *self.description,
                rows.data_ptr(), n_rows, activations.data_ptr(), self._row_bytes, row_at.ctypes.data, out.data_ptr(),
                n_chunks,
            ],
            np.int64,
        )  # fmt: skip
        helpers = n_rows * weight.n_outputs * weight.n_inputs >= SHARED_WORK
        team.run(products.linear_kernel, int(job.ctypes.data), helpers=helpers)
        return out[:n_rows, : weight.n_outputs].to(x.dtype).view(*x.shape[:-1], weight.n_outputs)


class InterleavedExperts(nn.Module):
    """The forward of `model.moe.Experts`; the plain twin is `model.quant.storage.PackedExperts`."""

    def __init__(self, gate_up: Interleaved, down: Interleaved, team: Team) -> None:
        super().__init__()
        self.gate_up, self.down, self.team = gate_up, down, team
        self.description = [*describe(gate_up), *describe(down)]
        self._in_bytes, self._hidden_bytes = row_bytes(gate_up), row_bytes(down)

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """x [T, H], chosen [T, K], gates [T, K] -> [T, H]."""
        n_rows, top_k = chosen.shape
        rows = x.to(torch.float32).contiguous()
        slots = _Slots.of(chosen.numpy())
        in_rows = aligned((n_rows, self._in_bytes), torch.uint8)
        hidden_rows = aligned((slots.count, self._hidden_bytes), torch.uint8)
        gate_up = torch.empty(slots.count + TILE_ROWS, LANES * self.gate_up.n_blocks)
        done = torch.empty(slots.count + TILE_ROWS, LANES * self.down.n_blocks)
        out = torch.empty(n_rows, LANES * self.down.n_blocks)
        row_at = in_rows.data_ptr() + self._in_bytes * slots.row_of
        hidden_at = hidden_rows.data_ptr() + self._hidden_bytes * np.arange(slots.count)
        weights = gates.to(torch.float32).contiguous()
        n_active = len(slots.experts)
        parts = max(1, min(self.down.n_blocks, -(-CHUNKS_PER_THREAD * self.team.n_threads // n_active)))
        job = np.array(
            [
                *self.description,
                rows.data_ptr(), n_rows, slots.count, n_active, parts, top_k, in_rows.data_ptr(), self._in_bytes,
                hidden_rows.data_ptr(), self._hidden_bytes, row_at.ctypes.data, hidden_at.ctypes.data,
                slots.starts.ctypes.data, slots.experts.ctypes.data, gate_up.data_ptr(), done.data_ptr(),
                slots.slot_of.ctypes.data, weights.data_ptr(), out.data_ptr(),
            ],
            np.int64,
        )  # fmt: skip
        helpers = n_rows * top_k * self.gate_up.n_outputs * self.gate_up.n_inputs >= SHARED_WORK
        self.team.run(products.mixture_kernel, int(job.ctypes.data), helpers=helpers)
        return out[:, : x.shape[1]].to(x.dtype)


@dataclass(frozen=True)
class _Slots:
    """The (row, expert) pairs of a call, sorted by expert; each expert's are a count that tiles of rows can make."""

    count: int
    experts: NDArray[np.int64]  # the chosen experts
    starts: NDArray[np.int64]  # of each one's slots, and the end
    row_of: NDArray[np.int64]  # [count]: the row of each slot; of slots that only fill up: any
    slot_of: NDArray[np.int64]  # [T * K]: the slot of each pair

    @classmethod
    def of(cls, chosen: NDArray[np.int64]) -> _Slots:
        """`chosen` [T, K] expert numbers."""
        flat = chosen.reshape(-1)
        order = flat.argsort(kind="stable")
        counts = np.bincount(flat)
        experts = counts.nonzero()[0]
        counts = counts[experts]
        left = counts % TILE_ROWS
        starts = np.zeros(len(experts) + 1, np.int64)
        np.cumsum(np.where(left > 1, counts + TILE_ROWS - left, counts), out=starts[1:])
        begun = np.cumsum(counts) - counts
        slots = np.arange(len(flat)) + np.repeat(starts[:-1] - begun, counts)
        row_of, slot_of = np.zeros(starts[-1], np.int64), np.empty(len(flat), np.int64)
        row_of[slots] = order // chosen.shape[1]
        slot_of[order] = slots
        return cls(int(starts[-1]), experts, starts, row_of, slot_of)
