"""Every function of the window, once by keys alone and once by a screen reader's own actions alone: no mouse, no eyes.

What shows that a function works is what a screen reader gets: an announcement, the transcript, the state, or a dialog.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest
import zxingcpp
from PIL import Image

from commands.reading_pictures import Sheet
from tests.e2e.desktop import ENGINE_LIMIT_S, Desktop, Session, session
from tests.e2e.screen_reader import Node
from tests.e2e.test_elsewhere import in_window

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the virtual display is Linux's"),
]


@dataclass(frozen=True)
class Function:
    """Its key, its place in the menus, and what then is announced (`says`; `reads`: a sentence of the letter), written
    (`writes`), opened (`opens`) or given the keyboard (`focuses`)."""

    key: str
    item: str
    says: str = ""
    writes: str = ""
    opens: str = ""
    focuses: str = ""
    reads: bool = False


LETTER = (
    "The plumber comes on Friday.",
    "He needs the key to the cellar.",
    "Please leave it with Mrs Okafor.",
    "The water is off until noon.",
)
LETTER_TEXT = " ".join(LETTER)
PAUSE = Function("ctrl+p", "Pause reading, or go on", says="Reading paused.")
FUNCTIONS = (
    Function("ctrl+d", "Describe what you see", writes="Sightline"),
    Function("ctrl+h", "Check again", says="Looking again, twice."),
    Function("ctrl+r", "Read aloud", reads=True),
    PAUSE,
    Function("alt+Right", "Next sentence", reads=True),
    PAUSE,
    Function("alt+Left", "Sentence back", reads=True),
    PAUSE,
    Function("alt+Up", "Sentence again", reads=True),
    PAUSE,
    Function("alt+Down", "Spell the sentence", says=", space, "),
    Function("ctrl+alt+c", "Copy what was read", says="What was read is copied."),
    Function("ctrl+t", "Go to transcript", focuses="Transcript"),
    Function("ctrl+v", "Paste a picture", says="There is no picture in the clipboard."),
    Function("ctrl+b", "Bar and QR codes", writes="QR code: Room 12."),
    Function("ctrl+o", "Colour in the middle", writes="What colour is in the middle?"),
    Function("ctrl+u", "Light", writes="How bright is it?"),
    Function("ctrl+shift+u", "Light tone", says="Light tone on."),
    Function("ctrl+shift+u", "Light tone", says="Light tone off."),
    Function("ctrl+i", "Instant text", says="Instant text on."),
    Function("ctrl+i", "Instant text", says="Instant text off."),
    Function("ctrl+g", "Aiming help", says="Aiming help on."),
    Function("ctrl+g", "Aiming help", says="Aiming help off."),
    Function("ctrl+j", "Narrate what changes", says="Narration on."),
    Function("ctrl+j", "Narrate what changes", says="Narration off."),
    Function("ctrl+m", "Microphone", says="Microphone off."),
    Function("ctrl+m", "Microphone", says="Microphone on."),
    Function("ctrl+k", "Camera", says="Camera off."),
    Function("ctrl+k", "Camera", says="Camera on."),
    Function("F12", "Microphone and camera off", says="Camera off."),
    Function("F12", "Microphone and camera back on", says="Camera on."),
    Function("ctrl+alt+w", "Describe another window", says="Go to another window."),
    Function("ctrl+alt+r", "Read another window", says="Go to another window."),
    Function("ctrl+shift+k", "Back to the camera", says="Looking at letter.png."),
    Function("ctrl+alt+s", "Look at a part of the screen …", opens="Choose a part of the screen"),
    Function("ctrl+shift+p", "Open the picture of the answer …", opens="The picture of the answer"),
    Function("ctrl+shift+c", "Copy transcript", says="Transcript copied"),
    Function("ctrl+s", "Save transcript …", opens="Save the transcript"),
    Function("ctrl+shift+h", "Earlier conversations …", opens="Earlier conversations"),
    Function("ctrl+comma", "Settings …", opens="Settings"),
    Function("F1", "Keys", opens="Keys"),
    Function("ctrl+l", "Go to text field", focuses="Type a question"),
    Function("ctrl+n", "New conversation", says="New conversation."),
)
LATER = {"Stop", "Repeat last answer", "Get a larger model …", "About Sightline", "Yes, do it", "No, do not", "Quit"}
"""Two need a voice that can be heard, two have no key, two wait for a tool that asks; the last ends it all."""


@pytest.fixture(scope="module")
def user() -> Iterator[Session]:
    with session() as made:
        sheet = Sheet(1000, 500)
        for number, line in enumerate(LETTER):
            sheet.write(60, 80 + 90 * number, line, "sans", 30)
        code = zxingcpp.create_barcode("Room 12", zxingcpp.BarcodeFormat.QRCode).to_image(scale=5)
        sheet.image.paste(Image.fromarray(np.asarray(code)).convert("RGB"), (720, 20))
        sheet.image.save(made.home / "letter.png")
        yield made


def show(app: Desktop, user: Session, function: Function, act: str) -> None:
    """Uses the function and waits for what it must show."""
    n_announced, written = len(app.reader.announcements), app.transcript
    use(app, user, function, act)
    what = f"{function.item} ({function.key}) works"

    def announced() -> list[str]:
        return app.reader.announcements[n_announced:]

    if function.says:
        app.wait_until(lambda: any(function.says in words for words in announced()), what, 60)
        if function.says.endswith((" on.", " off.")) and function.key != "F12":
            node, on = _item(app, function), function.says.endswith(" on.")
            app.wait_until(lambda: app.reader.checked(node) is on, f"{function.item} has the state {function.says}", 30)
    elif function.reads:
        app.wait_until(lambda: any(words in LETTER_TEXT for words in announced()), what, 60)
    elif function.opens:
        app.reader.wait_for("dialog", lambda name: name.startswith(function.opens))
        in_window(user, f"^{function.opens}", "Escape")
        app.wait_until(lambda: not _dialogs(app, function.opens), f"{function.opens} is closed again", 30)
    elif function.focuses:
        app.wait_until(lambda: _focused(app).startswith(function.focuses), what, 30)
    else:
        app.wait_until(lambda: function.writes in app.transcript.removeprefix(written), what, 60)


def use(app: Desktop, user: Session, function: Function, act: str) -> None:
    if act == "keys":
        app.key(function.key)
    else:
        in_window(user, "^Sightline$")  # a display without a window manager gives no window the keyboard
        app.reader.press(_item(app, function))


def _item(app: Desktop, function: Function) -> Node:
    return next(node for node in app.reader.menu_items() if node.name == function.item)


def _focused(app: Desktop) -> str:
    return next((node.name for node in app.reader.nodes() if node.role == "text" and app.reader.focused(node)), "")


def _dialogs(app: Desktop, title: str) -> list[str]:
    return [node.name for node in app.reader.nodes() if node.role == "dialog" and node.name.startswith(title)]


@pytest.mark.parametrize("act", ["keys", "reader"])
def test_every_function_works_by_keys_alone_and_by_the_screen_readers_actions_alone(user: Session, act: str) -> None:
    settings = {"pictures": f"file:{user.home / 'letter.png'}", "speech": False, "check_answers": False}
    with user.app(settings) as app:
        app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
        for function in FUNCTIONS:
            show(app, user, function, act)
            app.wait_state("Listening", "Microphone off", limit_s=90)
        listed = {node.name for node in app.reader.menu_items() if node.name}
        walked = {function.item for function in FUNCTIONS} - {"Microphone and camera back on"}
        assert listed == walked | LATER
        use(app, user, Function("ctrl+q", "Quit"), act)
        assert app.process.wait(20) == 0


@pytest.mark.parametrize("act", ["keys", "reader"])
def test_a_reply_is_stopped_and_one_that_was_heard_is_repeated(user: Session, act: str) -> None:
    describe = Function("ctrl+d", "Describe what you see")
    with user.app({"pictures": f"file:{user.home / 'letter.png'}", "check_answers": False}) as app:
        app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
        use(app, user, describe, act)
        app.wait_state("Speaking")
        show(app, user, Function("Escape", "Stop", says="Stopped."), act)
        use(app, user, describe, act)
        app.wait_state("Speaking")
        app.wait_state("Listening")
        use(app, user, Function("ctrl+e", "Repeat last answer"), act)
        app.wait_state("Speaking")


def test_the_menus_keys_are_those_of_the_list() -> None:
    """What F1 lists is what the menus do."""
    listed = subprocess.run(
        [sys.executable, "-c", "from app.ui.actions import KEYS_HELP; print(*(k for _, g in KEYS_HELP for k, _ in g))"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.lower()
    names = {"escape": "esc", "comma": ","}
    for function in FUNCTIONS:
        *held, key = function.key.lower().split("+")
        assert "+".join([*held, names.get(key, key)]) in listed, function
