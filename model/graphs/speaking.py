"""A whole codec frame: Talker step, codebook 1, the 15 steps of the code predictor, and the sum of the embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from model.graphs.decoder import StaticCache, StaticDecoder, has_kernel, tables
from model.graphs.writing import Text
from model.network.layers import Rope
from model.network.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from model.flash import Flash
    from model.network.cache import KVCache
    from model.network.code_predictor import CodePredictor


class PredictorSteps:
    """All steps of the code predictor for one frame, one after the other; their places in its cache are constants."""

    def __init__(self, predictor: CodePredictor, device: torch.device, dtype: torch.dtype) -> None:
        config = predictor.config
        self._predictor = predictor
        self._decoder = StaticDecoder(predictor.model)
        shape = (config.num_key_value_heads, predictor.n_groups + 1, config.head_dim)
        self._keys = [torch.zeros(shape, device=device, dtype=dtype) for _ in range(config.num_hidden_layers)]
        self._values = [torch.zeros_like(keys) for keys in self._keys]
        rope = Rope(config, device)
        self._first_rope = rope.text(0, 2)
        self._ropes = [rope.text(2 + step, 1) for step in range(predictor.n_groups - 2)]
        groups = config.num_attention_heads // config.num_key_value_heads
        self._first_mask = torch.ones(2, 2, dtype=torch.bool, device=device).tril().repeat(groups, 1)

    def __call__(self, hidden: Tensor, code: Tensor, embedding: Tensor, sampler: Sampler) -> tuple[Tensor, Tensor]:
        """As `CodePredictor.forward`: the frame's codes [G] and the sum of their embeddings [1, H]."""
        predictor, n_groups = self._predictor, self._predictor.n_groups
        codes, total = [code], embedding
        x = self._step(torch.cat((hidden, embedding)), self._first_rope, 0)
        for group in range(n_groups - 1):
            code = sampler(predictor.lm_head[group](x[-1:])[0].float())
            embedding = predictor.model.codec_embedding[group](code)
            codes.append(code)
            total = total + embedding
            if group + 1 < n_groups - 1:
                x = self._step(embedding, self._ropes[group], 2 + group)
        return torch.cat(codes), total

    def _step(self, x: Tensor, rope: tuple[Tensor, Tensor], at: int) -> Tensor:
        end = at + x.shape[0]

        def attend(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            keys, values = self._keys[layer], self._values[layer]
            keys[:, at:end] = k.transpose(0, 1)
            values[:, at:end] = v.transpose(0, 1)
            # Few rows: one launch for all heads, the query heads of a key head as more queries of it.
            n_new, n_heads, dim = q.shape
            grouped = q.view(n_new, keys.shape[0], -1, dim).permute(1, 2, 0, 3).reshape(1, keys.shape[0], -1, dim)
            mask = self._first_mask if n_new > 1 else None
            out = F.scaled_dot_product_attention(grouped, keys[None, :, :end], values[None, :, :end], mask)
            return out.view(keys.shape[0], -1, n_new, dim).permute(2, 0, 1, 3).reshape(n_new, n_heads, dim)

        return self._decoder(x, rope, attend)


class SpeakingBuffers:
    """What the frame steps of all buckets share."""

    def __init__(self, flash: Flash, talker: Sampling, predictor: Sampling, text: Text, room: int) -> None:
        assert flash.config.talker is not None
        assert flash.talker is not None
        assert flash.code_predictor is not None
        device, config = flash.device, flash.config.talker
        self.text = text
        self.generator = torch.Generator(device=device)
        vocabulary = config.text.vocab_size
        self.code_sampler = Sampler(talker, vocabulary, self.generator, suppressed=flash.suppressed)
        self.predictor_sampler = Sampler(predictor, config.code_predictor.vocab_size, self.generator)
        self.sum = torch.zeros(1, config.text.hidden_size, dtype=flash.dtype, device=device)
        self.position = torch.zeros(1, dtype=torch.float32, device=device)
        self.length = torch.zeros(1, dtype=torch.long, device=device)
        self.codes = torch.zeros(room, config.num_code_groups, dtype=torch.long, device=device)
        self.count = torch.zeros(1, dtype=torch.long, device=device)
        self.has_ended = torch.zeros(1, dtype=torch.bool, device=device)
        self.eos = torch.tensor([config.codec_eos_token_id], device=device)
        self.decoder = StaticDecoder(flash.talker.model)
        self.predictor = PredictorSteps(flash.code_predictor, device, flash.dtype)


class SpeakingStep:
    """One frame into `codes[count]`. Frame f reads text token f; after the text its end once, then padding.

    The host must have asked for token f before, unless the text has ended. After the end of speech nothing that counts
    changes any more.
    """

    def __init__(self, flash: Flash, buffers: SpeakingBuffers, cache: KVCache, bucket: int) -> None:
        self._flash, self._buffers = flash, buffers
        assert flash.config.talker is not None
        n_heads = flash.config.talker.text.num_attention_heads
        self._cache = StaticCache(cache, bucket, buffers.length, n_heads, kernel=has_kernel(flash.device))
        self.generators: tuple[torch.Generator, ...] = (buffers.generator,)

    def state(self) -> list[Tensor]:
        work = self._buffers
        drawn = [*work.code_sampler.state(), *work.predictor_sampler.state()]
        return [work.sum, work.position, work.length, work.codes, work.count, work.has_ended, *drawn]

    @torch.inference_mode()
    def run(self) -> None:
        work, talker = self._buffers, self._flash.talker
        assert talker is not None
        rope = tables(self._flash.talker_rope, work.position)
        hidden = work.decoder(work.sum + self._text(), rope, self._cache.attend)
        code = work.code_sampler(talker.logits(hidden)[0])  # [1]
        work.has_ended.logical_or_(code == work.eos)
        codes, total = work.predictor(hidden, code, talker.embed_code(code), work.predictor_sampler)
        work.codes.index_copy_(0, work.count, codes.unsqueeze(0))
        work.sum.copy_(total)
        goes_on = ~work.has_ended
        for counter in (work.count, work.position, work.length):
            counter.add_(goes_on)

    def _text(self) -> Tensor:
        """What the Talker is given to say in this frame: [1, H]."""
        flash, work = self._flash, self._buffers
        assert flash.talker is not None
        assert flash.spoken is not None
        text, frame = work.text, work.count
        place = torch.minimum(frame, text.count - 1).clamp_(min=0)
        token = text.tokens.index_select(0, place)
        row = flash.talker.text_projection(flash.thinker.embed(token))
        after = torch.where(frame == text.count, flash.spoken.eos, flash.spoken.pad)
        return torch.where(frame < text.count, row, after)
