"""The user's own words, found when nothing else is waiting. Owned by the model thread."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from model.realtime.contract import SpeakingSession
from model.realtime.server_events import (
    InputTranscriptionCompleted,
    InputTranscriptionFailed,
    ServerEvent,
    TranscriptionError,
    TranscriptionUsage,
)

QUIET_S = 0.05
"""Nothing must have come from the client for this long: a `response.create` on its way goes first."""


@dataclass(frozen=True, slots=True)
class Wanted:
    item_id: str
    sound_s: float


class Transcripts:
    """Which committed items of the newest user turn still need their words."""

    def __init__(self, send: Callable[[ServerEvent], None]) -> None:
        self._send = send
        self._wanted: list[Wanted] = []

    @property
    def wanted(self) -> bool:
        return bool(self._wanted)

    def want(self, item_id: str, sound_s: float) -> None:
        self._wanted.append(Wanted(item_id, sound_s))

    def forget(self, item_id: str) -> None:
        self._wanted = [wanted for wanted in self._wanted if wanted.item_id != item_id]

    def run(self, session: SpeakingSession) -> tuple[str, str]:
        """Asks the model for the words of the whole turn; returns (item id, words).

        They belong to the newest item. Items committed before it in the same turn, and not asked for in time, fail with
        `superseded`: their words are in the newest item's.
        """
        text = session.transcribe_user()
        newest = self._wanted[-1]
        self.fail("superseded", f"The words of this item are in those of {newest.item_id}.", keep_newest=True)
        self._send(InputTranscriptionCompleted(newest.item_id, text, TranscriptionUsage(round(newest.sound_s, 3))))
        self._wanted.clear()
        return newest.item_id, text

    def fail(self, code: str, message: str, keep_newest: bool = False) -> None:
        """Gives up on what is waiting."""
        kept = self._wanted[-1:] if keep_newest else []
        for wanted in self._wanted[: len(self._wanted) - len(kept)]:
            self._send(InputTranscriptionFailed(wanted.item_id, TranscriptionError(message, code)))
        self._wanted = kept
