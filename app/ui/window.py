"""The main window: puts the parts together and hands each new view to them."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from PySide6.QtCore import Qt, QThreadPool, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QPaintEvent
from PySide6.QtWidgets import QApplication, QFileDialog, QHBoxLayout, QMainWindow, QScrollArea, QVBoxLayout, QWidget

from app.commands import ChangeSettings, PushToTalk, Retry, SendText
from app.ui.actions import Actions
from app.ui.announcer import announce
from app.ui.banner import ProblemBanner, RemoteBanner
from app.ui.bridge import AssistantBridge
from app.ui.controls import Controls, TypedQuestion
from app.ui.help import show_about, show_keys
from app.ui.icons import icon
from app.ui.pickers import Pickers
from app.ui.ports import WindowParts
from app.ui.preview import Preview
from app.ui.push_to_talk import PushToTalkKey
from app.ui.quit_key import QuitKey
from app.ui.state_card import StateCard
from app.ui.status import StatusLine
from app.ui.theme import NORMAL_PT, palette, pick_theme, style_sheet
from app.ui.transcript import TranscriptPane
from app.ui.transcript_text import as_text
from app.view import Announcement, Phase, View

SIDE_EM = 30  # width of the left column in units of the type size
SIDE_SHARE = 0.42  # of the window at most, so that large type leaves room for the transcript
MESSAGE_MS = 5000


class MainWindow(QMainWindow):
    """Shows views and sends commands; knows no device, model or engine."""

    closing = Signal()
    on_screen = Signal()
    """Once, after the window was drawn for the first time."""
    saved = Signal(str)

    def __init__(self, parts: WindowParts, bridge: AssistantBridge) -> None:
        super().__init__()
        self.setWindowTitle("Sightline")
        self._bridge = bridge
        self._stored_settings = parts.settings
        self._settings = parts.settings()
        self.view = View()
        self._drawn = False
        self._look: tuple[bool, bool, float] | None = None
        self.actions_ = Actions(self, bridge.send)
        self.state = StateCard()
        self.preview = Preview(parts.latest_picture)
        self.controls = Controls(self.actions_)
        self.pickers = Pickers(parts.list_devices)
        self.transcript = TranscriptPane()
        self.question = TypedQuestion()
        self.problems = ProblemBanner()
        self.remote = RemoteBanner()
        self.status = StatusLine()
        self._side = QScrollArea()
        self._lay_out()
        self._wire()
        self.apply_look()
        self.show_view(self.view)
        self.question.field.setFocus()

    def _lay_out(self) -> None:
        side = QWidget()
        column = QVBoxLayout(side)
        column.setContentsMargins(0, 0, 4, 0)
        column.setSpacing(12)
        column.addWidget(self.state)
        column.addWidget(self.preview)
        column.addWidget(self.controls)
        column.addWidget(self.pickers)
        column.addStretch(1)
        self._side.setWidget(side)
        self._side.setWidgetResizable(True)
        self._side.setFrameShape(QScrollArea.Shape.NoFrame)
        self._side.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._side.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self._side.viewport().setAutoFillBackground(False)
        side.setAutoFillBackground(False)
        talk = QVBoxLayout()
        talk.setSpacing(10)
        talk.addWidget(self.remote)
        talk.addWidget(self.problems)
        talk.addWidget(self.transcript, 1)
        talk.addWidget(self.question)
        middle = QWidget()
        row = QHBoxLayout(middle)
        row.setContentsMargins(16, 12, 16, 8)
        row.setSpacing(16)
        row.addWidget(self._side)
        row.addLayout(talk, 1)
        self.setCentralWidget(middle)
        self.setStatusBar(self.status)
        # The conversation first, then the buttons in the order in which they stand.
        order: list[QWidget] = [self.question.field, self.question.send, self.transcript]
        order += [self.controls.microphone, self.controls.camera, self.controls.talk, self.controls.privacy]
        order += [self.controls.describe, self.controls.read_aloud, self.controls.repeat, self.controls.stop]
        order += list(self.pickers.pickers.values())
        for first, second in pairwise(order):
            QWidget.setTabOrder(first, second)

    def _wire(self) -> None:
        send = self._bridge.send
        self._bridge.viewed.connect(self.show_view)
        self._bridge.announced.connect(self._announce)
        self.saved.connect(self._tell)
        self.question.asked.connect(lambda text: send(SendText(text)))
        self.controls.talk_held.connect(lambda down: send(PushToTalk(down)))
        self._talk_key = PushToTalkKey(self._settings.push_to_talk_key, self)
        self._talk_key.held.connect(lambda down: send(PushToTalk(down)))
        self.pickers.picked.connect(send)
        self.problems.retry.connect(lambda: send(Retry()))
        self.actions_.copy.triggered.connect(self._copy)
        self.actions_.save.triggered.connect(self._save)
        self.actions_.settings.triggered.connect(self._open_settings)
        self.actions_.to_text.triggered.connect(self.question.field.setFocus)
        self.actions_.to_transcript.triggered.connect(self.transcript.setFocus)
        self.actions_.keys.triggered.connect(lambda: show_keys(self, self._settings.push_to_talk_key))
        self.actions_.about.triggered.connect(lambda: show_about(self))
        self.actions_.quit.triggered.connect(self.close)
        self._quit_key = QuitKey(self.actions_.quit.shortcut(), self)
        self._quit_key.pressed.connect(self.close)
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _scheme: self.apply_look())

    def show_view(self, view: View) -> None:
        """Every part compares for itself and does nothing when nothing of its own has changed."""
        self.view = view
        self.state.show_view(view, self._settings.push_to_talk_key)
        self.controls.show_view(view)
        self.actions_.show_view(view)
        self.transcript.show_turns(view.transcript, view.started_at_unix_s)
        self.problems.show_problems(view.problems, can_retry=view.phase is Phase.FAILED)
        self.remote.show_engine(view.engine)
        self.pickers.show_devices(view.devices)
        self.preview.show_state(view.camera_on, _why_no_picture(view))
        self.status.show_view(view)

    def apply_look(self) -> None:
        """Theme and type size as the settings and the system say."""
        settings = self._settings
        dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        look = (settings.high_contrast, dark, settings.font_scale)
        if look == self._look:
            return
        self._look = look
        self._fit_to_screen(settings.font_scale)
        theme = pick_theme(high_contrast=settings.high_contrast, dark=dark)
        size_pt = NORMAL_PT * settings.font_scale
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        sheet = style_sheet(theme, size_pt)
        if application.styleSheet() != sheet:  # setting it again would style every widget anew
            application.setPalette(palette(theme))
            application.setStyleSheet(sheet)
        for part in (self.state, self.controls, self.transcript, self.question, self.problems, self.remote):
            part.set_theme(theme, size_pt)
        self.setWindowIcon(icon("sightline", theme.accent))
        self.show_view(self.view)

    def _fit_to_screen(self, font_scale: float) -> None:
        """Large type gets a larger window, as far as the screen goes."""
        room = self.screen().availableSize()
        scale = max(1.0, font_scale) ** 0.5
        self.resize(min(round(1080 * scale), room.width()), min(round(760 * scale), room.height()))
        self._side.setFixedWidth(min(round(NORMAL_PT * font_scale * SIDE_EM), round(self.width() * SIDE_SHARE)))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        super().paintEvent(event)
        if not self._drawn:
            self._drawn = True
            QTimer.singleShot(0, self._begin)

    def _begin(self) -> None:
        """What takes the interpreter from the first picture of the window if it is done before."""
        self.pickers.lister.refresh()
        self.on_screen.emit()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  # Qt's name
        super().closeEvent(event)
        self.closing.emit()

    def _announce(self, announcement: Announcement) -> None:
        announce(self, announcement)

    def _tell(self, text: str) -> None:
        """A short message of the moment, for eyes and ears alike."""
        self.status.showMessage(text, MESSAGE_MS)
        self._announce(Announcement(text))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(as_text(self.view.transcript, self.view.started_at_unix_s))
        self._tell("Transcript copied")

    def _save(self) -> None:
        dialog = QFileDialog(self, "Save the transcript", "sightline-transcript.txt")
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        dialog.setDefaultSuffix("txt")
        dialog.setNameFilter("Text (*.txt)")
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(self._save_to)
        dialog.open()

    def _save_to(self, path: str) -> None:
        text = as_text(self.view.transcript, self.view.started_at_unix_s)

        def write() -> None:
            try:
                Path(path).write_text(text, encoding="utf-8")
                self.saved.emit(f"Transcript saved as {Path(path).name}")
            except OSError as error:
                self.saved.emit(f"The transcript could not be saved: {error}")

        QThreadPool.globalInstance().start(write)

    def _open_settings(self) -> None:
        from app.ui.settings_dialog import SettingsDialog  # late: the window does not wait for it

        self._settings = self._stored_settings()
        dialog = SettingsDialog(self._settings, self.view.engine, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.changed.connect(self._change_settings)
        dialog.open()

    def _change_settings(self, command: ChangeSettings) -> None:
        """The Assistant stores them in its own time; what concerns the window is put to work at once."""
        self._settings = self._settings.validated(dict(command.changes))
        self._bridge.send(command)
        self._talk_key.set_key(self._settings.push_to_talk_key)
        self.apply_look()


def _why_no_picture(view: View) -> str:
    if not view.camera_on:
        return "Camera off"
    for problem in reversed(view.problems):
        if problem.code == "pictures":
            return problem.message
    return "No picture yet"
