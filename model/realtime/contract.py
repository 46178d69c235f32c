"""What the realtime server needs of the model: the part of `model.Session` that it calls, as Protocols.

One thread owns every object here. The protocol layer is written against these, so that it imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from model.conversation.events import CallMade, ReplyDone, SpeechDelta, TextDelta
from model.realtime.dialects import Dialect
from model.realtime.server_events import ServerEvent

Samples = npt.NDArray[np.float32]
Rgb = npt.NDArray[np.uint8]


class VoiceDetector(Protocol):
    """Says how likely there is a voice, hop by hop; state and remainder stay inside. One owning thread."""

    @property
    def hop_s(self) -> float: ...

    def push(self, pcm: Samples) -> Iterable[float]:
        """Probabilities in 0..1 of the hops that this sound completes; `pcm` is mono float32 [n]."""


class VoiceDetectorFactory(Protocol):
    """Makes a detector for sound of one rate. `main.py` gives the engine one; the model package has none."""

    def __call__(self, rate_hz: int) -> VoiceDetector: ...


class ReplyEvents(Protocol):
    """The events of one reply (`model.conversation.session.ReplyStream`)."""

    @property
    def item(self) -> int: ...

    def __next__(self) -> TextDelta | SpeechDelta | CallMade | ReplyDone: ...

    @property
    def letters_heard(self) -> Callable[[float], int]: ...

    def close(self) -> None: ...


class Words(Protocol):
    """A transcription that is being made (`model.conversation.transcription.Transcription`)."""

    def step(self, n_tokens: int) -> str | None: ...

    def close(self) -> None: ...


class Peer(Protocol):
    """The client at the other end, as its session knows it (`model.realtime.link.Link`)."""

    dialect: Dialect

    def send(self, event: ServerEvent) -> None: ...

    def drop_speech(self, response_id: str) -> None: ...

    def finish(self) -> None:
        """Ends the connection when what waits has been sent."""


class SpeakingSession(Protocol):
    """`model.Session`: ids of items are ints; `interrupt` returns the text that is left."""

    options: Any

    @property
    def n_positions(self) -> int: ...

    def hear(self, pcm: Samples, rate_hz: int = 16_000) -> int: ...

    def see(self, rgb: Rgb, at_s: float = 0.0) -> int: ...

    def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> int: ...

    def commit(self) -> None: ...

    def clear(self) -> None: ...

    def reply(
        self,
        *,
        max_tokens: int | None = None,
        speech: bool = True,
        unasked: bool = False,
        tools: bool = False,
        opening: str = "",
    ) -> ReplyEvents: ...

    def say(self, text: str, *, speech: bool = True) -> ReplyEvents: ...

    def interrupt(self, heard_ms: float) -> str: ...

    def shorten(self, item: int, n_letters: int) -> str: ...

    def transcription(self, *, max_tokens: int = ...) -> Words: ...

    def forget(self, item: int) -> None: ...


class SpeakingModel(Protocol):
    """A loaded model. `voices` is empty when it does not speak; one without `knows_tools` is never offered any.

    `knows_read_text` is for clients: whether text that was read in a picture is to be given with the question.
    """

    @property
    def voices(self) -> tuple[str, ...]: ...

    @property
    def knows_tools(self) -> bool: ...

    @property
    def knows_read_text(self) -> bool: ...

    def open_session(self, instructions: str | None, voice: str | None) -> SpeakingSession: ...
