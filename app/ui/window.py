"""The main window: puts the parts together and hands each new view to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QCloseEvent, QGuiApplication, QPaintEvent
from PySide6.QtWidgets import QApplication, QMainWindow

from app.commands import ChangeSettings, PushToTalk, Retry, SendText
from app.ui.actions import Actions
from app.ui.announcer import Announcer
from app.ui.banner import ProblemBanner, RemoteBanner
from app.ui.bridge import AssistantBridge
from app.ui.controls import Controls, TypedQuestion
from app.ui.elsewhere import Elsewhere
from app.ui.fitting import fit_to_screen
from app.ui.help import show_about, show_keys
from app.ui.icons import icon
from app.ui.keys_first import KeysFirst
from app.ui.page import Page
from app.ui.pickers import Pickers
from app.ui.pictures_in import NOTHING as NO_PICTURE_PASTED
from app.ui.pictures_in import PicturesIn
from app.ui.ports import WindowParts
from app.ui.preview import PictureCard
from app.ui.progress import ProgressWords
from app.ui.push_to_talk import PushToTalkKey
from app.ui.quit_key import QuitKey
from app.ui.reader_watch import ReaderWatch
from app.ui.saving import Saver, ask_place
from app.ui.state_card import StateCard
from app.ui.status import StatusLine
from app.ui.theme import NORMAL_PT, palette, pick_theme, style_sheet, wants_contrast
from app.ui.transcript import TranscriptPane
from app.ui.transcript_text import as_text
from app.ui.welcome import Welcome, about_model
from app.view import Announcement, Phase, TranscriptTurn, View

if TYPE_CHECKING:
    from app.ui.models_page import ModelsDesk
    from app.ui.settings_dialog import SettingsDialog

MESSAGE_MS = 5000


class MainWindow(QMainWindow):
    """Shows views and sends commands; knows no device, model or engine."""

    closing = Signal()
    on_screen = Signal()
    """Once, after the window was drawn for the first time."""

    def __init__(self, parts: WindowParts, bridge: AssistantBridge) -> None:
        super().__init__()
        self.setWindowTitle("Sightline")
        self._bridge = bridge
        self._stored_settings = parts.settings
        self._settings = parts.settings()
        self._tools = parts.tools
        self.view = View()
        self._drawn = False
        self._look: tuple[str, bool, bool, float] | None = None
        self._list_devices = parts.list_devices
        self._open_history = parts.open_history
        self._dialog: SettingsDialog | None = None
        self._model_shop = parts.model_shop
        self.models: ModelsDesk | None = None
        self._readers = ReaderWatch()
        self._announcer = Announcer(self, self._readers)
        self._saver = Saver(self)
        self._progress = ProgressWords()
        self.actions_ = Actions(self, bridge.send)
        self.state = StateCard()
        self.pictures = PictureCard(parts.latest_picture)
        self.controls = Controls(self.actions_)
        self.welcome = Welcome()
        self.transcript = TranscriptPane()
        self.question = TypedQuestion()
        self.problems = ProblemBanner()
        self.remote = RemoteBanner()
        self.status = StatusLine()
        self._page = Page(
            first=(self.state, self.controls.purposes),
            talk=(self.remote, self.problems, self.welcome, self.transcript),
            last=(self.pictures, self.controls.switches),
            bottom=self.question,
            foot=self.status,
            tab_order=(
                self.question.field,
                self.question.send,
                self.transcript,
                *self.welcome.in_order,
                *self.controls.in_order,
            ),
        )
        self.setCentralWidget(self._page)
        self._wire()
        self.apply_look()
        self.show_view(self.view)
        self.question.field.setFocus()

    def _wire(self) -> None:
        send = self._bridge.send
        self._bridge.viewed.connect(self.show_view)
        self._bridge.announced.connect(self._announcer.say)
        self._saver.told.connect(self._tell)
        self.question.asked.connect(lambda text: send(SendText(text)))
        self.controls.purposes.talk_held.connect(lambda down: send(PushToTalk(down)))
        self._talk_key = PushToTalkKey(self._settings.push_to_talk_key, self)
        self._talk_key.held.connect(lambda down: send(PushToTalk(down)))
        self.welcome.asked.connect(lambda text: send(SendText(text)))
        self.welcome.models_wanted.connect(self._open_models)
        self.pictures.missing.choose.connect(lambda: self._open_settings("devices"))
        self.problems.retry.connect(lambda: send(Retry()))
        self.actions_.copy.triggered.connect(self._copy)
        self._pictures_in = PicturesIn(self, self.question.field, send)
        self._keys_first = KeysFirst(self, self.question.field, self.transcript)
        self.actions_.paste_picture.triggered.connect(self._paste_picture)
        self._elsewhere = Elsewhere(self, send, self._tell)
        self.actions_.window_describe.triggered.connect(self._elsewhere.explain)
        self.actions_.window_read.triggered.connect(self._elsewhere.explain)
        self.actions_.region.triggered.connect(self._elsewhere.choose_region)
        self.closing.connect(self._elsewhere.stop)
        self.actions_.copy_reading.triggered.connect(self._copy_reading)
        self.actions_.save.triggered.connect(self._save)
        self.actions_.picture.triggered.connect(lambda: self._open_picture(self.transcript.picture_turn()))
        self.transcript.picture_wanted.connect(self._open_picture)
        self.actions_.settings.triggered.connect(lambda: self._open_settings())
        self.actions_.history.triggered.connect(self._open_history_dialog)
        self.actions_.models.triggered.connect(self._open_models)
        self.actions_.to_text.triggered.connect(self.question.field.setFocus)
        self.actions_.to_transcript.triggered.connect(self._go_to_transcript)
        self.actions_.keys.triggered.connect(lambda: show_keys(self, self._settings.push_to_talk_key))
        self.actions_.about.triggered.connect(lambda: show_about(self, about_model(self.view.engine)))
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
        self.pictures.show_view(view)
        self.status.show_view(view)
        self.welcome.show_engine(view.engine)
        if self.models is not None:
            self.models.show_view(view)
        self._show_welcome(not view.transcript)
        if words := self._progress.words(view):
            self._announcer.say(Announcement(words))
        if self._dialog is not None:
            self._dialog.pickers.show_devices(view.devices)

    def _show_welcome(self, on: bool) -> None:
        if on == self.transcript.isHidden():
            return
        had_focus = self.transcript.hasFocus() or self.welcome.isAncestorOf(self.focusWidget() or self)
        self.welcome.setVisible(on)
        self.transcript.setVisible(not on)
        if had_focus:
            self._go_to_transcript()

    def _go_to_transcript(self) -> None:
        (self.transcript if self.welcome.isHidden() else self.welcome.questions[0]).setFocus()

    def apply_look(self) -> None:
        """Theme and type size as the settings and the system say."""
        settings = self._settings
        hints = QGuiApplication.styleHints()
        dark = hints.colorScheme() == Qt.ColorScheme.Dark
        look = (settings.theme, dark, wants_contrast(), settings.font_scale)
        if look == self._look:
            return
        if self._look is None or self._look[3] != settings.font_scale:
            # Large type gets a larger window, as far as the screen goes.
            scale = max(1.0, settings.font_scale) ** 0.5
            fit_to_screen(self, round(1080 * scale), round(760 * scale))
        self._look = look
        theme = pick_theme(settings.theme, dark=dark, more_contrast=look[2])
        size_pt = NORMAL_PT * settings.font_scale
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        sheet = style_sheet(theme, size_pt)
        if application.styleSheet() != sheet:  # setting it again would style every widget anew
            application.setPalette(palette(theme))
            application.setStyleSheet(sheet)
        parts = (self.state, self.controls, self.transcript, self.question, self.problems, self.remote, self.status)
        for part in parts:
            part.set_theme(theme, size_pt)
        self._page.set_size(size_pt)
        self.setWindowIcon(icon("sightline", theme.accent))
        self.show_view(self.view)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802  # Qt's name
        super().paintEvent(event)
        if not self._drawn:
            self._drawn = True
            QTimer.singleShot(0, self._begin)

    def _begin(self) -> None:
        """What takes the interpreter from the first picture of the window if it is done before."""
        self._readers.start()
        self._elsewhere.set_on(self._settings.keys_everywhere)
        self.on_screen.emit()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802  # Qt's name
        super().closeEvent(event)
        self._readers.stop()
        self.closing.emit()

    def _tell(self, text: str) -> None:
        """A short message of the moment, for eyes and ears alike."""
        self.status.show_message(text, MESSAGE_MS)
        self._announcer.say(Announcement(text))

    def _copy(self) -> None:
        QGuiApplication.clipboard().setText(as_text(self.view.transcript, self.view.started_at_unix_s))
        self._tell("Transcript copied")

    def _paste_picture(self) -> None:
        if not self._pictures_in.paste():
            self._tell(NO_PICTURE_PASTED)

    def _copy_reading(self) -> None:
        reading = self.view.reading
        if reading is None:
            self._tell("Nothing has been read yet.")
            return
        QGuiApplication.clipboard().setText(reading.text)
        self._tell("What was read is copied.")

    def _save(self) -> None:
        ask_place(self, "Save the transcript", "sightline-transcript.txt", "Text", self._save_to)

    def _save_to(self, path: str) -> None:
        text = as_text(self.view.transcript, self.view.started_at_unix_s)
        self._saver.write(path, text.encode("utf-8"), "transcript")

    def _open_picture(self, turn: TranscriptTurn | None) -> None:
        from app.ui.picture_dialog import PictureDialog  # late: the window does not wait for it

        if turn is None:
            self._tell("No answer has a picture yet.")
            return
        dialog = PictureDialog(turn, self._saver, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()

    def _open_history_dialog(self) -> None:
        from app.ui.history_dialog import HistoryDialog  # late: the window does not wait for it

        dialog = HistoryDialog(self._open_history, self)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.told.connect(lambda text: self._announcer.say(Announcement(text)))
        dialog.open()

    def _open_models(self) -> None:
        """The way to a larger model. What goes on there outlives the page."""
        if self._model_shop is None:
            self._open_settings("engine")
            return
        from app.ui.models_page import ModelsDesk, ModelsPage  # late: the window does not wait for it

        if self.models is None:
            self.models = ModelsDesk(self._model_shop(), self._stored_settings, self)
            self.models.tells.connect(self._tell)
            self.models.wants.connect(self._change_settings)
            self.closing.connect(self.models.stop)
        ModelsPage(self.models, self).show()

    def _open_settings(self, page: str = "") -> None:
        from app.ui.settings_dialog import SettingsDialog  # late: the window does not wait for it

        if self._dialog is not None:
            return
        self._settings = self._stored_settings()
        pickers = Pickers(self._list_devices)
        dialog = SettingsDialog(self._settings, self.view.engine, pickers, self, page, self._tools())
        pickers.setParent(dialog)
        pickers.picked.connect(self._bridge.send)
        pickers.show_devices(self.view.devices)
        pickers.lister.refresh()
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.changed.connect(self._change_settings)
        dialog.finished.connect(self._settings_closed)
        self._dialog = dialog
        dialog.open()

    def _settings_closed(self) -> None:
        self._dialog = None

    def _change_settings(self, command: ChangeSettings) -> None:
        """The Assistant stores them in its own time; what concerns the window is put to work at once."""
        self._settings = self._settings.validated(dict(command.changes))
        self._bridge.send(command)
        self._talk_key.set_key(self._settings.push_to_talk_key)
        self._elsewhere.set_on(self._settings.keys_everywhere)
        self.apply_look()
