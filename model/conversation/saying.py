"""A text that is given, spoken exactly: the Thinker reads it and chooses no word of it.

In a vocabulary with time-aligned text (`HOLD_TOKEN`) the voice must be told when each word is due. There the Thinker is
asked one thing at every step: whether to hold. It holds when that is more likely than everything else together; else
the next token of the text follows. The text ends when nothing of it is left and the Thinker would no longer hold.
"""

from __future__ import annotations

import re
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor

from model.conversation.context import Kind, TextRows
from model.conversation.decoding import Done, Ticket, Written
from model.conversation.plain_decoding import TokenSource
from model.prompts import HOLD_TOKEN

if TYPE_CHECKING:
    from model.conversation.context import Context
    from model.flash import Flash

HOLDS_AT_MOST = 25
"""In a row, two seconds: a Thinker that holds on and on in a text that is not its own is not waited for."""

HOLDS_PER_TOKEN_BOUND = 8
"""Of a whole text; speech takes about 3.5 frames a token of published vocabularies, and 1.5 of time-aligned ones."""

STRETCH_LETTERS = 200
"""A sentence that is longer is spoken in several stretches: a voice that goes on too long drifts."""

_SENTENCE = re.compile(r"\S.*?(?:[.!?…。！？]+[\"\'”’)\]]*(?=\s|$)|[。！？]|\n|$)", re.DOTALL)


class DeviceText(Protocol):
    """The text of a reply on the device, as recorded steps read it (`model.graphs.writing.Text`)."""

    tokens: Tensor
    count: Tensor


class ForcedWriter(TokenSource):
    """The Thinker's side of a reply whose text is given."""

    def __init__(
        self,
        flash: Flash,
        context: Context,
        hidden: Tensor,
        ids: tuple[int, ...],
        item: int,
        max_tokens: int,
        text: DeviceText | None = None,
    ) -> None:
        """`hidden` [1, H] is the Thinker's state before the text; `text` takes the tokens for recorded steps."""
        super().__init__()
        self._flash, self._context, self._item = flash, context, item
        self.hidden, self._left, self._max_tokens = hidden, list(ids), max_tokens
        self._hold = flash.tokenizer.id_of(HOLD_TOKEN) if flash.is_time_aligned else None
        self._n_holds = 0
        self._text = text
        self.seconds = 0.0

    @torch.inference_mode()
    def write(self, count: int) -> Ticket[Written]:
        """The next `count` tokens, holds among them; fewer at the end of the text."""
        clock = perf_counter()
        count = min(count, self._max_tokens - len(self.tokens))
        if self._hold is None:
            ids, self._left = self._left[:count], self._left[count:]
            stop = "end" if not self._left else None
            if ids:
                rows = TextRows(self._item, Kind.REPLY, tuple(ids), in_talker=False)
                self.hidden = self._context.prefill([rows])
        else:
            ids, stop = self._aligned(count, self._hold)
        if stop is None and len(self.tokens) + len(ids) >= self._max_tokens:
            stop = "length"
        self._hand_over(ids)
        self.seconds += perf_counter() - clock
        return Done(Written(tuple(ids), stop))

    def _aligned(self, count: int, hold: int) -> tuple[list[int], str | None]:
        ids: list[int] = []
        while len(ids) < count:
            if self._holds(hold):
                number, self._n_holds = hold, self._n_holds + 1
            elif self._left:
                number, self._n_holds = self._left.pop(0), 0
            else:
                return ids, "end"
            ids.append(number)
            self.hidden = self._context.step(torch.tensor([number], device=self._flash.device), self._item)
        return ids, None

    def _holds(self, hold: int) -> bool:
        if self._n_holds >= HOLDS_AT_MOST:
            return False
        logits = self._flash.thinker.logits(self.hidden)[0].float()
        others = torch.cat((logits[:hold], logits[hold + 1 :])).logsumexp(dim=0)
        return bool(logits[hold] > others)  # the one read-back of a step: the loop must know which token follows

    def _hand_over(self, ids: list[int]) -> None:
        new = [torch.tensor([number], device=self._flash.device) for number in ids]
        if self._text is not None and new:
            start = len(self.tokens)
            self._text.tokens[start : start + len(new)] = torch.cat(new)
            self._text.count.add_(len(new))
        self.tokens += new


def stretches_of(text: str) -> list[str]:
    """The parts of a text that are spoken each by itself: sentences, long ones cut at commas or spaces.

    Joined they are the text: each but the first begins with the white space before it.
    """
    parts: list[str] = []
    at = 0
    for match in _SENTENCE.finditer(text):
        parts += _cut(text[at : match.end()])
        at = match.end()
    if at < len(text):
        if parts:
            parts[-1] += text[at:]
        else:
            parts = [text[at:]]
    return parts


def _cut(sentence: str) -> list[str]:
    parts = []
    while len(sentence) > STRETCH_LETTERS:
        place = max(sentence.rfind(mark, 1, STRETCH_LETTERS) + 1 for mark in (", ", "; ", ": "))
        place = place or sentence.rfind(" ", 1, STRETCH_LETTERS)
        if place <= 0:
            place = STRETCH_LETTERS
        parts.append(sentence[:place])
        sentence = sentence[place:]
    return [*parts, sentence]
