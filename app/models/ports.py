"""What the Models page needs; commands/model_shop.py puts processes behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

OnEvent = Callable[[dict[str, Any]], None]


class ModelShop(Protocol):
    """Works in processes of its own, so that it can be ended at any point. Callbacks run in threads of the shop."""

    def look(self, on_event: OnEvent) -> None:
        """Lists models; one event {"event": "listed", ...} or {"event": "failed", "message": ...} follows."""

    def get(self, what: str, bits: int | None, on_event: OnEvent) -> None:
        """Gets a model in the background; events as `models get --json` writes them, then {"event": "ended"}.

        One at a time: a second call while one is under way does nothing."""

    def pause(self) -> None:
        """Ends the download that is under way; `get` goes on from there."""

    def remove(self, name: str, on_event: OnEvent) -> None:
        """Deletes a model; {"event": "removed"} or {"event": "failed"} follows."""

    def stop(self) -> None:
        """Ends every process; may be called twice."""
