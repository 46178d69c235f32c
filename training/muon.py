"""Muon: matrices take steps of equal size in every direction; everything else is AdamW's.

Source: K. Jordan, "Muon: an optimizer for hidden layers in neural networks" (2024). The size of a step is scaled to
that of AdamW as in "Muon is scalable for LLM training" (2025), so that one learning rate serves both. torch's own Muon
takes no stacks of experts and always computes in bfloat16, which is slow on processors without it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch

# Quintic Newton-Schulz coefficients: they push all singular values to between 0.7 and 1.2 in five rounds.
_A, _B, _C = 3.4445, -4.7750, 2.0315
_ROUNDS = 5
_MOMENTUM = 0.95
_ADAMW_RMS = 0.2  # root mean square of AdamW's step at learning rate 1


@cache
def _has_fast_bfloat16(device: str) -> bool:
    """Whether matrix products in bfloat16 are quicker than in float32; on a CPU that takes instructions of its own."""
    return device == "cuda" or bool(torch.cpu._is_amx_tile_supported())


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The nearest matrices [..., m, n] whose singular values are all about 1."""
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT if is_tall else matrices  # the smaller product
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    x = x.to(torch.bfloat16 if _has_fast_bfloat16(x.device.type) else x.dtype)
    for _ in range(_ROUNDS):
        gram = x @ x.mT
        x = _A * x + (_B * gram + _C * (gram @ gram)) @ x
    nearest: torch.Tensor = (x.mT if is_tall else x).to(matrices.dtype)
    return nearest


class Muon(torch.optim.Optimizer):
    """Muon for parameters [m, n] and stacks of them [experts, m, n].

    With `kernels` a parameter of three dimensions is a convolution's [m, n, k], one matrix [m, n * k].
    """

    def __init__(
        self, parameters: Iterable[Any], lr: float, *, weight_decay: float = 0.0, kernels: bool = False
    ) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": _MOMENTUM, "weight_decay": weight_decay})
        self._kernels = kernels

    def _stack(self, tensor: torch.Tensor) -> torch.Tensor:
        return tensor.flatten(1)[None] if self._kernels else tensor.view(-1, *tensor.shape[-2:])

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One step along the orthogonalised Nesterov momentum."""
        for group in self.param_groups:
            by_shape = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[self._stack(parameter).shape[1:]].append(parameter)
            for (m, n), parameters in by_shape.items():
                steps = []
                for parameter in parameters:
                    state = self.state[parameter]
                    if not state:
                        state["momentum"] = torch.zeros_like(parameter)
                    momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                    steps.append(self._stack(parameter.grad.lerp(momentum, group["momentum"])))
                scale = group["lr"] * _ADAMW_RMS * max(m, n) ** 0.5
                done = orthogonal(torch.cat(steps)).split([len(step) for step in steps])
                for parameter, step in zip(parameters, done, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).add_(step.view_as(parameter), alpha=-scale)


class Mixed:
    """Muon for the given matrices, AdamW for the given rest, as one optimiser that a `Saver` can save."""

    def __init__(
        self,
        matrices: list[Any],
        rest: list[dict[str, Any]],
        *,
        lr: float,
        weight_decay: float,
        kernels: bool = False,
    ) -> None:
        self.muon = Muon(matrices, lr, weight_decay=weight_decay, kernels=kernels)
        self.adamw = torch.optim.AdamW(rest, lr=lr, betas=(0.9, 0.98), weight_decay=weight_decay, fused=True)

    def set_rate(self, rate: float) -> None:
        """Learning rate of every group; AdamW's times the group's `factor`, where it has one."""
        for group in [*self.muon.param_groups, *self.adamw.param_groups]:
            group["lr"] = rate * group.get("factor", 1.0)

    def zero_grad(self) -> None:
        """Forget the gradients."""
        self.muon.zero_grad()
        self.adamw.zero_grad()

    def step(self) -> None:
        """One step of both."""
        self.muon.step()
        self.adamw.step()

    def state_dict(self) -> dict[str, Any]:
        """Both states."""
        return {"muon": self.muon.state_dict(), "adamw": self.adamw.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Both states, as `state_dict` gave them."""
        self.muon.load_state_dict(state["muon"])
        self.adamw.load_state_dict(state["adamw"])


def hidden_matrices(module: torch.nn.Module, *, without: tuple[str, ...]) -> list[Any]:
    """Trainable matrices and stacks of matrices of `module`, but for those whose name contains one of `without`."""
    return [
        parameter
        for name, parameter in module.named_parameters()
        if parameter.requires_grad and parameter.ndim in (2, 3) and not any(part in name for part in without)
    ]


def others(parameters: Iterable[Any], matrices: list[Any]) -> list[Any]:
    """The trainable ones of `parameters` that are not among `matrices`."""
    taken = {id(matrix) for matrix in matrices}
    return [parameter for parameter in parameters if parameter.requires_grad and id(parameter) not in taken]
