"""What the user has put in since the last reply, and how much of it the model has taken.

The raw sound and pictures are kept until the turn has been answered and the next one too, so that what was prefilled
early can be taken back and given again: when a late `conversation.item.truncate` changes what comes before it, when a
reply starts while the buffer is not committed, when the instructions change. Owned by the model thread.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

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

FEED_AT_MOST_CHARS = 160
"""The same for text. It is cut where one word follows another, so that its tokens are those of the whole."""

_BETWEEN_WORDS = re.compile(r"(?<=[^\W\d_])(?= [^\W\d_])")


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
    """`goes_on`: the reply that it belongs to has begun before."""

    text: str
    role: str = "user"
    goes_on: bool = False


Entry: TypeAlias = Sound | Picture | Words


@dataclass(slots=True)
class TurnInput:
    """One item's content. `closed`: committed by the client; `committed`: the model knows."""

    item_id: str
    entries: list[Entry] = field(default_factory=list)
    closed: bool = False
    n_fed: int = 0
    committed: bool = False
    handles: list[int] = field(default_factory=list)
    _n_read: int = 0  # handles up to the newest text
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

    def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> None:
        """Adds text, in pieces that take no longer than one step each."""
        for piece in pieces_of(text):
            self.entries.append(Words(piece, role, goes_on))
            goes_on = True

    def feed(self, session: SpeakingSession) -> None:
        """Gives the model the next entry, or as many sounds in a row as one step may take."""
        entry = self.entries[self.n_fed]
        self.n_fed += 1  # first: what the model refuses is not offered again
        if isinstance(entry, Picture):
            self._remember(session.see(decode_picture(entry.data, "image"), at_s=entry.at_s))
        elif isinstance(entry, Words):
            try:
                self._remember(session.read(entry.text, role=entry.role, goes_on=entry.goes_on))
            except ValueError:
                self._drop_the_rest()
                raise
            self._n_read = len(self.handles)
        else:
            self._remember(session.hear(self._sound_in_a_row(entry), rate_hz=entry.rate_hz))

    def _drop_the_rest(self) -> None:
        """There is no room for a text: the pieces that follow would only be refused one by one."""
        while self.n_fed < len(self.entries) and isinstance(self.entries[self.n_fed], Words):
            self.n_fed += 1

    def _sound_in_a_row(self, first: Sound) -> Samples:
        pieces = [first.pcm]
        n_samples = len(first.pcm)
        while self.n_fed < len(self.entries) and n_samples < FEED_AT_MOST_S * first.rate_hz:
            entry = self.entries[self.n_fed]
            if not isinstance(entry, Sound) or entry.rate_hz != first.rate_hz:
                break
            pieces.append(entry.pcm)
            n_samples += len(entry.pcm)
            self.n_fed += 1
        return np.concatenate(pieces)

    def _remember(self, handle: int) -> None:
        if handle not in self.handles:
            self.handles.append(handle)

    def take_back(self, session: SpeakingSession) -> None:
        """Makes the model forget what it took of this input, which is the newest and not committed."""
        if not self.n_fed:
            return
        session.clear()
        for handle in self.handles[: self._n_read]:  # text is committed as it is read
            session.forget(handle)
        self.n_fed = self._n_read = 0
        self.handles.clear()

    def forget(self, session: SpeakingSession) -> None:
        """Makes the model forget it, committed or not; `feed` gives it again from the start."""
        if not self.committed:
            self.take_back(session)
            return
        for handle in self.handles:
            session.forget(handle)
        self.give_again()

    def give_again(self) -> None:
        """The model knows nothing of it: `feed` begins from the start."""
        self.n_fed = self._n_read = 0
        self.committed = False
        self.handles.clear()


def pieces_of(text: str) -> list[str]:
    """A text in pieces of about `FEED_AT_MOST_CHARS`; joined they are the text."""
    pieces, start = [], 0
    for match in _BETWEEN_WORDS.finditer(text):
        if match.start() - start >= FEED_AT_MOST_CHARS:
            pieces.append(text[start : match.start()])
            start = match.start()
    return [*pieces, text[start:]]


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

    @property
    def has_news(self) -> bool:
        """Something was heard, seen or written that the model has not been given."""
        return any(part.n_fed < len(part.entries) or (part.closed and not part.committed) for part in self.inputs)

    def close(self, part: TurnInput) -> None:
        """Ends the open input, or puts a complete one before it."""
        part.closed = True
        if part not in self.inputs:
            self.inputs.insert(len(self.inputs) - (self.buffer is not None), part)

    @property
    def next_part(self) -> TurnInput | None:
        """The input that `feed` goes on with."""
        return next(
            (p for p in self.inputs if p.n_fed < len(p.entries) or (p.closed and not p.committed)), None
        )  # fmt: skip

    def insert(self, part: TurnInput, before: TurnInput, session: SpeakingSession) -> None:
        """Puts a closed input before another; what the model has of that and later ones is taken back."""
        part.closed = True
        place = self.inputs.index(before)
        for later in reversed(self.inputs[place:]):
            later.forget(session)
        self.inputs.insert(place, part)

    def feed(self, session: SpeakingSession) -> bool:
        """Gives the model the next piece; False when it has everything."""
        for part in self.inputs:
            if part.n_fed < len(part.entries):
                part.feed(session)
                return True
            if part.closed and not part.committed:
                part.committed = True
                session.commit()
                return True
        return False

    def take_back_buffer(self, session: SpeakingSession) -> None:
        """Makes the model forget what it took of the open input; `feed` gives it again."""
        if self.buffer is not None:
            self.buffer.take_back(session)

    def remove(self, part: TurnInput, session: SpeakingSession) -> None:
        """Takes one input out, and out of the model."""
        if not part.committed:
            part.take_back(session)
        else:
            for handle in part.handles:
                session.forget(handle)
        self.inputs.remove(part)

    def give_again(self) -> None:
        """The model has forgotten everything (it is a new session): `feed` begins from the start."""
        for part in self.inputs:
            part.give_again()
