"""A decode step on a CPU in float32: the decoder's arithmetic for one row, with numpy between the matrix products.

Beside its products a layer is some thirty operations on a few hundred numbers. Each costs torch 3 to 10 microseconds
whatever its size, numpy less than one; and a second of speech is thousands of layers (12.5 frames x 16 codes x the
code predictor's layers). The products stay in torch, through the modules that the loader chose.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model.moe import GatedMLP, SparseMLP

if TYPE_CHECKING:
    from model.cache import KVCache
    from model.layers import Attention, Decoder, DecoderLayer

Row = NDArray[np.float32]


class CpuStep:
    """The step of one decoder; made at its first use, after loading."""

    def __init__(self, decoder: Decoder) -> None:
        self._layers = [_Layer.of(cast("DecoderLayer", layer)) for layer in decoder.layers]
        self._norm = _Norm.of(decoder.norm)

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
                row = row + _mlp(layer.mlp, layer.before_mlp(row))
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
    attention: Attention
    mlp: nn.Module
    before_attention: _Norm
    before_mlp: _Norm
    qk_weight: Row  # [Hq + Hkv, D]; the queries' rows hold the scale of the attention too
    eps: float

    @classmethod
    def of(cls, layer: DecoderLayer) -> _Layer:
        attention = layer.self_attn
        queries = attention.q_norm.weight.numpy() * attention.head_dim**-0.5
        keys = attention.k_norm.weight.numpy()
        rows = np.stack([queries] * attention.q_heads + [keys] * attention.kv_heads)
        return cls(
            attention,
            layer.mlp,
            _Norm.of(layer.input_layernorm),
            _Norm.of(layer.post_attention_layernorm),
            rows.astype(np.float32),
            attention.q_norm.eps,
        )

    def attend(self, x: Row, cos: Row, sin: Row, cache: KVCache, number: int, hidden: NDArray[np.bool_] | None) -> Row:
        """x [1, H], cos and signed sin [D], hidden [S] (True: may not look) or None -> [1, H]."""
        part = self.attention
        n_qk, size = part.q_heads + part.kv_heads, part.head_dim
        qkv = part.qkv(torch.from_numpy(x)).numpy().reshape(-1, size)
        qk = qkv[:n_qk]
        scale = 1.0 / np.sqrt(np.einsum("hd,hd->h", qk, qk) / size + self.eps)
        qk = qk * self.qk_weight * scale[:, None]
        turned, half = qk * cos, size // 2
        turned[:, :half] += qk[:, half:] * sin[:half]
        turned[:, half:] += qk[:, :half] * sin[half:]
        new = torch.from_numpy(turned[None, part.q_heads :]), torch.from_numpy(qkv[None, n_qk:])
        keys, values = (each.numpy() for each in cache.append(number, *new))  # [Hkv, S, D]
        scores = turned[: part.q_heads].reshape(part.kv_heads, -1, size) @ keys.swapaxes(1, 2)  # [Hkv, G, S]
        if hidden is not None:
            scores[..., hidden] = -np.inf
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        return _product(part.o_proj, (scores @ values).reshape(1, -1))


def _product(linear: nn.Module, x: Row) -> Row:
    return cast(Row, linear(torch.from_numpy(x)).numpy())


def _mlp(mlp: nn.Module, x: Row) -> Row:
    return _mixture(mlp, x) if isinstance(mlp, SparseMLP) else _gated(cast(GatedMLP, mlp), x)


def _gated(mlp: GatedMLP, x: Row) -> Row:
    gate, up = np.split(_product(mlp.gate_up, x), 2, axis=-1)
    return _product(mlp.down_proj, _silu(gate) * up)


def _silu(x: Row) -> Row:
    return cast(Row, x / (1.0 + np.exp(-x)))


def _mixture(mlp: SparseMLP, x: Row) -> Row:
    logits = _product(mlp.gate, x)[0]
    weights = np.exp(logits - logits.max())
    chosen = np.argsort(-weights, kind="stable")[: mlp.top_k]
    gates = weights[chosen]
    gates /= gates.sum() if mlp.normalise else weights.sum()
    out: Row = mlp.experts(torch.from_numpy(x), torch.from_numpy(chosen[None]), torch.from_numpy(gates[None])).numpy()
    if mlp.shared_expert is not None and mlp.shared_expert_gate is not None:
        share = 1.0 / (1.0 + np.exp(-_product(mlp.shared_expert_gate, x)))
        out = out + cast(Row, share * _gated(mlp.shared_expert, x))
    return out
