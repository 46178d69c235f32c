"""Push-to-talk: a key that counts while it is held, wherever the focus is."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, QTimer, Signal
from PySide6.QtGui import QGuiApplication, QKeyEvent

RELEASE_MS = 80  # repetitions come every 25–40 ms


class PushToTalkKey(QObject):
    """An event filter for the application. `held` says when the key goes down and up.

    Held keys repeat; the repetitions are not new presses. X servers send a repetition as release and press, which Qt
    tells from real ones only when both have already arrived: a release therefore counts when no press follows at once
    (the last word is not cut off by that, on the contrary). A window that loses the keyboard never sees the key go up,
    so losing it counts as letting go.
    """

    held = Signal(bool)

    def __init__(self, key: str, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._down = False
        self.set_key(key)
        self._released = QTimer(self)
        self._released.setSingleShot(True)
        self._released.setInterval(RELEASE_MS)
        self._released.timeout.connect(lambda: self._set(False))
        application = QGuiApplication.instance()
        assert isinstance(application, QGuiApplication)
        application.installEventFilter(self)
        application.applicationStateChanged.connect(self._on_application_state)

    def set_key(self, name: str) -> None:
        """A key by Qt's name for it ("F8"); a name that Qt does not know leaves F8."""
        self._key = Qt.Key.__members__.get(f"Key_{name}", Qt.Key.Key_F8)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  # Qt's name
        kind = event.type()
        if kind not in (QEvent.Type.KeyPress, QEvent.Type.KeyRelease):
            return False
        assert isinstance(event, QKeyEvent)
        if event.key() != self._key:
            return False
        if kind == QEvent.Type.KeyPress:
            self._released.stop()
            self._set(True)
        elif not event.isAutoRepeat():
            self._released.start()
        return True

    def _on_application_state(self, state: Qt.ApplicationState) -> None:
        if state != Qt.ApplicationState.ApplicationActive:
            self._set(False)

    def _set(self, down: bool) -> None:
        if down != self._down:
            self._down = down
            self.held.emit(down)
