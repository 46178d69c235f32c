"""One reply: Thinker steps, Talker frames and Code2Wav steps, interleaved.

The Talker needs the first text token to start and one more for every frame, so each round of the loop makes one frame
of speech, then one token of text, then moves the Talker on. Speech leaves after the first token.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from model.context import Context
from model.events import ReplyDone, ReplyEvent, ReplyStats, SpeechDelta, TextDelta
from model.prompts import TEXT_LEAD_FRAMES
from model.sampling import Sampler, Sampling

if TYPE_CHECKING:
    from model.code2wav import Code2WavStream
    from model.code_predictor import PredictorWorkspace
    from model.flash import Flash

SPEECH_RATE_HZ = 24_000
# A runaway voice is stopped this long after its text: speech takes about 3.5 frames a token, never 16.
FRAMES_PER_TOKEN_BOUND = 16
FRAMES_EXTRA_BOUND = 64
# Code2Wav reads all its weights at every call. While speech is short its frames go one by one; with this much speech
# made ahead of its playing, this many at a time.
GROUPS_OF_FRAMES = ((1.0, 8), (0.5, 4), (0.25, 2))  # (lead in seconds, frames), longest first
# Of a reply that is cut off before its speech is complete, without time-aligned text: how many frames a letter takes.
FRAMES_PER_LETTER = 0.9


@dataclass
class SpokenText:
    """Which text belongs to which moment of the speech."""

    item: int
    is_aligned: bool
    tokens: list[int] = field(default_factory=list)
    n_letters: list[int] = field(default_factory=list)  # decoded so far, after each token
    n_frames: int = 0
    n_samples: int = 0
    first_samples: int = 0
    is_complete: bool = False  # text and speech reached their ends
    text: str = ""

    def tokens_heard(self, heard_frames: int) -> int:
        """How many tokens were spoken in the first `heard_frames` frames."""
        if not self.n_frames or (self.is_complete and heard_frames >= self.n_frames):
            return len(self.tokens)
        if self.is_aligned:
            # A word is spoken some frames after its token was given; what follows a word is heard with it.
            return max(0, min(len(self.tokens), heard_frames - TEXT_LEAD_FRAMES))
        total_letters = self.n_letters[-1] if self.n_letters else 0
        rate = total_letters / self.n_frames if self.is_complete else 1 / FRAMES_PER_LETTER
        letters = heard_frames * rate
        return sum(1 for end in self.n_letters if end <= letters)


@dataclass(frozen=True)
class ReplyOptions:
    """Limits and chances of one reply."""

    voice: str
    max_tokens: int
    max_frames: int
    speech: bool
    thinker: Sampling
    talker: Sampling
    predictor: Sampling
    seed: int


class Reply:
    """The state of one reply while it is made. Owned by the session's thread."""

    def __init__(
        self,
        flash: Flash,
        context: Context,
        options: ReplyOptions,
        hidden: Tensor,
        spoken: SpokenText,
        started_s: float,
    ) -> None:
        """`hidden` [1, H] is the Thinker's state after the assistant's header."""
        self.flash = flash
        self.context = context
        self.options = options
        self.spoken = spoken
        self._hidden = hidden
        self._generator = flash.generator(options.seed)
        self._thinker_sampler = self._sampler(options.thinker, flash.config.thinker.text.vocab_size)
        self._detokenizer = flash.tokenizer.detokenizer()
        self._started_s = started_s
        self._first_text_s: float | None = None
        self._first_speech_s: float | None = None
        self._thinker_s = self._talker_s = self._code2wav_s = 0.0
        self._codes: list[Tensor] = []  # of frames that are not sound yet, [G] each
        self._text_stop: str | None = None  # None while text is being written
        self._voice = Voice(flash, context, options, self._generator) if options.speech else None

    def _sampler(self, sampling: Sampling, vocab_size: int) -> Sampler:
        return Sampler(sampling, vocab_size, self._generator)

    @torch.inference_mode()
    def run(self) -> Generator[ReplyEvent, None, None]:
        """Makes the reply, one event at a time."""
        token, delta = self._next_token()
        if delta is not None:
            yield delta
        voice = self._voice if token is not None else None
        if voice is not None and token is not None:
            clock = perf_counter()
            voice.start(token)
            self._talker_s += perf_counter() - clock
        while voice is not None:
            if not self._next_frame(voice):
                yield from self._speech(voice)
                break
            if len(self._codes) >= self._group_size():
                yield from self._speech(voice)
            if self._text_stop is None:
                token, delta = self._next_token()
                if delta is not None:
                    yield delta
            else:
                token = None
            clock = perf_counter()
            voice.advance(token)
            self._talker_s += perf_counter() - clock
        while self._text_stop is None:
            _, delta = self._next_token()
            if delta is not None:
                yield delta
        self.spoken.is_complete = True
        yield self._done(voice)

    def _next_token(self) -> tuple[Tensor | None, TextDelta | None]:
        """Draws a token and reads it; (None, None) when the text has ended."""
        clock = perf_counter()
        spoken = self.spoken
        if len(spoken.tokens) >= self.options.max_tokens:
            self._text_stop = "length"
            return None, None
        token = self._thinker_sampler(self.flash.thinker.logits(self._hidden)[0])  # [1]
        number = int(token)  # the one read-back of a step: the loop must know whether to go on
        if number in self.flash.generation.stop_ids:
            self._text_stop = "end"
            self._thinker_s += perf_counter() - clock
            return None, None
        frame = spoken.n_frames + (TEXT_LEAD_FRAMES if spoken.is_aligned else 0)
        text = self._detokenizer.push(number)
        spoken.text += text
        spoken.tokens.append(number)
        spoken.n_letters.append(len(spoken.text))
        self._hidden = self.context.step(token, spoken.item)
        self._thinker_s += perf_counter() - clock
        if text and self._first_text_s is None:
            self._first_text_s = perf_counter() - self._started_s
        return token, TextDelta(text, frame) if text else None

    def _next_frame(self, voice: Voice) -> bool:
        """Makes the codes of a frame; False at the end of speech."""
        clock = perf_counter()
        codes = voice.frame(self._frame_bound())
        self._talker_s += perf_counter() - clock
        if codes is None:
            return False
        self._codes.append(codes)
        self.spoken.n_frames += 1
        return True

    def _group_size(self) -> int:
        """How many frames to turn into sound at once, by how far speech is ahead of being played."""
        if self._first_speech_s is None:
            return 1
        played_s = perf_counter() - self._started_s - self._first_speech_s
        lead_s = self.spoken.n_samples / SPEECH_RATE_HZ - played_s
        return next((size for least_s, size in GROUPS_OF_FRAMES if lead_s >= least_s), 1)

    def _speech(self, voice: Voice) -> Generator[SpeechDelta, None, None]:
        """The sound of the frames whose codes are waiting, frame by frame."""
        if not self._codes:
            return
        clock = perf_counter()
        samples = voice.waves.push(torch.stack(self._codes)).cpu().numpy()
        self._code2wav_s += perf_counter() - clock
        spoken, count = self.spoken, len(self._codes)
        self._codes.clear()
        spoken.n_samples += len(samples)
        if spoken.n_frames == 1:
            spoken.first_samples = len(samples)
        if self._first_speech_s is None and len(samples):
            self._first_speech_s = perf_counter() - self._started_s
        for number, part in enumerate(np.array_split(samples, count)):
            if len(part):
                yield SpeechDelta(part, spoken.n_frames - count + number)

    def _frame_bound(self) -> int:
        if self._text_stop is None:
            return self.options.max_frames
        bound = FRAMES_PER_TOKEN_BOUND * len(self.spoken.tokens) + FRAMES_EXTRA_BOUND
        return min(self.options.max_frames, bound)

    def _done(self, voice: Voice | None) -> ReplyDone:
        spoken = self.spoken
        stats = ReplyStats(
            n_text_tokens=len(spoken.tokens),
            n_frames=spoken.n_frames,
            n_samples=spoken.n_samples,
            first_text_s=self._first_text_s,
            first_speech_s=self._first_speech_s,
            total_s=perf_counter() - self._started_s,
            thinker_s=self._thinker_s,
            talker_s=self._talker_s,
            code2wav_s=self._code2wav_s,
            stop=self._text_stop or "end",
            speech_stop="none" if voice is None else "end" if voice.has_ended else "length",
        )
        return ReplyDone(spoken.item, spoken.text, stats)


class Voice:
    """The Talker's side of a reply: its prompt, its frames and the text that it is given."""

    def __init__(self, flash: Flash, context: Context, options: ReplyOptions, generator: torch.Generator) -> None:
        talker, predictor, code2wav = flash.talker, flash.code_predictor, flash.code2wav
        config, constants = flash.config.talker, flash.spoken
        assert talker is not None
        assert predictor is not None
        assert code2wav is not None
        assert config is not None
        assert constants is not None
        self.flash, self.talker, self.predictor, self.constants = flash, talker, predictor, constants
        self.cache = context.talker_cache
        self.position = context.talker_position
        self.eos = config.codec_eos_token_id
        self.code_sampler = Sampler(options.talker, config.text.vocab_size, generator, suppressed=flash.suppressed)
        self.predictor_sampler = Sampler(options.predictor, config.code_predictor.vocab_size, generator)
        self.work: PredictorWorkspace = flash.new_workspace()
        self.waves: Code2WavStream = code2wav.stream()
        self.n_frames = 0
        self.has_ended = False
        self._told_eos = False
        self._sum: Tensor | None = None
        prompt = constants.prompt(flash, options.voice)
        self._hidden = self._read(prompt)

    def _read(self, rows: Tensor) -> Tensor:
        """Rows [n, H] -> the hidden state of the last one [1, H]."""
        count = rows.shape[0]
        hidden = self.talker(rows, self.flash.talker_rope.text(self.position, count), self.cache)
        self.position += count
        last: Tensor = hidden[-1:]
        return last

    def _text(self, token: Tensor) -> Tensor:
        out: Tensor = self.talker.text_projection(self.flash.thinker.embed(token))
        return out

    def start(self, token: Tensor) -> None:
        """Reads the first text token [1]."""
        self._hidden = self._read(self._text(token) + self.constants.codec_bos)

    def frame(self, bound: int) -> Tensor | None:
        """The codes of the next frame [G], or None at the end of speech or of what `bound` allows."""
        if self.n_frames >= bound:
            return None
        code = self.code_sampler(self.talker.logits(self._hidden)[0])  # [1]
        if int(code) == self.eos:  # the one read-back of a frame
            self.has_ended = True
            return None
        embedding = self.talker.embed_code(code)
        codes: Tensor
        codes, self._sum = self.predictor(self._hidden, code, embedding, self.predictor_sampler, self.work)
        self.n_frames += 1
        return codes

    def advance(self, token: Tensor | None) -> None:
        """Reads the frame's codes with the next text token; without one, the end of text once, then padding."""
        if token is not None:
            text = self._text(token)
        elif not self._told_eos:
            text, self._told_eos = self.constants.eos, True
        else:
            text = self.constants.pad
        assert self._sum is not None
        self._hidden = self._read(self._sum + text)
