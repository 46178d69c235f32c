"""What a conversation wants done: the immutable effects that `app.conversation.reduce` returns, in order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.events import SightKind
from app.view import Announcement, EarconName, TranscriptTurn

# --- to the engine --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StreamSound:
    """Send what this utterance has and was not sent yet, and go on as it comes.

    Pictures of the scene go with it, the present one before its first sound, unless it is only to be transcribed.
    """

    utterance: int
    pictures: bool = True


@dataclass(frozen=True, slots=True)
class RewindSound:
    """The engine has forgotten this utterance: `StreamSound` begins from its start again."""

    utterance: int


@dataclass(frozen=True, slots=True)
class DropSound:
    """Forget this utterance's sound."""

    utterance: int


@dataclass(frozen=True, slots=True)
class ClearInput:
    """The engine forgets the sound and pictures since the last commit."""


@dataclass(frozen=True, slots=True)
class CommitInput:
    """The sound sent up to now is one item; no more of the utterance is sent."""

    utterance: int


@dataclass(frozen=True, slots=True)
class SendText:
    """A user item of text, with the newest picture before it when `picture`. `item_id` None: the engine's choice."""

    text: str
    picture: bool
    item_id: str | None = None
    read: str = ""
    """What was read in the picture; "" where there is nothing, or it is not known."""


@dataclass(frozen=True, slots=True)
class SendRead:
    """What was read in the picture of the spoken turn that was committed last."""

    read: str


@dataclass(frozen=True, slots=True)
class CreateReply:
    reply: int
    limit_s: float
    spoken: bool = True
    """False: as text only, whatever the settings say."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Answered by `ToolFinished`. `arguments`: JSON text."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class AnswerPermission:
    """What the user said to a tool's question."""

    call_id: str
    yes: bool


@dataclass(frozen=True, slots=True)
class SendResults:
    """What tools found out: (call, output) each; with a fresh picture when `picture`."""

    outputs: tuple[tuple[str, str], ...]
    picture: bool


@dataclass(frozen=True, slots=True)
class SpeakWords:
    """The engine speaks this text exactly, as reply number `reply`, and forgets it afterwards."""

    reply: int
    text: str


@dataclass(frozen=True, slots=True)
class CancelReply:
    """`response_id` None: the one that is about to be created."""

    reply: int
    response_id: str | None


@dataclass(frozen=True, slots=True)
class TruncateReply:
    """0 ms: it never existed."""

    item_id: str
    heard_ms: int


@dataclass(frozen=True, slots=True)
class DeleteItem:
    item_id: str


@dataclass(frozen=True, slots=True)
class RestoreConversation:
    """Give a new engine the text of the conversation: (role, text), oldest first."""

    turns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class NewSession:
    """The engine begins a new conversation; `EngineReady` follows."""


@dataclass(frozen=True, slots=True)
class StartEngine:
    """End the engine if it still runs, and start it after `delay_s`; `EngineReady` or `EngineLost` follows."""

    delay_s: float


# --- to the speaker -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class PlaySpeech:
    """float32 [n] mono at 24 kHz."""

    reply: int
    samples: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FinishSpeech:
    """No more speech will come for this reply; `PlaybackFinished` follows when all of it was heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class FlushPlayback:
    """Silence within 100 ms; everything of this reply is thrown away. Answered by `PlaybackStopped`."""

    reply: int


@dataclass(frozen=True, slots=True)
class PausePlayback:
    """Silence within 100 ms; everything is kept."""


@dataclass(frozen=True, slots=True)
class ResumePlayback:
    """Go on where it stopped."""


@dataclass(frozen=True, slots=True)
class ReplayLast:
    """Play the last reply's speech again as reply number `reply`."""

    reply: int


@dataclass(frozen=True, slots=True)
class Earcon:
    name: EarconName


# --- to the devices and the rest ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SetMicrophone:
    on: bool


@dataclass(frozen=True, slots=True)
class ForceVoice:
    """Push-to-talk: begin (`down`) or end an utterance whatever the voice detector thinks."""

    down: bool


@dataclass(frozen=True, slots=True)
class SetCamera:
    on: bool


@dataclass(frozen=True, slots=True)
class WatchScene:
    """Report when the scene changes, also while nobody speaks."""

    on: bool


@dataclass(frozen=True, slots=True)
class ReadText:
    """Look for the text in the present picture; `TextFound` follows."""


@dataclass(frozen=True, slots=True)
class ReadForModel:
    """Read the present picture for the engine; `ReadForTurn` follows."""

    turn: int


@dataclass(frozen=True, slots=True)
class WatchText:
    """Report each new text that comes into view (`TextFound`, not asked for), or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class WatchAim:
    """Report which way to move the camera (`AimAdvised`), or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class WatchLight:
    """Report how bright it is, as a pitch (`LightMeasured`), or no longer."""

    on: bool


@dataclass(frozen=True, slots=True)
class Tone:
    """A short tone."""

    frequency_hz: float


@dataclass(frozen=True, slots=True)
class LookAt:
    """Tell codes, colour or light of the present picture; `SightSeen` follows."""

    what: SightKind


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A question gets no answer, or not all of one. The user has been told; a run without a user counts it."""

    why: str


@dataclass(frozen=True, slots=True)
class Say:
    """Words that are not the model's, to be said exactly: what was read or seen. They replace what is being said."""

    text: str


@dataclass(frozen=True, slots=True)
class Announce:
    announcement: Announcement


@dataclass(frozen=True, slots=True)
class SaveTurn:
    """Into the history; the same number again replaces it."""

    turn: TranscriptTurn


@dataclass(frozen=True, slots=True)
class BeginHistory:
    """What is saved from here on belongs to a new conversation."""


Effect = (
    StreamSound
    | RewindSound
    | DropSound
    | ClearInput
    | CommitInput
    | SendText
    | SendRead
    | CreateReply
    | SpeakWords
    | RunTool
    | AnswerPermission
    | SendResults
    | CancelReply
    | TruncateReply
    | DeleteItem
    | RestoreConversation
    | NewSession
    | StartEngine
    | PlaySpeech
    | FinishSpeech
    | FlushPlayback
    | PausePlayback
    | ResumePlayback
    | ReplayLast
    | Earcon
    | SetMicrophone
    | ForceVoice
    | SetCamera
    | WatchScene
    | ReadText
    | ReadForModel
    | Unanswered
    | WatchText
    | WatchAim
    | WatchLight
    | Tone
    | LookAt
    | Say
    | Announce
    | SaveTurn
    | BeginHistory
)
