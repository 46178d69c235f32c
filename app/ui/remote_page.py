"""The settings' page for engines elsewhere: what kind, where, the key, and which certificate to trust."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtWidgets import QComboBox, QFileDialog, QFormLayout, QLineEdit, QPlainTextEdit, QPushButton

from app.engine.target import split_pasted
from app.presets import PRESETS, preset_of
from app.settings import Settings
from app.ui.fields import add_note, add_row

KEY = "Key or token"


class RemotePage:
    """Fills a form; `readers` give the settings as they were entered."""

    def __init__(self, form: QFormLayout, settings: Settings) -> None:
        self._form = form
        self.readers: dict[str, Callable[[], object]] = {}
        add_note(
            form,
            None,
            "With an engine on another machine your voice and pictures leave this one; a notice shows it all the time.",
        )
        self._kind = QComboBox()
        self._kind.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for preset in PRESETS:
            self._kind.addItem(preset.label, preset)
        current = preset_of(settings.engine_kind, settings.engine_url)
        self._kind.setCurrentIndex(PRESETS.index(current))
        add_row(form, "&Kind of engine", self._kind)
        self._hint = add_note(form, self._kind, "")
        self._url = self._line("engine_url", "&Remote engine", settings.engine_url)
        self._url.setAccessibleDescription("Its address. Empty: the engine on this machine.")
        add_note(form, None, "Its address, or the whole line that another Sightline printed. Empty: the engine here.")
        self._token = self._line("engine_token", KEY, settings.engine_token)
        self._token.setEchoMode(QLineEdit.EchoMode.Password)
        self._model = self._line("engine_model", "&Model", settings.engine_model)
        self._fingerprint = self._line("engine_fingerprint", "&Fingerprint", settings.engine_fingerprint)
        add_note(form, self._fingerprint, "SHA-256 of the engine's certificate, when no authority has signed it.")
        self._ca_file = self._line("engine_ca_file", "Certificate auth&ority", settings.engine_ca_file)
        browse = QPushButton("Choose a PEM file …")
        browse.setAutoDefault(False)
        browse.clicked.connect(self._browse)
        form.addRow(browse)
        self._query = self._line("engine_query", "More &parameters", settings.engine_query)
        headers = QPlainTextEdit("\n".join(settings.engine_headers))
        headers.setTabChangesFocus(True)
        headers.setMaximumHeight(headers.fontMetrics().lineSpacing() * 5)
        add_row(form, "More &headers", headers)
        add_note(form, headers, "One a line, such as “Name: value”.")
        self.readers["engine_headers"] = lambda: tuple(
            line.strip() for line in headers.toPlainText().splitlines() if line.strip()
        )
        self.readers["engine_kind"] = lambda: self._kind.currentData().kind if self._url.text().strip() else "auto"
        self._url.editingFinished.connect(self._take_pasted)
        self._kind.currentIndexChanged.connect(self._fill)
        self._show_hint()

    def _line(self, name: str, text: str, value: str) -> QLineEdit:
        field = QLineEdit(value)
        add_row(self._form, text, field)
        self.readers[name] = lambda: field.text().strip()
        return field

    def _take_pasted(self) -> None:
        """A line with the token and the fingerprint behind the address goes where it belongs."""
        url, parts = split_pasted(self._url.text().strip())
        if not parts:
            return
        self._url.setText(url)
        for name, field in (("token", self._token), ("sha256", self._fingerprint)):
            if parts.get(name):
                field.setText(parts[name])

    def _fill(self) -> None:
        preset = self._kind.currentData()
        if preset.url:
            self._url.setText(preset.url)
            self._model.setText(preset.model)
        self._show_hint()

    def _show_hint(self) -> None:
        hint = self._kind.currentData().hint
        self._hint.setText(hint)
        self._hint.setVisible(bool(hint))
        self._kind.setAccessibleDescription(hint)

    def _browse(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self._url.window(), "A certificate authority", self._ca_file.text())
        if chosen:
            self._ca_file.setText(chosen)
