"""Experts whose choice is never read back: what a step of fixed shapes needs where there are no kernels."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.errors import InputError
from model.memory import Memory
from model.network.moe import Experts, SparseMLP
from model.quant import packing
from model.quant.placement import HostExperts
from model.quant.storage import MAX_MATVEC_POSITIONS, PackedExperts


class GatheredExperts(Experts):
    """`Experts` that, for few positions, copies the chosen matrices instead of asking which they are."""

    def __init__(self, plain: Experts) -> None:
        nn.Module.__init__(self)
        self.gate_up, self.down = plain.gate_up, plain.down

    def forward(self, x: Tensor, chosen: Tensor, gates: Tensor) -> Tensor:
        """x [T, H], chosen [T, K], gates [T, K] -> [T, H]."""
        if x.shape[0] > MAX_MATVEC_POSITIONS:
            return super().forward(x, chosen, gates)
        n_new, n_chosen = chosen.shape
        flat = chosen.reshape(-1)
        rows = x.unsqueeze(1).expand(n_new, n_chosen, -1).reshape(n_new * n_chosen, 1, -1)
        gate, up = torch.bmm(rows, self.gate_up[flat].transpose(1, 2)).chunk(2, dim=-1)
        done = torch.bmm(F.silu(gate) * up, self.down[flat].transpose(1, 2))  # [T * K, 1, H]
        return (done.view(n_new, n_chosen, -1) * gates.unsqueeze(-1)).sum(dim=1)


def read_nothing_back(module: nn.Module) -> None:
    """Replaces, once after loading, experts that would ask the host which of them were chosen."""
    for part in module.modules():
        if not isinstance(part, SparseMLP):
            continue
        experts = part.experts
        if type(experts) is Experts:
            part.experts = GatheredExperts(experts)
        elif isinstance(experts, PackedExperts | HostExperts) and experts.expert_mlp is None:
            experts.expert_mlp = packing.gathered_expert_mlp


def check_host_experts(memory: Memory, *, is_packed: bool, mode: str) -> None:
    """Raises InputError when the recorded steps could not read the experts in host memory. Before loading."""
    if memory.host_expert_layers and not is_packed and mode != "off":
        raise InputError(
            f"host_expert_layers is {memory.host_expert_layers} (the engine's --host-expert-layers), but experts in "
            "host memory need packed weights for decoding in graphs; load with quantize='int4' (the engine's "
            "--quantize int4), load a packed checkpoint, or set graphs='off'"
        )
