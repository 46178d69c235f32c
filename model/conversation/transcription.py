"""A side question about what the user said, answered from a fork of the cache, a few tokens at a time."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import torch

from model.network.sampling import GREEDY, Sampler
from model.prompts import TRANSCRIBE_PROMPT

if TYPE_CHECKING:
    from model.conversation.context import Context, Mark
    from model.flash import Flash


class Transcription:
    """The words of the user's turn that ends at `mark`. Owned by the session's thread.

    The fork is open from the first step until `step` gives the words or `close` gives them up; the conversation must be
    left alone meanwhile.
    """

    def __init__(self, flash: Flash, context: Context, mark: Mark, max_tokens: int) -> None:
        self._flash, self._context = flash, context
        self._fork = ExitStack()
        self._tokens: list[int] = []
        self._sampler = Sampler(GREEDY, flash.config.thinker.text.vocab_size, flash.generator(0))
        chat, cache = flash.chat, context.thinker_cache
        ids = [number for part in mark.pending for number in part.ids]
        ids += [*flash.encode_text(TRANSCRIBE_PROMPT), *chat.turn_end, *chat.assistant_header]
        if flash.has_fixed_caches:
            max_tokens = min(max_tokens, cache.capacity - cache.length - len(ids))
        self._max_tokens = max_tokens
        self._position = mark.thinker_position + sum(part.jump for part in mark.pending)
        self._fork.enter_context(cache.fork(context.rows_before(mark.n_pieces)))
        self._hidden = self._read(ids)

    @torch.inference_mode()
    def step(self, n_tokens: int) -> str | None:
        """Up to `n_tokens` more; the words when they are complete, then the fork is closed."""
        flash = self._flash
        for _ in range(n_tokens):
            if len(self._tokens) >= self._max_tokens:
                break
            number = int(self._sampler(flash.thinker.logits(self._hidden)[0]))
            if number in flash.generation.stop_ids:
                break
            self._tokens.append(number)
            self._hidden = self._read([number])
        else:
            return None
        self.close()
        return flash.tokenizer.decode(self._tokens).strip()

    def close(self) -> None:
        """Forgets the fork. May be called twice."""
        self._fork.close()

    @torch.inference_mode()
    def _read(self, ids: list[int]) -> torch.Tensor:
        """The hidden state [1, H] behind these tokens."""
        flash = self._flash
        x = flash.thinker.embed(torch.tensor(ids, device=flash.device))
        rope = flash.thinker_rope.text(self._position, len(ids))
        self._position += len(ids)
        hidden: torch.Tensor = flash.thinker(x, rope, self._context.thinker_cache, capture=False).hidden[-1:]
        return hidden
