"""Writing and speaking step by step: the plain twin of `model.graphs`, and what runs on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model.conversation.decoding import Done, Spoken, Ticket, Written
from model.network.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from model.conversation.context import Context
    from model.flash import Flash
    from model.network.code2wav import Code2WavStream
    from model.network.code_predictor import PredictorWorkspace


class TokenSource:
    """The tokens of a reply so far, as a plain speaker reads them. `spoken_end`: from there on none is spoken."""

    def __init__(self) -> None:
        self.tokens: list[Tensor] = []  # [1] each, on the device
        self.spoken_end: int | None = None

    def mute_from(self, count: int) -> None:
        """What comes after the first `count` tokens is not spoken (it is a tool call)."""
        self.spoken_end = count

    @property
    def n_spoken(self) -> int:
        """How many tokens there are to speak."""
        return len(self.tokens) if self.spoken_end is None else min(len(self.tokens), self.spoken_end)


class PlainWriter(TokenSource):
    """The Thinker's side of one reply."""

    def __init__(
        self, flash: Flash, context: Context, sampling: Sampling, hidden: Tensor, seed: int, max_tokens: int, item: int
    ) -> None:
        """`hidden` [1, H] is the Thinker's state after the assistant's header."""
        super().__init__()
        self._flash, self._context = flash, context
        self._hidden, self._max_tokens, self._item = hidden, max_tokens, item
        self._sampler = Sampler(sampling, flash.config.thinker.text.vocab_size, flash.generator(seed))
        self.seconds = 0.0

    def write(self, count: int) -> Ticket[Written]:
        """Draws and reads up to `count` tokens."""
        clock = perf_counter()
        numbers: list[int] = []
        stop: str | None = None
        while stop is None and len(numbers) < count:
            token = self._sampler(self._flash.thinker.logits(self._hidden)[0])  # [1]
            number = int(token)  # the one read-back of a step: the loop must know whether to go on
            if number in self._flash.generation.stop_ids:
                stop = "end"
                break
            numbers.append(number)
            self.tokens.append(token)
            self._hidden = self._context.step(token, self._item)
            if len(self.tokens) >= self._max_tokens:
                stop = "length"
        self.seconds += perf_counter() - clock
        return Done(Written(tuple(numbers), stop))


class PlainSpeaker:
    """The Talker's side of one reply: its prompt, its frames, their sound, and the text that it is given."""

    def __init__(
        self, flash: Flash, context: Context, writer: TokenSource, voice: str, talker: Sampling, predictor: Sampling,
        seed: int,
    ) -> None:  # fmt: skip
        assert flash.config.talker is not None
        assert flash.talker is not None
        assert flash.code_predictor is not None
        assert flash.code2wav is not None
        assert flash.spoken is not None
        config, generator = flash.config.talker, flash.generator(seed)
        self._flash, self._talker, self._predictor, self._rows = flash, flash.talker, flash.code_predictor, flash.spoken
        self._writer, self._cache, self._position = writer, context.talker_cache, context.talker_position
        self._eos = config.codec_eos_token_id
        self._code_sampler = Sampler(talker, config.text.vocab_size, generator, suppressed=flash.suppressed)
        self._predictor_sampler = Sampler(predictor, config.code_predictor.vocab_size, generator)
        self._work: PredictorWorkspace = flash.new_workspace()
        self.waves: Code2WavStream = flash.code2wav.stream()
        self._n_frames = 0
        self._sum = self._rows.codec_bos  # what the next frame is made from, beside its text
        self.seconds = self.wave_seconds = 0.0
        clock = perf_counter()
        self._read(flash.voice_prompt(voice))
        self.seconds += perf_counter() - clock

    def speak(self, count: int) -> Ticket[Spoken]:
        """Makes up to `count` frames and their sound."""
        clock = perf_counter()
        codes: list[Tensor] = []
        has_ended = False
        while not has_ended and len(codes) < count:
            frame = self._frame()
            has_ended = frame is None
            if frame is not None:
                codes.append(frame)
        made = perf_counter()
        self.seconds += made - clock
        if not codes:
            return Done(Spoken((), has_ended))
        # Frames at once are cheaper than one by one: Code2Wav reads all its weights at every call.
        samples = self.waves.push(torch.stack(codes)).cpu().numpy()
        self.wave_seconds += perf_counter() - made
        return Done(Spoken(tuple(self._split(samples, len(codes))), has_ended))

    def calls(self) -> tuple[Callable[[], object], Callable[[], object]]:
        """One frame without its sound, and the sound of one frame, to be timed."""
        codes = torch.zeros(1, self._predictor.n_groups, dtype=torch.long, device=self._flash.device)
        return self._frame, lambda: self.waves.push(codes)

    def _split(self, samples: np.ndarray, count: int) -> list[np.ndarray]:
        """Frame by frame; only a stream's first frames are shorter."""
        assert self._flash.config.code2wav is not None
        size = self._flash.config.code2wav.samples_per_frame
        ends = [max(0, len(samples) - size * later) for later in reversed(range(count))]
        return np.split(samples, ends[:-1])

    def _frame(self) -> Tensor | None:
        """The codes of the next frame [G], or None at the end of speech."""
        hidden = self._read(self._sum + self._text())
        code = self._code_sampler(self._talker.logits(hidden)[0])  # [1]
        if int(code) == self._eos:  # the one read-back of a frame
            return None
        embedding = self._talker.embed_code(code)
        codes: Tensor
        codes, self._sum = self._predictor(hidden, code, embedding, self._predictor_sampler, self._work)
        self._n_frames += 1
        return codes

    def _text(self) -> Tensor:
        """What this frame is given to say [1, H]: its token, or the end of text once, then padding."""
        writer = self._writer
        if self._n_frames < writer.n_spoken:
            token = writer.tokens[self._n_frames]
            row: Tensor = self._talker.text_projection(self._flash.thinker.embed(token))
            return row
        return self._rows.eos if self._n_frames == writer.n_spoken else self._rows.pad

    def _read(self, rows: Tensor) -> Tensor:
        """Rows [n, H] -> the hidden state of the last one [1, H]."""
        count = rows.shape[0]
        hidden = self._talker(rows, self._flash.talker_rope.text(self._position, count), self._cache)
        self._position += count
        last: Tensor = hidden[-1:]
        return last
