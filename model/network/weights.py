"""Linear layers whose weights come from one or several tensors of a checkpoint, as published.

Other storage of the same weights is put in their place when loading: `model.network.filling`.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Linear(nn.Module):
    """x [..., in] -> [..., out]; the plain twin of every faster storage."""

    def __init__(self, in_size: int, out_size: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(out_size, in_size), requires_grad=False)
        self.bias = nn.Parameter(torch.empty(out_size), requires_grad=False) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class FusedLinear(Linear):
    """Several projections of the same input as one product; `parts` are their names in the checkpoint."""

    def __init__(self, in_size: int, sizes: Sequence[int], parts: Sequence[str], *, bias: bool) -> None:
        super().__init__(in_size, sum(sizes), bias=bias)
        self.sizes = tuple(sizes)
        self.parts = tuple(parts)


class Embedding(nn.Module):
    """Rows of a table."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(count, size), requires_grad=False)

    def forward(self, ids: Tensor) -> Tensor:
        return F.embedding(ids, self.weight)
