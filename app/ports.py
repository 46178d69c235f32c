"""What the Assistant needs from the outside, as Protocols, and the messages that come back.

The concrete parts are put in by `commands.compose`. Every part gets a `post` callable, which may be called from
any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from app.view import EarconName, Problem
from model.realtime.events import ClientEvent, ServerEvent

DeviceKind = Literal["microphone", "speaker", "pictures"]

# --- messages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class VoiceMessage:
    """From the segmenter. `samples`: float32 [n] at 16 kHz for "started" (the pre-roll) and "audio"."""

    kind: Literal["started", "audio", "paused", "resumed", "ended", "dropped"]
    at_s: float
    """Time in the microphone's sound, seconds; of the last voice for "paused"."""
    samples: NDArray[np.float32] | None = None
    forced: bool = False
    voiced_s: float = 0.0


@dataclass(frozen=True, slots=True)
class LevelMessage:
    rms_dbfs: float


@dataclass(frozen=True, slots=True)
class DeviceMessage:
    """A device runs (`problem` None) or does not."""

    kind: DeviceKind
    name: str
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class GapMessage:
    """Sound was lost on the way in, or playback ran dry. `total`: gaps of this kind since the start."""

    kind: Literal["microphone", "speaker"]
    lost_ms: float
    total: int


@dataclass(frozen=True, slots=True)
class PlayerMessage:
    """The first ("started") or last ("finished") sample of a reply was heard."""

    kind: Literal["started", "finished"]
    reply: int
    heard_ms: int = 0


@dataclass(frozen=True, slots=True)
class PictureMessage:
    """A picture that was selected while the user speaks, as JPEG."""

    jpeg: bytes


@dataclass(frozen=True, slots=True)
class SceneMessage:
    """The scene has changed (told only while it is watched)."""

    moving: bool


@dataclass(frozen=True, slots=True)
class AdviceMessage:
    """Something to say about the picture ("The camera seems to be covered.")."""

    text: str


@dataclass(frozen=True, slots=True)
class EngineUp:
    """Connected, model loaded, a fresh conversation."""

    model: str
    url: str
    remote: bool
    voices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EngineBusy:
    """It is not ready yet; `detail` says what it does."""

    detail: str


@dataclass(frozen=True, slots=True)
class EngineDown:
    """It has ended or the connection is lost. `final`: another try cannot help."""

    reason: str
    remedy: str = ""
    final: bool = False


@dataclass(frozen=True, slots=True)
class EngineSaid:
    event: ServerEvent


Message = (
    VoiceMessage
    | LevelMessage
    | DeviceMessage
    | GapMessage
    | PlayerMessage
    | PictureMessage
    | AdviceMessage
    | SceneMessage
    | EngineUp
    | EngineBusy
    | EngineDown
    | EngineSaid
)
Post = Callable[[Message], None]

# --- parts ----------------------------------------------------------------------------------------------------------


class Ears(Protocol):
    """Microphone, echo canceller and segmenter. Called from the Assistant's thread; nothing blocks long."""

    def start(self, post: Post) -> None: ...
    def stop(self) -> None: ...
    def set_on(self, on: bool) -> None: ...
    def force(self, down: bool) -> None:
        """Push-to-talk; also while off."""
        ...

    def choose(self, name: str | None) -> None: ...


class Mouth(Protocol):
    """The player."""

    def start(self, post: Post) -> None: ...
    def stop(self) -> None: ...
    def play(self, reply: int, samples: NDArray[np.float32]) -> None:
        """float32 [n] at 24 kHz. Raises BufferError when more is queued than can be."""
        ...

    def finish(self, reply: int) -> None: ...
    def flush(self, reply: int) -> int:
        """Silence; returns how many ms of this reply were heard."""
        ...

    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def heard_ms(self, reply: int) -> int: ...
    def earcon(self, name: EarconName) -> None: ...
    def set_volume(self, volume: float) -> None: ...
    def set_speech_rate(self, rate: float) -> None: ...
    def choose(self, name: str | None) -> None: ...


class Eyes(Protocol):
    """Camera, screen or file, and the selector."""

    def start(self, post: Post) -> None: ...
    def stop(self) -> None: ...
    def set_on(self, on: bool) -> None:
        """Off closes the device."""
        ...

    def begin_turn(self) -> bytes | None:
        """The present picture as JPEG, to be sent before the user's sound; from here on changed pictures are posted."""
        ...

    def follow(self, on: bool) -> None:
        """Goes on or stops posting changed pictures."""
        ...

    def watch(self, on: bool) -> None:
        """Goes on or stops posting `SceneMessage`s."""
        ...

    def look(self) -> bytes | None:
        """The newest picture as JPEG, None when there is none."""
        ...

    def choose(self, name: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine to start or to connect to."""

    checkpoint: str = ""
    quantize: str = "none"
    url: str = ""
    token: str = ""


class EnginePart(Protocol):
    """The engine's process and the connection to it. Methods return at once; what happens comes as messages."""

    def start(self, post: Post, choice: EngineChoice, delay_s: float = 0.0) -> None:
        """Ends what runs and starts anew, or connects. `EngineUp` or `EngineDown` follows."""
        ...

    def send(self, event: ClientEvent) -> None:
        """In order; nothing happens when it is down."""
        ...

    def new_session(self) -> None:
        """A fresh conversation; `EngineUp` follows."""
        ...

    def stop(self, timeout_s: float) -> None:
        """Ends the process. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the Assistant is put together from."""

    ears: Ears
    mouth: Mouth
    eyes: Eyes
    engine: EnginePart
