"""What happens to a conversation: the immutable events that `app.conversation.reduce` takes.

`at_s` is the Assistant's clock (seconds since it started, injected); the reducer has no other. The devices' adapters
post these events themselves, with `WHEN_TAKEN` for `at_s`. An utterance's number is given by the ears, one per start of
the user's voice, so that late events of an old one are recognised. What is for the Assistant alone and decides nothing
is a `Report`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from app.config import Config
from app.view import Problem

WHEN_TAKEN: Final = 0.0
"""`at_s` of what a part posts: the Assistant puts in its own clock's time when it takes the event from its queue."""

DeviceKind = Literal["microphone", "speaker", "pictures"]

# --- clock and parts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed (several times a second)."""

    at_s: float


@dataclass(frozen=True, slots=True)
class ProblemRaised:
    """A part has a problem (device lost, settings unreadable). The same `code` replaces an earlier one."""

    at_s: float
    problem: Problem
    alert: bool = True
    """Play the error earcon and announce it."""


@dataclass(frozen=True, slots=True)
class ProblemOver:
    at_s: float
    code: str
    announcement: str = ""


@dataclass(frozen=True, slots=True)
class ConfigChanged:
    """Settings have changed, or what the engine can do has become known."""

    at_s: float
    config: Config


@dataclass(frozen=True, slots=True)
class DeviceRuns:
    at_s: float
    kind: DeviceKind
    name: str


@dataclass(frozen=True, slots=True)
class DeviceFails:
    """It is missing, lost or broken; `problem.code` is its kind."""

    at_s: float
    kind: DeviceKind
    problem: Problem


@dataclass(frozen=True, slots=True)
class AdviceGiven:
    """Something to say about the picture ("The camera seems to be covered.") when nobody speaks."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class QuitAsked:
    """The app ends: what was heard of a reply is kept."""

    at_s: float


@dataclass(frozen=True, slots=True)
class SceneChanged:
    """The picture shows something else than at the last change. `moving`: it has not come to rest."""

    at_s: float
    moving: bool = False


# --- what is seen without the model ---------------------------------------------------------------------------------

SightKind = Literal["codes", "colour", "light"]


@dataclass(frozen=True, slots=True)
class ReadAsked:
    """Read the text in the picture, verbatim, without the model."""

    at_s: float
    shown: bool = True
    """The transcript gets a question (False: what the user said stands there already)."""


@dataclass(frozen=True, slots=True)
class TextFound:
    """The picture's text, in reading order: (passage, its doubtful words). Empty where there is none."""

    at_s: float
    passages: tuple[tuple[str, tuple[str, ...]], ...] = ()
    advice: str = ""
    """What to do so that all of it can be read."""
    failure: str = ""
    """Why it could not be looked for."""
    asked: bool = True
    """False: it came into view by itself (instant text)."""


ReadingStep = Literal["pause", "next", "back", "again", "spell"]


@dataclass(frozen=True, slots=True)
class ReadingMoved:
    """In what is being read, or was read last."""

    at_s: float
    step: ReadingStep


@dataclass(frozen=True, slots=True)
class CheckAsked:
    """Look again at what the last answer is about."""

    at_s: float


@dataclass(frozen=True, slots=True)
class PictureSent:
    """The engine has got a picture with the present question."""

    at_s: float
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReadForTurn:
    """The text in the picture that goes with the user's turn `turn`; "" where there is none."""

    at_s: float
    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class SourceAsked:
    """The user has chosen another source of pictures: it is named when it gives them.

    With its first picture the `question` is asked, or its text is read.
    """

    at_s: float
    question: TextEntered | None = None
    read: bool = False


@dataclass(frozen=True, slots=True)
class PicturesEnded:
    """The user wants no source of pictures."""

    at_s: float


@dataclass(frozen=True, slots=True)
class InstantTextSet:
    """Read what comes into view, each text once."""

    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class AimSet:
    """Say which way to move the camera until what it is aimed at is whole and in the middle."""

    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class AimAdvised:
    """Which way to move the camera; `good`: it is right as it is."""

    at_s: float
    text: str
    good: bool = False


@dataclass(frozen=True, slots=True)
class LightToneSet:
    """A tone for how bright it is, again and again."""

    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class LightMeasured:
    """The pitch that stands for the brightness of the newest picture."""

    at_s: float
    frequency_hz: float


@dataclass(frozen=True, slots=True)
class SightAsked:
    """Codes, the colour in the middle, the light: told from the picture without the model."""

    at_s: float
    what: SightKind
    shown: bool = True
    """As in `ReadAsked`."""


@dataclass(frozen=True, slots=True)
class SightSeen:
    """The answer to `SightAsked`, in words."""

    at_s: float
    what: SightKind
    text: str


# --- the user's voice -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VoiceStarted:
    at_s: float
    utterance: int
    forced: bool = False
    """By push-to-talk."""
    samples: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)
    """The pre-roll: float32 [n] at 16 kHz, the first sound of the utterance."""


@dataclass(frozen=True, slots=True)
class VoicePaused:
    """A probable end."""

    at_s: float
    utterance: int
    silent_since_s: float | None = None
    """Place in the microphone's sound at which the last voice ended."""


@dataclass(frozen=True, slots=True)
class VoiceResumed:
    at_s: float
    utterance: int


@dataclass(frozen=True, slots=True)
class VoiceEnded:
    at_s: float
    utterance: int
    voiced_s: float = 1.0
    sound_s: float | None = None
    """Place in the microphone's sound at which it ended."""


@dataclass(frozen=True, slots=True)
class VoiceDropped:
    """It was no utterance: a click, a cough."""

    at_s: float
    utterance: int


@dataclass(frozen=True, slots=True, eq=False)
class VoiceSound:
    """A report: the utterance goes on. float32 [n] at 16 kHz that begins at `sound_s` of the microphone's sound."""

    utterance: int
    samples: NDArray[np.float32]
    sound_s: float


# --- commands -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TextEntered:
    """The user typed, or a command stands for a text (`shown` is then what the transcript says)."""

    at_s: float
    text: str
    picture: bool = True
    shown: str = ""
    limit_s: float | None = None
    """Longest reply; None: the configured one."""


@dataclass(frozen=True, slots=True)
class MicrophoneSet:
    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class CameraSet:
    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class NarrationSet:
    """Say by yourself what changes in the picture."""

    at_s: float
    on: bool


@dataclass(frozen=True, slots=True)
class PushToTalkSet:
    at_s: float
    down: bool


@dataclass(frozen=True, slots=True)
class StopAsked:
    at_s: float


@dataclass(frozen=True, slots=True)
class RepeatAsked:
    at_s: float


@dataclass(frozen=True, slots=True)
class NewConversationAsked:
    at_s: float


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """Also: start another engine (checkpoint or address changed)."""

    at_s: float


# --- the engine -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineReady:
    at_s: float


@dataclass(frozen=True, slots=True)
class EngineLost:
    """`final`: starting it again cannot help (no such checkpoint, wrong token)."""

    at_s: float
    reason: str
    remedy: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class EngineRenewed:
    """Its session's time was up. A new one is being begun by itself; `EngineReady` follows."""

    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class EngineTold:
    """Something about the engine that the user should know, once."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class ReplyCreated:
    at_s: float
    reply: int
    response_id: str


@dataclass(frozen=True, slots=True)
class ReplyRefused:
    """The engine would not make this reply."""

    at_s: float
    reply: int
    message: str


@dataclass(frozen=True, slots=True)
class ReplyItem:
    at_s: float
    response_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class ReplyText:
    """`start_ms`: where in the reply's sound this text begins, None when the engine does not say."""

    at_s: float
    response_id: str
    text: str
    start_ms: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class ReplySpeech:
    """float32 [n] mono at 24 kHz."""

    at_s: float
    response_id: str
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ReplyDone:
    at_s: float
    response_id: str
    failure: str = ""
    """What went wrong, "" for a completed or cancelled reply."""


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """A reply calls a tool. `arguments`: JSON text."""

    at_s: float
    response_id: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """`output` is for the engine, `shown` for the transcript. `picture`: a fresh picture goes with it."""

    at_s: float
    call_id: str
    output: str
    shown: str
    picture: bool = False


@dataclass(frozen=True, slots=True)
class PermissionWanted:
    """A tool asks before it acts."""

    at_s: float
    call_id: str
    question: str


@dataclass(frozen=True, slots=True)
class PermissionGiven:
    """The user's answer to the question that waits first."""

    at_s: float
    yes: bool


@dataclass(frozen=True, slots=True)
class Rang:
    """A timer or an alarm."""

    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class ReplyTruncated:
    """What the engine kept of a reply's text after a truncation; None when it does not say."""

    at_s: float
    item_id: str
    text: str | None


@dataclass(frozen=True, slots=True)
class InputCommitted:
    """The engine made an item of the sound that was committed; answers come in the order of the commits."""

    at_s: float
    item_id: str


@dataclass(frozen=True, slots=True)
class UserTranscribed:
    """The words of the user's turn up to this item; `text` None when transcription failed."""

    at_s: float
    item_id: str
    text: str | None


# --- the player -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlaybackStarted:
    at_s: float
    reply: int


@dataclass(frozen=True, slots=True)
class PlaybackProgress:
    at_s: float
    reply: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackStopped:
    """The answer to `FlushPlayback`: how much had been heard."""

    at_s: float
    reply: int
    heard_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackFinished:
    at_s: float
    reply: int
    heard_ms: int


# --- reports --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LevelMeasured:
    """Of the microphone, after echo cancellation, about ten times a second."""

    rms_dbfs: float


@dataclass(frozen=True, slots=True)
class SoundLost:
    """Sound was lost on the way in, or playback ran dry. `total`: gaps of this kind since the start."""

    kind: Literal["microphone", "speaker"]
    lost_ms: float
    total: int


@dataclass(frozen=True, slots=True)
class PictureTaken:
    """A picture that was selected while the user speaks, as JPEG."""

    jpeg: bytes


Report = VoiceSound | LevelMeasured | SoundLost | PictureTaken

Event = (
    Tick
    | ProblemRaised
    | ProblemOver
    | ConfigChanged
    | DeviceRuns
    | DeviceFails
    | AdviceGiven
    | QuitAsked
    | VoiceStarted
    | VoicePaused
    | VoiceResumed
    | VoiceEnded
    | VoiceDropped
    | TextEntered
    | MicrophoneSet
    | CameraSet
    | NarrationSet
    | SceneChanged
    | ReadAsked
    | TextFound
    | ReadingMoved
    | CheckAsked
    | PictureSent
    | ReadForTurn
    | SourceAsked
    | PicturesEnded
    | InstantTextSet
    | AimSet
    | AimAdvised
    | LightToneSet
    | LightMeasured
    | SightAsked
    | SightSeen
    | PushToTalkSet
    | StopAsked
    | RepeatAsked
    | NewConversationAsked
    | RetryAsked
    | EngineReady
    | EngineLost
    | EngineRenewed
    | EngineTold
    | ReplyCreated
    | ReplyRefused
    | ReplyItem
    | ReplyText
    | ReplySpeech
    | ReplyDone
    | ToolCalled
    | ToolFinished
    | PermissionWanted
    | PermissionGiven
    | Rang
    | ReplyTruncated
    | InputCommitted
    | UserTranscribed
    | PlaybackStarted
    | PlaybackProgress
    | PlaybackStopped
    | PlaybackFinished
)
