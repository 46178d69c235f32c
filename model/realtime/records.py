"""The items of one conversation as the client knows them. Owned by the model thread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from model.realtime.client_events import Item, Part

MAX_RECORDS = 4096
"""Older items are forgotten here (not in the model, which has its own budget); they can no longer be named."""


@dataclass(slots=True)
class Record:
    """One item. `handles` are the model's names for its positions; empty when the model holds nothing of it."""

    id: str
    role: Literal["user", "assistant", "system"]
    content: tuple[Part, ...]
    status: Literal["completed", "incomplete", "in_progress"] = "completed"
    handles: list[int] = field(default_factory=list)

    @property
    def text(self) -> str:
        """What was written or said, as far as it is known in words."""
        return " ".join(text for part in self.content if (text := part.text or part.transcript))

    def wire(self) -> Item:
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

    def add(self, record: Record) -> str | None:
        """Appends; returns the id of the item before it."""
        previous = self.last_id
        self._records[record.id] = record
        if len(self._records) > MAX_RECORDS:
            del self._records[next(iter(self._records))]
        return previous

    def remove(self, item_id: str) -> None:
        self._records.pop(item_id, None)
