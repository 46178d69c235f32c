"""The items of one conversation as the client knows them. Owned by the model thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from model.conversation.calls import call_text, result_text
from model.realtime.client_events import ContentPart, Item
from model.realtime.turn import TurnInput

MAX_RECORDS = 4096
"""Older items are forgotten here (not in the model, which has its own budget); they can no longer be named."""

MAX_KEPT_SOUND_S = 120.0
MAX_KEPT_PICTURES = 16
"""Of the user's items whose words nobody knows: sound and pictures kept for a model session that has to begin anew."""

Kind = Literal["message", "function_call", "function_call_output"]


@dataclass(slots=True)
class Record:
    """One item. `handles` are the model's names for its positions; empty when the model holds nothing of it."""

    id: str
    role: Literal["user", "assistant", "system"]
    content: tuple[ContentPart, ...]
    status: Literal["completed", "incomplete", "in_progress"] = "completed"
    handles: list[int] = field(default_factory=list)
    kind: Kind = "message"
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""
    input: TurnInput | None = None
    """What the user put in, as long as it is kept."""
    letters_heard: Callable[[float], int] | None = None
    """Of a spoken reply: how many letters of its text were spoken in so many milliseconds."""
    audio_ms: int = 0

    @property
    def text(self) -> str:
        """What was written or said, as far as it is known in words; calls and results as the model reads them."""
        if self.kind == "function_call":
            return call_text(self.name, self.arguments)
        if self.kind == "function_call_output":
            return result_text(self.output)
        return " ".join(text for part in self.content if (text := part.text or part.transcript))

    def wire(self) -> Item:
        if self.kind == "function_call":
            return Item(
                "function_call",
                id=self.id,
                object="realtime.item",
                status=self.status,
                call_id=self.call_id,
                name=self.name,
                arguments=self.arguments,
            )
        if self.kind == "function_call_output":
            return Item(
                "function_call_output",
                id=self.id,
                object="realtime.item",
                status=self.status,
                call_id=self.call_id,
                output=self.output,
            )
        return Item("message", self.role, self.content, self.id, "realtime.item", self.status)


class Records:
    """Items in conversation order."""

    def __init__(self) -> None:
        self._records: dict[str, Record] = {}

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[Record]:
        return iter(self._records.values())

    @property
    def last_id(self) -> str | None:
        return next(reversed(self._records), None)

    def get(self, item_id: str) -> Record | None:
        return self._records.get(item_id)

    def before(self, item_id: str) -> str | None:
        """The id of the item before."""
        ids = list(self._records)
        place = ids.index(item_id)
        return ids[place - 1] if place else None

    def add(self, record: Record) -> str | None:
        """Appends; returns the id of the item before it."""
        previous = self.last_id
        self._records[record.id] = record
        if len(self._records) > MAX_RECORDS:
            del self._records[next(iter(self._records))]
        self._let_go()
        return previous

    def insert_after(self, record: Record, previous_id: str | None) -> list[Record]:
        """Puts one behind another (None: before all); returns those that come after it."""
        ids = list(self._records)
        place = 0 if previous_id is None else ids.index(previous_id) + 1
        later = [self._records[item_id] for item_id in ids[place:]]
        for other in later:
            del self._records[other.id]
        self.add(record)
        for other in later:
            self._records[other.id] = other
        return later

    def remove(self, item_id: str) -> None:
        self._records.pop(item_id, None)

    def _let_go(self) -> None:
        """Of what the user put in, only the newest is kept, and nothing whose words are known."""
        sound_s, n_pictures = 0.0, 0
        for record in reversed(self._records.values()):
            if record.input is None:
                continue
            sound_s += record.input.sound_s
            n_pictures += record.input.n_pictures
            if sound_s > MAX_KEPT_SOUND_S or n_pictures > MAX_KEPT_PICTURES:
                record.input = None
