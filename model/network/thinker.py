"""The Thinker: the text decoder that reads words, sound and pictures and writes the reply.

Source: Qwen3OmniMoeThinkerForConditionalGeneration without its encoders (`audio_encoder.py`, `vision_encoder.py`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig
from model.network.cache import KVCache
from model.network.decoder import Decoder, DeepStack
from model.network.layers import Rope
from model.network.weights import Embedding, Linear


@dataclass(frozen=True)
class ThinkerOutput:
    """Of T new positions: what comes out of the decoder, and what the Talker wants to know."""

    hidden: Tensor  # [T, H], normalised
    accepted: Tensor | None  # [T, H]: the hidden state after the layer that the Talker listens to


class ThinkerModel(Decoder):
    """Embedding and decoder, under their published names."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.embed_tokens = Embedding(config.vocab_size, config.hidden_size)


class Thinker(nn.Module):
    """Embedding, decoder and head."""

    def __init__(self, config: DecoderConfig, accept_hidden_layer: int | None) -> None:
        super().__init__()
        self.config = config
        self.accept_hidden_layer = accept_hidden_layer
        self.model = ThinkerModel(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size, bias=False)

    def embed(self, ids: Tensor) -> Tensor:
        """Token ids [T] -> [T, H]."""
        out: Tensor = self.model.embed_tokens(ids)
        return out

    def forward(
        self,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        cache: KVCache,
        deepstack: DeepStack | None = None,
        *,
        capture: bool = True,
    ) -> ThinkerOutput:
        """Reads T new positions x [T, H]; `capture` keeps the hidden state for the Talker."""
        layer = self.accept_hidden_layer if capture else None
        hidden, accepted = self.model(x, rope, cache, deepstack=deepstack, capture=layer)
        return ThinkerOutput(hidden, accepted)

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden [T, H] -> logits [T, V], float32."""
        out: Tensor = self.lm_head(hidden)
        return out.float()

    def new_rope(self, device: torch.device) -> Rope:
        """Its position embedding."""
        return Rope(self.config, device)
