"""The code predictor (MTP): codebooks 2..G of a frame, one after the other, from the Talker's state and codebook 1.

Source: Qwen3OmniMoeTalkerCodePredictorModelForConditionalGeneration and the loop around it in the Talker's
prepare_inputs_for_generation. G codebooks, H hidden size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from model.checkpoint.config import DecoderConfig
from model.network.cache import KVCache
from model.network.decoder import Decoder
from model.network.layers import Rope
from model.network.sampling import Sampler
from model.network.weights import Embedding, Linear


class CodePredictorModel(Decoder):
    """A small dense decoder with one embedding table for each codebook but the first."""

    def __init__(self, config: DecoderConfig, num_code_groups: int) -> None:
        super().__init__(config)
        self.codec_embedding = nn.ModuleList(
            Embedding(config.vocab_size, config.hidden_size) for _ in range(num_code_groups - 1)
        )


class CodePredictor(nn.Module):
    """Predicts the remaining codes of one frame; keeps nothing between frames."""

    def __init__(self, config: DecoderConfig, num_code_groups: int) -> None:
        super().__init__()
        self.config = config
        self.n_groups = num_code_groups
        self.model = CodePredictorModel(config, num_code_groups)
        self.lm_head = nn.ModuleList(
            Linear(config.hidden_size, config.vocab_size, bias=False) for _ in range(num_code_groups - 1)
        )

    def new_workspace(self, device: torch.device, dtype: torch.dtype) -> PredictorWorkspace:
        """Cache and position tables for one session."""
        return PredictorWorkspace(self, device, dtype)

    def forward(
        self, hidden: Tensor, first_code: Tensor, first_embedding: Tensor, sampler: Sampler, work: PredictorWorkspace
    ) -> tuple[Tensor, Tensor]:
        """Talker hidden state [1, H], codebook 1 [1] and its embedding [1, H].

        Returns the frame's codes [G] and the sum of all their embeddings [1, H]. Nothing is read back to the host.
        """
        cache = work.cache
        cache.truncate(0)
        codes = [first_code]
        total = first_embedding
        x, _ = self.model(torch.cat((hidden, first_embedding)), work.first_rope, cache)
        for group in range(self.n_groups - 1):
            code = sampler(self.lm_head[group](x[-1:])[0].float())  # [1]
            embedding = self.model.codec_embedding[group](code)
            codes.append(code)
            total = total + embedding
            if group + 1 < self.n_groups - 1:
                x, _ = self.model(embedding, work.step_ropes[group], cache)
        return torch.cat(codes), total


class PredictorWorkspace:
    """What one session needs to run the predictor: a cache of G + 1 positions and their angles."""

    def __init__(self, predictor: CodePredictor, device: torch.device, dtype: torch.dtype) -> None:
        config = predictor.config
        self.cache = FixedCache(config, device=device, dtype=dtype, capacity=predictor.n_groups + 1)
        rope = Rope(config, device)
        self.first_rope = rope.text(0, 2)
        self.step_ropes = [rope.text(2 + step, 1) for step in range(predictor.n_groups - 2)]


class FixedCache(KVCache):
    """A short cache that never grows and is filled anew all the time; every view of it is made once."""

    def __init__(self, config: DecoderConfig, *, device: torch.device, dtype: torch.dtype, capacity: int) -> None:
        super().__init__(config, device=device, dtype=dtype, capacity=capacity)
        buffers = list(zip(self.keys, self.values, strict=True))
        self._rows = [[(keys[:, row], values[:, row]) for row in range(capacity)] for keys, values in buffers]
        self._seen = [[(keys[:, :end], values[:, :end]) for end in range(capacity + 1)] for keys, values in buffers]

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """As in KVCache; raises IndexError beyond the capacity."""
        if k.shape[0] != 1:
            return super().append(layer, k, v)
        keys, values = self._rows[layer][self.length]
        keys.copy_(k[0])
        values.copy_(v[0])
        return self._seen[layer][self.length + 1]

    def reserve(self, length: int) -> None:
        """Raises IndexError when there is no room."""
        if length > self.capacity:
            raise IndexError(f"{length} positions do not fit into a fixed cache of {self.capacity}")
