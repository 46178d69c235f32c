"""What a reply asks of the Thinker and of the voice, whichever way they decode.

Two parts of one reply: a `Writer` makes text, a `Speaker` makes frames of speech from it. Both are asked for some work
and give a `Ticket` for what comes of it, so that a device can go on while the host looks at what it did before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True)
class Written:
    """New tokens of the reply, without the one that ends it."""

    tokens: tuple[int, ...]
    stop: str | None  # None: there may be more; "end": the model ended its text; "length": the limit did


@dataclass(frozen=True)
class Spoken:
    """New frames, each its samples (24 kHz; the first frame has fewer)."""

    frames: tuple[Samples, ...]
    has_ended: bool


class Ticket(Protocol[T_co]):
    """Work that was asked for."""

    def get(self) -> T_co:
        """What came of it; waits. May be called once."""


@dataclass(frozen=True)
class Done(Ticket[T_co]):
    """Work that is done already."""

    result: T_co

    def get(self) -> T_co:
        return self.result


class Writer(Protocol):
    """The Thinker's side of a reply. `seconds`: the host's time for it so far."""

    seconds: float

    def write(self, count: int) -> Ticket[Written]:
        """Draws and reads up to `count` tokens; fewer when the text ends."""


class Speaker(Protocol):
    """The Talker's side of a reply. Frame f reads token f, or the end of the text.

    `seconds`: the host's time for frames so far; `wave_seconds`: for turning them into sound, where that is apart.
    """

    seconds: float
    wave_seconds: float

    def speak(self, count: int) -> Ticket[Spoken]:
        """Makes `count` frames; fewer when the speech ends. Their tokens must have been asked for before."""

    def calls(self) -> tuple[Callable[[], object], Callable[[], object]]:
        """One frame without its sound, and the sound of one frame, to be timed; the reply is spoilt by them."""
