"""The replies that wait for the speaker, and how positions of the speaker map back to each reply's own time line."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from audio_io.blocks import SPEECH_RATE_HZ, Samples
from audio_io.errors import PlayerFullError
from audio_io.interfaces import Heard

MOST_QUEUED_S: Final = 600.0


@dataclass
class QueuedReply:
    """Sound of one reply at 24 kHz and what has become of it."""

    reply_id: str
    chunks: list[Samples] = field(default_factory=list)
    queued: int = 0
    """Samples ever queued."""
    dropped: int = 0
    """Samples of `chunks` that were heard and let go."""
    fed: int = 0
    """Samples taken by the worker."""
    heard: int = 0
    """Samples that have left the speaker."""
    finished: bool = False
    """`finish` was called."""
    announced: bool = False
    tail_written: bool = False
    underruns: int = 0
    # Pairs of speaker position and reply position, both growing.
    speaker_marks: deque[int] = field(default_factory=deque)
    reply_marks: deque[int] = field(default_factory=deque)

    def take(self, n_samples: int) -> Samples:
        """The next samples for the worker, up to `n_samples`."""
        offset = self.fed - self.dropped
        out: list[Samples] = []
        wanted = n_samples
        for chunk in self.chunks:
            if offset >= len(chunk):
                offset -= len(chunk)
                continue
            piece = chunk[offset : offset + wanted]
            out.append(piece)
            wanted -= len(piece)
            offset = 0
            if wanted == 0:
                break
        samples = np.concatenate(out) if out else np.empty(0, dtype=np.float32)
        self.fed += len(samples)
        return samples

    def mark(self, speaker_position: int, reply_position: int) -> None:
        """The speaker's samples before `speaker_position` are the reply's before `reply_position`."""
        self.speaker_marks.append(speaker_position)
        self.reply_marks.append(reply_position)

    def follow(self, left: int) -> None:
        """`left`: position up to which the speaker's sound has left it."""
        if not self.speaker_marks:
            return
        i = bisect_right(self.speaker_marks, left)
        if i == 0:
            return
        if i == len(self.speaker_marks):
            heard = self.reply_marks[-1]
        else:
            s0, s1 = self.speaker_marks[i - 1], self.speaker_marks[i]
            r0, r1 = self.reply_marks[i - 1], self.reply_marks[i]
            heard = r0 + (r1 - r0) * (left - s0) // max(1, s1 - s0)
        self.heard = max(self.heard, heard)
        for _ in range(i - 1):
            self.speaker_marks.popleft()
            self.reply_marks.popleft()
        while self.chunks and self.dropped + len(self.chunks[0]) <= self.heard:
            self.dropped += len(self.chunks.pop(0))

    def rewind(self) -> None:
        """The speaker is gone: everything not heard is to be played again."""
        self.fed = self.heard
        self.tail_written = False
        self.speaker_marks.clear()
        self.reply_marks.clear()


class ReplyQueue:
    """Replies in order; the first is the one that plays. Guarded by its owner's lock."""

    def __init__(self) -> None:
        self.replies: deque[QueuedReply] = deque()
        self._ended: deque[tuple[str, int]] = deque(maxlen=64)
        """Replies that were flushed or have finished, and how many ms of them were heard."""

    def find(self, reply_id: str) -> QueuedReply | None:
        return next((reply for reply in self.replies if reply.reply_id == reply_id), None)

    def has_ended(self, reply_id: str) -> bool:
        return any(ended == reply_id for ended, _ in self._ended)

    def add(self, reply_id: str, samples: Samples) -> None:
        """Raises PlayerFullError, ValueError; ignores replies that have ended."""
        samples = np.asarray(samples, dtype=np.float32)
        if samples.ndim != 1:
            raise ValueError(f"expected mono samples [n] at {SPEECH_RATE_HZ} Hz, not an array of shape {samples.shape}")
        if not np.isfinite(samples).all():
            # One such sample would poison the echo canceller for good.
            raise ValueError(f"the sound of reply {reply_id!r} holds values that are not numbers")
        if self.has_ended(reply_id):
            return
        waiting = sum(reply.queued - reply.heard for reply in self.replies)
        if waiting + len(samples) > MOST_QUEUED_S * SPEECH_RATE_HZ:
            raise PlayerFullError(
                f"{waiting / SPEECH_RATE_HZ:.0f} s of speech wait to be played, the limit is {MOST_QUEUED_S:.0f} s.",
                "Stop the reply.",
            )
        reply = self.find(reply_id)
        if reply is None:
            reply = QueuedReply(reply_id)
            self.replies.append(reply)
        if reply.finished:
            raise ValueError(f"sound for reply {reply_id!r} came after its finish()")
        reply.chunks.append(samples.copy())
        reply.queued += len(samples)

    def finish(self, reply_id: str) -> None:
        if self.has_ended(reply_id):
            return
        reply = self.find(reply_id)
        if reply is None:
            reply = QueuedReply(reply_id)
            self.replies.append(reply)
        reply.finished = True

    def flush(self) -> tuple[Heard, ...]:
        heard = tuple(Heard(reply.reply_id, to_ms(reply.heard)) for reply in self.replies)
        self._ended.extend((item.reply_id, item.heard_ms) for item in heard)
        self.replies.clear()
        return heard

    def end_first(self) -> QueuedReply:
        reply = self.replies.popleft()
        self._ended.append((reply.reply_id, to_ms(reply.heard)))
        return reply

    def heard_ms(self, reply_id: str) -> int:
        reply = self.find(reply_id)
        if reply is not None:
            return to_ms(reply.heard)
        return next((heard_ms for ended, heard_ms in self._ended if ended == reply_id), 0)


def to_ms(samples: int) -> int:
    """Samples of a reply in whole ms."""
    return samples * 1000 // SPEECH_RATE_HZ
