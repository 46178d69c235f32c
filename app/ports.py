"""What the Assistant needs from the outside, as Protocols. What comes back are events and reports (`app.events`).

The concrete parts are put in by `commands.compose`. Every part gets a `post` callable, which may be called from
any thread.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from app.dialects.abilities import Abilities
from app.events import WHEN_TAKEN, Event, Report, SightKind, ToolFinished
from app.view import EarconName
from model.realtime.events import ClientEvent, ServerEvent

# --- what the engine's part posts -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineUp:
    """Connected, model loaded, a fresh conversation."""

    model: str
    url: str
    remote: bool
    voices: tuple[str, ...]
    abilities: Abilities = field(default_factory=Abilities)
    session: int = 0
    """Which session of the engine this is about, as `EnginePart.start` and `new_session` number them."""


@dataclass(frozen=True, slots=True)
class EngineBusy:
    """It is not ready yet; `detail` says what it does."""

    detail: str
    session: int = 0


@dataclass(frozen=True, slots=True)
class EngineDown:
    """It has ended or the connection is lost. `final`: another try cannot help."""

    reason: str
    remedy: str = ""
    final: bool = False
    session: int = 0


@dataclass(frozen=True, slots=True)
class EngineSaid:
    event: ServerEvent
    session: int = 0


@dataclass(frozen=True, slots=True)
class EngineRenews:
    """Its session's time was up; a new one is being begun, and `EngineUp` follows."""

    reason: str
    session: int = 0


@dataclass(frozen=True, slots=True)
class ToolsChanged:
    """Others are to be offered than before: an MCP server came, or went."""


@dataclass(frozen=True, slots=True)
class EngineNote:
    """Something about this engine that the user should know, such as what it cannot do."""

    text: str
    session: int = 0


EngineReport = EngineUp | EngineBusy | EngineDown | EngineSaid | EngineRenews | EngineNote
Message = Event | Report | EngineReport | ToolsChanged
"""What parts post; of an event, `at_s` is `app.events.WHEN_TAKEN`."""
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
    def tone(self, frequency_hz: float) -> None:
        """A short tone over whatever is played."""
        ...

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
        """Goes on or stops posting `SceneChanged`."""
        ...

    def look(self) -> bytes | None:
        """The newest picture as JPEG, None when there is none."""
        ...

    def show(self, data: bytes, name: str) -> None:
        """Goes over to this picture, given as the bytes of a file."""
        ...

    def read_text(self) -> bool:
        """Looks for text in the newest picture and posts `TextFound`; False when there is no picture."""
        ...

    def read_for(self, turn: int) -> bool:
        """Reads the newest picture for the engine and posts `ReadForTurn`; False when there is no picture."""
        ...

    def watch_text(self, on: bool) -> None:
        """Goes on or stops posting `TextFound` for each text that comes into view."""
        ...

    def watch_aim(self, on: bool) -> None:
        """Goes on or stops posting `AimAdvised`."""
        ...

    def watch_light(self, on: bool) -> None:
        """Goes on or stops posting `LightMeasured`."""
        ...

    def tell(self, what: SightKind, answered: Callable[[str], None]) -> bool:
        """Codes, colour or light of the newest picture in words, to `answered`, from another thread; False when there
        is no picture. Tools call this as well."""
        ...

    def choose(self, name: str | None) -> None: ...


@dataclass(frozen=True, slots=True)
class EngineChoice:
    """Which engine to start or to connect to; made by `app.engine.choice`."""

    checkpoint: str = ""
    quantize: str = "none"
    url: str = ""
    """Of a remote engine, as it was entered, like all that follows; "": the engine on this machine."""
    token: str = ""
    kind: str = "auto"
    model: str = ""
    headers: tuple[str, ...] = ()
    query: str = ""
    ca_file: str = ""
    fingerprint: str = ""


class EnginePart(Protocol):
    """The engine's process and the connection to it. Methods return at once; what happens is posted."""

    def start(self, post: Post, choice: EngineChoice, delay_s: float = 0.0) -> int:
        """Ends what runs and starts anew, or connects. `EngineUp` or `EngineDown` follows.

        Returns the number of the session that begins; messages about any other are stale.
        """
        ...

    def send(self, event: ClientEvent) -> None:
        """In order; nothing happens while the newest session is not up."""
        ...

    def new_session(self) -> int:
        """A fresh conversation; `EngineUp` or `EngineDown` follows, with the number that is returned."""
        ...

    def stop(self, timeout_s: float) -> bool:
        """Ends the process. May be called twice. False: something is still there."""
        ...


class Tools(Protocol):
    """What the engine may have done (`app.tools.toolbox`). Called from any thread."""

    def offer(self) -> tuple[dict[str, Any], ...]:
        """As GA's function tools are written."""
        ...

    def run(self, post: Post, call_id: str, name: str, arguments: str) -> None:
        """`ToolFinished` is posted when it is done."""
        ...

    def answer(self, call_id: str, yes: bool) -> None: ...
    def refresh(self) -> None:
        """The settings have changed."""
        ...

    def stop(self) -> None: ...


class NoTools:
    """Nothing is offered."""

    def offer(self) -> tuple[dict[str, Any], ...]:
        return ()

    def run(self, post: Post, call_id: str, name: str, arguments: str) -> None:
        output = f"Error: there is no tool {name!r}."
        post(ToolFinished(WHEN_TAKEN, call_id, output, output))

    def answer(self, call_id: str, yes: bool) -> None:
        """Nothing was asked."""

    def refresh(self) -> None:
        """Nothing is set."""

    def stop(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that the Assistant is put together from."""

    ears: Ears
    mouth: Mouth
    eyes: Eyes
    engine: EnginePart
    tools: Tools = field(default_factory=NoTools)
