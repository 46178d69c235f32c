"""The window with a scripted Assistant on the other side: what it shows, and what each key and button asks for."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QAccessible, QGuiApplication, QKeyEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication, QComboBox, QLabel, QLineEdit, QTextEdit, QWidget

from app.commands import (
    ChangeSettings,
    ChooseDevice,
    Describe,
    NewConversation,
    PushToTalk,
    ReadAloud,
    Repeat,
    Retry,
    SendText,
    SetCamera,
    SetMicrophone,
    SetNarration,
    SetPrivacy,
    Stop,
)
from app.interface import AssistantInterface
from app.ui.bridge import AssistantBridge
from app.ui.pickers import DevicePicker
from app.ui.ports import DeviceChoice, WindowParts
from app.ui.settings_dialog import SettingsDialog
from app.ui.window import MainWindow
from app.view import DeviceNames, EngineInfo, Latency, Phase, Problem, TranscriptTurn
from tests.app.ui.conftest import Desk, spin_until
from tests.app.ui.scripted import GreyPicture, ScriptedAssistant, parts

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


def press(desk: Desk, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier) -> None:
    QTest.keyClick(QApplication.focusWidget() or desk.window, key, modifier)


def test_the_window_is_up_and_says_loading_before_the_assistant_exists(open_desk: Callable[..., Desk]) -> None:
    assistant, may_go_on = ScriptedAssistant(), threading.Event()

    def slow() -> AssistantInterface:
        may_go_on.wait(30)
        return assistant

    made = parts(assistant)
    desk = open_desk(WindowParts(made.settings, slow, made.list_devices, made.latest_picture), assistant)
    assert desk.window.isVisible()
    assert desk.window.state.word.text() == "Loading"
    desk.window.question.field.setText("are you there?")
    press(desk, Qt.Key.Key_Return)
    press(desk, Qt.Key.Key_M, CTRL)
    may_go_on.set()
    spin_until(lambda: len(assistant.commands) == 2, "the early commands")
    assert assistant.started.is_set()
    assert assistant.commands == [SendText("are you there?"), SetMicrophone(False)]


def test_nothing_else_starts_before_the_first_picture_of_the_window(application: QApplication) -> None:
    order: list[str] = []

    class Painted(QObject):
        def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802  # Qt's name
            if event.type() == QEvent.Type.Paint:
                order.append("painted")
            return False

    def listing(_kind: object) -> list[DeviceChoice]:
        order.append("listed")
        return []

    made = parts(ScriptedAssistant())
    bridge = AssistantBridge(made.compose)
    window = MainWindow(WindowParts(made.settings, made.compose, listing, made.latest_picture), bridge)
    painted = Painted()
    window.question.field.installEventFilter(painted)
    window.on_screen.connect(lambda: order.append("started"))
    window.show()
    spin_until(lambda: "started" in order, "the start")
    assert order[0] == "painted"
    assert "listed" not in order  # nobody has asked for the devices yet
    window.close()


def test_a_failing_start_is_a_message(open_desk: Callable[..., Desk]) -> None:
    def broken() -> AssistantInterface:
        raise RuntimeError("no room on the device")

    made = parts(ScriptedAssistant())
    desk = open_desk(WindowParts(made.settings, broken, made.list_devices, made.latest_picture))
    spin_until(lambda: desk.window.view.phase is Phase.FAILED, "the problem")
    assert "no room on the device" in desk.window.problems.text
    assert "doctor" in desk.window.problems.text
    assert desk.window.problems.isVisible()


@pytest.mark.parametrize("phase", list(Phase))
def test_every_state_is_a_word_an_icon_and_a_colour_of_its_own(desk: Desk, phase: Phase) -> None:
    shown: dict[Phase, tuple[str, bytes, str]] = {}
    for one in (phase, *(other for other in Phase if other is not phase)):
        desk.show(phase=one)
        card = desk.window.state
        icon = card.icon.pixmap().toImage()
        # The shape alone, without its colour: what a colour-blind person sees.
        alpha = bytes(icon.pixelColor(x, y).alpha() > 127 for x in range(0, 48, 2) for y in range(0, 48, 2))
        shown[one] = (card.word.text(), alpha, card.word.styleSheet())
        assert card.word.accessibleName() == f"State: {one.label}"
    assert shown[phase][0] == phase.label
    mine = shown.pop(phase)
    for other in shown.values():
        assert all(a != b for a, b in zip(mine, other, strict=True))


@pytest.mark.parametrize(
    ("key", "modifier", "command"),
    [
        (Qt.Key.Key_Escape, Qt.KeyboardModifier.NoModifier, Stop()),
        (Qt.Key.Key_D, CTRL, Describe()),
        (Qt.Key.Key_R, CTRL, ReadAloud()),
        (Qt.Key.Key_E, CTRL, Repeat()),
        (Qt.Key.Key_N, CTRL, NewConversation()),
        (Qt.Key.Key_M, CTRL, SetMicrophone(False)),
        (Qt.Key.Key_K, CTRL, SetCamera(False)),
        (Qt.Key.Key_J, CTRL, SetNarration(True)),
        (Qt.Key.Key_F12, Qt.KeyboardModifier.NoModifier, SetPrivacy(True)),
    ],
)
def test_keys_work_wherever_the_focus_is(
    desk: Desk, key: Qt.Key, modifier: Qt.KeyboardModifier, command: object
) -> None:
    said = (TranscriptTurn(1, "user", 1.0, "Hello", done=True),)
    for place in (desk.window.question.field, desk.window.transcript, desk.window.controls.purposes.describe):
        desk.show(microphone_on=True, camera_on=True, transcript=said)
        place.setFocus()
        spin_until(place.hasFocus, "the focus")
        press(desk, key, modifier)
    assert desk.assistant.commands == [command] * 3


def test_narration_that_is_refused_is_not_marked_as_on(desk: Desk) -> None:
    mark = desk.window.actions_.narrate
    for _ in range(2):  # asked again, it is asked for again
        press(desk, Qt.Key.Key_J, CTRL)
        assert not mark.isChecked()
    desk.show(narrating=True)
    assert mark.isChecked()
    press(desk, Qt.Key.Key_J, CTRL)
    assert desk.assistant.commands == [SetNarration(True), SetNarration(True), SetNarration(False)]


def test_buttons_ask_for_what_they_say(desk: Desk) -> None:
    purposes, switches = desk.window.controls.purposes, desk.window.controls.switches
    wanted = [
        (switches.microphone, SetMicrophone(False)),
        (switches.camera, SetCamera(False)),
        (switches.privacy, SetPrivacy(True)),
        (purposes.describe, Describe()),
        (purposes.read_aloud, ReadAloud()),
        (purposes.repeat, Repeat()),
        (purposes.stop, Stop()),
    ]
    for button, command in wanted:
        desk.show(microphone_on=True, camera_on=True)
        button.setFocus()
        QTest.keyClick(button, Qt.Key.Key_Space)
        assert desk.assistant.commands[-1] == command
    desk.show(microphone_on=False, camera_on=False)
    assert (switches.microphone.text(), switches.camera.text()) == ("Microphone off", "Camera off")
    switches.microphone.click()
    switches.privacy.click()
    assert desk.assistant.commands[-2:] == [SetMicrophone(True), SetPrivacy(False)]


def test_push_to_talk_is_a_press_and_a_release_however_the_key_repeats(desk: Desk) -> None:
    field = desk.window.question.field
    field.setFocus()

    def key(kind: QEvent.Type, repeat: bool = False) -> None:
        event = QKeyEvent(kind, Qt.Key.Key_F8, Qt.KeyboardModifier.NoModifier, "", repeat)
        QApplication.sendEvent(field, event)

    key(QEvent.Type.KeyPress)
    for recognised in (True, False, True, False):  # Qt does not always recognise a repetition
        key(QEvent.Type.KeyRelease, recognised)
        key(QEvent.Type.KeyPress, recognised)
    key(QEvent.Type.KeyRelease)
    spin_until(lambda: len(desk.assistant.commands) == 2, "the release")
    assert desk.assistant.commands == [PushToTalk(True), PushToTalk(False)]


@pytest.mark.parametrize("before", ["settings", "save", "keys", "a list", "nothing"])
def test_quitting_works_whatever_stands_before_the_window(desk: Desk, before: str) -> None:
    actions = desk.window.actions_
    opening = {"settings": actions.settings.trigger, "save": actions.save.trigger, "keys": actions.keys.trigger}
    opening |= {"a list": lambda: devices_of(desk)["pictures"].showPopup(), "nothing": lambda: None}
    closed: list[bool] = []
    desk.window.closing.connect(lambda: closed.append(True))
    opening[before]()
    press(desk, Qt.Key.Key_Q, CTRL)
    spin_until(lambda: bool(closed), "the window closes")


def test_quitting_works_in_a_window_that_is_not_the_active_one(desk: Desk) -> None:
    """Without a window manager no window is: keys arrive, and Qt's shortcuts do nothing."""
    other = QWidget()
    other.show()
    other.activateWindow()
    spin_until(other.isActiveWindow, "another window has the keyboard")
    closed: list[bool] = []
    desk.window.closing.connect(lambda: closed.append(True))
    QTest.keyClick(desk.window.question.field, Qt.Key.Key_Q, CTRL)
    assert closed
    other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="scan codes are the platform's own")
def test_quitting_works_on_a_keyboard_of_another_script_and_by_no_other_key(desk: Desk) -> None:
    closed: list[bool] = []
    desk.window.closing.connect(lambda: closed.append(True))
    short_i, ef, scan_q, scan_a = 0x419, 0x424, 24, 38
    alt = Qt.KeyboardModifier.AltModifier

    def key(code: int, modifier: Qt.KeyboardModifier, scan_code: int) -> None:
        QApplication.sendEvent(
            desk.window.question.field, QKeyEvent(QEvent.Type.KeyPress, code, modifier, scan_code, 0, 0, "")
        )

    key(Qt.Key.Key_A, CTRL, scan_q)  # a French keyboard
    key(ef, CTRL, scan_a)
    key(short_i, alt, scan_q)
    assert not closed
    key(short_i, CTRL, scan_q)
    assert closed


def test_losing_the_window_lets_the_talk_key_go(desk: Desk) -> None:
    QTest.keyPress(desk.window.question.field, Qt.Key.Key_F8)
    desk.window._talk_key._on_application_state(Qt.ApplicationState.ApplicationInactive)
    QTest.keyRelease(desk.window.question.field, Qt.Key.Key_F8)
    assert desk.assistant.commands == [PushToTalk(True), PushToTalk(False)]


def test_hold_to_talk_by_mouse_and_space(desk: Desk) -> None:
    talk = desk.window.controls.purposes.talk
    QTest.mousePress(talk, Qt.MouseButton.LeftButton)
    QTest.mouseRelease(talk, Qt.MouseButton.LeftButton)
    talk.setFocus()
    QTest.keyPress(talk, Qt.Key.Key_Space)
    QTest.keyRelease(talk, Qt.Key.Key_Space)
    assert desk.assistant.commands == [PushToTalk(True), PushToTalk(False)] * 2


def test_typing(desk: Desk) -> None:
    field = desk.window.question.field
    field.setText("   ")
    press(desk, Qt.Key.Key_Return)
    QTest.keyClicks(field, "what is this?")
    QTest.keyClick(field, Qt.Key.Key_Return)
    assert desk.assistant.commands == [SendText("what is this?")]
    assert field.text() == ""


def test_problems_show_their_remedies_and_trying_again_is_offered_when_it_helps(desk: Desk) -> None:
    assert not desk.window.problems.isVisible()
    desk.show(problems=(Problem("microphone", "The microphone was unplugged.", "Plug it in again."),))
    assert "unplugged. Plug it in" in desk.window.problems.text
    retry = next(b for b in desk.window.problems.findChildren(QAbstractButton))
    assert not retry.isVisible()
    desk.show(phase=Phase.FAILED, problems=(Problem("engine failed", "The engine stopped."),))
    assert retry.isVisible()
    retry.click()
    assert desk.assistant.commands == [Retry()]
    desk.show(phase=Phase.LISTENING, problems=())
    assert not desk.window.problems.isVisible()


def test_no_problem_is_left_out(desk: Desk) -> None:
    """Without any device, what else is wrong must not be crowded out; no picture is said where it would be."""
    missing = [Problem(kind, f"No {kind}.", f"Get a {kind}.") for kind in ("speaker", "microphone", "pictures")]
    kept = Problem("history", "The conversation is not being kept.")
    desk.show(problems=(kept, Problem("settings", "They were unreadable."), *missing))
    text = desk.window.problems.text
    assert text.startswith("No microphone. Get a microphone.\n\nNo speaker. Get a speaker.\n\nThey were unreadable.")
    assert text.endswith("Also: The conversation is not being kept.")
    assert "pictures" not in text
    assert desk.window.pictures.missing.isVisible()
    assert desk.window.pictures.missing.text == "No pictures. Get a pictures."


def test_waiting_without_a_microphone_is_not_called_listening(desk: Desk) -> None:
    missing = (Problem("microphone", "No microphone is plugged in."), Problem("pictures", "There is no camera."))
    desk.show(phase=Phase.LISTENING, problems=missing, level_dbfs=-20.0)
    assert desk.window.state.word.text() == "No microphone"
    assert "Type" in desk.window.state.detail.text()
    assert desk.window.state.meter._lit == 0
    assert desk.window.controls.switches.microphone.text() == "No microphone"
    assert desk.window.controls.switches.camera.text() == "No camera"
    desk.show(problems=())
    assert desk.window.state.word.text() == "Listening"
    assert desk.window.controls.switches.microphone.text() == "Microphone on"


def test_a_remote_engine_is_visible_in_every_state(desk: Desk) -> None:
    assert not desk.window.remote.isVisible()
    for phase in Phase:
        desk.show(phase=phase, engine=EngineInfo(remote=True, url="wss://box:8000/v1/realtime", model="big"))
        assert desk.window.remote.isVisible()
        assert any("wss://box:8000" in label.text() for label in desk.window.remote.findChildren(QLabel))
        assert "remote" in desk.window.status.engine.text()


def test_the_status_bar_says_how_long_it_took_and_what_was_lost(desk: Desk) -> None:
    assert desk.window.status.latency.text() == "Last answer: –"
    desk.show(latency=Latency(1, 600, 620, 700, 800, 912), drop_outs=2, lost_input_ms=30)
    assert desk.window.status.latency.text() == "Last answer after 0.91 s (engine 0.18 s)"
    assert desk.window.status.losses.text() == "Drop-outs: 2, 30 ms of microphone lost"


def test_pickers_list_choose_and_keep_what_is_in_use(desk: Desk) -> None:
    pickers = devices_of(desk)
    spin_until(lambda: pickers["pictures"].count() == 4, "the list of devices")
    labels = ["Webcam", "The screen", "Video or picture file …", "No pictures"]
    assert [pickers["pictures"].itemText(n) for n in range(4)] == labels
    assert pickers["pictures"].currentText() == "No pictures"  # nothing is in use yet
    desk.show(devices=DeviceNames("Old microphone", "Headphones", "file:/clips/desk.mp4"))
    assert pickers["microphone"].currentText() == "Old microphone"  # in use, though not listed
    assert pickers["speaker"].currentText() == "Headphones"
    assert pickers["pictures"].currentText() == "desk.mp4"
    assert desk.assistant.commands == []  # showing is not choosing
    for kind, label, name in (
        ("microphone", "USB Microphone", "USB Microphone"),
        ("speaker", "System default", None),
        ("pictures", "The screen", "screen:1"),
        ("pictures", "No pictures", None),
    ):
        box = pickers[kind]
        box.setCurrentIndex(box.findText(label))
        box.activated.emit(box.currentIndex())
        assert desk.assistant.commands[-1] == ChooseDevice(kind, name)  # type: ignore[arg-type]


def devices_of(desk: Desk) -> dict[str, DevicePicker]:
    """The pickers of the settings' page of devices, which is opened for it."""
    if desk.window.findChild(SettingsDialog) is None:
        desk.window._open_settings("devices")
    dialog = desk.window.findChild(SettingsDialog)
    assert dialog is not None
    return dialog.pickers.pickers


def test_listing_that_hangs_does_not_hold_up_the_window(open_desk: Callable[..., Desk]) -> None:
    release, assistant = threading.Event(), ScriptedAssistant()
    made = parts(assistant)

    def hanging(kind: Any) -> Any:
        release.wait(30)
        return []

    desk = open_desk(WindowParts(made.settings, made.compose, hanging, made.latest_picture), assistant)
    spin_until(assistant.started.is_set, "the start")
    devices_of(desk)["microphone"].showPopup()
    devices_of(desk)["microphone"].hidePopup()
    desk.show(phase=Phase.LISTENING)
    assert desk.window.state.word.text() == "Listening"
    release.set()


def test_the_preview_shows_the_newest_picture_and_nothing_when_the_camera_is_off(
    open_desk: Callable[..., Desk],
) -> None:
    assistant = ScriptedAssistant()
    desk = open_desk(parts(assistant, picture=GreyPicture(3, 64, 36, bytes([200, 30, 30]) * (64 * 36))), assistant)
    preview = desk.window.pictures.preview
    spin_until(lambda: preview.accessibleDescription() == "The camera's picture", "the picture")
    middle = preview.grab().toImage().pixelColor(preview.width() // 2, preview.height() // 2)
    assert (middle.red(), middle.green(), middle.blue()) == (200, 30, 30)
    desk.show(camera_on=False)
    spin_until(lambda: preview.accessibleDescription() == "Camera off", "no picture")
    corner = preview.grab().toImage().pixelColor(preview.width() // 4, preview.height() // 4)
    assert corner.red() < 60


def test_settings_send_only_what_was_changed(desk: Desk) -> None:
    desk.window.actions_.settings.trigger()
    dialog = desk.window.findChild(SettingsDialog)
    assert dialog is not None
    assert dialog.changes() == ()
    boxes = {box.accessibleName(): box for box in dialog.findChildren(QComboBox)}
    boxes["Type size"].setCurrentText("Largest")
    boxes["Colours"].setCurrentText("High contrast")
    size_before = desk.window.font().pointSizeF(), desk.window.state.icon.width()
    dialog._save()
    assert desk.assistant.commands == [ChangeSettings((("font_scale", 2.0), ("theme", "high contrast")))]
    assert desk.window.state.icon.width() > size_before[1]


def test_settings_that_are_not_valid_are_refused_with_a_reason(desk: Desk) -> None:
    desk.window.actions_.settings.trigger()
    dialog = desk.window.findChild(SettingsDialog)
    assert dialog is not None
    url = next(field for field in dialog.findChildren(QLineEdit) if field.accessibleName() == "Remote engine")
    url.setText("gpu-box")
    dialog._save()
    assert desk.assistant.commands == []
    assert dialog.isVisible()
    assert any("ws://" in label.text() for label in dialog.findChildren(QLabel))
    dialog.reject()


def test_everything_is_reached_by_tab_and_has_a_name(desk: Desk) -> None:
    desk.show(
        phase=Phase.FAILED,
        problems=(Problem("engine failed", "The engine stopped."),),
        transcript=(TranscriptTurn(1, "user", 1.0, "Hello", done=True),),
    )
    desk.window.question.field.setFocus()
    seen: list[QWidget] = []
    while (focused := QApplication.focusWidget()) is not None and focused not in seen:
        seen.append(focused)
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    wanted = [
        widget
        for widget in desk.window.findChildren(QWidget)
        if widget.isVisible()
        and isinstance(widget, (QAbstractButton, QComboBox, QLineEdit, QTextEdit))
        and widget.focusPolicy() != Qt.FocusPolicy.NoFocus
    ]
    assert [w for w in wanted if w not in seen] == []
    names = [spoken_name(widget) for widget in seen]
    assert all(names)
    assert [name for name in names if names.count(name) > 1] == []
    assert seen[:3] == [desk.window.question.field, desk.window.question.send, desk.window.transcript]


def spoken_name(widget: QWidget) -> str:
    """What a screen reader says first: the label that belongs to it, or its own name.

    On Linux a combo box's own name is its value; its name is its label's.
    """
    labels = [label.text() for label in widget.window().findChildren(QLabel) if label.buddy() is widget]
    return labels[0] if labels else QAccessible.queryAccessibleInterface(widget).text(QAccessible.Text.Name)


def test_strange_text_breaks_nothing(desk: Desk) -> None:
    strange = ["\0", "\r\n\u2028\u2029", "a" * 20_000, "\u202eabc\u202c", "😀" * 50, "<b>&amp;</b>", "\ud800".encode(
        "utf-8", "replace"
    ).decode()]  # fmt: skip
    for number, text in enumerate(strange):
        turn = TranscriptTurn(number, "assistant", float("1e9"), text, cut=True, cut_by=text[:30])
        problem = Problem("engine lost", text, text)
        desk.show(transcript=(turn,), problems=(problem,), engine=EngineInfo(True, text[:200], text[:200]))
        desk.assistant.say(text, urgent=True)
    assert desk.window.problems.isVisible()
    desk.show(problems=(Problem("x", "<b>bold</b>"),))
    assert "<b>bold</b>" in desk.window.problems.text  # shown as it is, never as markup


def test_copying_the_transcript(desk: Desk) -> None:
    turns = (
        TranscriptTurn(0, "user", 1.0, "What is this?", spoken=True, done=True),
        TranscriptTurn(1, "assistant", 2.0, "A cup, and", done=True, cut=True, cut_by="interrupted"),
    )
    desk.show(transcript=turns, started_at_unix_s=1_700_000_000.0)
    press(desk, Qt.Key.Key_C, CTRL | SHIFT)
    lines = QGuiApplication.clipboard().text().splitlines()
    assert lines[0].endswith("You: What is this?")
    assert lines[1].endswith("Sightline: A cup, and (interrupted)")


def test_saving_the_transcript_and_failing_to(desk: Desk, tmp_path: Any) -> None:
    desk.show(transcript=(TranscriptTurn(0, "user", 1.0, "Grüße", done=True),))
    desk.window._save_to(str(tmp_path / "talk.txt"))
    spin_until(lambda: "saved as talk.txt" in desk.window.status.message.text(), "the message")
    assert "You: Grüße" in (tmp_path / "talk.txt").read_text(encoding="utf-8")
    desk.window._save_to(str(tmp_path / "no" / "folder.txt"))
    spin_until(lambda: "could not be saved" in desk.window.status.message.text(), "the message")


def test_the_windows_keys_work_while_the_text_field_or_the_transcript_has_the_keyboard(
    open_desk: Callable[..., Desk],
) -> None:
    """Ctrl+E was the field's: the end of the line, as in Emacs."""
    window = open_desk().window
    for field in (window.question.field, window.transcript):
        for action in (window.actions_.repeat, window.actions_.light, window.actions_.camera, window.actions_.describe):
            (keys,) = action.shortcuts()
            override = QKeyEvent(
                QEvent.Type.ShortcutOverride,
                keys[0].key(),
                keys[0].keyboardModifiers(),  # type: ignore[index]
            )
            override.ignore()  # as Qt sends it
            QApplication.sendEvent(field, override)
            assert not override.isAccepted(), keys.toString()
    copy = QKeyEvent(QEvent.Type.ShortcutOverride, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    copy.ignore()
    QApplication.sendEvent(window.question.field, copy)
    assert copy.isAccepted()
