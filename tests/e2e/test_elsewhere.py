"""Looking at other windows and at a part of the screen, by keys that work everywhere: real windows, a real display."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.desktop import ENGINE_LIMIT_S, ROOT, Desktop, Session, session

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the virtual display is Linux's"),
]

NOTE = """
from PySide6.QtWidgets import QApplication, QLabel
application = QApplication([])
note = QLabel("The plumber comes on Friday at nine")
note.setStyleSheet("background: white; color: black; font-size: 28px; padding: 30px")
note.setWindowTitle("Kitchen note")
note.move(40, 600)
note.show()
application.exec()
"""


@contextlib.contextmanager
def another_window(user: Session) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", NOTE], env=user.environment, cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def in_window(user: Session, name: str, *keys: str) -> None:
    """Keys of the real keyboard while that window has it."""
    focus = ["search", "--sync", "--onlyvisible", "--name", name, "windowfocus", "--sync"]
    # Apart from the search: behind it xdotool would send the keys to the window instead of pressing them.
    for arguments in (focus, *(["key", "--clearmodifiers", key] for key in keys)):
        command = ["xdotool", *arguments]
        subprocess.run(command, env=user.environment, timeout=60, check=True, stdout=subprocess.DEVNULL)


def announced(app: Desktop, words: str) -> None:
    app.wait_until(lambda: any(words in text for text in app.reader.announcements), f"{words!r} is announced", 60)


def test_another_window_is_read_and_described_a_part_of_the_screen_is_looked_at_and_the_camera_comes_back() -> None:
    table = ROOT / "assets" / "samples" / "table.jpg"
    with session() as user, user.app({"pictures": f"file:{table}", "reply_limit_s": 6.0}) as app:
        app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
        with another_window(user) as note:
            in_window(user, "^Kitchen note$", "ctrl+alt+r")
            announced(app, "Looking at the window “Kitchen note”.")
            app.wait_until(lambda: "The plumber comes on Friday at nine" in app.transcript, "it is read", 60)
            app.wait_state("Listening")
            in_window(user, "^Kitchen note$", "ctrl+alt+w")
            app.wait_until(lambda: "Describe what you see." in app.transcript, "it is described", 60)
            app.wait_state("Listening")
            in_window(user, "^Sightline$", "ctrl+alt+w")
            announced(app, "Go to another window.")
            note.kill()
            app.wait_until(lambda: "was closed" in app.no_pictures, "it is said that the window was closed", 60)
        app.key("ctrl+alt+s")
        in_window(user, "^Choose a part of the screen$", "Right", "shift+Down", "Return")
        announced(app, "30 % from the left, 25 % from the top, 50 % wide, 55 % high.")
        announced(app, "Looking at a part of the screen.")
        app.key("ctrl+shift+k")
        announced(app, f"Looking at {table.name}.")


def test_a_key_that_another_program_has_taken_is_said() -> None:
    taken = (
        "from app.ui.global_keys import GlobalKeys; from PySide6.QtWidgets import QApplication\n"
        "application = QApplication([]); keys = GlobalKeys(); keys.start('R')\n"
        "print(keys.problem or 'taken', flush=True); application.exec()"
    )
    with session(with_sound_devices=False) as user:
        other = subprocess.Popen([sys.executable, "-c", taken], env=user.environment, cwd=ROOT, stdout=subprocess.PIPE)
        assert other.stdout is not None
        try:
            assert other.stdout.readline() == b"taken\n"
            with user.app({"pictures": "none"}) as app:
                announced(app, "Another program has taken Ctrl+Alt+R")
        finally:
            other.kill()
            other.wait(10)
            other.stdout.close()
