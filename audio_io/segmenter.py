"""Finds the user's utterances in the microphone's sound: a pure object, sound in, events out.

Start: webrtcvad votes (quick) and silero agrees. Going on and end: silero alone, with hysteresis, because webrtcvad
never lets go in steady noise and an energy gate loses speech (figures in docs/sound.md). The sound of the utterances is
handed on without overlap: no sample is in two events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, Protocol

import numpy as np

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples, seconds_to_blocks
from audio_io.events import (
    DropReason,
    EndReason,
    SpeechAudio,
    SpeechDropped,
    SpeechEnded,
    SpeechEvent,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from audio_io.vad import NEURAL_SAMPLES, QUICK_SAMPLES, NeuralDetector, QuickDetector

PATIENCE = 1.75
"""Hang over the longest pause after which the speaker went on: pauses to think vary by about so much."""


@dataclass(frozen=True)
class SegmenterConfig:
    """All in seconds; `Counts` turns them into numbers of blocks, votes and chunks, and nothing else does."""

    pre_roll_s: float = 0.4
    """Sound before the detection that belongs to the utterance: first consonants are quiet (0.3 s lost up to 40 ms)."""
    quick_window_s: float = 0.2
    quick_voiced_s: float = 0.12
    """So much of the window must be voiced for webrtcvad ..."""
    neural_window_s: float = 0.128
    neural_voiced_s: float = 0.064
    """... and so much of this window for silero."""
    start_probability: float = 0.5
    go_on_probability: float = 0.35
    """Below the start's, so that quiet words inside an utterance keep it."""
    pause_s: float = 0.2
    """Silence after which a reply may be prepared."""
    hang_s: float = 0.6
    """Silence that ends the utterance: shorter cuts people off who think, longer makes them wait."""
    hang_most_s: float = 1.2
    """The hang grows up to this for somebody whose pauses come close to it (see `_patience`)."""
    shortest_voiced_s: float = 0.12
    """Less voice than this is dropped; a short "yes" has about 0.3 s."""
    drop_s: float = 0.3
    """Silence after which too little voice is dropped, so that an interrupted reply goes on soon."""
    longest_s: float = 60.0
    """An utterance is ended after this, so that memory and waiting stay bounded."""

    def __post_init__(self) -> None:
        if not 0 < self.go_on_probability <= self.start_probability < 1:
            raise ValueError(
                "expected 0 < go_on_probability <= start_probability < 1, "
                f"not {self.go_on_probability} and {self.start_probability}"
            )
        if not 0 < self.pause_s <= self.hang_s <= self.hang_most_s:
            raise ValueError(
                f"expected 0 < pause_s <= hang_s <= hang_most_s, not {self.pause_s}, {self.hang_s}, {self.hang_most_s}"
            )
        if self.longest_s < 2 * self.hang_most_s:
            raise ValueError(f"longest_s must be at least twice hang_most_s ({self.hang_most_s}), not {self.longest_s}")


@dataclass(frozen=True)
class Counts:
    """A SegmenterConfig in blocks of 10 ms, votes of 20 ms and chunks of 32 ms."""

    pre_roll_blocks: int
    quick_window_votes: int
    quick_voiced_votes: int
    neural_window_chunks: int
    neural_voiced_chunks: int
    longest_blocks: int

    @classmethod
    def of(cls, config: SegmenterConfig) -> Counts:
        quick_s, neural_s = QUICK_SAMPLES / INSIDE_RATE_HZ, NEURAL_SAMPLES / INSIDE_RATE_HZ
        return cls(
            pre_roll_blocks=seconds_to_blocks(config.pre_roll_s),
            quick_window_votes=max(1, round(config.quick_window_s / quick_s)),
            quick_voiced_votes=max(1, round(config.quick_voiced_s / quick_s)),
            neural_window_chunks=max(1, round(config.neural_window_s / neural_s)),
            neural_voiced_chunks=max(1, round(config.neural_voiced_s / neural_s)),
            longest_blocks=seconds_to_blocks(config.longest_s),
        )


class Quick(Protocol):
    def is_speech(self, samples: Samples) -> bool: ...
    def reset(self) -> None: ...


class Neural(Protocol):
    def probability(self, samples: Samples) -> float: ...
    def reset(self) -> None: ...


class _Phase(Enum):
    IDLE = auto()
    SPEAKING = auto()
    PAUSED = auto()
    FORCED = auto()
    """Push-to-talk: only `force_end` (or mute, or the longest length) ends it."""


@dataclass
class _Utterance:
    started_block: int
    last_voice_s: float
    """End of the latest chunk with voice in it."""
    voiced_s: float = 0.0
    longest_pause_s: float = 0.0


@dataclass
class Segmenter:
    """Owned by one thread. `feed` takes any number of samples at 16 kHz; the events do not depend on the partition."""

    config: SegmenterConfig = field(default_factory=SegmenterConfig)
    make_quick: Callable[[], Quick] = QuickDetector
    make_neural: Callable[[], Neural] = NeuralDetector

    def __post_init__(self) -> None:
        self._counts = Counts.of(self.config)
        self._quick = self.make_quick()
        self._neural = self.make_neural()
        self._rest: Samples = np.empty(0, dtype=np.float32)
        self._quick_rest: list[Samples] = []
        self._neural_rest: Samples = np.empty(0, dtype=np.float32)
        self._pre_roll: deque[Samples] = deque(maxlen=max(1, self._counts.pre_roll_blocks))
        self._votes: deque[bool] = deque(maxlen=self._counts.quick_window_votes)
        self._chunks: deque[float] = deque(maxlen=self._counts.neural_window_chunks)
        self._blocks = 0
        self._phase = _Phase.IDLE
        self._utterance: _Utterance | None = None
        self._muted = False
        self._patience_s = 0.0

    # --- state ---

    @property
    def now_s(self) -> float:
        """Samples fed so far, over the rate (whole blocks)."""
        return self._blocks * BLOCK_S

    @property
    def in_speech(self) -> bool:
        return self._phase is not _Phase.IDLE

    @property
    def muted(self) -> bool:
        return self._muted

    @property
    def hang_s(self) -> float:
        """Silence that ends the present utterance: well above the speaker's own pauses, within limits."""
        own_s = max(self._patience_s, self._utterance.longest_pause_s if self._utterance else 0.0)
        return min(self.config.hang_most_s, max(self.config.hang_s, PATIENCE * own_s))

    # --- sound ---

    def feed(self, samples: Samples) -> list[SpeechEvent]:
        """float32 [n] at 16 kHz, any n. Sound short of a whole 10 ms waits for the next call."""
        self._rest = np.concatenate((self._rest, np.asarray(samples, dtype=np.float32)))
        events: list[SpeechEvent] = []
        n_blocks = len(self._rest) // BLOCK_SAMPLES
        for i in range(n_blocks):
            self._feed_block(self._rest[i * BLOCK_SAMPLES : (i + 1) * BLOCK_SAMPLES], events)
        self._rest = self._rest[n_blocks * BLOCK_SAMPLES :]
        return events

    def _feed_block(self, block: Samples, events: list[SpeechEvent]) -> None:
        at_s = self.now_s
        self._blocks += 1
        if self._muted and self._phase is not _Phase.FORCED:
            return
        if self._phase is _Phase.IDLE:
            self._pre_roll.append(block)
        else:
            events.append(SpeechAudio(at_s, block))
        probability = self._detect(block)
        if self._phase is _Phase.IDLE:
            if self._voice_begins():
                self._begin(_Phase.SPEAKING, events)
            return
        if probability is not None:
            self._follow(probability, events)
        self._check_silence(events)
        utterance = self._utterance
        if utterance is not None and self._blocks - utterance.started_block >= self._counts.longest_blocks:
            self._end("too long", events)

    def _detect(self, block: Samples) -> float | None:
        """Runs both detectors; returns silero's probability when a chunk of its has become complete."""
        self._quick_rest.append(block)
        if len(self._quick_rest) * BLOCK_SAMPLES == QUICK_SAMPLES:
            self._votes.append(self._quick.is_speech(np.concatenate(self._quick_rest)))
            self._quick_rest.clear()
        self._neural_rest = np.concatenate((self._neural_rest, block))
        if len(self._neural_rest) < NEURAL_SAMPLES:
            return None
        probability = self._neural.probability(self._neural_rest[:NEURAL_SAMPLES])
        self._neural_rest = self._neural_rest[NEURAL_SAMPLES:]
        self._chunks.append(probability)
        return probability

    def _voice_begins(self) -> bool:
        likely = sum(p >= self.config.start_probability for p in self._chunks)
        return sum(self._votes) >= self._counts.quick_voiced_votes and likely >= self._counts.neural_voiced_chunks

    # --- utterances ---

    def _begin(self, phase: _Phase, events: list[SpeechEvent]) -> None:
        pre_roll = list(self._pre_roll)[-self._counts.pre_roll_blocks :] if self._counts.pre_roll_blocks else []
        self._pre_roll.clear()
        started = self._blocks - len(pre_roll)
        voiced = sum(p >= self.config.go_on_probability for p in self._chunks)
        self._utterance = _Utterance(
            started_block=started,
            last_voice_s=self.now_s,
            voiced_s=voiced * NEURAL_SAMPLES / INSIDE_RATE_HZ,
        )
        self._phase = phase
        samples = np.concatenate(pre_roll) if pre_roll else np.empty(0, dtype=np.float32)
        events.append(SpeechStarted(started * BLOCK_S, samples, forced=phase is _Phase.FORCED))

    def _follow(self, probability: float, events: list[SpeechEvent]) -> None:
        utterance = self._utterance
        assert utterance is not None
        if probability < self.config.go_on_probability:
            return
        chunk_s = NEURAL_SAMPLES / INSIDE_RATE_HZ
        end_s = (self._blocks * BLOCK_SAMPLES - len(self._neural_rest)) / INSIDE_RATE_HZ
        utterance.voiced_s += chunk_s
        pause_s = end_s - chunk_s - utterance.last_voice_s
        utterance.last_voice_s = end_s
        if self._phase is _Phase.PAUSED:
            utterance.longest_pause_s = max(utterance.longest_pause_s, pause_s)
            self._phase = _Phase.SPEAKING
            events.append(SpeechResumed(self.now_s))

    def _check_silence(self, events: list[SpeechEvent]) -> None:
        utterance = self._utterance
        if utterance is None or self._phase is _Phase.FORCED:
            return
        silent_s = self.now_s - utterance.last_voice_s
        if self._phase is _Phase.SPEAKING and silent_s >= self.config.pause_s:
            self._phase = _Phase.PAUSED
            events.append(SpeechPaused(utterance.last_voice_s))
        too_short = utterance.voiced_s < self.config.shortest_voiced_s
        if too_short and silent_s >= self.config.drop_s:
            self._drop("too short", events)
        elif not too_short and silent_s >= self.hang_s:
            self._end("silence", events)

    def _end(self, reason: EndReason, events: list[SpeechEvent]) -> None:
        utterance = self._utterance
        assert utterance is not None
        # A speaker who paused long in this utterance is likely to in the next; forgotten by half each time.
        self._patience_s = max(utterance.longest_pause_s, self._patience_s / 2)
        self._to_idle()
        events.append(SpeechEnded(self.now_s, reason, utterance.voiced_s))

    def _drop(self, reason: DropReason, events: list[SpeechEvent]) -> None:
        assert self._utterance is not None
        voiced_s = self._utterance.voiced_s
        self._to_idle()
        events.append(SpeechDropped(self.now_s, reason, voiced_s))

    def _to_idle(self) -> None:
        """What was handed on must not count again, neither as pre-roll nor as votes for the next start."""
        self._utterance = None
        self._phase = _Phase.IDLE
        self._pre_roll.clear()
        self._votes.clear()
        self._chunks.clear()

    # --- by hand ---

    def force_start(self) -> list[SpeechEvent]:
        """Push-to-talk pressed: an utterance begins now (with pre-roll), whatever the detectors say.

        An utterance that is going on becomes a forced one. Works while muted: holding the key is consent.
        """
        events: list[SpeechEvent] = []
        if self._phase is _Phase.IDLE:
            self._begin(_Phase.FORCED, events)
        else:
            if self._phase is _Phase.PAUSED:
                events.append(SpeechResumed(self.now_s))
            self._phase = _Phase.FORCED
        return events

    def force_end(self) -> list[SpeechEvent]:
        """Push-to-talk released: ends the utterance that is going on, if one is."""
        events: list[SpeechEvent] = []
        if self._utterance is not None:
            self._end("forced", events)
        return events

    def cut(self, reason: Literal["muted", "device lost"]) -> list[SpeechEvent]:
        """No more sound comes for the utterance that is going on: ends it, or drops it if there is no voice in it."""
        events: list[SpeechEvent] = []
        utterance = self._utterance
        if utterance is not None and utterance.voiced_s < self.config.shortest_voiced_s:
            self._drop(reason, events)
        elif utterance is not None:
            self._end(reason, events)
        return events

    def mute(self) -> list[SpeechEvent]:
        """From now on nothing is heard; an utterance that is going on ends cleanly here."""
        events = self.cut("muted")
        self._muted = True
        self._forget()
        return events

    def unmute(self) -> None:
        self._muted = False

    def _forget(self) -> None:
        """Nothing from before may reach what comes after."""
        self._quick.reset()
        self._neural.reset()
        self._quick_rest.clear()
        self._neural_rest = np.empty(0, dtype=np.float32)
        self._to_idle()
