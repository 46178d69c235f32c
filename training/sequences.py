"""Conversations as the runtime lays them out, packed for training.

A row is a prefix (the user's header, sounds and pictures) with branches (typed questions, answers, transcriptions) that
see the prefix and themselves but not each other. So one encoded sound or picture serves several answers. A branch is
exactly what the runtime's cache holds at that place: same tokens, same positions. The system turn before it all is the
same for a whole batch and lies outside the rows. In a whole conversation the prefix holds every turn, and what the
runtime asks on the side (the transcription of a turn) or takes back (a reply that was interrupted) are forks off it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from training import config, text, timing, vision
from training.hearing_audio import tokens_of_frames

USER_HEADER = "<|im_start|>user\n"
TURN_END = "<|im_end|>\n<|im_start|>assistant\n"
NEXT_USER = "<|im_end|>\n<|im_start|>user\n"


@dataclass(frozen=True)
class Text:
    """Token ids; the model learns to write them when `learn`."""

    ids: tuple[int, ...]
    learn: bool = False


@dataclass(frozen=True)
class Sound:
    """A sound span of its own: number of the sound in the batch, its mel frames."""

    number: int
    n_mel_frames: int


@dataclass(frozen=True)
class Picture:
    """A picture as an image: its number in the batch, its size in pixels."""

    number: int
    height: int
    width: int


@dataclass(frozen=True)
class Span:
    """Sound with pictures in it, ordered by time; `at_s` holds a time for each picture."""

    sound: Sound
    pictures: tuple[Picture, ...]
    at_s: tuple[float, ...]


@dataclass(frozen=True)
class Gone:
    """What was evicted: its positions were used, its rows are no longer there."""

    segment: Text | Sound | Picture | Span


@dataclass(frozen=True)
class Fork:
    """A branch in the middle of a conversation: sees what came before it, what comes after does not see it."""

    segments: tuple[Segment, ...]


Segment = Text | Sound | Picture | Span | Gone | Fork


@dataclass
class Row:
    """A packed row: parallel lists, one entry a token. `source` is (kind, number, index in it) of an embedding."""

    ids: list[int] = field(default_factory=list)
    positions: list[tuple[float, float, float]] = field(default_factory=list)
    branches: list[int] = field(default_factory=list)
    learn: list[bool] = field(default_factory=list)
    sources: list[tuple[str, int, int] | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.ids)


def say(words: str, *, learn: bool = False) -> Text:
    """Plain text, special tokens included."""
    return Text(tuple(text.encode(words)), learn)


def reply(words: str) -> list[Segment]:
    """An answer with its holds, and the end of the turn."""
    return [Text((*timing.speakable_tokens(words), text.IM_END), learn=True)]


def written(words: str) -> list[Segment]:
    """A transcription, without holds, and the end of the turn."""
    return [Text((*text.encode(words), text.IM_END), learn=True)]


class _Writer:
    def __init__(self, row: Row, start: float) -> None:
        self.row, self.next = row, start
        self.branch = self.n_branches = 0
        self.is_gone = False

    def token(
        self, token: int, place: tuple[float, float, float] | None = None, *, learn: bool = False,
        source: tuple[str, int, int] | None = None,
    ) -> None:  # fmt: skip
        if place is None:
            place = (self.next,) * 3
            self.next += 1
        if self.is_gone:
            return
        self.row.ids.append(token)
        self.row.positions.append(place)
        self.row.branches.append(self.branch)
        self.row.learn.append(learn)
        self.row.sources.append(source)

    def segment(self, segment: Segment) -> None:
        if isinstance(segment, Text):
            for token in segment.ids:
                self.token(token, learn=segment.learn)
        elif isinstance(segment, Sound):
            self.token(text.AUDIO_START)
            for index in range(tokens_of_frames(segment.n_mel_frames)):
                self.token(text.AUDIO_PAD, source=("sound", segment.number, index))
            self.token(text.AUDIO_END)
        elif isinstance(segment, Picture):
            self.token(text.VISION_START)
            start = self.next
            self._picture(segment, text.IMAGE_PAD, start, start)
            self.next = start + max(segment.height, segment.width) // (vision.PATCH * vision.MERGE)
            self.token(text.VISION_END)
        elif isinstance(segment, Gone):
            self.is_gone = True
            self.segment(segment.segment)
            self.is_gone = False
        elif isinstance(segment, Fork):
            self.fork(segment.segments, self.next)
        else:
            self._span(segment)

    def fork(self, segments: Sequence[Segment], start: float) -> None:
        """A branch of its own from this place on; the conversation then goes on as if it had not been."""
        trunk, after = self.branch, self.next
        self.n_branches += 1
        self.branch, self.next = self.n_branches, start
        for segment in segments:
            self.segment(segment)
        self.branch, self.next = trunk, after

    def _picture(self, picture: Picture, token: int, time: float, start: float) -> None:
        rows, columns = (side // (vision.PATCH * vision.MERGE) for side in (picture.height, picture.width))
        for index in range(rows * columns):
            place = (time, start + index // columns, start + index % columns)
            self.token(token, place, source=("picture", picture.number, index))

    def _span(self, span: Span) -> None:
        self.token(text.VISION_START)
        self.token(text.AUDIO_START)
        start, waiting = self.next, list(zip(span.pictures, span.at_s, strict=True))
        n_audio, highest = tokens_of_frames(span.sound.n_mel_frames), start - 1

        def place_pictures(until: float) -> None:
            nonlocal highest
            while waiting and waiting[0][1] * config.POSITIONS_PER_SECOND <= until:
                picture, at_s = waiting.pop(0)
                time = start + at_s * config.POSITIONS_PER_SECOND
                self._picture(picture, text.VIDEO_PAD, time, start)
                side = max(picture.height, picture.width) // (vision.PATCH * vision.MERGE)
                highest = max(highest, time, start + side - 1)

        for index in range(n_audio):
            place_pictures(index)
            self.token(text.AUDIO_PAD, (start + index,) * 3, source=("sound", span.sound.number, index))
        place_pictures(float("inf"))
        self.next = max(highest, start + n_audio - 1) + 1
        self.token(text.AUDIO_END)
        self.token(text.VISION_END)


def pack(prefix: list[Segment], branches: list[list[Segment]], first_position: int) -> Row:
    """One row; `first_position` is the length of the system turn before it."""
    row = Row()
    writer = _Writer(row, float(first_position))
    for segment in prefix:
        writer.segment(segment)
    for branch in branches:
        writer.fork(branch, writer.next)
    return row


def system_turn(instructions: str | None) -> list[int]:
    """Token ids of the system turn; empty without instructions."""
    return text.encode(f"<|im_start|>system\n{instructions}<|im_end|>\n") if instructions else []
