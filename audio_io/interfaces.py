"""What a player and a listener look like to the app (the WAV player and the speaker are both `ReplyPlayer`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Earcon = Literal["listening", "thinking", "interrupted", "error", "steady"]


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of a reply left the speaker, in ms of the reply's own time line (not stretched)."""

    reply_id: str
    heard_ms: int


class ReplyPlayer(Protocol):
    """Plays replies one after the other. Its methods may be called from any one thread; none blocks."""

    def start(self) -> None: ...

    def stop(self) -> None:
        """Ends the worker and frees the device. May be called twice."""
        ...

    def play(self, reply_id: str, samples: NDArray[np.float32]) -> None:
        """Queues float32 [n] mono at 24 kHz. Ignored for a reply that `flush` has thrown away.

        Raises PlayerFullError beyond ten minutes of queued speech.
        """
        ...

    def finish(self, reply_id: str) -> None:
        """No more sound will come for this reply; PlaybackFinished follows when it has been heard."""
        ...

    def flush(self) -> tuple[Heard, ...]:
        """Silence within 100 ms; throws away everything queued. One entry per reply that was not finished."""
        ...

    def pause(self) -> None:
        """Silence within 100 ms, but keeps everything for `resume`."""
        ...

    def resume(self) -> None: ...

    def heard_ms(self, reply_id: str) -> int:
        """What of this reply has left the speaker until now (0 for an unknown one)."""
        ...

    def earcon(self, name: Earcon) -> None:
        """Mixes a short sound in at once, also while paused."""
        ...

    def tone(self, frequency_hz: float) -> None:
        """The same with a tone of this pitch."""
        ...

    def set_volume(self, volume: float) -> None:
        """0..1, for replies and earcons."""
        ...

    def set_speech_rate(self, rate: float) -> None:
        """0.5..3.0, pitch unchanged; takes effect within about half a second."""
        ...
