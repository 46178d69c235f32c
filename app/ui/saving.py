"""Asks for a place for a file, and writes one there off the Qt thread."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, QThreadPool, Signal
from PySide6.QtWidgets import QFileDialog, QWidget


def ask_place(parent: QWidget, title: str, name: str, kind: str, chosen: Callable[[str], object]) -> None:
    """Opens a dialog over `parent`; `chosen` gets the path. `name`: the file's, with its suffix; `kind`: in words."""
    suffix = Path(name).suffix
    dialog = QFileDialog(parent, title, name)
    dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
    dialog.setDefaultSuffix(suffix.lstrip("."))
    dialog.setNameFilter(f"{kind} (*{suffix})")
    dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    dialog.fileSelected.connect(chosen)
    dialog.open()


class Saver(QObject):
    """Belongs to the main window, which outlives what is being written. `told`: what became of it, for people."""

    told = Signal(str)

    def write(self, path: str, content: bytes, what: str) -> None:
        """`what` for people: "transcript", "picture"."""

        def work() -> None:
            try:
                Path(path).write_bytes(content)
                self.told.emit(f"{what.capitalize()} saved as {Path(path).name}")
            except OSError as error:
                self.told.emit(f"The {what} could not be saved: {error}. Choose another place.")

        QThreadPool.globalInstance().start(work)
