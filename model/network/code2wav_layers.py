"""The layers of Code2Wav: causal, streaming, time-major [time, channels], batch one; and what a stream remembers.

A causal convolution is one matrix product per tap on a contiguous slice, and a transposed convolution is two, without
scattering. Which layer keeps what, and why, stands in `model/code2wav.py`. Parameter names are the published ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from model.checkpoint.config import Code2WavConfig

DILATIONS = (1, 3, 9)  # of the three residual units of a decoder block
KERNEL = 7
_SNAKE_EPSILON = 1e-9
# Up to here a convolution copies its windows; above, the copies cost more than the calls that they save.
_FEW_STEPS = 128


@dataclass
class Code2WavState:
    """Everything a stream remembers. All tensors keep their size; `reset` makes it new again."""

    n_frames: int
    keys: torch.Tensor  # [layers, kv_heads, window, head_dim], ring: frame f at f % window
    values: torch.Tensor  # as keys
    tails: list[torch.Tensor]  # one [padding, channels] per causal convolution: its last inputs
    steps: list[torch.Tensor]  # one [1, channels] per decoder block: the step that still waits for the next one
    n_blocks_primed: int = field(default=0)  # blocks whose `steps` entry is filled; all of them after a few frames

    @torch.inference_mode()
    def reset(self) -> None:
        """Back to the state before the first frame."""
        self.n_frames = 0
        self.n_blocks_primed = 0
        for tensor in (self.keys, self.values, *self.tails, *self.steps):
            tensor.zero_()


class CausalConv(nn.Module):
    """Convolution padded with zeros on the left; [T, in] -> [T, out] given the tail of its earlier inputs."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(in_channels, out_channels, kernel, dilation=dilation)
        self.dilation = dilation
        self.padding = (kernel - 1) * dilation
        self.taps: torch.Tensor | None = None  # [kernel, in, out]

    def pack(self) -> None:
        self.taps = self.conv.weight.detach().permute(2, 1, 0).contiguous()

    def forward(self, x: torch.Tensor, tail: torch.Tensor | None) -> torch.Tensor:
        """`tail` is read and then overwritten with the last `padding` inputs; None for a kernel of one."""
        taps, bias = cast(torch.Tensor, self.taps), cast(torch.Tensor, self.conv.bias)
        if tail is None:
            return torch.addmm(bias, x, taps[0])
        n_steps, n_channels = x.shape
        x = torch.cat((tail, x))  # [padding + T, in]
        tail.copy_(x[n_steps:])
        if n_steps <= _FEW_STEPS:  # one product on copied windows: fewer calls
            windows = x.as_strided((n_steps, KERNEL, n_channels), (n_channels, self.dilation * n_channels, 1))
            return torch.addmm(bias, windows.reshape(n_steps, KERNEL * n_channels), taps.flatten(0, 1))
        y = torch.addmm(bias, x[:n_steps], taps[0])  # one product per tap: no copies
        for tap in range(1, KERNEL):
            start = tap * self.dilation
            y.addmm_(x[start : start + n_steps], taps[tap])
        return y


class Upsampler(nn.Module):
    """Transposed convolution whose kernel equals its stride: every step becomes `factor` steps, no memory."""

    def __init__(self, channels: int, factor: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(channels, channels, factor, stride=factor)
        self.weight: torch.Tensor | None = None  # [in, factor * out]
        self.bias: torch.Tensor | None = None  # [factor * out]

    def pack(self) -> None:
        weight = self.conv.weight.detach()  # [in, out, factor]
        self.weight = weight.permute(0, 2, 1).reshape(weight.shape[0], -1).contiguous()
        self.bias = cast(torch.Tensor, self.conv.bias).detach().repeat(weight.shape[2])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T * factor, C]"""
        y = torch.addmm(cast(torch.Tensor, self.bias), x, cast(torch.Tensor, self.weight))
        return y.view(-1, x.shape[1])


class LookAheadUpsampler(nn.Module):
    """Transposed convolution of kernel 2r, stride r, trimmed by r on both ends; see the module's text."""

    def __init__(self, in_channels: int, out_channels: int, rate: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose1d(in_channels, out_channels, 2 * rate, stride=rate)
        self.rate, self.out_channels = rate, out_channels
        self.this: torch.Tensor | None = None  # [in, rate * out]: what a step adds to its own block
        self.next: torch.Tensor | None = None  # [in, rate * out]: what the following step adds to it
        self.bias: torch.Tensor | None = None  # [rate * out]

    def pack(self) -> None:
        weight = self.conv.weight.detach().permute(0, 2, 1)  # [in, 2 * rate, out]
        self.this = weight[:, self.rate :].reshape(weight.shape[0], -1).contiguous()
        self.next = weight[:, : self.rate].reshape(weight.shape[0], -1).contiguous()
        self.bias = cast(torch.Tensor, self.conv.bias).detach().repeat(self.rate)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[T, in] -> [(T - 1) * rate, out]"""
        y = torch.addmm(cast(torch.Tensor, self.bias), x[:-1], cast(torch.Tensor, self.this))
        y.addmm_(x[1:], cast(torch.Tensor, self.next))
        return y.view(-1, self.out_channels)


class Snake(nn.Module):
    """x + sin²(a x) / b, per channel; a and b are kept as logarithms in the checkpoint."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.alpha = nn.Parameter(torch.zeros(channels))
        self.beta = nn.Parameter(torch.zeros(channels))
        self.frequency: torch.Tensor | None = None
        self.strength: torch.Tensor | None = None

    def pack(self) -> None:
        self.frequency = self.alpha.detach().exp()
        self.strength = 1.0 / (self.beta.detach().exp() + _SNAKE_EPSILON)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]"""
        wave = (x * cast(torch.Tensor, self.frequency)).sin_()
        wave.mul_(wave)
        return torch.addcmul(x, wave, cast(torch.Tensor, self.strength))


class ConvNeXt(nn.Module):
    """Depthwise causal convolution, then an MLP, scaled and added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = DepthwiseConv(channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.pwconv1 = nn.Linear(channels, 4 * channels)
        self.pwconv2 = nn.Linear(4 * channels, channels)
        self.gamma = nn.Parameter(torch.ones(channels))

    def forward(self, x: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]"""
        y = self.pwconv2(F.gelu(self.pwconv1(self.norm(self.dwconv(x, tail)))))
        return torch.addcmul(x, y, self.gamma)


class DepthwiseConv(nn.Module):
    """Causal depthwise convolution of kernel 7."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, channels, KERNEL, groups=channels)
        self.padding = KERNEL - 1
        self.taps: torch.Tensor | None = None  # [kernel, C]

    def pack(self) -> None:
        self.taps = self.conv.weight.detach()[:, 0].t().contiguous()

    def forward(self, x: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]; `tail` is read and overwritten."""
        n_steps, n_channels = x.shape
        x = torch.cat((tail, x))
        tail.copy_(x[n_steps:])
        windows = x.as_strided((n_steps, KERNEL, n_channels), (n_channels, n_channels, 1))
        return (windows * cast(torch.Tensor, self.taps)).sum(1).add_(cast(torch.Tensor, self.conv.bias))


class ResidualUnit(nn.Module):
    """Snake, dilated convolution, snake, pointwise convolution, added."""

    def __init__(self, channels: int, dilation: int) -> None:
        super().__init__()
        self.act1 = Snake(channels)
        self.conv1 = CausalConv(channels, channels, KERNEL, dilation)
        self.act2 = Snake(channels)
        self.conv2 = CausalConv(channels, channels, 1)

    def forward(self, x: torch.Tensor, tail: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]"""
        return cast(torch.Tensor, self.conv2(self.act2(self.conv1(self.act1(x), tail)), None).add_(x))


class DecoderBlock(nn.Module):
    """Snake, upsampling with one step of look-ahead, three residual units."""

    def __init__(self, in_channels: int, out_channels: int, rate: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(
            [
                Snake(in_channels),
                LookAheadUpsampler(in_channels, out_channels, rate),
                *(ResidualUnit(out_channels, dilation) for dilation in DILATIONS),
            ]
        )

    def forward(self, x: torch.Tensor, step: torch.Tensor, primed: bool, tails: Sequence[torch.Tensor]) -> torch.Tensor:
        """[T, in] -> [T * rate, out]; one step fewer when not `primed`, that is in the first call. T >= 1."""
        x = self.block[0](x)
        last = x[-1:]
        if primed:
            x = torch.cat((step, x))
        step.copy_(last)
        x = self.block[1](x)
        for unit, tail in zip(self.block[2:], tails, strict=True):
            x = unit(x, tail)
        return x


class Attention(nn.Module):
    """Causal attention over the last `sliding_window` frames, the frame itself included."""

    def __init__(self, config: Code2WavConfig) -> None:
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = (
            config.num_attention_heads,
            config.num_key_value_heads,
            config.head_dim,
        )
        kv_size, bias = self.n_kv_heads * self.head_dim, config.attention_bias
        self.q_proj = nn.Linear(config.hidden_size, self.n_heads * self.head_dim, bias=bias)
        self.k_proj = nn.Linear(config.hidden_size, kv_size, bias=bias)
        self.v_proj = nn.Linear(config.hidden_size, kv_size, bias=bias)
        self.o_proj = nn.Linear(self.n_heads * self.head_dim, config.hidden_size, bias=bias)
        self.qkv: nn.Linear | None = None

    def pack(self) -> None:
        self.qkv = _fused(self.q_proj, self.k_proj, self.v_proj)

    def forward(
        self,
        x: torch.Tensor,
        rope: tuple[torch.Tensor, torch.Tensor],
        keys: torch.Tensor,
        values: torch.Tensor,
        at: int,
    ) -> torch.Tensor:
        """[T, hidden] -> [T, hidden]; `keys` and `values` [kv_heads, window, head_dim] are the layer's ring."""
        n_new, window = x.shape[0], keys.shape[1]
        qkv = cast(nn.Linear, self.qkv)(x).view(n_new, -1, self.head_dim).transpose(0, 1)  # [H + 2 * H_kv, T, D]
        turned = rotate(qkv[: self.n_heads + self.n_kv_heads], rope)
        query, key, value = turned[: self.n_heads], turned[self.n_heads :], qkv[-self.n_kv_heads :]
        if n_new == 1:  # the ring holds exactly what the frame may see; order does not matter to attention
            slot, n_seen = at % window, min(at + 1, window)
            keys[:, slot] = key[:, 0]
            values[:, slot] = value[:, 0]
            mask = None
            key, value = keys[:, :n_seen], values[:, :n_seen]
        else:
            old = torch.arange(max(at - window + 1, 0), at, device=x.device)
            new = torch.arange(at, at + n_new, device=x.device)
            slots = new[-window:] % window
            seen_keys = torch.cat((keys[:, old % window], key), dim=1)
            seen_values = torch.cat((values[:, old % window], value), dim=1)
            keys[:, slots], values[:, slots] = key[:, -window:], value[:, -window:]
            key, value = seen_keys, seen_values
            age = new[:, None] - torch.cat((old, new))  # [T, old + T]
            mask = (age >= 0) & (age < window)
        y = F.scaled_dot_product_attention(
            query[None], key[None], value[None], mask, enable_gqa=self.n_heads != self.n_kv_heads
        )
        return cast(torch.Tensor, self.o_proj(y[0].transpose(0, 1).reshape(n_new, -1)))


def _fused(*parts: nn.Linear) -> nn.Linear:
    """Several projections of one input as one; the parts give up their weights."""
    weights = torch.cat([part.weight.detach() for part in parts])
    fused = nn.Linear(weights.shape[1], weights.shape[0], bias=parts[0].bias is not None, device="meta")
    fused.weight = nn.Parameter(weights, requires_grad=False)
    if parts[0].bias is not None:
        fused.bias = nn.Parameter(torch.cat([part.bias.detach() for part in parts]), requires_grad=False)
    for part in parts:
        part.weight = nn.Parameter(weights.new_empty(0), requires_grad=False)
    return fused


class Scale(nn.Module):
    """Layer scale: one learnt factor per channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(channels))


class RMSNorm(nn.Module):
    """Root mean square norm; statistics in float32."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]"""
        return F.rms_norm(x, self.weight.shape, self.weight, self.eps)


class GatedMlp(nn.Module):
    """SiLU-gated MLP."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(channels, inner, bias=False)
        self.up_proj = nn.Linear(channels, inner, bias=False)
        self.down_proj = nn.Linear(inner, channels, bias=False)
        self.gate_up: nn.Linear | None = None

    def pack(self) -> None:
        self.gate_up = _fused(self.gate_proj, self.up_proj)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[T, C] -> [T, C]"""
        gate, up = cast(nn.Linear, self.gate_up)(x).chunk(2, dim=-1)
        return cast(torch.Tensor, self.down_proj(F.silu(gate).mul_(up)))


class TransformerLayer(nn.Module):
    """Pre-norm attention and MLP with layer scale."""

    def __init__(self, config: Code2WavConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = GatedMlp(config.hidden_size, config.intermediate_size)
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn_layer_scale = Scale(config.hidden_size)
        self.mlp_layer_scale = Scale(config.hidden_size)

    def forward(
        self,
        x: torch.Tensor,
        rope: tuple[torch.Tensor, torch.Tensor],
        keys: torch.Tensor,
        values: torch.Tensor,
        at: int,
    ) -> torch.Tensor:
        """[T, hidden] -> [T, hidden]"""
        y = self.self_attn(self.input_layernorm(x), rope, keys, values, at)
        x = torch.addcmul(x, y, self.self_attn_layer_scale.scale)
        return torch.addcmul(x, self.mlp(self.post_attention_layernorm(x)), self.mlp_layer_scale.scale)


class Transformer(nn.Module):
    """The layers before the upsampling."""

    def __init__(self, config: Code2WavConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([TransformerLayer(config) for _ in range(config.num_hidden_layers)])
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.head_dim, self.theta = config.head_dim, config.rope_theta
        self.frequencies: torch.Tensor | None = None  # [head_dim / 2], float32

    def pack(self) -> None:
        exponents = torch.arange(0, self.head_dim, 2, dtype=torch.float32) / self.head_dim
        self.frequencies = (1.0 / self.theta**exponents).to(self.norm.weight.device)

    def forward(self, x: torch.Tensor, state: Code2WavState) -> torch.Tensor:
        """[T, hidden] -> [T, hidden], frames `state.n_frames` onwards."""
        at = state.n_frames
        positions = torch.arange(at, at + x.shape[0], dtype=torch.float32, device=x.device)
        angles = torch.outer(positions, cast(torch.Tensor, self.frequencies))  # [T, head_dim / 2]
        rope = (angles.cos().to(x.dtype), angles.sin().to(x.dtype))
        for number, layer in enumerate(self.layers):
            x = layer(x, rope, state.keys[number], state.values[number], at)
        return cast(torch.Tensor, self.norm(x))


def rotate(x: torch.Tensor, rope: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Rotary positions on [H, T, D], halves convention."""
    cos, sin = rope
    first, second = x.chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
