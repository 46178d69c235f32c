"""What the realtime server needs of the model: the part of `model.Session` that it calls, as Protocols.

One thread owns every object here. The protocol layer is written against these, so that it imports no torch.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

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


class SpeakingSession(Protocol):
    """`model.Session`, as ARCHITECTURE.md describes it."""

    def hear(self, pcm: Samples, rate_hz: int = 16_000) -> Any: ...

    def see(self, rgb: Rgb, at_s: float = 0.0) -> Any: ...

    def read(self, text: str, role: str = "user") -> Any: ...

    def commit(self) -> Any: ...

    def clear(self) -> None: ...

    def reply(self, max_tokens: int = ..., speech: bool = True) -> Generator[Any, None, None]: ...

    def interrupt(self, heard_ms: float) -> Any: ...

    def transcribe_user(self) -> str: ...

    def forget(self, item: Any) -> None: ...


class Flash(Protocol):
    """A loaded model."""

    @property
    def voices(self) -> tuple[str, ...]: ...

    def session(self, *, instructions: str, voice: str) -> SpeakingSession: ...


@dataclass(frozen=True, slots=True)
class TextOut:
    """Text of the reply, in order."""

    text: str


@dataclass(frozen=True, slots=True)
class SpeechOut:
    """Speech of the reply, in order: mono float32 [n] at 24 kHz."""

    pcm: Samples


@dataclass(frozen=True, slots=True)
class ReplyEnd:
    """The reply is over. `cut_by_limit`: it would have gone on. Counts are positions."""

    cut_by_limit: bool = False
    n_text_tokens: int = 0
    n_speech_frames: int = 0
    n_input_tokens: int = 0
    handle: Any = None


def read_event(event: Any) -> TextOut | SpeechOut | ReplyEnd:
    """An event of `model.Session.reply`, told apart by what it carries."""
    if hasattr(event, "text"):
        return TextOut(event.text)
    if hasattr(event, "pcm"):
        return SpeechOut(event.pcm)
    return ReplyEnd()
