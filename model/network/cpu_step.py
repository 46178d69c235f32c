"""A decode step on a CPU in float32: the decoder's arithmetic for one row, with numpy between the matrix products.

Beside its products a layer is some thirty operations on a few hundred numbers. Each costs torch 3 to 10 microseconds
whatever its size, numpy less than one; and a second of speech is thousands of layers (12.5 frames x 16 codes x the
code predictor's layers). The products stay in torch, through the modules that the loader chose.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from math import sqrt
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.network.cache import KVCache
from model.network.cpu_storage import ColumnExperts, ColumnLinear
from model.network.layers import Attention, DecoderLayer, RMSNorm
from model.network.moe import GatedMLP, SparseMLP

Row = NDArray[np.float32]
Product = Callable[[Row], Row]  # [1, in] -> [1, out]

# Positions up to which numpy's batched product is the faster one; at 2,000 torch's takes a third of its time.
SHORT_CACHE = 768


class CpuStep:
    """The step of one decoder; made at its first use, after loading."""

    def __init__(self, layers: Iterable[nn.Module], norm: RMSNorm) -> None:
        self._layers = [_Layer.of(cast(DecoderLayer, layer)) for layer in layers]
        self._norm = _Norm.of(norm)

    @staticmethod
    def suits(x: Tensor) -> bool:
        """Whether rows x [T, H] are what this is for."""
        return x.shape[0] == 1 and x.dtype == torch.float32 and x.is_cpu

    def __call__(
        self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache, capture: int | None
    ) -> tuple[Tensor, Tensor | None]:
        """As `Decoder.forward` for x [1, H] without DeepStack."""
        cos, sin = (table.numpy().reshape(-1) for table in rope)
        mask = cache.mask(1)
        hidden = None if mask is None else ~mask.numpy()[0]
        row: Row = x.numpy()
        captured = row if capture == 0 else None
        with np.errstate(over="ignore"):  # exp of a large number is inf, and 1 / (1 + inf) the 0 that is meant
            for number, layer in enumerate(self._layers):
                row = row + layer.attend(layer.before_attention(row), cos, sin, cache, number, hidden)
                row = row + layer.mlp(layer.before_mlp(row))
                if capture == number + 1:
                    captured = row
        cache.advance(1)
        row = self._norm(row)
        if capture == len(self._layers):
            captured = row
        return torch.from_numpy(row), None if captured is None else torch.from_numpy(captured)


@dataclass(frozen=True)
class _Norm:
    """Root mean square norm of one row [1, n]."""

    weight: Row  # [n]
    eps: float

    @classmethod
    def of(cls, module: Any) -> _Norm:
        return cls(module.weight.numpy(), module.eps)

    def __call__(self, x: Row) -> Row:
        return cast(Row, x * (self.weight / sqrt(float(np.vdot(x, x)) / x.shape[-1] + self.eps)))


@dataclass(frozen=True)
class _Layer:
    n_queries: int  # Hq
    n_keys: int  # Hkv
    head_dim: int
    qkv: Product
    o_proj: Product
    mlp: Product
    before_attention: _Norm
    before_mlp: _Norm
    qk_weight: Row  # [Hq + Hkv, D]; the queries' rows hold the scale of the attention too
    eps: float
    other_half: NDArray[np.intp]  # [D]

    @classmethod
    def of(cls, layer: DecoderLayer) -> _Layer:
        attention: Attention = layer.self_attn
        queries = attention.q_norm.weight.numpy() * attention.head_dim**-0.5
        keys = attention.k_norm.weight.numpy()
        rows = np.stack([queries] * attention.q_heads + [keys] * attention.kv_heads)
        return cls(
            attention.q_heads,
            attention.kv_heads,
            attention.head_dim,
            _product(attention.qkv),
            _product(attention.o_proj),
            _Mixture(layer.mlp) if isinstance(layer.mlp, SparseMLP) else _gated(cast(GatedMLP, layer.mlp)),
            _Norm.of(layer.input_layernorm),
            _Norm.of(layer.post_attention_layernorm),
            rows.astype(np.float32),
            attention.q_norm.eps,
            np.roll(np.arange(attention.head_dim), attention.head_dim // 2),
        )

    def attend(self, x: Row, cos: Row, sin: Row, cache: KVCache, number: int, hidden: NDArray[np.bool_] | None) -> Row:
        """x [1, H], cos and signed sin [D], hidden [S] (True: may not look) or None -> [1, H]."""
        size = self.head_dim
        qkv = self.qkv(x).reshape(-1, size)
        qk, v = qkv[: self.n_queries + self.n_keys], qkv[self.n_queries + self.n_keys :]
        scale = 1.0 / np.sqrt(np.add.reduce(qk * qk, axis=-1, keepdims=True) / size + self.eps)
        qk = cast(Row, qk * self.qk_weight * scale)
        turned = qk * cos + qk.take(self.other_half, axis=1) * sin
        new = torch.from_numpy(turned[None, self.n_queries :]), torch.from_numpy(v[None])
        keys, values = cache.append(number, *new)  # [Hkv, S, D]
        queries = turned[: self.n_queries].reshape(self.n_keys, -1, size)
        if keys.shape[1] > SHORT_CACHE:
            long_scores = torch.bmm(torch.from_numpy(queries), keys.mT)
            if hidden is not None:
                long_scores[..., torch.from_numpy(hidden)] = -torch.inf
            return self.o_proj(torch.bmm(long_scores.softmax(dim=-1), values).numpy().reshape(1, -1))
        scores = queries @ keys.numpy().swapaxes(1, 2)  # [Hkv, G, S]
        if hidden is not None:
            scores[..., hidden] = -np.inf
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= np.add.reduce(scores, axis=-1, keepdims=True)
        return self.o_proj((scores @ values.numpy()).reshape(1, -1))


def _product(linear: nn.Module) -> Product:
    """The product of a module; without the call of the module where that is only a matrix."""
    if isinstance(linear, ColumnLinear) and linear.bias is None:
        matrix = linear.matrix
        return lambda x: cast(Row, torch.mm(torch.from_numpy(x), matrix).numpy())
    return lambda x: cast(Row, linear(torch.from_numpy(x)).numpy())


def _gated(mlp: GatedMLP) -> Product:
    gate_up, down = _product(mlp.gate_up), _product(mlp.down_proj)
    return lambda x: down(_gate(gate_up(x)))


def _gate(x: Row) -> Row:
    """silu(first half) * second half: [n, 2I] -> [n, I]."""
    half = x.shape[-1] // 2
    gate = x[:, :half]
    return cast(Row, gate / (1.0 + np.exp(-gate)) * x[:, half:])


class _Mixture:
    """Router, chosen experts and shared expert of one layer."""

    def __init__(self, mlp: SparseMLP) -> None:
        self._router = _product(mlp.gate)
        self._top_k, self._normalise = mlp.top_k, mlp.normalise
        self._experts = mlp.experts
        self._shared = None if mlp.shared_expert is None else _gated(mlp.shared_expert)
        self._share = None if mlp.shared_expert_gate is None else _product(mlp.shared_expert_gate)

    def __call__(self, x: Row) -> Row:
        """[1, H] -> [1, H]"""
        logits = self._router(x)[0]
        weights = np.exp(logits - logits.max())
        chosen = np.argsort(-weights, kind="stable")[: self._top_k]
        gates = weights[chosen]
        gates /= gates.sum() if self._normalise else weights.sum()
        out = self._mix(x, chosen, gates)
        if self._shared is not None and self._share is not None:
            out = cast(Row, out + self._shared(x) / (1.0 + np.exp(-self._share(x))))
        return out

    def _mix(self, x: Row, chosen: NDArray[np.intp], gates: Row) -> Row:
        experts = self._experts
        if not isinstance(experts, ColumnExperts):
            given = torch.from_numpy(x), torch.from_numpy(chosen[None]), torch.from_numpy(gates[None])
            return cast(Row, experts(*given).numpy())
        row, numbers = torch.from_numpy(x), chosen.tolist()
        hidden = np.concatenate([torch.mm(row, experts.gate_ups[number]).numpy() for number in numbers])
        inner = torch.from_numpy(_gate(hidden) * gates[:, None]).split(1)  # K times [1, I]
        out = torch.mm(inner[0], experts.downs[numbers[0]])
        for number, part in zip(numbers[1:], inner[1:], strict=True):
            out.addmm_(part, experts.downs[number])
        return cast(Row, out.numpy())
