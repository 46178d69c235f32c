"""One reply: Thinker steps, Talker frames and Code2Wav steps, interleaved.

The Talker needs the first text token to start and one more for every frame. Whose turn it is says `schedule.py`; who
makes text and speech, step by step or in graphs, stands behind `decoding.py`. Speech leaves after the first token.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from model.conversation.decoding import Speaker, Spoken, Ticket, Writer, Written
from model.conversation.events import ReplyDone, ReplyEvent, ReplyStats, SpeechDelta, TextDelta
from model.conversation.schedule import FRAMES_PER_S, Situation, Task, next_work
from model.network.sampling import Sampling
from model.prompts import TEXT_LEAD_FRAMES

if TYPE_CHECKING:
    from model.flash import Flash

SPEECH_RATE_HZ = 24_000
# A runaway voice is stopped this long after its text: speech takes about 3.5 frames a token, never 16.
FRAMES_PER_TOKEN_BOUND = 16
FRAMES_EXTRA_BOUND = 64
# Of a reply that is cut off before its speech is complete, without time-aligned text: how many frames a letter takes.
FRAMES_PER_LETTER = 0.9

Asked = Ticket[Written] | Ticket[Spoken]


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


@dataclass(frozen=True)
class Makers:
    """Who makes text and speech in this reply, and how many pieces of work may be under way at once."""

    writer: Writer
    speaker: Speaker | None
    depth: int


class Reply:
    """The state of one reply while it is made. Owned by the session's thread."""

    def __init__(
        self, flash: Flash, options: ReplyOptions, makers: Makers, spoken: SpokenText, started_s: float
    ) -> None:
        self.options = options
        self.spoken = spoken
        self.makers = makers
        self._detokenizer = flash.tokenizer.detokenizer()
        self._started_s = started_s
        self._first_token_s: float | None = None
        self._first_text_s: float | None = None
        self._first_speech_s: float | None = None
        self._n_asked_tokens = self._n_asked_frames = 0
        self._text_stop: str | None = None  # None while text is being written
        self._speech_stop: str | None = None if makers.speaker is not None else "none"

    @torch.inference_mode()
    def run(self) -> Generator[ReplyEvent, None, None]:
        """Makes the reply, one event at a time."""
        under_way: deque[Asked] = deque()
        while True:
            while len(under_way) < self.makers.depth and (asked := self._ask()) is not None:
                under_way.append(asked)
            if not under_way:
                break
            yield from self._take(under_way.popleft())
        self.spoken.is_complete = True
        yield self._done()

    @property
    def lead_s(self) -> float:
        """Seconds of speech that were made and, played from the first sample on, have not been heard yet."""
        if self._first_speech_s is None:
            return 0.0
        played_s = perf_counter() - self._started_s - self._first_speech_s
        return self.spoken.n_samples / SPEECH_RATE_HZ - played_s

    def _ask(self) -> Asked | None:
        """Asks for the next piece of work; None: nothing is left to ask for."""
        if self._speech_stop is None and self._n_asked_frames >= self._frame_bound():
            self._speech_stop = "length"
        under_way = self._n_asked_frames - self.spoken.n_frames
        work = next_work(
            Situation(
                lead_s=self.lead_s + under_way / FRAMES_PER_S,
                has_spoken=self._first_speech_s is not None,
                n_text_ahead=self._n_asked_tokens - self._n_asked_frames,
                text_open=self._text_stop is None and self._n_asked_tokens < self.options.max_tokens,
                speech_open=self._speech_stop is None,
            )
        )
        if work is None:
            return None
        if work.task is Task.WRITE:
            count = min(work.count, self.options.max_tokens - self._n_asked_tokens)
            self._n_asked_tokens += count
            return self.makers.writer.write(count)
        assert self.makers.speaker is not None
        count = min(work.count, self._frame_bound() - self._n_asked_frames)
        self._n_asked_frames += count
        return self.makers.speaker.speak(count)

    def _take(self, asked: Asked) -> Generator[ReplyEvent, None, None]:
        """What came of a piece of work, as events."""
        result = asked.get()
        if isinstance(result, Written):
            yield from self._write(result)
        elif self._speech_stop in (None, "length"):
            yield from self._speak(result)

    def _write(self, written: Written) -> Generator[TextDelta, None, None]:
        spoken = self.spoken
        if self._text_stop is not None:  # asked for before its end was known
            return
        if written.tokens and self._first_token_s is None:
            self._first_token_s = perf_counter() - self._started_s
        for number in written.tokens:
            frame = len(spoken.tokens) + (TEXT_LEAD_FRAMES if spoken.is_aligned else 0)
            text = self._detokenizer.push(number)
            spoken.text += text
            spoken.tokens.append(number)
            spoken.n_letters.append(len(spoken.text))
            if text:
                if self._first_text_s is None:
                    self._first_text_s = perf_counter() - self._started_s
                yield TextDelta(text, frame)
        self._text_stop = written.stop
        if self._text_stop is not None and not spoken.tokens:
            self._speech_stop = "none"  # nothing to say

    def _speak(self, made: Spoken) -> Generator[SpeechDelta, None, None]:
        spoken = self.spoken
        for samples in made.frames:
            spoken.n_frames += 1
            spoken.n_samples += len(samples)
            if spoken.n_frames == 1:
                spoken.first_samples = len(samples)
            if len(samples):
                if self._first_speech_s is None:
                    self._first_speech_s = perf_counter() - self._started_s
                yield SpeechDelta(samples, spoken.n_frames - 1)
        if made.has_ended:
            self._speech_stop = "end"

    def _frame_bound(self) -> int:
        if self._text_stop is None:
            return self.options.max_frames
        bound = FRAMES_PER_TOKEN_BOUND * len(self.spoken.tokens) + FRAMES_EXTRA_BOUND
        return min(self.options.max_frames, bound)

    def _done(self) -> ReplyDone:
        spoken, makers = self.spoken, self.makers
        stats = ReplyStats(
            n_text_tokens=len(spoken.tokens),
            n_frames=spoken.n_frames,
            n_samples=spoken.n_samples,
            first_text_s=self._first_text_s,
            first_speech_s=self._first_speech_s,
            total_s=perf_counter() - self._started_s,
            thinker_s=makers.writer.seconds,
            talker_s=makers.speaker.seconds if makers.speaker is not None else 0.0,
            code2wav_s=makers.speaker.wave_seconds if makers.speaker is not None else 0.0,
            stop=self._text_stop or "end",
            speech_stop=self._speech_stop or "end",
            first_token_s=self._first_token_s,
        )
        return ReplyDone(spoken.item, spoken.text, stats)
