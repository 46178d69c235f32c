"""The user's own words, found when nothing else is waiting. Owned by the model thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable
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

MIN_TOKENS = 16
TOKENS_PER_S = 16.0
"""Nobody says more than about 8 tokens a second, of pairs of letters: a transcript that goes on is nonsense."""


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

    def wants_other_than(self, item_ids: Iterable[str]) -> bool:
        """Whether the words of any other item are wanted."""
        known = set(item_ids)
        return any(wanted.item_id not in known for wanted in self._wanted)

    def want(self, item_id: str, sound_s: float) -> None:
        self._wanted.append(Wanted(item_id, sound_s))

    def forget(self, item_id: str) -> None:
        self._wanted = [wanted for wanted in self._wanted if wanted.item_id != item_id]

    def run(self, session: SpeakingSession, turn_s: float) -> tuple[str, str]:
        """Asks the model for the words of the whole turn, `turn_s` of sound; returns (item id, words).

        They belong to the newest item. Items committed before it in the same turn, and not asked for in time, fail with
        `superseded`: their words are in the newest item's.
        """
        *older, newest = self._wanted
        self._wanted = []
        for wanted in older:
            self._fail(wanted, "superseded", f"The words of this item are in those of {newest.item_id}.")
        try:
            text = session.transcribe_user(max_tokens=MIN_TOKENS + round(turn_s * TOKENS_PER_S))
        except ValueError as error:  # nothing was said, or it has been evicted
            self._fail(newest, "not_available", str(error))
            return newest.item_id, ""
        self._send(InputTranscriptionCompleted(newest.item_id, text, TranscriptionUsage(round(newest.sound_s, 3))))
        return newest.item_id, text

    def give_up_on_others(self, item_ids: Iterable[str]) -> None:
        """A reply to these items begins: the words of earlier turns can no longer be had."""
        known = set(item_ids)
        for wanted in self._wanted:
            if wanted.item_id not in known:
                self._fail(wanted, "too_late", "The next turn was answered before there was time for these words.")
        self._wanted = [wanted for wanted in self._wanted if wanted.item_id in known]

    def _fail(self, wanted: Wanted, code: str, message: str) -> None:
        self._send(InputTranscriptionFailed(wanted.item_id, TranscriptionError(message, code)))
