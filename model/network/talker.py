"""The Talker: from the Thinker's words and hidden states to codes of speech, frame by frame.

Source: Qwen3OmniMoeTalkerForConditionalGeneration; arXiv 2509.17765, section 2.3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig, TalkerConfig
from model.network.cache import KVCache
from model.network.decoder import Decoder
from model.network.weights import Embedding, Linear


class ResizeMLP(nn.Module):
    """fc2(silu(fc1(x))): from the Thinker's size to the Talker's."""

    def __init__(self, in_size: int, intermediate: int, out_size: int) -> None:
        super().__init__()
        self.linear_fc1 = Linear(in_size, intermediate)
        self.linear_fc2 = Linear(intermediate, out_size)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear_fc2(F.silu(self.linear_fc1(x)))
        return out


class TalkerModel(Decoder):
    """Codec embedding and decoder, under their published names."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.codec_embedding = Embedding(config.vocab_size, config.hidden_size)


class Talker(nn.Module):
    """Projections, decoder and the head of the first codebook."""

    def __init__(self, config: TalkerConfig) -> None:
        super().__init__()
        self.config = config
        text = config.text
        self.text_projection = ResizeMLP(config.thinker_hidden_size, text.intermediate_size, text.hidden_size)
        self.hidden_projection = ResizeMLP(config.thinker_hidden_size, text.intermediate_size, text.hidden_size)
        self.model = TalkerModel(text)
        self.codec_head = Linear(text.hidden_size, text.vocab_size, bias=False)

    def forward(self, x: Tensor, rope: tuple[Tensor, Tensor], cache: KVCache) -> Tensor:
        """Reads T new rows x [T, H] and returns their hidden states [T, H], normalised."""
        hidden, _ = self.model(x, rope, cache)
        out: Tensor = hidden
        return out

    def embed_code(self, code: Tensor) -> Tensor:
        """Codes of the first codebook or control tokens [n] -> [n, H]."""
        out: Tensor = self.model.codec_embedding(code)
        return out

    def logits(self, hidden: Tensor) -> Tensor:
        """Hidden [T, H] -> logits over the first codebook and the control tokens [T, V], float32."""
        out: Tensor = self.codec_head(hidden)
        return out.float()
