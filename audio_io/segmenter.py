"""Finds the user's utterances in the microphone's sound: a pure object, sound in, events out.

Start: webrtcvad votes (quick) and silero agrees. Going on and end: silero alone, with hysteresis, because webrtcvad
never lets go in steady noise and an energy gate loses speech (figures in docs/sound.md). How long a silence must be to
end the utterance is judged by how the last words sounded (`audio_io.turn_end`). The sound of the utterances is handed
on without overlap: no sample is in two events.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal, Protocol

import numpy as np

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
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
from audio_io.gain import Follower, UtteranceGain
from audio_io.meant import Evidence, Nearness
from audio_io.segmenter_config import Counts, SegmenterConfig
from audio_io.turn_end import TurnJudge
from audio_io.turn_features import HEARD_SAMPLES
from audio_io.vad import NEURAL_SAMPLES, QUICK_SAMPLES, NeuralDetector, QuickDetector

PATIENCE = 1.75
"""Hang over the longest pause after which the speaker went on: pauses to think vary by about so much."""
HESITATION_S = 0.3
"""A pause of at least this length, after which the speaker goes on, shows that the judge was right to wait."""


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
    evidence: Evidence = field(default_factory=Evidence)
    judged_s: float | None = None
    """The hang that the judge gives the present silence; None: not asked yet, or no judge."""
    completeness: float = 1.0
    """What the judge last said."""


@dataclass
class Segmenter:
    """Owned by one thread. `feed` takes any number of samples at 16 kHz; the events do not depend on the partition."""

    config: SegmenterConfig = field(default_factory=SegmenterConfig)
    make_quick: Callable[[], Quick] = QuickDetector
    make_neural: Callable[[], Neural] = NeuralDetector
    judge: TurnJudge | None = None
    """None: silence alone ends an utterance."""

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
        self._follower = Follower()
        self._nearness = Nearness()
        self._raise = UtteranceGain([])
        self._said: deque[Samples] = deque(maxlen=HEARD_SAMPLES // BLOCK_SAMPLES)
        self._blocks = 0
        self._phase = _Phase.IDLE
        self._utterance: _Utterance | None = None
        self._muted = False
        self._patience_s = 0.0
        self._trust = self.config.trust  # in the judge, when it takes what this speaker says for unfinished

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
        """Silence that ends the present utterance: as judged, or well above the speaker's own pauses, within limits."""
        utterance = self._utterance
        if utterance is not None and utterance.judged_s is not None:
            if utterance.voiced_s >= self.config.short_s:
                return utterance.judged_s
            surely_unfinished = utterance.completeness < self.config.short_unfinished
            return min(utterance.judged_s, self.config.hang_most_s if surely_unfinished else self.config.hang_s)
        own_s = max(self._patience_s, utterance.longest_pause_s if utterance else 0.0)
        return min(self.config.hang_most_s, max(self.config.hang_s, PATIENCE * own_s))

    @property
    def _pause_s(self) -> float:
        """Silence after which the end is probable enough to prepare a reply."""
        if self.judge is None:
            return self.config.pause_s
        return max(self.config.judge_s, self.hang_s - self.config.ahead_s)

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
            self._nearness.hear(block)
        else:
            assert self._utterance is not None
            self._utterance.evidence.levels.append(self._nearness.hear(block))
            said = self._raise.apply(block)
            events.append(SpeechAudio(at_s, said))
            self._said.append(said)
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
        # webrtcvad takes quiet speech for silence; silero does not mind how loud it is.
        self._quick_rest.append(block * np.float32(self._follower.follow(block)))
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
        heard = sum(self._votes) >= self._counts.quick_voiced_votes and likely >= self._counts.neural_voiced_chunks
        return heard and self._nearness.is_near()

    # --- utterances ---

    def _begin(self, phase: _Phase, events: list[SpeechEvent]) -> None:
        pre_roll = list(self._pre_roll)[-self._counts.pre_roll_blocks :] if self._counts.pre_roll_blocks else []
        self._raise = UtteranceGain(pre_roll)
        pre_roll = [self._raise.apply(block) for block in pre_roll]
        self._pre_roll.clear()
        self._said.clear()
        self._said.extend(pre_roll)
        started = self._blocks - len(pre_roll)
        voiced = sum(p >= self.config.go_on_probability for p in self._chunks)
        self._utterance = _Utterance(
            started_block=started,
            last_voice_s=self.now_s,
            voiced_s=voiced * NEURAL_SAMPLES / INSIDE_RATE_HZ,
            evidence=Evidence(sum(p >= self.config.sure_probability for p in self._chunks)),
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
        utterance.evidence.sure_chunks += probability >= self.config.sure_probability
        pause_s = end_s - chunk_s - utterance.last_voice_s
        utterance.last_voice_s = end_s
        if utterance.judged_s is not None and utterance.judged_s > self.config.hang_s and pause_s >= HESITATION_S:
            self._trust = min(1.0, self._trust + 0.5)
        utterance.judged_s = None
        if self._phase is _Phase.PAUSED:
            utterance.longest_pause_s = max(utterance.longest_pause_s, pause_s)
            self._phase = _Phase.SPEAKING
            events.append(SpeechResumed(self.now_s))

    def _check_silence(self, events: list[SpeechEvent]) -> None:
        utterance = self._utterance
        if utterance is None or self._phase is _Phase.FORCED:
            return
        silent_s = self.now_s - utterance.last_voice_s
        too_short = utterance.voiced_s < self.config.shortest_voiced_s
        if self.judge is not None and utterance.judged_s is None and silent_s >= self.config.judge_s and not too_short:
            utterance.completeness = self.judge.completeness(np.concatenate(self._said))
            utterance.judged_s = self._hang_of(utterance.completeness)
        if self._phase is _Phase.SPEAKING and silent_s >= self._pause_s:
            self._phase = _Phase.PAUSED
            events.append(SpeechPaused(utterance.last_voice_s))
        if too_short and silent_s >= self.config.drop_s:
            self._drop("too short", events)
        elif not too_short and silent_s >= (self.hang_s if self._is_voice(utterance) else self.config.drop_s):
            if self._is_voice(utterance):
                self._end("silence", events)
            else:
                self._drop("no voice", events)

    def _is_voice(self, utterance: _Utterance) -> bool:
        sure_s = utterance.evidence.sure_chunks * NEURAL_SAMPLES / INSIDE_RATE_HZ
        return utterance.voiced_s >= self.config.short_s or sure_s >= self.config.sure_s

    def _hang_of(self, completeness: float) -> float:
        """The hang for this silence. Some voices always sound unfinished: who was waited for in vain waits less."""
        marks, hangs = zip(*self.config.patience, strict=True)
        hang_s = float(np.interp(completeness, marks, hangs))
        plain_s = self.config.hang_s
        return hang_s if hang_s <= plain_s else plain_s + self._trust * (hang_s - plain_s)

    def _end(self, reason: EndReason, events: list[SpeechEvent]) -> None:
        utterance = self._utterance
        assert utterance is not None
        # A speaker who paused long in this utterance is likely to in the next; forgotten by half each time.
        self._patience_s = max(utterance.longest_pause_s, self._patience_s / 2)
        if reason == "silence":
            self._nearness.learn(utterance.evidence)
        if reason == "silence" and utterance.judged_s is not None and self.hang_s > self.config.hang_s:
            self._trust /= 2
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
