"""For people who see little: colours are measured in the drawn window; all is reached however large the type.

Text is measured as drawn: the colour that stands out most against the commonest one in the widget. Borders and marks of
states likewise, against what lies beside them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtGui import QImage
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QApplication,
    QCheckBox,
    QComboBox,
    QDialogButtonBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QScrollArea,
    QSlider,
    QStyle,
    QStyleOptionButton,
    QToolButton,
    QWidget,
)

from app.settings import Settings
from app.ui.settings_dialog import SettingsDialog
from app.ui.theme import NORMAL_PT, THEMES
from app.view import EngineInfo, Phase, Problem, TranscriptTurn
from tests.app.ui.conftest import Desk, spin_until
from tests.app.ui.scripted import ScriptedAssistant, parts
from tests.app.ui.test_theme import contrast

pytestmark = pytest.mark.slow

LEAST_TEXT = {"light": 4.5, "dark": 4.5, "high contrast": 7.0}
LEAST_MARK = 3.0
TALK = (
    TranscriptTurn(1, "user", 3.0, "What is on the table?", spoken=True, done=True),
    TranscriptTurn(2, "assistant", 5.0, "A red cup,", spoken=True, done=True, cut=True, cut_by="interrupted"),
)
PROBLEMS = (Problem("microphone", "No microphone is plugged in.", "Plug one in."), Problem("pictures", "No camera."))


def open_with(open_desk: Callable[..., Desk], settings: Settings, size: tuple[int, int] | None = None) -> Desk:
    assistant = ScriptedAssistant()
    desk = open_desk(parts(assistant, settings=settings), assistant)
    spin_until(assistant.started.is_set, "the start")
    if size is not None:
        desk.window.resize(*size)
        spin_until(lambda: (desk.window.width(), desk.window.height()) == size, "the size")
    return desk


def settings_of(desk: Desk, page: str = "") -> SettingsDialog:
    desk.window._open_settings(page)
    dialog = desk.window.findChild(SettingsDialog)
    assert dialog is not None
    spin_until(dialog.isVisible, "the settings")
    return dialog


def pixels(image: QImage, area: QRect) -> Iterator[str]:
    inside = area.intersected(image.rect())
    for y in range(inside.top(), inside.bottom() + 1):
        for x in range(inside.left(), inside.right() + 1):
            yield image.pixelColor(x, y).name()


def strongest(image: QImage, area: QRect) -> float:
    """Contrast of the colour that stands out most in the area, against the commonest one."""
    counted = Counter(pixels(image, area))
    ground = counted.most_common(1)[0][0]
    return max(contrast(colour, ground) for colour in counted)


def place_in(widget: QWidget, window: QWidget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def border_contrast(image: QImage, area: QRect) -> float:
    """Of the left border, where it is straight, against what lies outside of it."""
    y = area.center().y()
    outside = image.pixelColor(max(0, area.left() - 2), y).name()
    return max(contrast(image.pixelColor(x, y).name(), outside) for x in range(area.left(), area.left() + 4))


def texts(window: QWidget) -> list[QWidget]:
    """What is seen and holds words."""
    found: list[QWidget] = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or widget.visibleRegion().isEmpty():
            continue
        words = ""
        if isinstance(widget, (QLabel, QAbstractButton)):
            words = widget.text().strip()
        elif isinstance(widget, QComboBox):
            words = widget.currentText()
        elif isinstance(widget, QLineEdit):
            words = widget.text() or widget.placeholderText()
        if words:
            found.append(widget)
    return found


@pytest.mark.parametrize("theme", list(THEMES))
@pytest.mark.parametrize("shown", ["first screen", "talk", "problems", "answers", "sound", "devices", "look", "engine"])
def test_every_text_and_border_stands_out_as_drawn(open_desk: Callable[..., Desk], theme: str, shown: str) -> None:
    desk = open_with(open_desk, Settings(theme=theme), (1200, 700))
    window: QWidget = desk.window
    engine = EngineInfo(remote=shown == "problems", url="wss://box/v1", model="flash-mini", ready=True)
    if shown == "first screen":
        desk.show(engine=engine, phase=Phase.LISTENING)
    elif shown == "talk":
        desk.show(engine=engine, phase=Phase.SPEAKING, transcript=TALK, level_dbfs=-30.0)
    elif shown == "problems":
        failed = Problem("engine failed", "The engine stopped.")
        desk.show(engine=engine, phase=Phase.FAILED, transcript=TALK, problems=(*PROBLEMS, failed))
    else:
        window = settings_of(desk, shown)
    image = window.grab().toImage()
    weak = []
    for widget in texts(window):
        area = place_in(widget, window).adjusted(4, 4, -4, -4)
        if (reached := strongest(image, area)) < LEAST_TEXT[theme]:
            weak.append((type(widget).__name__, getattr(widget, "text", widget.accessibleName)(), round(reached, 2)))
    assert weak == []
    faint = []
    for widget in window.findChildren(QWidget):
        if not widget.isVisible() or widget.visibleRegion().boundingRect() != widget.rect():
            continue
        if isinstance(widget, (QPushButton, QLineEdit, QComboBox, QPlainTextEdit)):
            reached = border_contrast(image, place_in(widget, window))
            if reached < LEAST_MARK:
                faint.append((type(widget).__name__, widget.accessibleName(), round(reached, 2)))
    assert faint == []


@pytest.mark.parametrize("theme", list(THEMES))
def test_boxes_are_seen_ticked_and_unticked_and_so_is_the_focus(open_desk: Callable[..., Desk], theme: str) -> None:
    dialog = settings_of(open_with(open_desk, Settings(theme=theme)), "sound")
    box = next(box for box in dialog.findChildren(QCheckBox) if box.isVisible())
    other = next(slider for slider in dialog.findChildren(QSlider) if slider.isVisible())
    drawn: dict[bool, QImage] = {}
    for on in (False, True):
        box.setChecked(on)
        other.setFocus()
        option = QStyleOptionButton()
        box.initStyleOption(option)
        mark = box.style().subElementRect(QStyle.SubElement.SE_CheckBoxIndicator, option, box)
        drawn[on] = box.grab().toImage()
        edge = mark.adjusted(-3, 0, 0, 0)
        beside = [drawn[on].pixelColor(x, mark.center().y()).name() for x in range(edge.left(), mark.left() + 4)]
        assert max(contrast(colour, beside[0]) for colour in beside) >= LEAST_MARK
    inner = mark.adjusted(4, 4, -4, -4)
    assert strongest(drawn[False], inner) < 1.2  # empty
    assert strongest(drawn[True], inner) >= LEAST_MARK  # the tick in its box
    box.setFocus()
    spin_until(box.hasFocus, "the focus")
    line = box.grab().toImage()
    y = line.height() // 2
    assert contrast(line.pixelColor(1, y).name(), dialog.grab().toImage().pixelColor(2, 2).name()) >= LEAST_MARK


@pytest.mark.parametrize("theme", list(THEMES))
def test_the_bars_of_the_level_are_seen_lit_and_dark(open_desk: Callable[..., Desk], theme: str) -> None:
    desk = open_with(open_desk, Settings(theme=theme))
    desk.show(phase=Phase.LISTENING, level_dbfs=-36.0)
    meter = desk.window.state.meter
    image = desk.window.grab().toImage()
    area = place_in(meter, desk.window)
    halves = [QRect(area.left() + n * area.width() // 2, area.top(), area.width() // 2, area.height()) for n in (0, 1)]
    assert all(strongest(image, half) >= LEAST_MARK for half in halves)


SIZES = [((800, 560), 2.0), ((320, 560), 1.0), ((640, 400), 1.5), ((1350, 700), 2.0), ((1350, 700), 1.0)]


@pytest.mark.parametrize(("size", "scale"), SIZES)
def test_everything_is_reached_by_tab_and_scrolled_into_sight(
    open_desk: Callable[..., Desk], size: tuple[int, int], scale: float
) -> None:
    desk = open_with(open_desk, Settings(font_scale=scale), size)
    desk.show(transcript=TALK, problems=PROBLEMS, engine=EngineInfo(model="flash-mini", ready=True))
    desk.window.question.field.setFocus()
    seen: list[QWidget] = []
    while (focused := QApplication.focusWidget()) is not None and focused not in seen:
        seen.append(focused)
        where = place_in(focused, desk.window)
        assert desk.window.rect().intersects(where), focused
        region = focused.visibleRegion().boundingRect()
        assert region.width() == focused.width(), f"{focused} is cut at the side"
        assert region.height() >= min(focused.height(), 60), f"{focused} is out of sight"
        QTest.keyClick(focused, Qt.Key.Key_Tab)
    for button in desk.window.controls.in_order:
        assert button in seen
    assert desk.window.transcript in seen


@pytest.mark.parametrize(("size", "scale"), SIZES)
@pytest.mark.parametrize("shown", ["first screen", "talk"])
def test_nothing_is_cut_at_the_side(
    open_desk: Callable[..., Desk], size: tuple[int, int], scale: float, shown: str
) -> None:
    desk = open_with(open_desk, Settings(font_scale=scale), size)
    said = TALK if shown == "talk" else ()
    desk.show(transcript=said, problems=PROBLEMS, engine=EngineInfo(model="flash-mini", ready=True))
    for area in desk.window.findChildren(QScrollArea):
        inside = area.widget()
        if area.isVisible() and inside is not None:
            assert inside.width() <= area.viewport().width(), area
    words = [label for label in desk.window.findChildren(QLabel) if label.isVisible() and label.text()]
    assert [label.text() for label in words if not label.wordWrap() and label.width() < label.sizeHint().width()] == []


@pytest.mark.parametrize("page", ["answers", "sound", "devices", "look", "engine"])
def test_settings_save_is_in_sight_and_every_field_is_reached_with_the_largest_type(
    open_desk: Callable[..., Desk], page: str
) -> None:
    dialog = settings_of(open_with(open_desk, Settings(font_scale=2.0), (800, 560)), page)
    dialog.resize(780, 540)
    QApplication.processEvents()
    buttons = dialog.findChild(QDialogButtonBox)
    assert isinstance(buttons, QDialogButtonBox)
    save = buttons.button(QDialogButtonBox.StandardButton.Save)
    assert dialog.rect().contains(place_in(save, dialog))
    fields = [w for w in dialog.findChildren(QWidget) if w.isVisible() and w.focusPolicy() & Qt.FocusPolicy.TabFocus]
    kinds = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit, QSlider)
    fields = [field for field in fields if isinstance(field, kinds) and not isinstance(field, QToolButton)]
    assert len(fields) >= 4
    for field in fields:
        field.setFocus()
        spin_until(field.hasFocus, "the focus")
        shown = field.visibleRegion().boundingRect()
        assert shown.height() >= min(field.height() - 2, 80), field.accessibleName()


def mnemonics(words: list[str]) -> list[str]:
    return [found.group(1).upper() for word in words if (found := re.search(r"&([^&\s])", word))]


def test_no_letter_stands_for_two_things(desk: Desk) -> None:
    """Alt and a letter that two fields have would only move between them."""
    menus = [action.text() for action in desk.window.menuBar().actions()]
    buttons = [button.text() for button in desk.window.findChildren(QPushButton)]
    desk.show(phase=Phase.FAILED, problems=(Problem("engine failed", "It stopped."),))
    letters = mnemonics([*menus, *buttons])
    assert len(letters) == len(set(letters))
    for menu in desk.window.menuBar().actions():
        inside = menu.menu()
        assert inside is not None
        letters = mnemonics([action.text() for action in inside.actions()])
        assert sorted(letters) == sorted(set(letters)), menu.text()
    dialog = settings_of(desk)
    tabs = [dialog.tabs.tabText(n) for n in range(dialog.tabs.count())]
    for page in range(dialog.tabs.count()):
        dialog.tabs.setCurrentIndex(page)
        shown = [w for w in dialog.findChildren(QWidget) if w.isVisible() and isinstance(w, (QLabel, QAbstractButton))]
        letters = mnemonics([*tabs, *(widget.text() for widget in shown)])  # type: ignore[attr-defined]
        assert sorted(letters) == sorted(set(letters)), tabs[page]


def test_the_window_fits_on_a_small_screen_with_its_frame(open_desk: Callable[..., Desk]) -> None:
    for scale in (1.0, 2.0):
        desk = open_with(open_desk, Settings(font_scale=scale))
        room = desk.window.screen().availableSize()
        assert desk.window.width() <= room.width() - 10
        assert desk.window.height() <= room.height() - 40


def test_the_look_follows_the_settings_and_the_old_name_of_high_contrast_still_counts(desk: Desk) -> None:
    dialog = settings_of(desk, "look")
    boxes = {box.accessibleName(): box for box in dialog.findChildren(QComboBox)}
    boxes["Colours"].setCurrentText("Dark")
    dialog._save()
    assert desk.window.palette().window().color().name() == THEMES["dark"].ground
    assert desk.window.font().pointSizeF() == pytest.approx(NORMAL_PT, abs=0.1)
