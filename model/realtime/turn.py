"""What the user has put in since the last reply, and how much of it the model has taken.

The raw sound and pictures are kept until the turn has been answered and the next one too, so that whatever was
prefilled early can be taken back and given again: when a late `conversation.item.truncate` changes what comes before
it, or when a reply starts while the buffer is not committed. Owned by the model thread.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from model.realtime.client_events import WireError
from model.realtime.contract import Samples, SpeakingSession
from model.realtime.pictures import decode_picture

MAX_BUFFER_S = 300.0
"""Sound in one uncommitted buffer. Policy when full: the new sound is refused with an `error` event."""

MAX_PICTURES = 600
"""Pictures in one uncommitted buffer (two a second for as long). Policy: the new picture is refused with an `error`."""

FEED_AT_MOST_S = 0.5
"""Sound given to the model in one piece when it has to catch up, so that a cancellation never waits for more."""


@dataclass(frozen=True, slots=True)
class Sound:
    """Mono float32 [n]."""

    pcm: Samples
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG or PNG that has been decoded once, so is known to be good; kept as it came, a twentieth of its pixels.

    `at_s`: on the time line of this input's sound.
    """

    data: bytes
    at_s: float


@dataclass(frozen=True, slots=True)
class Words:
    text: str
    role: str = "user"


Entry: TypeAlias = Sound | Picture | Words


@dataclass(slots=True)
class TurnInput:
    """One item's content. `closed`: committed by the client; `committed`: the model knows."""

    item_id: str
    entries: list[Entry] = field(default_factory=list)
    closed: bool = False
    n_fed: int = 0
    committed: bool = False
    handles: list[Any] = field(default_factory=list)
    sound_s: float = 0.0
    n_pictures: int = 0

    def hear(self, pcm: Samples, rate_hz: int) -> None:
        """Adds sound, in pieces that take no longer than one step each."""
        duration_s = len(pcm) / rate_hz
        if self.sound_s + duration_s > MAX_BUFFER_S:
            raise WireError(
                "input_audio_buffer_full",
                f"The input buffer holds at most {MAX_BUFFER_S:.0f} s of sound; {duration_s:.1f} s more were refused. "
                "Commit or clear it.",
            )
        self.sound_s += duration_s
        step = round(FEED_AT_MOST_S * rate_hz)
        self.entries.extend(Sound(pcm[start : start + step], rate_hz) for start in range(0, len(pcm), step))

    def see(self, data: bytes, at_s: float) -> None:
        if self.n_pictures >= MAX_PICTURES:
            raise WireError(
                "input_image_buffer_full",
                f"The input buffer holds {MAX_PICTURES} pictures; this one was refused. Commit or clear it.",
            )
        self.n_pictures += 1
        self.entries.append(Picture(data, at_s))

    def drop_pictures(self) -> None:
        """Newest wins where pictures wait for speech to begin."""
        self.entries = [entry for entry in self.entries if not isinstance(entry, Picture)]
        self.n_pictures = 0

    def read(self, text: str, role: str = "user") -> None:
        self.entries.append(Words(text, role))


class OpenTurn:
    """The inputs since the last reply, the last of which may still be open."""

    def __init__(self) -> None:
        self.inputs: list[TurnInput] = []

    @property
    def buffer(self) -> TurnInput | None:
        """The input that is not committed yet."""
        return self.inputs[-1] if self.inputs and not self.inputs[-1].closed else None

    @property
    def ready(self) -> bool:
        """The model has taken everything that is committed."""
        return all(part.committed for part in self.inputs if part.closed)

    def close(self, part: TurnInput) -> None:
        """Ends the open input, or puts a complete one before it."""
        part.closed = True
        if part not in self.inputs:
            self.inputs.insert(len(self.inputs) - (self.buffer is not None), part)

    def feed(self, session: SpeakingSession) -> bool:
        """Gives the model the next piece; False when it has everything."""
        for part in self.inputs:
            if part.n_fed < len(part.entries):
                self._feed_entry(session, part)
                return True
            if part.closed and not part.committed:
                part.committed = True
                _remember(part, session.commit())
                return True
        return False

    def _feed_entry(self, session: SpeakingSession, part: TurnInput) -> None:
        entry = part.entries[part.n_fed]
        if isinstance(entry, Sound):
            stop = part.n_fed
            pieces: list[Samples] = []
            n_samples = 0
            while stop < len(part.entries) and n_samples < FEED_AT_MOST_S * entry.rate_hz:
                following = part.entries[stop]
                if not isinstance(following, Sound) or following.rate_hz != entry.rate_hz:
                    break
                pieces.append(following.pcm)
                n_samples += len(following.pcm)
                stop += 1
            part.n_fed = stop
            _remember(part, session.hear(np.concatenate(pieces), rate_hz=entry.rate_hz))
            return
        part.n_fed += 1
        if isinstance(entry, Picture):
            _remember(part, session.see(decode_picture(entry.data, "image"), at_s=entry.at_s))
        else:
            _remember(part, session.read(entry.text, role=entry.role))

    def take_back_buffer(self, session: SpeakingSession) -> None:
        """Makes the model forget what it took of the open input; `feed` gives it again."""
        part = self.buffer
        if part is not None and part.n_fed:
            session.clear()
            part.n_fed = 0
            part.handles.clear()

    def take_back(self, session: SpeakingSession) -> None:
        """Makes the model forget everything since the last reply; `feed` gives it again."""
        for part in reversed(self.inputs):
            if not part.n_fed:
                continue
            if part.committed:
                for handle in reversed(part.handles):
                    session.forget(handle)
            else:
                session.clear()
            part.n_fed = 0
            part.committed = False
            part.handles.clear()


def _remember(part: TurnInput, handle: Any) -> None:
    if handle is not None and handle not in part.handles:
        part.handles.append(handle)
