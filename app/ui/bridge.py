"""Between the Assistant's thread and the Qt thread. Newest view wins; announcements are never dropped."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Qt, Signal

from app.commands import Command
from app.view import Announcement, Phase, Problem, View

if TYPE_CHECKING:
    from app.interface import AssistantInterface


class AssistantBridge(QObject):
    """Lives in the Qt thread. Makes and starts the Assistant in a worker thread, so that the window is up before.

    Commands given before the Assistant exists are kept and sent in order. `viewed` and `announced` arrive in the Qt
    thread; `stopped` comes once, after every device and process of the Assistant has ended.
    """

    viewed = Signal(object)
    announced = Signal(object)
    stopped = Signal()
    _woken = Signal()

    def __init__(self, compose: Callable[[], AssistantInterface], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._compose = compose
        self._lock = threading.Lock()
        self._assistant: AssistantInterface | None = None
        self._early: list[Command] = []
        self._view: View | None = None
        self._announcements: deque[Announcement] = deque()
        self._wake_pending = False
        self._started = False
        self._stopping = False
        self._woken.connect(self._deliver, Qt.ConnectionType.QueuedConnection)

    def start(self) -> None:
        """Returns at once. The second call does nothing."""
        if self._started:
            return
        self._started = True
        threading.Thread(target=self._start, name="compose the assistant", daemon=True).start()

    def send(self, command: Command) -> None:
        """Hands a command on; never blocks."""
        with self._lock:
            if self._assistant is None:
                self._early.append(command)
                return
        self._assistant.send(command)

    def stop(self, timeout_s: float = 2.5) -> None:
        """Ends the Assistant in a worker thread; `stopped` tells when. Returns at once."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
        threading.Thread(target=self._stop, args=(timeout_s,), name="stop the assistant", daemon=True).start()

    def _start(self) -> None:
        try:
            assistant = self._compose()
        except Exception as error:  # noqa: BLE001  # the worker's failure becomes a visible state, whatever it was
            problem = Problem(
                "startup", f"Sightline could not start: {error}", "Run “main.py doctor”: it says what is missing."
            )
            self._on_view(View(phase=Phase.FAILED, problems=(problem,), microphone_on=False, camera_on=False))
            self._on_announcement(Announcement(problem.message, urgent=True))
            return
        assistant.subscribe(self._on_view, self._on_announcement)
        with self._lock:
            if self._stopping:
                return
            # Started inside the lock: from here on `stop` finds it, and commands cannot overtake the early ones.
            assistant.start()
            for command in self._early:
                assistant.send(command)
            self._early.clear()
            self._assistant = assistant

    def _stop(self, timeout_s: float) -> None:
        with self._lock:
            assistant = self._assistant
        if assistant is not None:
            assistant.stop(timeout_s)
        self.stopped.emit()

    def _on_view(self, view: View) -> None:
        self._view = view
        self._wake()

    def _on_announcement(self, announcement: Announcement) -> None:
        self._announcements.append(announcement)
        self._wake()

    def _wake(self) -> None:
        # One queued call at most: a busy Qt thread gets the newest view, not a backlog.
        if not self._wake_pending:
            self._wake_pending = True
            self._woken.emit()

    def _deliver(self) -> None:
        self._wake_pending = False
        view, self._view = self._view, None
        if view is not None:
            self.viewed.emit(view)
        while self._announcements:
            self.announced.emit(self._announcements.popleft())
