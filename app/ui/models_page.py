"""The Models page: what there is, what it costs, getting it in the background, switching to it.

`ModelsDesk` lives as long as the window and owns what goes on; `ModelsPage` is a dialog that shows it and may be closed
at any time. Nothing here waits: the work is done by the shop's processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtWidgets import (
    QDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QProgressBar,
    QPushButton,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.commands import ChangeSettings
from app.models.ports import ModelShop
from app.models.state import Getting, Offer, Shelf, announcement, offers_of, report, short_name
from app.models.switching import Choice, Switch
from app.settings import Settings
from app.ui.fitting import fit_to_screen
from app.view import View


class ModelsDesk(QObject):
    """What goes on with models. Lives in the Qt thread; the shop's events reach it by a queued signal."""

    changed = Signal()
    wants = Signal(object)
    """A ChangeSettings that switches to a model, or back."""
    tells = Signal(str)
    """To be announced."""
    _came = Signal(object)

    def __init__(self, shop: ModelShop, settings: Callable[[], Settings], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._shop, self._settings = shop, settings
        self._switch: Switch | None = None
        self.shelf = Shelf()
        self._came.connect(self._take, Qt.ConnectionType.QueuedConnection)

    def look(self) -> None:
        """Lists again."""
        self._show(replace(self.shelf, is_loading=True, problem=""))
        self._shop.look(self._came.emit)

    def get(self, what: str, bits: int | None) -> None:
        """Begins a download, or goes on with one."""
        if self.shelf.getting is not None and not self.shelf.getting.is_over:
            self.tells.emit("A model is being got already.")
            return
        self._show(replace(self.shelf, getting=Getting(short_name(what), "looking")))
        self._shop.get(what, bits, self._came.emit)

    def pause(self) -> None:
        self._shop.pause()

    def remove(self, name: str) -> None:
        self._shop.remove(name, self._came.emit)

    def switch(self, path: str) -> None:
        """Uses the model in this folder ("": the shipped one) from now on."""
        former = Choice(self._settings().checkpoint, self._settings().quantize)
        wanted = Choice(path, "none")
        if former.checkpoint == path:
            self.tells.emit("This model is in use already.")
            return
        self._switch = Switch(former, wanted)
        self.tells.emit("Switching. This takes a while; the conversation goes on afterwards.")
        self.wants.emit(ChangeSettings(wanted.changes))

    def show_view(self, view: View) -> None:
        """Watches how a switch ends."""
        if self._switch is None:
            return
        switch = self._switch
        self._switch, outcome = switch.observe(view)
        if outcome is None:
            return
        if outcome.kind == "back":
            self.tells.emit(f"The new model does not load, so the former one is used again. {outcome.why}")
            self.wants.emit(ChangeSettings(switch.former.changes))
        else:
            self.tells.emit(f"Now you talk with {view.engine.model}.")
        self.changed.emit()

    def stop(self) -> None:
        self._shop.stop()

    @property
    def in_use(self) -> str:
        """The folder that the settings name; "" for the shipped model."""
        return self._settings().checkpoint

    def _take(self, event: dict[str, Any]) -> None:
        kind = event.get("event")
        if kind == "listed":
            try:
                offers, machine = offers_of(event)
            except (KeyError, TypeError, ValueError) as error:
                self._show(replace(self.shelf, is_loading=False, problem=f"The list cannot be read: {error!r}."))
                return
            self._show(replace(self.shelf, offers=offers, machine=machine, is_loading=False, problem=""))
        elif kind == "failed" and self.shelf.is_loading:
            self._show(replace(self.shelf, is_loading=False, problem=str(event["message"])))
        elif kind == "removed":
            self.tells.emit(f"{event['name']} is removed.")
            self.look()
        elif self.shelf.getting is not None:
            self._follow(self.shelf.getting, event)
        elif kind == "failed":
            self.tells.emit(str(event["message"]))

    def _follow(self, before: Getting, event: dict[str, Any]) -> None:
        if event.get("event") == "ended":
            after = before if before.is_over else replace(before, phase="paused")
        else:
            after = report(before, event)
        self._show(replace(self.shelf, getting=after))
        words = announcement(before, after)
        if words:
            self.tells.emit(words)
        if after.phase == "done" and before.phase != "done":
            self.look()

    def _show(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.changed.emit()


class ModelsPage(QDialog):
    """Not modal: talking goes on while it is open. Esc closes it; a download goes on."""

    def __init__(self, desk: ModelsDesk, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setWindowTitle("Models")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._desk = desk
        self._offers: tuple[Offer, ...] = ()
        heading = QLabel("Models")
        heading.setObjectName("heading")
        self._machine = QLabel()
        self._machine.setWordWrap(True)
        self._list = QListWidget()
        self._list.setAccessibleName("Models")
        self._list.currentRowChanged.connect(lambda _row: self._show_choice())
        self._words = QTextEdit()
        self._words.setReadOnly(True)
        self._words.setTabChangesFocus(True)
        self._words.setAccessibleName("About this model")
        self._get = _button("&Get it", self._begin)
        self._use = _button("S&witch to it", self._switch)
        self._remove = _button("&Remove it", self._ask_to_remove)
        self._pause = _button("&Pause", desk.pause)
        self._other = QLineEdit()
        self._other.setAccessibleName("Another model: name, address or folder")
        self._other.setPlaceholderText("OWNER/NAME, a web address, or a folder")
        self._other.returnPressed.connect(self._begin_other)
        label = QLabel("&Another model:")
        label.setBuddy(self._other)
        self._get_other = _button("Get &that", self._begin_other)
        self._progress = QProgressBar()
        self._progress.setAccessibleName("Progress")
        self._state = QLabel()
        self._state.setWordWrap(True)
        self._state.setAccessibleName("Download")
        self._state.setTextFormat(Qt.TextFormat.PlainText)
        # No button box: its button would be the default one, and Enter in the field would close the page.
        close = _button("&Close", lambda: None)
        close.clicked.connect(self.close)
        layout = QVBoxLayout(self)
        for widget in (heading, self._machine, self._list):
            layout.addWidget(widget)
        layout.addWidget(self._words, 1)
        layout.addLayout(_row(self._get, self._use, self._remove))
        layout.addLayout(_row(label, self._other, self._get_other))
        layout.addLayout(_row(self._progress, self._pause))
        layout.addWidget(self._state)
        layout.addWidget(close, 0, Qt.AlignmentFlag.AlignRight)
        fit_to_screen(self, 720, 680)
        desk.changed.connect(self.show_shelf)
        self.show_shelf()
        desk.look()
        self._list.setFocus()

    def show_shelf(self) -> None:
        """Shows what the desk has; the chosen line and the focus stay."""
        shelf = self._desk.shelf
        if shelf.offers != self._offers or not self._list.count():
            had = {offer.path for offer in self._offers}
            self._fill(shelf.offers)
            new = shelf.getting.path if shelf.getting is not None else ""
            if new and new not in had:  # it has just come: the next thing to do is at hand
                self._choose(new)
        loading = "Looking at this machine …" if shelf.is_loading and not shelf.offers else shelf.machine
        self._machine.setText(shelf.problem or loading)
        getting = shelf.getting
        running = getting is not None and not getting.is_over
        self._progress.setVisible(getting is not None)
        self._pause.setEnabled(running)
        if getting is not None:
            self._progress.setValue(getting.percent)
            self._progress.setAccessibleDescription(getting.words)
        words = getting.words if getting is not None else ""
        if words != self._state.text():
            self._state.setText(words)
            self._state.setAccessibleName(words or "Download")
        self._get_other.setEnabled(not running)
        self._show_choice()

    def _fill(self, offers: tuple[Offer, ...]) -> None:
        chosen = self._chosen()
        self._offers = offers
        self._list.blockSignals(True)
        self._list.clear()
        for offer in offers:
            item = QListWidgetItem(self._line(offer))
            item.setData(Qt.ItemDataRole.AccessibleTextRole, self._line(offer))
            self._list.addItem(item)
        names = [offer.name for offer in offers]
        self._list.setCurrentRow(names.index(chosen.name) if chosen is not None and chosen.name in names else 0)
        self._list.blockSignals(False)

    def _choose(self, path: str) -> None:
        row = next((row for row, offer in enumerate(self._offers) if offer.path == path), -1)
        if row >= 0:
            self._list.setCurrentRow(row)

    def _line(self, offer: Offer) -> str:
        marks = [mark for is_so, mark in (
            (self._is_used(offer), "in use"),
            (offer.is_here and not self._is_used(offer), "here"),
            (offer.is_default and not offer.is_here, "the choice for this machine"),
            (not offer.fits, "too large for this machine"),
        ) if is_so]  # fmt: skip
        return f"{offer.title}{': ' + ', '.join(marks) if marks else ''}"

    def _is_used(self, offer: Offer) -> bool:
        return offer.is_here and self._desk.in_use == offer.path

    def _chosen(self) -> Offer | None:
        row = self._list.currentRow()
        return self._offers[row] if 0 <= row < len(self._offers) else None

    def _show_choice(self) -> None:
        offer = self._chosen()
        words = offer.words if offer is not None else ""
        if self._words.toPlainText() != words:
            self._words.setPlainText(words)
        getting = self._desk.shelf.getting
        running = getting is not None and not getting.is_over
        self._get.setEnabled(offer is not None and bool(offer.address) and not offer.is_here and not running)
        self._use.setEnabled(offer is not None and offer.is_here and not self._is_used(offer))
        self._remove.setEnabled(offer is not None and bool(offer.path) and not self._is_used(offer))

    def _begin(self) -> None:
        offer = self._chosen()
        if offer is not None:
            self._desk.get(offer.address, offer.bits)

    def _begin_other(self) -> None:
        what = self._other.text().strip()
        if what:
            self._desk.get(what, None)

    def _switch(self) -> None:
        offer = self._chosen()
        if offer is not None:
            self._desk.switch(offer.path)

    def _ask_to_remove(self) -> None:
        from PySide6.QtWidgets import QMessageBox

        offer = self._chosen()
        if offer is None:
            return
        box = QMessageBox(self)
        box.setWindowTitle("Remove a model")
        box.setText(f"Remove {offer.title} from this disk?")
        box.setStandardButtons(QMessageBox.StandardButton.Yes | QMessageBox.StandardButton.No)
        box.setDefaultButton(QMessageBox.StandardButton.No)
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        name = offer.path.rpartition("/")[2].rpartition("\\")[2]
        box.button(QMessageBox.StandardButton.Yes).clicked.connect(lambda: self._desk.remove(name))
        box.open()


def _button(text: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(text)
    button.setAutoDefault(False)
    button.clicked.connect(lambda _checked=False: action())
    return button


def _row(*widgets: QWidget) -> QHBoxLayout:
    row = QHBoxLayout()
    for widget in widgets:
        row.addWidget(widget, 1 if isinstance(widget, QLineEdit | QProgressBar) else 0)
    return row
