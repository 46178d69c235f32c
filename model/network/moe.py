"""Gated MLPs: dense, and mixtures of experts that touch only the chosen experts.

Source: Qwen3OmniMoeThinkerTextSparseMoeBlock, Qwen3OmniMoeTalkerTextSparseMoeBlock. T positions, H hidden size,
E experts, K experts per token, I intermediate size.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig
from model.network.weights import FusedLinear, Linear


class GatedMLP(nn.Module):
    """down(silu(gate(x)) * up(x)), with gate and up as one product."""

    def __init__(self, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_up = FusedLinear(hidden, (intermediate, intermediate), ("gate_proj", "up_proj"), bias=False)
        self.down_proj = Linear(intermediate, hidden, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        out: Tensor = self.down_proj(F.silu(gate) * up)
        return out


# Rows [t, n] and the number of an expert -> [t, m]: what a storage of weights supplies.
ExpertProduct = Callable[[Tensor, int], Tensor]


def mix(x: Tensor, chosen: Tensor, gates: Tensor, gate_up: ExpertProduct, down: ExpertProduct) -> Tensor:
    """x [T, H], chosen [T, K] expert numbers, gates [T, K] -> [T, H]: the gated sum of the chosen experts.

    The one loop over experts, for every storage that multiplies expert by expert; sums are in float32. The numbers of
    the chosen experts are read back to the host once per call: that is what lets it touch only their weights.
    """
    out = torch.zeros_like(x, dtype=torch.float32)
    if x.shape[0] == 1:  # a decode step: nothing to sort
        for place, expert in enumerate(chosen[0].tolist()):
            out += _gated(x, expert, gate_up, down).float() * gates[:, place : place + 1]
        return out.to(x.dtype)
    flat = chosen.reshape(-1)
    order = flat.argsort(stable=True)
    rows = order.div(chosen.shape[1], rounding_mode="floor")
    weights = gates.reshape(-1)[order].unsqueeze(1).float()
    sorted_x = x[rows]
    start = 0
    for expert, count in enumerate(torch.bincount(flat).tolist()):
        if count:
            end = start + count
            done = _gated(sorted_x[start:end], expert, gate_up, down)
            out.index_add_(0, rows[start:end], done.float() * weights[start:end])
            start = end
    return out.to(x.dtype)


def _gated(x: Tensor, expert: int, gate_up: ExpertProduct, down: ExpertProduct) -> Tensor:
    """One expert: x [t, H] -> [t, H]."""
    gate, up = gate_up(x, expert).chunk(2, dim=-1)
    return down(F.silu(gate) * up, expert)


class Experts(nn.Module):
    """All experts of one layer, stacked: `gate_up` [E, 2I, H], `down` [E, H, I]."""

    def __init__(self, count: int, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(count, 2 * intermediate, hidden), requires_grad=False)
        self.down = nn.Parameter(torch.empty(count, hidden, intermediate), requires_grad=False)

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """See `mix`. On a GPU, and on a processor with packed weights, `model/quant/` puts kernels in this place."""
        return mix(x, chosen, gates, self._gate_up, self._down)

    def _gate_up(self, x: Tensor, expert: int) -> Tensor:
        return F.linear(x, self.gate_up[expert])

    def _down(self, x: Tensor, expert: int) -> Tensor:
        return F.linear(x, self.down[expert])


class SparseMLP(nn.Module):
    """Router, experts and, in the Talker, a gated shared expert."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.top_k = config.num_experts_per_tok
        self.normalise = config.norm_topk_prob
        self.gate = Linear(config.hidden_size, config.num_experts, bias=False)
        self.experts: nn.Module = Experts(config.num_experts, config.hidden_size, config.moe_intermediate_size)
        self.shared_expert: GatedMLP | None = None
        self.shared_expert_gate: Linear | None = None
        if config.has_shared_expert:
            self.shared_expert = GatedMLP(config.hidden_size, config.shared_expert_intermediate_size)
            self.shared_expert_gate = Linear(config.hidden_size, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x [T, H] -> [T, H]."""
        probabilities = F.softmax(self.gate(x), dim=-1, dtype=torch.float32)
        gates, chosen = probabilities.topk(self.top_k, dim=-1)  # [T, K]
        if self.normalise:
            gates = gates / gates.sum(dim=-1, keepdim=True)
        out: Tensor = self.experts(x, chosen, gates.to(x.dtype))
        if self.shared_expert is not None and self.shared_expert_gate is not None:
            out = out + self.shared_expert_gate(x).sigmoid() * self.shared_expert(x)
        return out
