"""Announcements to screen readers, by the ways that reach those that run now."""

from __future__ import annotations

from PySide6.QtCore import QObject
from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

from app.ui.live_region import LiveRegion
from app.ui.reader_watch import DESCRIPTION, EVENT, ReaderWatch
from app.view import Announcement


class Announcer(QObject):
    """Does nothing while no screen reader runs.

    Polite announcements wait until the screen reader has finished its sentence; urgent ones interrupt it.
    """

    def __init__(self, window: QWidget, watch: ReaderWatch) -> None:
        super().__init__(window)
        self._window = window
        self._watch = watch
        self._region = LiveRegion(self)

    def say(self, announcement: Announcement) -> None:
        if not QAccessible.isActive():
            return
        ways = self._watch.ways
        if EVENT in ways:
            event = QAccessibleAnnouncementEvent(self._window, announcement.text)
            event.setPoliteness(
                QAccessible.AnnouncementPoliteness.Assertive
                if announcement.urgent
                else QAccessible.AnnouncementPoliteness.Polite
            )
            QAccessible.updateAccessibility(event)
        if DESCRIPTION in ways:
            self._region.say(announcement.text, announcement.urgent)
