"""Announcements to screen readers."""

from __future__ import annotations

from PySide6.QtGui import QAccessible, QAccessibleAnnouncementEvent
from PySide6.QtWidgets import QWidget

from app.view import Announcement


def announce(widget: QWidget, announcement: Announcement) -> None:
    """Says it through the platform's screen reader; does nothing when none runs.

    Polite announcements wait until the screen reader has finished its sentence; urgent ones interrupt it.
    """
    if not QAccessible.isActive():
        return
    event = QAccessibleAnnouncementEvent(widget, announcement.text)
    event.setPoliteness(
        QAccessible.AnnouncementPoliteness.Assertive
        if announcement.urgent
        else QAccessible.AnnouncementPoliteness.Polite
    )
    QAccessible.updateAccessibility(event)
