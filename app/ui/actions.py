"""Everything that can be done, each with its key: the menus and the buttons share these actions."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMainWindow

from app.commands import (
    AnswerQuestion,
    BackToCamera,
    CheckAgain,
    Command,
    Describe,
    LookAt,
    MoveReading,
    NewConversation,
    ReadAloud,
    Repeat,
    SetAim,
    SetCamera,
    SetInstantText,
    SetLightTone,
    SetMicrophone,
    SetNarration,
    SetPrivacy,
    Stop,
)
from app.view import View

KEYS_HELP = (
    (
        "Look",
        (
            ("Ctrl+D", "Describe what the camera sees"),
            ("Ctrl+R", "Read aloud the text in the picture"),
            ("Ctrl+V", "Look at the picture in the clipboard; files can also be dropped on the window"),
            ("Ctrl+Alt+W", "In another window (X11): describe that window"),
            ("Ctrl+Alt+R", "In another window (X11): read its text"),
            ("Ctrl+Alt+S", "Choose a part of the screen to look at; under X11 in any window"),
            ("Ctrl+Shift+K", "Back to the camera"),
            ("Ctrl+H", "Check again: look two more times, and say whether the answers agree"),
            ("Ctrl+I", "Read by itself what comes into view, until pressed again"),
            ("Ctrl+G", "Help with aiming the camera, until pressed again"),
            ("Ctrl+J", "Say what changes in the picture, until pressed again"),
            ("Ctrl+B", "Read bar and QR codes"),
            ("Ctrl+O", "Say the colour in the middle"),
            ("Ctrl+U", "Say how bright it is, and where the light comes from"),
            ("Ctrl+Shift+U", "A tone that is higher the brighter it is, until pressed again"),
        ),
    ),
    (
        "Read",
        (
            ("Ctrl+P", "Pause the reading, or go on"),
            ("Alt+Right", "The next sentence"),
            ("Alt+Left", "The sentence before"),
            ("Alt+Up", "The sentence again"),
            ("Alt+Down", "The sentence letter by letter"),
            ("Ctrl+Alt+C", "Copy what was read"),
        ),
    ),
    (
        "Talk",
        (
            ("{talk} (hold)", "Push to talk; works while the microphone is off"),
            ("Esc", "Stop the reply"),
            ("Ctrl+E", "Repeat the last answer"),
            ("Ctrl+Shift+Y", "Yes, when Sightline asks before it does something"),
            ("Ctrl+Shift+N", "No, when Sightline asks before it does something"),
            ("Ctrl+L", "Go to the text field"),
        ),
    ),
    (
        "Microphone and camera",
        (
            ("Ctrl+M", "Microphone on or off"),
            ("Ctrl+K", "Camera on or off"),
            ("F12", "Both off; again: both back on"),
        ),
    ),
    (
        "Conversation",
        (
            ("Ctrl+T", "Go to the transcript"),
            ("Ctrl+Shift+P", "Open the picture that the answer is about"),
            ("Ctrl+Shift+C", "Copy the transcript"),
            ("Ctrl+S", "Save the transcript"),
            ("Ctrl+N", "New conversation"),
            ("Ctrl+Shift+H", "Earlier conversations: search, read, export, delete"),
        ),
    ),
    (
        "Sightline",
        (
            ("Ctrl+,", "Settings"),
            ("F1", "This list of keys"),
            ("Ctrl+Q", "Quit"),
        ),
    ),
)
"""In groups: title, and (keys, what they do); `{talk}` stands for the push-to-talk key."""


class Actions:
    """Makes the window's actions and menus. `send` takes the commands; the rest are callbacks of the window."""

    def __init__(self, window: QMainWindow, send: Callable[[Command], None]) -> None:
        self._window = window
        self._send = send
        self._view = View()
        self.microphone = self._toggle("&Microphone", "Ctrl+M", lambda on: SetMicrophone(on))
        self.camera = self._toggle("&Camera", "Ctrl+K", lambda on: SetCamera(on))
        self.privacy = self._command("Microphone and camera &off", "F12", self._privacy)
        self.describe = self._command("&Describe what you see", "Ctrl+D", Describe)
        self.read_aloud = self._command("Read &aloud", "Ctrl+R", ReadAloud)
        self.paste_picture = self._local("Pa&ste a picture", "Ctrl+V")
        self.window_describe = self._local("Describe another &window", "Ctrl+Alt+W")
        self.window_read = self._local("R&ead another window", "Ctrl+Alt+R")
        self.region = self._local("Look at a &part of the screen …", "Ctrl+Alt+S")
        self.back_to_camera = self._command("Bac&k to the camera", "Ctrl+Shift+K", BackToCamera)
        self.check = self._command("C&heck again", "Ctrl+H", CheckAgain)
        self.pause_reading = self._command("&Pause reading, or go on", "Ctrl+P", lambda: MoveReading("pause"))
        self.next_sentence = self._command("Ne&xt sentence", "Alt+Right", lambda: MoveReading("next"))
        self.sentence_back = self._command("Sentence &back", "Alt+Left", lambda: MoveReading("back"))
        self.sentence_again = self._command("Sentence a&gain", "Alt+Up", lambda: MoveReading("again"))
        self.spell = self._command("&Spell the sentence", "Alt+Down", lambda: MoveReading("spell"))
        self.copy_reading = self._local("&Copy what was read", "Ctrl+Alt+C")
        self.instant_text = self._toggle("&Instant text", "Ctrl+I", lambda on: SetInstantText(on))
        self.instant_text.setChecked(False)
        self.instant_text.triggered.connect(lambda: self.instant_text.setChecked(self._view.instant_text))
        self.aim = self._toggle("Aimin&g help", "Ctrl+G", lambda on: SetAim(on))
        self.aim.setChecked(False)
        self.aim.triggered.connect(lambda: self.aim.setChecked(self._view.aiming))
        self.codes = self._command("&Bar and QR codes", "Ctrl+B", lambda: LookAt("codes"))
        self.colour = self._command("C&olour in the middle", "Ctrl+O", lambda: LookAt("colour"))
        self.light = self._command("&Light", "Ctrl+U", lambda: LookAt("light"))
        self.light_tone = self._toggle("Light &tone", "Ctrl+Shift+U", lambda on: SetLightTone(on))
        self.light_tone.setChecked(False)
        self.light_tone.triggered.connect(lambda: self.light_tone.setChecked(self._view.light_tone))
        self.narrate = self._toggle("&Narrate what changes", "Ctrl+J", lambda on: SetNarration(on))
        self.narrate.setChecked(False)
        # It may be refused, and then no new view comes: the mark waits for one that says otherwise.
        self.narrate.triggered.connect(lambda: self.narrate.setChecked(self._view.narrating))
        self.repeat = self._command("R&epeat last answer", "Ctrl+E", Repeat)
        self.stop = self._command("&Stop", "Esc", Stop)
        self.yes = self._command("&Yes, do it", "Ctrl+Shift+Y", lambda: AnswerQuestion(True))
        self.no = self._command("No, do no&t", "Ctrl+Shift+N", lambda: AnswerQuestion(False))
        self.new = self._command("&New conversation", "Ctrl+N", NewConversation)
        self.copy = self._local("&Copy transcript", "Ctrl+Shift+C")
        self.picture = self._local("Open the &picture of the answer …", "Ctrl+Shift+P")
        self.save = self._local("&Save transcript …", "Ctrl+S")
        self.history = self._local("&Earlier conversations …", "Ctrl+Shift+H")
        self.settings = self._local("Se&ttings …", "Ctrl+,")
        self.models = self._local("&Get a larger model …", "")
        self.to_text = self._local("Go to te&xt field", "Ctrl+L")
        self.to_transcript = self._local("Go to t&ranscript", "Ctrl+T")
        self.keys = self._local("&Keys", "F1")
        self.about = self._local("&About Sightline", "")
        self.quit = self._local("&Quit", "Ctrl+Q")
        self._fill_menus()

    def show_view(self, view: View) -> None:
        """Check marks follow what is, not what was clicked."""
        self._view = view
        self.microphone.setChecked(view.microphone_on)
        self.camera.setChecked(view.camera_on)
        self.narrate.setChecked(view.narrating)
        self.instant_text.setChecked(view.instant_text)
        self.aim.setChecked(view.aiming)
        self.light_tone.setChecked(view.light_tone)
        for action in (self.yes, self.no):
            action.setEnabled(bool(view.question))
        both_off = not view.microphone_on and not view.camera_on
        self.privacy.setText("Microphone and camera back &on" if both_off else "Microphone and camera &off")

    def _privacy(self) -> Command:
        return SetPrivacy(self._view.microphone_on or self._view.camera_on)

    def _local(self, text: str, keys: str) -> QAction:
        action = QAction(text, self._window)
        if keys:
            action.setShortcut(QKeySequence(keys))
        self._window.addAction(action)
        return action

    def _command(self, text: str, keys: str, make: Callable[[], Command]) -> QAction:
        action = self._local(text, keys)
        action.setAutoRepeat(False)  # a key held down must not ask again and again
        action.triggered.connect(lambda: self._send(make()))
        return action

    def _toggle(self, text: str, keys: str, make: Callable[[bool], Command]) -> QAction:
        action = self._local(text, keys)
        action.setAutoRepeat(False)
        action.setCheckable(True)
        action.setChecked(True)
        action.triggered.connect(lambda on: self._send(make(on)))
        return action

    def _fill_menus(self) -> None:
        bar = self._window.menuBar()
        for title, actions in (
            ("&Conversation", (self.new, self.history, None, self.picture, self.copy, self.save, None, self.quit)),
            (
                "&Talk",
                (self.microphone, self.camera, self.privacy, None, self.stop, self.repeat, None, self.yes, self.no),
            ),
            (
                "&Look",
                (
                    self.describe,
                    self.read_aloud,
                    self.paste_picture,
                    self.window_describe,
                    self.window_read,
                    self.region,
                    self.back_to_camera,
                    self.check,
                    self.instant_text,
                    self.aim,
                    self.narrate,
                    None,
                    self.codes,
                    self.colour,
                    self.light,
                    self.light_tone,
                ),
            ),
            (
                "&Read",
                (
                    self.pause_reading,
                    self.next_sentence,
                    self.sentence_back,
                    self.sentence_again,
                    self.spell,
                    None,
                    self.copy_reading,
                ),
            ),
            ("&Go", (self.to_text, self.to_transcript)),
            ("&Settings", (self.settings, self.models)),
            ("&Help", (self.keys, self.about)),
        ):
            menu = bar.addMenu(title)
            for action in actions:
                menu.addSeparator() if action is None else menu.addAction(action)
