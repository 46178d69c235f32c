"""Gated MLPs: dense, and mixtures of experts that touch only the chosen experts.

Source: Qwen3OmniMoeThinkerTextSparseMoeBlock, Qwen3OmniMoeTalkerTextSparseMoeBlock. T positions, H hidden size,
E experts, K experts per token, I intermediate size.
"""

from __future__ import annotations

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


class Experts(nn.Module):
    """All experts of one layer, stacked."""

    def __init__(self, count: int, hidden: int, intermediate: int) -> None:
        super().__init__()
        self.gate_up = nn.Parameter(torch.empty(count, 2 * intermediate, hidden), requires_grad=False)
        self.down = nn.Parameter(torch.empty(count, hidden, intermediate), requires_grad=False)

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """x [T, H], chosen [T, K] expert numbers, gates [T, K] -> [T, H]: the gated sum of the chosen experts.

        The numbers of the chosen experts are read back to the host once per call: that is what lets it touch only
        their weights, as views. On a GPU `model/quant/` puts a kernel in this place.
        """
        if x.shape[0] == 1:
            return self._one(x, chosen, gates)
        n_choices = chosen.shape[1]
        flat = chosen.reshape(-1)
        order = flat.argsort(stable=True)
        rows = order.div(n_choices, rounding_mode="floor")
        weights = gates.reshape(-1)[order].unsqueeze(1)
        counts = torch.bincount(flat, minlength=self.gate_up.shape[0]).tolist()
        sorted_x = x[rows]
        out = torch.zeros_like(x)
        start = 0
        for expert, count in enumerate(counts):
            if count:
                end = start + count
                done = self._expert(sorted_x[start:end], expert) * weights[start:end]
                out.index_add_(0, rows[start:end], done.to(out.dtype))
                start = end
        return out

    def _one(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        experts = chosen[0].tolist()
        hidden = []
        for expert in experts:
            gate, up = F.linear(x, self.gate_up[expert]).chunk(2, dim=-1)
            hidden.append(F.silu(gate).mul_(up))
        out = F.linear(hidden[0] * gates[:, 0:1], self.down[experts[0]])
        for number in range(1, len(experts)):
            out.addmm_(hidden[number] * gates[:, number : number + 1], self.down[experts[number]].T)
        return out

    def _expert(self, x: Tensor, expert: int) -> Tensor:
        gate, up = F.linear(x, self.gate_up[expert]).chunk(2, dim=-1)
        return F.linear(F.silu(gate) * up, self.down[expert])


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
