"""One reply: Thinker steps, Talker frames and Code2Wav steps, interleaved.

The Talker needs the first text token to start and one more for every frame. Whose turn it is says `schedule.py`; who
makes text and speech, step by step or in graphs, stands behind `decoding.py`. Speech leaves after the first token.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from math import ceil
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch

from model.conversation.calls import Call, CallFinder, Prose
from model.conversation.decoding import Speaker, Spoken, Ticket, Writer, Written
from model.conversation.events import CallMade, ReplyDone, ReplyEvent, ReplyStats, SpeechDelta, TextDelta
from model.conversation.pacing import OPEN_SENTENCE_S, SENTENCE_TOKENS, Pacer, sentence_ends
from model.conversation.schedule import FRAMES_PER_S, Situation, Task, next_work
from model.network.sampling import Sampling
from model.prompts import TEXT_LEAD_FRAMES

if TYPE_CHECKING:
    from model.flash import Flash

SPEECH_RATE_HZ = 24_000
# A runaway voice is stopped this long after its text: speech takes about 3.5 frames a token, never 16.
FRAMES_PER_TOKEN_BOUND = 16
FRAMES_EXTRA_BOUND = 64
# A voice that has said all its text and is silent for this long has missed its end: it would be silent up to the bound.
# Pauses between sentences come before that, and a quieter frame than this one (RMS) cannot be heard.
SILENT_FRAMES = 12
SILENT_RMS = 10 ** (-50 / 20)
# Of a reply that is cut off before its speech is complete, without time-aligned text: how many frames a letter takes.
FRAMES_PER_LETTER = 0.9

Asked = Ticket[Written] | Ticket[Spoken]


@dataclass(frozen=True)
class Stretch:
    """A part of a reply that the voice begins anew: what had been written and spoken before it."""

    n_tokens: int
    n_frames: int


@dataclass
class SpokenText:
    """Which text belongs to which moment of the speech.

    With time-aligned text (a vocabulary with `HOLD_TOKEN`) token i is given to the Talker at frame i and spoken
    `TEXT_LEAD_FRAMES` later, so what was heard is the tokens of the frames that were begun, minus the lead. Without it,
    the cut is in proportion to the letters: of the whole speech if it is complete, else at 0.9 frames a letter. When
    nothing of the text was heard, the reply never existed. If windows of the next turn have been read already, the
    unheard rows are cut out of the caches and later rows stay as they are (not exact: they have seen what is gone).
    """

    item: int
    is_aligned: bool
    samples_per_frame: int = 1920
    tokens: list[int] = field(default_factory=list)
    n_letters: list[int] = field(default_factory=list)  # decoded so far, after each token
    n_frames: int = 0
    n_samples: int = 0
    first_samples: int = 0
    is_complete: bool = False  # text and speech reached their ends
    text: str = ""
    has_calls: bool = False  # tools were offered: the text may hold calls
    stretches: list[Stretch] = field(default_factory=lambda: [Stretch(0, 0)])

    def begin_stretch(self) -> None:
        """The voice begins anew here: later tokens and frames are counted together from here on."""
        self.stretches.append(Stretch(len(self.tokens), self.n_frames))

    def frame_of(self, n_letters: int) -> float:
        """The frame at which so many letters of the text have been spoken, about."""
        if not self.is_aligned:
            return n_letters * FRAMES_PER_LETTER
        token = bisect_left(self.n_letters, n_letters)
        begun = self.stretches[-1]
        return begun.n_frames + token - begun.n_tokens + TEXT_LEAD_FRAMES

    def letters_heard(self, heard_ms: float) -> int:
        """How many letters of the text were spoken in the first `heard_ms` of the speech."""
        n_tokens = self.tokens_heard(self.frames_heard(heard_ms)) if heard_ms else 0
        return self.n_letters[n_tokens - 1] if n_tokens else 0

    def frames_heard(self, heard_ms: float) -> int:
        """Codec frames begun within the first `heard_ms` of the speech."""
        if not self.n_frames:
            return 0
        missing = self.samples_per_frame - self.first_samples  # the first frame is shorter
        samples = heard_ms * SPEECH_RATE_HZ / 1000
        return min(self.n_frames, ceil((samples + missing) / self.samples_per_frame))

    def tokens_heard(self, heard_frames: int) -> int:
        """How many tokens were spoken in the first `heard_frames` frames."""
        if not self.n_frames or (self.is_complete and heard_frames >= self.n_frames):
            return len(self.tokens)
        if self.is_aligned:
            # A word is spoken some frames after its token was given; what follows a word is heard with it.
            begun = max((part for part in self.stretches if part.n_frames <= heard_frames), key=lambda p: p.n_tokens)
            within = heard_frames - begun.n_frames - TEXT_LEAD_FRAMES
            next_ones = (part.n_tokens for part in self.stretches if part.n_tokens > begun.n_tokens)
            return min(max(begun.n_tokens, begun.n_tokens + within), next(next_ones, len(self.tokens)))
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
    finds_calls: bool = False  # tools are offered: calls are taken out of the text and not spoken
    opening: str = ""  # what the reply begins with, written already


@dataclass(frozen=True)
class Makers:
    """Who makes text and speech in this reply, and how many pieces of work may be under way at once."""

    writer: Writer
    speaker: Speaker | None
    depth: int
    mute_from: Callable[[int], None] | None = None
    """Ends the text for the speaker after so many tokens; given where calls are found."""


class ReplyMaker:
    """Makes one reply; holds its state meanwhile. Owned by the session's thread."""

    def __init__(
        self,
        flash: Flash,
        options: ReplyOptions,
        makers: Makers,
        spoken: SpokenText,
        started_s: float,
        pacer: Pacer[SpeechDelta],
    ) -> None:
        self.options = options
        self._pacer = pacer
        pacer.begin()
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
        self._first_token = len(spoken.tokens)
        self._first_frame = spoken.n_frames
        self._finder = CallFinder() if options.finds_calls else None
        self._n_released = 0  # tokens that are certainly no part of a call
        self._muted = False
        self._has_sounded = False
        self._n_silent = 0  # silent frames in a row at the end of what was made

    @torch.inference_mode()
    def run(self) -> Generator[ReplyEvent, None, None]:
        """Makes the reply, one event at a time."""
        if self._finder is not None:
            yield from self._parts(self._finder.push(self.options.opening), 0)
        under_way: deque[Asked] = deque()
        while True:
            while len(under_way) < self.makers.depth and (asked := self._ask()) is not None:
                under_way.append(asked)
            if not under_way:
                break
            yield from self._take(under_way.popleft())
        if self._finder is not None:
            yield from self._parts(self._finder.finish(), len(self.spoken.tokens))
        yield from self._pacer.flush(perf_counter())
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
        under_way = self._n_asked_frames - (self.spoken.n_frames - self._first_frame)
        text_open = self._text_stop is None and self._n_asked_tokens < self.options.max_tokens
        n_tokens = self._n_asked_tokens if self._finder is None else self._n_released
        work = next_work(
            Situation(
                lead_s=self.lead_s + under_way / FRAMES_PER_S,
                has_spoken=self._first_speech_s is not None,
                n_text_ahead=n_tokens - self._n_asked_frames,
                # What is said before a call is spoken first; then the rest is written.
                text_open=text_open and not (self._muted and self._speech_stop is None),
                speech_open=self._speech_stop is None,
                n_text_wanted=self._text_wanted(),
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

    def _write(self, written: Written) -> Generator[TextDelta | CallMade, None, None]:
        spoken = self.spoken
        if self._text_stop is not None:  # asked for before its end was known
            return
        if written.tokens and self._first_token_s is None:
            self._first_token_s = perf_counter() - self._started_s
        for number in written.tokens:
            n_written = len(spoken.tokens) - self._first_token
            frame = self._first_frame + n_written + (TEXT_LEAD_FRAMES if spoken.is_aligned else 0)
            text = self._detokenizer.push(number)
            spoken.text += text
            spoken.tokens.append(number)
            spoken.n_letters.append(len(spoken.text))
            if self._finder is not None:
                yield from self._parts(self._finder.push(text), frame)
            elif text:
                yield self._delta(text, frame)
        self._text_stop = written.stop
        if self._text_stop is not None and self._finder is not None and not self._muted:
            self._n_released = len(spoken.tokens)
        if self._text_stop is not None and len(spoken.tokens) == self._first_token:
            self._speech_stop = "none"  # nothing to say

    def _delta(self, text: str, frame: int) -> TextDelta:
        if self._first_text_s is None:
            self._first_text_s = perf_counter() - self._started_s
        return TextDelta(text, frame)

    def _parts(self, parts: list[Prose | Call], frame: int) -> Generator[TextDelta | CallMade, None, None]:
        """What a reply with tools consists of; its speech ends where the first call begins."""
        assert self._finder is not None
        for part in parts:
            if isinstance(part, Call):
                yield CallMade(part.name, part.arguments)
            else:
                yield self._delta(part.text, frame)
        if self._muted:
            return
        if self._finder.in_call or any(isinstance(part, Call) for part in parts):
            self._mute()
        elif not self._finder.holds_back and self.spoken.text.strip():
            self._n_released = len(self.spoken.tokens)

    def _mute(self) -> None:
        self._muted = True
        if self.makers.mute_from is not None:
            self.makers.mute_from(self._n_released)
        if not self._n_released and self._speech_stop is None:
            self._speech_stop = "none"

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
                delta, rest_s = SpeechDelta(samples, spoken.n_frames - 1), self._rest_of_sentence_s()
                yield from self._pacer.offer(delta, len(samples) / SPEECH_RATE_HZ, rest_s, perf_counter())
            if self._has_run_on(samples):
                self._speech_stop = "silence"
                break
        if made.has_ended:
            self._speech_stop = "end"
        if self._speech_stop in ("end", "silence"):
            yield from self._pacer.flush(perf_counter())

    def _has_run_on(self, samples: npt.NDArray[np.float32]) -> bool:
        """Whether the voice, after all of its text, goes on with silence instead of ending."""
        silent = not len(samples) or float(np.sqrt(np.mean(np.square(samples)))) < SILENT_RMS
        self._has_sounded = self._has_sounded or not silent
        self._n_silent = self._n_silent + 1 if silent else 0
        n_tokens = len(self.spoken.tokens) - self._first_token + (TEXT_LEAD_FRAMES if self.spoken.is_aligned else 0)
        all_said = self._text_stop is not None and self.spoken.n_frames - self._first_frame > n_tokens
        return all_said and self._has_sounded and self._n_silent >= SILENT_FRAMES

    def _text_wanted(self) -> int:
        """Tokens to be ahead of slow speech: until the end of its sentence is known."""
        if not self._pacer.is_slow or self._sentence_end() is not None:
            return 0
        return SENTENCE_TOKENS

    def _sentence_end(self) -> float | None:
        """The frame at which the sentence that is being spoken ends, if that is written."""
        spoken = self.spoken
        ends = (spoken.frame_of(letters) for letters in sentence_ends(spoken.text))
        return min((end for end in ends if end > spoken.n_frames), default=None)

    def _rest_of_sentence_s(self) -> float:
        """Speech that is still to be made of the sentence that is being spoken, as far as its text is written."""
        spoken = self.spoken
        if not self._pacer.is_slow:
            return 0.0
        end = self._sentence_end()
        if end is not None:
            return (end - spoken.n_frames) / FRAMES_PER_S
        rest_s = max(0.0, spoken.frame_of(len(spoken.text)) - spoken.n_frames) / FRAMES_PER_S
        return max(rest_s, OPEN_SENTENCE_S) if self._text_stop is None else rest_s

    def _frame_bound(self) -> int:
        if self._text_stop is None and not self._muted:
            return self.options.max_frames
        n_tokens = self._n_released if self._muted else len(self.spoken.tokens) - self._first_token
        bound = FRAMES_PER_TOKEN_BOUND * n_tokens + FRAMES_EXTRA_BOUND
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
