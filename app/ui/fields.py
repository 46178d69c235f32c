"""Rows of a settings form: a label that belongs to its field, and notes that screen readers say with it."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout, QLabel, QWidget


def add_row(form: QFormLayout, text: str, field: QWidget) -> None:
    label = QLabel(text)
    label.setBuddy(field)
    field.setAccessibleName(text.replace("&", ""))
    form.addRow(label, field)


def add_note(form: QFormLayout, field: QWidget | None, text: str) -> QLabel:
    """What must be known about the field above, for eyes and for screen readers."""
    note = QLabel(text)
    note.setWordWrap(True)
    note.setObjectName("muted")
    if field is not None:
        field.setAccessibleDescription(text)
    form.addRow(note)
    return note
