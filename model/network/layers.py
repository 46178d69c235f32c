"""The layers of Thinker, Talker and code predictor, one conversation at a time (no batch dimension).

Source: reference classes Qwen3OmniMoeThinkerTextModel, Qwen3OmniMoeTalkerModel and
Qwen3OmniMoeTalkerCodePredictorModel. Shapes: T new positions, S positions in the cache, H hidden size, D head
dimension, Hq/Hkv query and key/value heads.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig
from model.network.cache import KVCache
from model.network.moe import GatedMLP, SparseMLP
from model.network.weights import FusedLinear, Linear


class RMSNorm(nn.Module):
    """Root mean square norm with a weight; statistics in float32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size), requires_grad=False)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight, self.eps)


class Rope:
    """Rotary position embedding; interleaved over time, height and width where the config has mrope sections.

    Source: Qwen3OmniMoeThinkerTextRotaryEmbedding. A plain object, not a module: its table is derived from the config
    and never part of a checkpoint.
    """

    def __init__(self, config: DecoderConfig, device: torch.device) -> None:
        half = config.head_dim // 2
        exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float32) / config.head_dim
        self.inv_freq = (1.0 / config.rope_theta**exponents).to(device)  # [D/2]
        axis = torch.zeros(half, dtype=torch.long)
        if config.mrope_section is not None:
            for number, section in enumerate(config.mrope_section[1:], start=1):
                axis[number : section * 3 : 3] = number
        self.axis = axis.repeat(2).to(device)  # [D]: which of (t, h, w) turns this element
        self.both_halves = self.inv_freq.repeat(2)  # [D]
        self.sign = torch.ones(config.head_dim, device=device)
        self.sign[:half] = -1.0  # the first half gets minus the second times sin
        self.device = device

    def multimodal(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Positions [3, T] (time, height, width; float32) -> cos and signed sin, each [T, 1, D], float32."""
        return self._tables(positions.to(self.device).T[:, self.axis] * self.both_halves)

    def text(self, start: float, count: int) -> tuple[Tensor, Tensor]:
        """The same for `count` consecutive text positions from `start`."""
        positions = torch.arange(count, dtype=torch.float32, device=self.device) + start
        return self._tables(positions.unsqueeze(1) * self.both_halves)

    def _tables(self, angles: Tensor) -> tuple[Tensor, Tensor]:
        return angles.cos().unsqueeze(1), (angles.sin() * self.sign).unsqueeze(1)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turns x [T, heads, D] by the angles of cos and signed sin [T, 1, D]; the halves of x are the two axes."""
    turned = x.float()
    return torch.addcmul(turned * cos, turned.roll(x.shape[-1] // 2, -1), sin).to(x.dtype)


class Attention(nn.Module):
    """Grouped-query attention with q/k norm over the cache."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.q_heads, self.kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        self.qkv = FusedLinear(
            config.hidden_size, config.qkv_sizes, ("q_proj", "k_proj", "v_proj"), bias=config.attention_bias
        )
        self.o_proj = Linear(config.qkv_sizes[0], config.hidden_size, bias=config.attention_bias)
        self.q_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.k_norm = RMSNorm(config.head_dim, config.rms_norm_eps)
        self.qk_weight: Tensor | None = None

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache, layer: int, mask: Tensor | None) -> Tensor:
        """x [T, H], mask [T, S] (True: may look) or None -> [T, H]; appends T positions of `layer` to the cache."""
        n_new = x.shape[0]
        qkv = self.qkv(x).view(n_new, self.q_heads + 2 * self.kv_heads, self.head_dim)
        qk, v = qkv.split((self.q_heads + self.kv_heads, self.kv_heads), dim=1)
        # One norm and one turn for queries and keys: a decode step on a CPU is bound by the number of calls.
        qk = F.rms_norm(qk, (self.head_dim,), None, self.q_norm.eps) * self._norm_weights()
        q, k = rotate(qk, cos, sin).split((self.q_heads, self.kv_heads), dim=1)  # [T, Hq, D], [T, Hkv, D]
        keys, values = cache.append(layer, k, v)  # [Hkv, S, D]
        # The query heads that share a key head become more queries of it: [Hkv, G*T, D].
        groups = self.q_heads // self.kv_heads
        q = q.view(n_new, self.kv_heads, groups, self.head_dim).permute(1, 2, 0, 3)
        q = q.reshape(1, self.kv_heads, groups * n_new, self.head_dim)
        if mask is not None:
            mask = mask.repeat(groups, 1)
        out = F.scaled_dot_product_attention(q, keys.unsqueeze(0), values.unsqueeze(0), attn_mask=mask)
        out = out.view(self.kv_heads, groups, n_new, self.head_dim).permute(2, 0, 1, 3)
        return cast(Tensor, self.o_proj(out.reshape(n_new, self.q_heads * self.head_dim)))

    def _norm_weights(self) -> Tensor:
        """The weights of both norms, a row for each head: [Hq + Hkv, D]. Made at the first call, after loading."""
        if self.qk_weight is None:
            rows = (self.q_norm.weight.expand(self.q_heads, -1), self.k_norm.weight.expand(self.kv_heads, -1))
            self.qk_weight = torch.cat(rows)
        return self.qk_weight


class DecoderLayer(nn.Module):
    """Attention and a dense or sparse MLP, each on a normalised residual branch."""

    def __init__(self, config: DecoderConfig, layer: int) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp: nn.Module = (
            SparseMLP(config) if config.is_sparse(layer) else GatedMLP(config.hidden_size, config.intermediate_size)
        )
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.layer = layer

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, cache: KVCache, mask: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, cache, self.layer, mask)
        return cast(Tensor, x + self.mlp(self.post_attention_layernorm(x)))
