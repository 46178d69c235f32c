"""The view that fronts show: put together in the Assistant's thread, given to subscribers at a pace they can follow."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from app.interface import AnnouncementCallback, ViewCallback
from app.view import Announcement, View

PUBLISH_S = 1 / 30


class Publisher:
    """`view` is put together by the Assistant's thread; `shown` is what fronts have, and may be read from any thread.

    `subscribe` may be called from any thread; callbacks run in the Assistant's (the first one in the subscriber's).
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.shown = view
        self._published_s = float("-inf")
        self._lock = threading.Lock()
        self._delivering = threading.RLock()  # no view overtakes another; a callback may subscribe
        self._subscribers: list[tuple[ViewCallback, AnnouncementCallback | None]] = []

    def subscribe(self, on_view: ViewCallback, on_announcement: AnnouncementCallback | None) -> Callable[[], None]:
        entry = (on_view, on_announcement)
        with self._delivering:
            with self._lock:
                self._subscribers.append(entry)
            on_view(self.shown)

        def unsubscribe() -> None:
            with self._lock:
                if entry in self._subscribers:
                    self._subscribers.remove(entry)

        return unsubscribe

    def change(self, **changes: object) -> None:
        self.view = replace(self.view, **changes)  # type: ignore[arg-type]

    def publish(self, now_s: float, *, at_once: bool = False) -> None:
        """Shows the view if it has changed: a new phase or problem at once, all else no faster than PUBLISH_S."""
        if self.view == self.shown:
            return
        urgent = at_once or self.view.phase is not self.shown.phase or self.view.problems is not self.shown.problems
        if not urgent and now_s - self._published_s < PUBLISH_S:
            return
        with self._delivering:
            self.shown, self._published_s = self.view, now_s
            with self._lock:
                subscribers = tuple(self._subscribers)
            for on_view, _ in subscribers:
                on_view(self.shown)

    def announce(self, announcement: Announcement) -> None:
        with self._lock:
            subscribers = tuple(self._subscribers)
        for _, on_announcement in subscribers:
            if on_announcement is not None:
                on_announcement(announcement)
