"""The Thinker's step: one token of text, drawn, tested for the end and read, all on the device."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from model.graphs.decoder import StaticCache, StaticDecoder, has_kernel, tables
from model.network.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from model.flash import Flash
    from model.network.cache import KVCache


class Text:
    """The tokens of one reply on the device; written by the Thinker's step, read by the Talker's."""

    def __init__(self, room: int, device: torch.device) -> None:
        self.tokens = torch.zeros(room, dtype=torch.long, device=device)
        self.count = torch.zeros(1, dtype=torch.long, device=device)
        self.has_ended = torch.zeros(1, dtype=torch.bool, device=device)

    def state(self) -> list[Tensor]:
        return [self.tokens, self.count, self.has_ended]

    def reset(self) -> None:
        self.count.zero_()
        self.has_ended.zero_()


class WritingBuffers:
    """What the steps of all buckets share."""

    def __init__(self, flash: Flash, sampling: Sampling, room: int) -> None:
        device, text = flash.device, flash.config.thinker.text
        self.text = Text(room, device)
        self.generator = torch.Generator(device=device)
        self.sampler = Sampler(sampling, text.vocab_size, self.generator)
        self.stop_ids = torch.tensor(sorted(flash.generation.stop_ids), device=device)
        self.hidden = torch.zeros(1, text.hidden_size, dtype=flash.dtype, device=device)
        self.position = torch.zeros(1, dtype=torch.float32, device=device)
        self.length = torch.zeros(1, dtype=torch.long, device=device)
        self.decoder = StaticDecoder(flash.thinker.model)


class WritingStep:
    """One token. With `text.has_ended` it changes nothing that counts, so the host may ask for more than there is."""

    def __init__(self, flash: Flash, buffers: WritingBuffers, cache: KVCache, bucket: int) -> None:
        self._flash, self._buffers = flash, buffers
        n_heads = flash.config.thinker.text.num_attention_heads
        self._cache = StaticCache(cache, bucket, buffers.length, n_heads, kernel=has_kernel(flash.device))
        self.generators: tuple[torch.Generator, ...] = (buffers.generator,)

    def state(self) -> list[Tensor]:
        work = self._buffers
        return [work.hidden, work.position, work.length, *work.text.state(), *work.sampler.state()]

    @torch.inference_mode()
    def run(self) -> None:
        work, flash = self._buffers, self._flash
        text = work.text
        token = work.sampler(flash.thinker.logits(work.hidden)[0])  # [1]
        text.has_ended.logical_or_((token == work.stop_ids).any(dim=0, keepdim=True))
        text.tokens.index_copy_(0, text.count, token)
        goes_on = ~text.has_ended
        text.count.add_(goes_on)
        rope = tables(flash.thinker_rope, work.position)
        hidden = work.decoder(flash.thinker.embed(token), rope, self._cache.attend)
        work.hidden.copy_(hidden)
        work.position.add_(goes_on)
        work.length.add_(goes_on)
