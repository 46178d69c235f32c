"""What to do next: speech first while little of it is ahead of being played, text when there is plenty.

Pure: it knows situations, not models. Used by the reply (`next_work`) and, between clients, by the engine's model
thread (`order`): what a user says is read before anybody's reply goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

FRAMES_PER_S = 12.5
# Code2Wav and the host have costs per call. With this much speech ahead of its playing, this many frames at a time.
GROUPS_OF_FRAMES = ((1.0, 8), (0.5, 4), (0.25, 2))  # (lead in seconds, frames), longest first
LONG_LEAD_S = 2.0  # from here on the text may run ahead of the speech
TEXT_AHEAD = 24  # tokens, about two seconds of speech
TEXT_GROUP = 4  # tokens at a time then: a cancelled reply stops after them


class Task(Enum):
    """Whose turn it is."""

    SPEAK = "speak"  # the Talker, `count` frames
    WRITE = "write"  # the Thinker, `count` tokens


@dataclass(frozen=True)
class Work:
    """A piece of work of one reply."""

    task: Task
    count: int


@dataclass(frozen=True)
class Situation:
    """What a reply knows of itself; work that was asked for counts as done."""

    lead_s: float  # speech that was handed over but, played from its first sample on, not heard yet
    has_spoken: bool  # the first samples have left
    n_text_ahead: int  # tokens that no frame has read yet
    text_open: bool
    speech_open: bool
    n_text_wanted: int = (
        0  # tokens that are to be ahead before more is spoken: speech is slow, and waits for its sentence
    )


def group_size(lead_s: float, *, has_spoken: bool) -> int:
    """Frames to make at once: the first one alone, more as the lead grows."""
    if not has_spoken:
        return 1
    return next((size for least_s, size in GROUPS_OF_FRAMES if lead_s >= least_s), 1)


def next_work(now: Situation) -> Work | None:
    """The next piece of work, or None when the reply is complete."""
    if not now.speech_open:
        return Work(Task.WRITE, 1) if now.text_open else None
    group = group_size(now.lead_s, has_spoken=now.has_spoken)
    if not now.text_open:
        return Work(Task.SPEAK, group)
    is_long = now.has_spoken and now.lead_s >= LONG_LEAD_S
    missing = max(TEXT_AHEAD if is_long else group, now.n_text_wanted) - now.n_text_ahead
    if missing > 0:
        return Work(Task.WRITE, min(missing, TEXT_GROUP))
    return Work(Task.SPEAK, group)


@dataclass(frozen=True)
class Claim:
    """What one conversation waits for, seen from the engine."""

    has_input: bool  # messages of its user wait, or sound that was not read yet
    is_replying: bool
    lead_s: float  # of its reply; 0 before it has spoken


def order(clients: Sequence[Claim]) -> list[int]:
    """Numbers of the clients in the order of their claims: input first, then the reply that will run dry first."""
    return sorted(range(len(clients)), key=lambda n: _rank(clients[n]))


def _rank(client: Claim) -> tuple[int, float]:
    if client.has_input:
        return 0, 0.0
    return (1, client.lead_s) if client.is_replying else (2, 0.0)
