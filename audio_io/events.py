"""What this package reports: immutable events, handed to the `emit` callable that each part is given.

`emit` is called from the part's own thread and must only hand the event on (put it in the owner's queue).
Times `at_s` are samples since the source started divided by the rate, never the wall clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

DeviceKind = Literal["microphone", "speaker"]
EndReason = Literal["silence", "forced", "muted", "too long", "device lost"]
DropReason = Literal["too short", "no voice", "muted", "device lost"]


# --- the user's voice -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user speaks. Play no more of a reply from here on (pause it; `SpeechDropped` means: go on).

    `samples` float32 [n] at 16 kHz is the pre-roll: sound from `at_s` up to now, the first sound of the utterance.
    """

    at_s: float
    samples: NDArray[np.float32]
    forced: bool = False
    """True for push-to-talk."""


@dataclass(frozen=True, slots=True)
class SpeechAudio:
    """The utterance goes on: float32 [160] that begins at `at_s`."""

    at_s: float
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """The user is silent since `at_s`: a probable end. A reply may be started on the guess, nothing may be played.

    Exactly one of SpeechResumed, SpeechEnded or SpeechDropped follows. Sound goes on coming as SpeechAudio.
    """

    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The pause was none: the guess of SpeechPaused is void."""

    at_s: float


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The utterance is over: it ended at `at_s`; all of its sound has been handed on."""

    at_s: float
    reason: EndReason
    voiced_s: float
    """How long the detector heard a voice in it: a backchannel ("mm-hm") is below about half a second."""


@dataclass(frozen=True, slots=True)
class SpeechDropped:
    """What SpeechStarted announced was no utterance (a click, a cough): forget its sound, resume the reply."""

    at_s: float
    reason: DropReason
    voiced_s: float


SpeechEvent = SpeechStarted | SpeechAudio | SpeechPaused | SpeechResumed | SpeechEnded | SpeechDropped


# --- devices ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceOpened:
    """The device runs (first sound has come or gone)."""

    kind: DeviceKind
    name: str
    rate_hz: int


@dataclass(frozen=True, slots=True)
class DeviceLost:
    """The device was unplugged or taken while in use. Recovery goes on by itself; DeviceBack tells its success."""

    kind: DeviceKind
    name: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class DeviceBack:
    """The lost device, or another one in its place, runs."""

    kind: DeviceKind
    name: str
    rate_hz: int


@dataclass(frozen=True, slots=True)
class DeviceMissing:
    """There was no such device when the part was started. Recovery goes on by itself unless `final`."""

    kind: DeviceKind
    name: str
    message: str
    remedy: str
    final: bool = False
    """True where waiting cannot help (no PortAudio library)."""


DeviceEvent = DeviceOpened | DeviceLost | DeviceBack | DeviceMissing


@dataclass(frozen=True, slots=True)
class SoundGap:
    """Sound was lost on the way in (the computer was too busy), or the speaker ran dry in a reply (`speaker`)."""

    kind: DeviceKind
    lost_ms: float
    total: int
    """Number of gaps since the start."""


@dataclass(frozen=True, slots=True)
class MicrophoneLevel:
    """For the level meter, about ten times a second: after echo cancellation, in dB below full scale."""

    rms_dbfs: float
    muted: bool


@dataclass(frozen=True, slots=True)
class MicrophoneUseless:
    """The microphone runs, but what it gives is of no use: silence, or next to it. MicrophoneUseful says when it is."""

    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class MicrophoneUseful:
    """What MicrophoneUseless said is over."""


@dataclass(frozen=True, slots=True)
class SourceFinished:
    """A WAV source has handed on this file and the silence after it."""

    name: str
    at_s: float


@dataclass(frozen=True, slots=True)
class PartFailed:
    """A worker met an error it cannot handle and has stopped."""

    kind: DeviceKind
    message: str
    remedy: str


SourceEvent = DeviceEvent | SoundGap | SourceFinished | PartFailed
ListenerEvent = SpeechEvent | SourceEvent | MicrophoneLevel | MicrophoneUseless | MicrophoneUseful


# --- the speaker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    """The first sample of this reply has left the speaker."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    """The last sample of this reply has left the speaker (after `finish`). Not sent for a stopped reply."""

    reply_id: str
    heard_ms: int
    underruns: int
    """Times the speaker ran dry inside this reply."""


PlayerEvent = DeviceEvent | SoundGap | PlaybackStarted | PlaybackFinished | PartFailed
