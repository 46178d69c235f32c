"""The causal transformer of Thinker, Talker and code predictor: its layers over a cache, and the final norm.

Source: reference classes Qwen3OmniMoeThinkerTextModel, Qwen3OmniMoeTalkerModel and
Qwen3OmniMoeTalkerCodePredictorModel. Shapes: T new positions, H hidden size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig
from model.network.cache import KVCache
from model.network.cpu_step import CpuStep
from model.network.layers import DecoderLayer, RMSNorm


@dataclass(frozen=True)
class DeepStack:
    """Picture features that are added to the outputs of the first decoder layers."""

    rows: Tensor  # [n] long: which of the T new positions are picture tokens
    features: Tensor  # [layers, n, H]


# (x [1, H], rope, cache, capture): what `Decoder.forward` returns for one row
Step = Callable[[Tensor, tuple[Tensor, Tensor], KVCache, int | None], tuple[Tensor, Tensor | None]]


class Decoder(nn.Module):
    """The layers and the final norm."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config, layer) for layer in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self._cpu_step: CpuStep | None = None
        self.step: Step | None = None  # a faster way for one row, chosen after loading

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        cache: KVCache,
        *,
        deepstack: DeepStack | None = None,
        capture: int | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Runs T new positions x [T, H] and appends them to `cache`.

        `capture` = k also returns the k-th hidden state [T, H] as the reference numbers them: 0 the input, k the
        output of layer k - 1 before DeepStack is added, the last one normalised. Returns (normalised output, captured).
        """
        if self.step is not None and deepstack is None and x.shape[0] == 1:
            return self.step(x, rope, cache, capture)
        if deepstack is None and CpuStep.suits(x):
            self._cpu_step = self._cpu_step or CpuStep(self.layers, self.norm)
            return self._cpu_step(x, rope, cache, capture)
        cos, sin = rope
        mask = cache.mask(x.shape[0])
        captured = x if capture == 0 else None
        for number, layer in enumerate(self.layers):
            x = layer(x, cos, sin, cache, mask)
            if capture == number + 1:
                captured = x
            if deepstack is not None and number < deepstack.features.shape[0]:
                x = x.index_add(0, deepstack.rows, deepstack.features[number])
        cache.advance(x.shape[0])
        x = self.norm(x)
        if capture == len(self.layers):
            captured = x
        return x, captured
