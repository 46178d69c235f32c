"""Pickers for microphone, speaker and picture source. Lists are made in a worker thread; some systems take seconds."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import QComboBox, QFileDialog, QLabel, QSizePolicy, QWidget

from app.commands import ChooseDevice
from app.ui.ports import DeviceChoice, DeviceKind
from app.view import DeviceNames

KINDS: tuple[tuple[DeviceKind, str], ...] = (
    ("microphone", "&Microphone"),
    ("speaker", "S&peaker"),
    ("pictures", "Pictures &from"),
)
DEFAULT_LABEL = "System default"
FILE_ENTRY = "Video or picture file …"
NO_PICTURES_LABEL = "No pictures"


class DeviceLister(QObject):
    """Asks for the devices in a thread; `listed` arrives in the Qt thread."""

    listed = Signal(str, object)

    def __init__(self, list_devices: Callable[[DeviceKind], list[DeviceChoice]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._list_devices = list_devices
        self._busy = threading.Lock()

    def refresh(self) -> None:
        """Returns at once; does nothing while an earlier listing still runs."""
        if self._busy.acquire(blocking=False):
            threading.Thread(target=self._run, name="list devices", daemon=True).start()

    def _run(self) -> None:
        try:
            for kind, _ in KINDS:
                self._tell(kind, tuple(self._list_devices(kind)))
        finally:
            self._busy.release()

    def _tell(self, kind: DeviceKind, choices: tuple[DeviceChoice, ...]) -> None:
        # The window may have been closed in the meantime: then there is nobody to tell.
        with contextlib.suppress(RuntimeError):
            self.listed.emit(kind, choices)


class DevicePicker(QComboBox):
    """One picker. Opening it lists the devices again. `picked` carries the command."""

    picked = Signal(object)
    opened = Signal()

    def __init__(self, kind: DeviceKind, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.kind = kind
        self.setAccessibleName(name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._choices: tuple[DeviceChoice, ...] = ()
        self._current = ""
        self._fill()
        self.activated.connect(self._on_activated)

    def showPopup(self) -> None:  # noqa: N802  # Qt's name
        self.opened.emit()
        super().showPopup()

    def show_choices(self, choices: tuple[DeviceChoice, ...]) -> None:
        if choices != self._choices:
            self._choices = choices
            self._fill()

    def show_current(self, name: str) -> None:
        # PortAudio calls the system's default "default" too, beside its entry of that name in the list.
        name = "" if name == "default" else name
        if name != self._current:
            self._current = name
            self._fill()

    def _fill(self) -> None:
        """The entries, with the one in use chosen; one that is in use and not listed is shown all the same."""
        entries: list[tuple[str | None, str]] = []
        if self.kind != "pictures":
            entries.append((None, DEFAULT_LABEL))
        entries += [(choice.name, choice.label) for choice in self._choices]
        if self.kind == "pictures":
            entries += [("", FILE_ENTRY), (None, NO_PICTURES_LABEL)]
        chosen = next((n for n, entry in enumerate(entries) if self._current and self._current in entry), None)
        if chosen is None and self._current:
            label = Path(self._current.removeprefix("file:")).name if self.kind == "pictures" else self._current
            entries.insert(0, (self._current, label))
            chosen = 0
        if chosen is None:
            # Without a camera the first of the list must not look as if it were in use.
            chosen = len(entries) - 1 if self.kind == "pictures" else 0
        self.blockSignals(True)
        self.clear()
        for value, label in entries:
            self.addItem(label, value)
        self.setCurrentIndex(chosen)
        self.blockSignals(False)

    def _on_activated(self, index: int) -> None:
        value = self.itemData(index, Qt.ItemDataRole.UserRole)
        if self.kind == "pictures" and value == "":
            self._fill()  # back to what is in use until a file has been chosen
            self._ask_for_file()
            return
        self.picked.emit(ChooseDevice(self.kind, value))

    def _ask_for_file(self) -> None:
        dialog = QFileDialog(self.window(), "Choose a video or picture")
        dialog.setNameFilters(
            ["Videos and pictures (*.mp4 *.mkv *.webm *.mov *.avi *.jpg *.jpeg *.png *.webp)", "All files (*)"]
        )
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.picked.emit(ChooseDevice("pictures", f"file:{path}")))
        dialog.open()


class Pickers(QObject):
    """The three pickers with their labels, as `rows` for a form."""

    picked = Signal(object)

    def __init__(self, list_devices: Callable[[DeviceKind], list[DeviceChoice]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.lister = DeviceLister(list_devices, self)
        self.lister.listed.connect(self._on_listed)
        self.pickers: dict[str, DevicePicker] = {}
        self.rows: list[tuple[QLabel, DevicePicker]] = []
        for kind, text in KINDS:
            picker = DevicePicker(kind, text.replace("&", ""))
            label = QLabel(text)
            label.setBuddy(picker)
            self.rows.append((label, picker))
            picker.picked.connect(self.picked)
            picker.opened.connect(self.lister.refresh)
            self.pickers[kind] = picker

    def show_devices(self, devices: DeviceNames) -> None:
        self.pickers["microphone"].show_current(devices.microphone)
        self.pickers["speaker"].show_current(devices.speaker)
        self.pickers["pictures"].show_current(devices.picture_source)

    def _on_listed(self, kind: str, choices: tuple[DeviceChoice, ...]) -> None:
        self.pickers[kind].show_choices(choices)
