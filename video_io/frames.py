"""What a picture source gives: frames, events, and the contract every source keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]  # [H, W, 3]


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture. `at_s` is on the source's clock; `number` counts the source's pictures from 0."""

    rgb: Rgb
    at_s: float
    number: int


class SourceEventKind(Enum):
    OPENED = "opened"  # pictures come (for the first time, or again)
    LOST = "lost"  # it gave pictures and no longer does; it is being reopened
    MISSING = "missing"  # there is no such device, file or screen
    DENIED = "denied"  # it is there, and we may not use it
    ENDED = "ended"  # a file that does not repeat is over; its last picture stays


@dataclass(frozen=True)
class SourceEvent:
    """Something the user should know about a source: what happened, and what to do about it."""

    kind: SourceEventKind
    label: str
    message: str
    remedy: str = ""


class SourceError(Exception):
    """A grabber cannot go on. Carries the event that the user gets to see."""

    def __init__(self, kind: SourceEventKind, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.remedy = remedy


class FrameSource(Protocol):
    """A running source of pictures; newest wins.

    `on_frame` and `on_event` are called in the source's own thread: hand over and return.
    `start` and `stop` may be called twice; `stop` returns within its time limit even when the device hangs.
    """

    @property
    def label(self) -> str: ...

    @property
    def is_camera(self) -> bool:
        """Light, lens and aim are the user's to change: advice about them helps."""
        ...

    def start(self, on_frame: Callable[[Frame], None], on_event: Callable[[SourceEvent], None]) -> None: ...

    def latest(self) -> Frame | None: ...

    def set_spacing(self, spacing_s: float) -> None:
        """From now on pictures need not come closer together than this; 0: every one that there is."""
        ...

    def stop(self, timeout_s: float = 2.0) -> None: ...


class Grabber(Protocol):
    """One way of getting pictures, without threads or pacing: the part that differs between sources.

    Used by one thread only, but for `spacing_s`, which may be set from any. `open` and `grab` raise `SourceError`;
    `grab` returns None when a file has ended.
    """

    @property
    def label(self) -> str: ...

    is_camera: bool  # see `FrameSource`
    spacing_s: float  # pictures that would come closer together need not be made; a source may give fewer by itself

    @property
    def interval_s(self) -> float: ...  # between two pictures; 0 when `grab` itself waits for the next one

    def open(self) -> None: ...

    def grab(self) -> Rgb | None: ...

    def close(self) -> None: ...
