"""Weights laid out for decoding on a CPU in float32: [in, out] instead of the published [out, in].

A decode step multiplies one row by each matrix. With [in, out] that product walks the matrix in long contiguous runs;
MKL is about twice as fast there as with [out, in], and no slower for many rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from model.checkpoint.files import GetTensor
from model.checkpoint.tensors import TALKER_PREFIX, THINKER_HEAD_PREFIX, THINKER_PREFIX
from model.network.moe import Experts

DECODED_PREFIXES = (THINKER_PREFIX, THINKER_HEAD_PREFIX, TALKER_PREFIX)


class ColumnLinear(nn.Module):
    """x [T, in] -> [T, out] with the weight kept as `matrix` [in, out]."""

    def __init__(self, matrix: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.matrix = nn.Parameter(matrix, requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias, requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.mm(x, self.matrix) if self.bias is None else torch.addmm(self.bias, x, self.matrix)


class ColumnExperts(Experts):
    """All experts of one layer: `gate_up` [E, H, 2I] and `down` [E, I, H]."""

    def __init__(self, gate_up: Tensor, down: Tensor) -> None:
        nn.Module.__init__(self)
        self.gate_up = nn.Parameter(gate_up, requires_grad=False)
        self.down = nn.Parameter(down, requires_grad=False)
        # Views made once: a decode step is bound by the number of calls.
        self.gate_ups = gate_up.unbind()
        self.downs = down.unbind()

    def _gate_up(self, x: Tensor, expert: int) -> Tensor:
        return torch.mm(x, self.gate_ups[expert])

    def _down(self, x: Tensor, expert: int) -> Tensor:
        return torch.mm(x, self.downs[expert])


class ColumnStorage:
    """Lays out Thinker, Talker and code predictor; encoders and Code2Wav, which read many rows at once, stay."""

    def linear(self, names: Sequence[str], get: GetTensor, bias: Tensor | None) -> nn.Module | None:
        """Several names are one fused product, in order."""
        if not names[0].startswith(DECODED_PREFIXES):
            return None
        return ColumnLinear(_columns([get(name) for name in names]), bias)

    def experts(self, gate_up: Sequence[Sequence[str]], down: Sequence[str], get: GetTensor) -> nn.Module | None:
        """All experts of one layer."""
        first_gate, first_down = get(gate_up[0][0]), get(down[0])
        intermediate, hidden = first_gate.shape
        gates_and_ups = torch.empty(len(down), hidden, 2 * intermediate)
        downs = torch.empty(len(down), *first_down.T.shape)
        for expert, (pair, down_name) in enumerate(zip(gate_up, down, strict=True)):
            _columns([get(name) for name in pair], out=gates_and_ups[expert])
            _columns([get(down_name)], out=downs[expert])
        return ColumnExperts(gates_and_ups, downs)

    def embedding(self, name: str, get: GetTensor) -> nn.Module | None:
        """Rows of a table are read as they are."""
        return None


def _columns(weights: Sequence[Tensor], out: Tensor | None = None) -> Tensor:
    """Weights [out_i, in], any float dtype -> [in, sum of out_i] in float32."""
    if out is None:
        out = torch.empty(weights[0].shape[1], sum(weight.shape[0] for weight in weights))
    for piece, weight in zip(out.split([weight.shape[0] for weight in weights], dim=1), weights, strict=True):
        piece.copy_(weight.T)
    return out
