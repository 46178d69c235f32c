"""What a window (or any other front) shows: one immutable snapshot of everything, and announcements.

The Assistant hands a fresh `View` to every subscriber whenever something in it changed, at most about 30 times a
second, from its own thread; a Qt front passes it on with a queued signal. Comparing fields with `is`/`==` is cheap:
unchanged parts are the same objects.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Literal


class Phase(Enum):
    """What Sightline is doing. The values are stable names for logs and tests; `label` is for people."""

    STARTING = "starting"  # the engine is loading (or being restarted)
    LISTENING = "listening"  # waiting for the user's voice
    HEARING = "hearing"  # the user is speaking
    REPLYING = "replying"  # the engine is working on a reply, nothing to hear yet
    SPEAKING = "speaking"  # the reply is being played
    PAUSED = "paused"  # the microphone is off; typing and push-to-talk work
    FAILED = "failed"  # the engine cannot be started; see problems

    @property
    def label(self) -> str:
        """For people; the colour must never be the only sign."""
        return _LABELS[self]


_LABELS = {
    Phase.STARTING: "Loading",
    Phase.LISTENING: "Listening",
    Phase.HEARING: "Hearing you",
    Phase.REPLYING: "Thinking",
    Phase.SPEAKING: "Speaking",
    Phase.PAUSED: "Microphone off",
    Phase.FAILED: "Problem",
}

Role = Literal["user", "assistant", "notice"]


@dataclass(frozen=True, slots=True)
class TranscriptTurn:
    """One entry of the transcript. The same `number` with other content replaces the entry (text grows as it is heard).

    For the assistant, `text` is exactly what was heard up to now, never what was only generated. For the user it is
    what was typed, or the transcription, which arrives after the reply has begun (`text` is "" until then).
    """

    number: int
    role: Role
    at_s: float
    """Seconds since the Assistant started; `View.started_at_unix_s + at_s` is the time of day."""
    text: str = ""
    spoken: bool = False
    """The user's turn came by voice (False: typed), the assistant's by speech (False: text only)."""
    done: bool = False
    """Nothing of it will change any more."""
    cut: bool = False
    """It was cut off: the user heard `text` and no more. Show a mark in words, e.g. "(interrupted)"."""
    cut_by: str = ""
    """Why, in words: "interrupted", "stopped", "too long", "engine lost", "not allowed"."""
    heard_ms: int = 0
    """How much of the assistant's speech was heard."""
    unsure: bool = False
    """Looking again gave another answer."""
    picture: bytes = field(default=b"", compare=False, repr=False)
    """The assistant's: the picture, as JPEG, that the answer is about. In memory only, not in the history."""
    reply: int = 0
    """The assistant's: the player's number of the reply. Not in the history."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something the user should know. Stays in `View.problems` until it is over (`code` says which)."""

    code: str
    """Stable name: "engine lost", "engine failed", "microphone", "speaker", "pictures", "settings", "remote", …"""
    message: str
    """What happened, in one sentence."""
    remedy: str = ""
    """What the user can do about it, in one sentence; may hold a command line."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Where the time of one reply went, in ms from the user's last voiced sample; None: that stage was not passed."""

    turn: int
    segment_end_ms: float | None = None
    """The segmenter was sure that the turn was over."""
    commit_ms: float | None = None
    """The turn was committed and a reply was asked for (before `segment_end_ms` when it was a guess)."""
    first_text_ms: float | None = None
    """The first text of the reply arrived."""
    first_speech_ms: float | None = None
    """The first speech of the reply arrived."""
    first_sample_ms: float | None = None
    """The first sample of the reply left the speaker: what the user feels."""


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """Which engine answers."""

    remote: bool = False
    """True: sound and pictures leave this machine. Must be visible the whole time."""
    url: str = ""
    model: str = ""
    """The checkpoint's name, e.g. "flash-mini"; "random weights (for trying out)" when it is nothing but noise."""
    voices: tuple[str, ...] = ()
    ready: bool = False
    detail: str = ""
    """What it is doing while it is not ready ("loading 40 %")."""


@dataclass(frozen=True, slots=True)
class DeviceNames:
    """Devices in use; "" where there is none."""

    microphone: str = ""
    speaker: str = ""
    picture_source: str = ""


@dataclass(frozen=True, slots=True)
class ReadingView:
    """What is being read aloud, or was read last."""

    text: str = ""
    """All of it, for the clipboard."""
    passage: str = ""
    """The sentence, heading or row that is being read."""
    number: int = 0
    """From 1."""
    total: int = 0
    active: bool = False
    """It goes on by itself (False: paused, or over)."""


@dataclass(frozen=True, slots=True)
class View:
    """Everything a front shows."""

    phase: Phase = Phase.STARTING
    transcript: tuple[TranscriptTurn, ...] = ()
    """Oldest first; only the newest 200 turns (the history has all)."""
    problems: tuple[Problem, ...] = ()
    """Oldest first; empty when all is well."""
    engine: EngineInfo = field(default_factory=EngineInfo)
    devices: DeviceNames = field(default_factory=DeviceNames)
    microphone_on: bool = True
    camera_on: bool = True
    reading: ReadingView | None = None
    """None: nothing has been read yet."""
    instant_text: bool = False
    aiming: bool = False
    light_tone: bool = False
    """Text that comes into view is read by itself."""
    narrating: bool = False
    """What changes in the picture is said without being asked for."""
    push_to_talk: bool = False
    """The push-to-talk key is held."""
    question: str = ""
    """What a tool asks before it acts; answered by `AnswerQuestion`. "": nothing is asked."""
    level_dbfs: float = -100.0
    """Microphone level, RMS in dB below full scale; about -60 is a quiet room, -20 is speech."""
    latency: Latency | None = None
    """Of the last reply; None before the first."""
    drop_outs: int = 0
    """Gaps in what was played since the start, as the player counted them."""
    lost_input_ms: int = 0
    """Microphone sound that was lost because the computer was too busy."""
    voice: str = ""
    instructions: str = ""
    started_at_unix_s: float = 0.0
    conversation_id: int | None = None
    """Key of this conversation in the history; None when nothing is stored."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something to say to a screen reader. Never needed by people who hear the reply itself."""

    text: str
    urgent: bool = False
    """Assertive: interrupt what the screen reader says (a problem). Otherwise polite."""


EarconName = Literal["listening", "thinking", "interrupted", "error", "steady"]
