"""The Talker: from the Thinker's words and hidden states to codes of speech, frame by frame.

Source: Qwen3OmniMoeTalkerForConditionalGeneration; arXiv 2509.17765, section 2.3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from model.cache import KVCache
from model.config import TalkerConfig
from model.layers import Decoder
from model.weights import Embedding, Linear


class ResizeMLP(nn.Module):
    """fc2(silu(fc1(x))): from the Thinker's size to the Talker's."""

    def __init__(self, in_size: int, intermediate: int, out_size: int) -> None:
        super().__init__()
        self.linear_fc1 = Linear(in_size, intermediate)
        self.linear_fc2 = Linear(intermediate, out_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_fc2(F.silu(self.linear_fc1(x)))
        return out


class Talker(nn.Module):
    """Projections, decoder and the head of the first codebook."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        self.config = config
        text = config.text
        self.text_projection = ResizeMLP(config.thinker_hidden_size, text.intermediate_size, text.hidden_size)
        self.hidden_projection = ResizeMLP(config.thinker_hidden_size, text.intermediate_size, text.hidden_size)
        self.codec_embedding = Embedding(text.vocab_size, text.hidden_size)
        self.decoder = Decoder(text)
        self.codec_head = Linear(text.hidden_size, text.vocab_size, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache) -> Tensor:
        """Reads T new rows x [T, H] and returns their hidden states [T, H], normalised."""
        hidden, _ = self.decoder(x, rope, cache)
        out: Tensor = hidden
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden [T, H] -> logits over the first codebook and the control tokens [T, V], float32."""
        out: Tensor = self.codec_head(hidden)
        return out.float()
