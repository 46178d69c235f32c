"""The settings, on pages that scroll. "Save" sends what was changed, and nothing else; devices are used at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSlider,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from app.commands import ChangeSettings
from app.settings import Settings, SettingsError
from app.ui.fields import add_note, add_row
from app.ui.fitting import FocusFollower, fit_to_screen
from app.ui.pickers import Pickers
from app.ui.ports import ToolsShown
from app.ui.remote_page import RemotePage
from app.ui.tools_page import ToolsPage
from app.view import EngineInfo

Value = object
TYPE_SIZES = ((1.0, "Normal"), (1.25, "Large"), (1.5, "Very large"), (2.0, "Largest"))
TALK_KEYS = ("F2", "F3", "F4", "F5", "F7", "F8", "F9")
DETAIL = (("brief", "Brief: one sentence first"), ("normal", "Normal"), ("full", "Full: everything that can be seen"))
THEMES = (
    ("system", "As the system says"),
    ("light", "Light"),
    ("dark", "Dark"),
    ("high contrast", "High contrast"),
)
ANNOUNCE = (
    ("unheard", "What cannot be heard otherwise"),
    ("all", "Every state and every reply (for braille)"),
)
NARROW_EM = 38  # below this width, in units of the type size, labels stand above their fields
QUANTIZE = (("none", "As published"), ("int8", "8 bit: half the memory"), ("int4", "4 bit: a quarter of the memory"))


class SettingsDialog(QDialog):
    """`changed` carries one ChangeSettings when something was saved; `models_wanted` asks for the larger models."""

    changed = Signal(object)
    models_wanted = Signal()

    def __init__(
        self,
        settings: Settings,
        engine: EngineInfo,
        pickers: Pickers,
        parent: QWidget | None = None,
        page: str = "",
        tools: ToolsShown | None = None,
    ) -> None:
        """Opens on `page` ("devices", "engine"), else on the first."""
        super().__init__(parent)
        self.setWindowTitle("Settings")
        self._settings = settings
        self.pickers = pickers
        self._readers: dict[str, Callable[[], Value]] = {}
        self._forms: list[QFormLayout] = []
        self.tabs = QTabWidget()
        self.tabs.setUsesScrollButtons(True)
        self.tabs.tabBar().setExpanding(False)
        pages = {
            "answers": ("&Answers", self._answers_page(settings, engine)),
            "sound": ("Soun&d", self._sound_page(settings)),
            "devices": ("De&vices", self._devices_page()),
            "look": ("&Look and keys", self._look_page(settings)),
            "engine": ("&Engine", self._engine_page(settings)),
            "remote": ("Remote", self._remote_page(settings)),
            "tools": ("Tools", self._tools_page(settings, tools or ToolsShown())),
        }
        for title, widget in pages.values():
            self.tabs.addTab(_scrolling(widget), title)
        if page in pages:
            self.tabs.setCurrentIndex(list(pages).index(page))
        self._error = QLabel()
        self._error.setWordWrap(True)
        self._error.setTextFormat(Qt.TextFormat.PlainText)
        self._error.hide()
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Save | QDialogButtonBox.StandardButton.Cancel)
        buttons.accepted.connect(self._save)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.tabs, 1)
        layout.addWidget(self._error)
        layout.addWidget(buttons)
        fit_to_screen(self, 680, 600)

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802  # Qt's name
        super().resizeEvent(event)
        narrow = self.width() < NARROW_EM * self.fontMetrics().height() * 0.75
        policy = QFormLayout.RowWrapPolicy.WrapAllRows if narrow else QFormLayout.RowWrapPolicy.WrapLongRows
        for form in self._forms:
            form.setRowWrapPolicy(policy)

    def changes(self) -> tuple[tuple[str, Value], ...]:
        """What differs from the settings that the dialog was opened with."""
        read = ((name, reader()) for name, reader in self._readers.items())
        return tuple((name, value) for name, value in read if value != getattr(self._settings, name))

    def _save(self) -> None:
        changes = self.changes()
        try:
            self._settings.validated(dict(changes))
        except SettingsError as error:
            self._error.setText(str(error))
            self._error.show()
            self._error.setFocus()
            return
        if changes:
            self.changed.emit(ChangeSettings(changes))
        self.accept()

    # --- pages ------------------------------------------------------------------------------------------------------

    def _answers_page(self, settings: Settings, engine: EngineInfo) -> QWidget:
        page, form = self._page()
        voices = [("", "The model's first voice")] + [(voice, voice) for voice in engine.voices]
        self._choice(form, "voice", "V&oice", voices, settings.voice)
        self._choice(form, "detail", "De&tail", DETAIL, settings.detail)
        instructions = QPlainTextEdit(settings.instructions)
        instructions.setTabChangesFocus(True)
        instructions.setMinimumHeight(4 * instructions.fontMetrics().height())
        self._row(form, "&Instructions", instructions)
        self._note(form, instructions, "Empty: Sightline's own instructions.")
        self._readers["instructions"] = lambda: instructions.toPlainText().strip()
        self._check(form, "speech", "Spo&ken replies", settings.speech)
        self._slider(form, "reply_limit_s", "Longest &reply", settings.reply_limit_s, (10, 300, 1.0), "{:.0f} seconds")
        self._check(form, "keep_history", "Keep conversations on this &machine", settings.keep_history)
        self._check(form, "called_only", "Answer only when called b&y name", settings.called_only)
        return page

    def _sound_page(self, settings: Settings) -> QWidget:
        page, form = self._page()
        self._slider(form, "volume", "Vol&ume", settings.volume, (0, 20, 0.05), "{:.0%}")
        self._slider(form, "speech_rate", "Speech &rate", settings.speech_rate, (5, 30, 0.1), "{:.1f} times")
        for name, text in (
            ("earcon_listening", "Sound when it l&istens"),
            ("earcon_thinking", "Sound while it &thinks"),
            ("earcon_interrupted", "Sound when it is interru&pted"),
            ("earcon_steady", "Sound when the camera is aimed &well"),
            ("earcon_error", "Sound when there is a pro&blem"),
        ):
            self._check(form, name, text, getattr(settings, name))
        return page

    def _devices_page(self) -> QWidget:
        page, form = self._page()
        for label, picker in self.pickers.rows:
            form.addRow(label, picker)
        self._note(form, None, "A device is used as soon as it is chosen.")
        return page

    def _look_page(self, settings: Settings) -> QWidget:
        page, form = self._page()
        sizes: list[tuple[Value, str]] = list(TYPE_SIZES)
        if settings.font_scale not in [size for size, _ in TYPE_SIZES]:
            sizes.append((settings.font_scale, f"{settings.font_scale:.0%}"))
        self._choice(form, "font_scale", "&Type size", sizes, settings.font_scale)
        self._choice(form, "theme", "Colo&urs", THEMES, settings.theme)
        self._choice(form, "announce", "Sc&reen reader says", ANNOUNCE, settings.announce)
        keys = [(key, key) for key in dict.fromkeys((*TALK_KEYS, settings.push_to_talk_key))]
        self._choice(form, "push_to_talk_key", "&Push-to-talk key (held)", keys, settings.push_to_talk_key)
        self._check(form, "keys_everywhere", "Ctrl+Alt+&W, R and S in other windows", settings.keys_everywhere)
        self._note(
            form, None, "They look at the window that has the keyboard, read it, and choose a part of the screen."
        )
        return page

    def _engine_page(self, settings: Settings) -> QWidget:
        page, form = self._page()
        larger = QPushButton("&Get a larger model …")
        larger.setAutoDefault(False)
        larger.clicked.connect(self.models_wanted)
        form.addRow(larger)
        checkpoint = QLineEdit(settings.checkpoint)
        browse = QPushButton("&Browse …")
        browse.setAutoDefault(False)
        browse.clicked.connect(partial(self._browse, checkpoint))
        row = QWidget()
        across = QHBoxLayout(row)
        across.setContentsMargins(0, 0, 0, 0)
        across.addWidget(checkpoint, 1)
        across.addWidget(browse)
        label = QLabel("Check&point folder")
        label.setBuddy(checkpoint)
        checkpoint.setAccessibleName("Checkpoint folder")
        form.addRow(label, row)
        self._note(form, checkpoint, "Empty: the one that comes with Sightline.")
        self._readers["checkpoint"] = lambda: checkpoint.text().strip()
        self._choice(form, "quantize", "&Weights", QUANTIZE, settings.quantize)
        return page

    def _remote_page(self, settings: Settings) -> QWidget:
        page, form = self._page()
        self._readers |= RemotePage(form, settings).readers
        return page

    def _tools_page(self, settings: Settings, tools: ToolsShown) -> QWidget:
        page, form = self._page()
        self._readers |= ToolsPage(form, settings, tools.tools, tools.problems).readers
        return page

    # --- fields -----------------------------------------------------------------------------------------------------

    def _page(self) -> tuple[QWidget, QFormLayout]:
        page = QWidget()
        form = QFormLayout(page)
        form.setContentsMargins(12, 12, 12, 12)
        form.setVerticalSpacing(12)
        form.setHorizontalSpacing(14)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._forms.append(form)
        return page, form

    def _note(self, form: QFormLayout, field: QWidget | None, text: str) -> None:
        """What must be known about the field above, for eyes and for screen readers."""
        add_note(form, field, text)

    def _row(self, form: QFormLayout, text: str, field: QWidget) -> None:
        add_row(form, text, field)

    def _choice(
        self,
        form: QFormLayout,
        name: str,
        text: str,
        choices: list[tuple[Value, str]] | list[tuple[str, str]] | tuple[tuple[str, str], ...],
        current: Value,
    ) -> None:
        box = QComboBox()
        box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        box.setMinimumContentsLength(8)
        for value, label in choices:
            box.addItem(label, value)
        index = box.findData(current)
        if index < 0:
            box.addItem(str(current), current)
            index = box.count() - 1
        box.setCurrentIndex(index)
        self._row(form, text, box)
        self._readers[name] = box.currentData

    def _check(self, form: QFormLayout, name: str, text: str, current: bool) -> None:
        box = QCheckBox(text)
        box.setAccessibleName(text.replace("&", ""))
        box.setChecked(current)
        form.addRow(box)
        self._readers[name] = box.isChecked

    def _slider(
        self,
        form: QFormLayout,
        name: str,
        text: str,
        current: float,
        steps: tuple[int, int, float],
        shown: str,
    ) -> None:
        """A slider over whole steps (first, last, size of one), with its value in words beside it."""
        first, last, step = steps
        slider, words = QSlider(Qt.Orientation.Horizontal), QLabel()
        slider.setRange(first, last)
        slider.setPageStep(max(1, (last - first) // 10))
        words.setMinimumWidth(words.fontMetrics().horizontalAdvance("300 seconds  "))

        def show(value: int) -> None:
            words.setText(shown.format(value * step))
            slider.setAccessibleDescription(words.text())

        slider.valueChanged.connect(show)
        start = round(current / step)
        slider.setValue(start)
        show(slider.value())
        row = QWidget()
        across = QHBoxLayout(row)
        across.setContentsMargins(0, 0, 0, 0)
        across.addWidget(slider, 1)
        across.addWidget(words)
        label = QLabel(text)
        label.setBuddy(slider)
        slider.setAccessibleName(text.replace("&", ""))
        form.addRow(label, row)
        # A value between the steps stays as it is unless the slider was moved.
        begun = slider.value()
        self._readers[name] = lambda: current if slider.value() == begun else round(slider.value() * step, 3)

    def _browse(self, field: QLineEdit) -> None:
        dialog = QFileDialog(self, "Choose a checkpoint folder", field.text())
        dialog.setFileMode(QFileDialog.FileMode.Directory)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(field.setText)
        dialog.open()


def _scrolling(page: QWidget) -> QScrollArea:
    area = QScrollArea()
    area.setWidget(page)
    area.setWidgetResizable(True)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
    FocusFollower(area)
    return area
