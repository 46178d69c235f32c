"""The user's own words, found between other work a few tokens at a time. Owned by the model thread.

The model is asked for the words of the whole open turn. For a client to which that is one turn (Sightline's) they
belong to its newest item. For others each item has its own: an item's words are asked for before the next one is heard,
and of the whole turn's words those of its earlier items are taken away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from model.realtime.contract import SpeakingSession, Words
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

TOKENS_AT_ONCE = 8
"""Then the engine looks whether something else has come."""


@dataclass(frozen=True, slots=True)
class Wanted:
    item_id: str
    sound_s: float


@dataclass(frozen=True, slots=True)
class Found:
    """The words of an item. `of_turn`: those of the whole turn up to it, as the model gave them."""

    item_id: str
    words: str
    of_turn: str


class Transcripts:
    """Which committed items of the newest user turn still need their words."""

    def __init__(self, send: Callable[[ServerEvent], None]) -> None:
        self._send = send
        self._wanted: list[Wanted] = []
        self._asking: Words | None = None
        self._of_turn: dict[str, str] = {}
        """What the turn's earlier items hold together, by the newest of them."""

    @property
    def wanted(self) -> bool:
        return bool(self._wanted)

    @property
    def asking(self) -> bool:
        """The model is at it: its session must be left alone, or `give_up` called before."""
        return self._asking is not None

    def wants(self, item_id: str) -> bool:
        return any(wanted.item_id == item_id for wanted in self._wanted)

    def wants_other_than(self, item_ids: Iterable[str]) -> bool:
        """Whether the words of any other item are wanted."""
        known = set(item_ids)
        return any(wanted.item_id not in known for wanted in self._wanted)

    def want(self, item_id: str, sound_s: float) -> None:
        self._wanted.append(Wanted(item_id, sound_s))

    def forget(self, item_id: str) -> None:
        self._wanted = [wanted for wanted in self._wanted if wanted.item_id != item_id]
        self._of_turn.pop(item_id, None)

    def step(self, session: SpeakingSession, turn_s: float, heard: Sequence[str], is_one_turn: bool) -> Found | None:
        """Goes on asking for the words of the turn, `turn_s` of sound; sends and returns them when they are complete.

        `heard`: the turn's items that the model has heard, in order.
        """
        try:
            if self._asking is None:
                self._asking = session.transcription(max_tokens=MIN_TOKENS + round(turn_s * TOKENS_PER_S))
            of_turn = self._asking.step(TOKENS_AT_ONCE)
        except ValueError as error:  # nothing was said, or it has been evicted
            self._asking = None
            newest = self._take(heard, is_one_turn)
            self._fail(newest, "not_available", str(error))
            return Found(newest.item_id, "", "")
        if of_turn is None:
            return None
        self._asking = None
        newest = self._take(heard, is_one_turn)
        words = of_turn
        if not is_one_turn:
            known = next((self._of_turn[item_id] for item_id in heard if item_id in self._of_turn), "")
            words = rest_of(of_turn, known)
            self._of_turn = {newest.item_id: of_turn}
        self._send(InputTranscriptionCompleted(newest.item_id, words, TranscriptionUsage(round(newest.sound_s, 3))))
        return Found(newest.item_id, words, of_turn)

    def give_up(self) -> None:
        """Stops asking; `step` begins again."""
        asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()

    def give_up_on_others(self, item_ids: Iterable[str]) -> None:
        """A reply to these items begins: the words of earlier turns can no longer be had."""
        known = set(item_ids)
        for wanted in self._wanted:
            if wanted.item_id not in known:
                self._fail(wanted, "too_late", "The next turn was answered before there was time for these words.")
        self._wanted = [wanted for wanted in self._wanted if wanted.item_id in known]

    def _take(self, heard: Sequence[str], is_one_turn: bool) -> Wanted:
        """The item that the words belong to. In one turn the earlier items' words are in the newest one's."""
        *older, newest = [wanted for wanted in self._wanted if wanted.item_id in heard] or self._wanted
        self._wanted = [wanted for wanted in self._wanted if wanted is not newest and wanted not in older]
        for wanted in older:
            if is_one_turn:
                message = f"The words of this item are in those of {newest.item_id}."
                self._fail(wanted, "superseded", message)
            else:  # committed together, before there was time: the first of them has the words
                self._fail(wanted, "too_late", f"These words were heard together with those of {newest.item_id}.")
        return newest

    def _fail(self, wanted: Wanted, code: str, message: str) -> None:
        self._send(InputTranscriptionFailed(wanted.item_id, TranscriptionError(message, code)))


def rest_of(words: str, known: str) -> str:
    """What `words` has beyond `known`, which the same ears understood before, perhaps a little differently.

    The beginning of `words` that is nearest to `known` (by edits of words) is taken away.
    """
    if not known:
        return words
    parts, before = words.split(), [_plain(word) for word in known.split()]
    costs = list(range(len(before) + 1))  # of making the empty beginning into each beginning of `known`
    best, n_known = costs[-1], 0
    for place, word in enumerate(parts, start=1):
        row = [place]
        for number, other in enumerate(before, start=1):
            change = costs[number - 1] + (_plain(word) != other)
            row.append(min(change, costs[number] + 1, row[-1] + 1))
        costs = row
        if costs[-1] < best:
            best, n_known = costs[-1], place
    return " ".join(parts[n_known:])


def _plain(word: str) -> str:
    return "".join(letter for letter in word.lower() if letter.isalnum())
