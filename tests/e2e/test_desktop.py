"""The whole app, as its user has it: a real window, real (virtual) sound devices, a video as camera, the real engine.

The window is read over the accessibility bus and worked by its buttons and keys; questions are played into the virtual
microphone and replies recorded at the virtual speaker. The steps build on one running app, in the order of this file.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.e2e.desktop import ENGINE_LIMIT_S, ROOT, Desktop, Session, session
from tests.sound_server import Recording
from tests.video_io.pictures import write_video

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the virtual display and devices are Linux's"),
]

QUESTIONS = [ROOT / "assets" / "samples" / f"question-{number}.wav" for number in (1, 2, 3)]
AUDIBLE = 1e-3  # of full scale, RMS over 20 ms
QUIT_LIMIT_S = 3.0


@pytest.fixture(scope="module")
def user() -> Iterator[Session]:
    with session() as made:
        yield made


@pytest.fixture(scope="module")
def app(user: Session) -> Iterator[Desktop]:
    table = cv2.cvtColor(cv2.imread(str(ROOT / "assets" / "samples" / "table.jpg")), cv2.COLOR_BGR2RGB)
    clip = write_video(user.home / "camera.avi", [np.asarray(table, np.uint8)] * 25)
    settings = {"pictures": f"file:{clip}", "reply_limit_s": 6.0, "earcon_thinking": False, "earcon_listening": False}
    with user.app(settings) as desktop:
        yield desktop


def audible(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.bool_]:
    """For each 20 ms whether something can be heard."""
    block = rate_hz // 50
    blocks = samples[: len(samples) // block * block].reshape(-1, block)
    return np.asarray(np.sqrt((blocks.astype(np.float64) ** 2).mean(1)) > AUDIBLE)


def turns(transcript: str, speaker: str) -> list[str]:
    """What one side said, turn by turn; empty and pending turns are left out."""
    parts = re.split(r"^(You|Sightline)  \d\d:\d\d$", transcript, flags=re.MULTILINE)
    said = [text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True) if name == speaker]
    return [text for text in said if text not in ("", "…")]


def ask_by_voice(app: Desktop, question: Path) -> None:
    app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
    app.sound.speak(question, wait=False)
    app.wait_state("Hearing you", "Thinking", "Speaking")


def wait_for_answer(app: Desktop, n_before: int, limit_s: float = 90) -> None:
    app.wait_until(
        lambda: len(turns(app.transcript, "Sightline")) > n_before, "the answer is in the transcript", limit_s
    )


def test_the_window_is_up_before_the_engine_and_says_so(app: Desktop) -> None:
    print(f"window after {app.window_after_s:.2f} s")
    assert app.state == "Loading"
    assert app.problems == ""
    app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
    assert app.status("Engine:").startswith("Engine: ")


def test_a_spoken_question_is_answered_aloud_and_written_down(app: Desktop) -> None:
    with app.sound.recording() as take:
        ask_by_voice(app, QUESTIONS[0])
        app.wait_state("Speaking")
        wait_for_answer(app, 0)
        app.wait_state("Listening")
    heard = audible(take.samples, take.rate_hz)
    assert heard.sum() * 0.02 > 0.2
    assert re.search(r"after \d+\.\d\d s", app.status("Last answer"))
    app.wait_until(lambda: len(turns(app.transcript, "You")) == 1, "what the user said is written down", 60)


def test_speaking_interrupts_the_reply_and_is_answered(app: Desktop) -> None:
    def cut_or_over() -> bool:
        return "(interrupted)" in app.transcript or app.state == "Listening"

    # A reply can be over before the voice is noticed, and random weights speak noise that an echo canceller may let
    # drown the voice: then another reply is interrupted.
    for _ in range(4):
        with app.sound.recording() as take:
            ask_by_voice(app, QUESTIONS[1])
            app.wait_state("Speaking")
            app.wait_until(lambda take=take: _is_playing(take) or cut_or_over(), "the reply can be heard")
            app.sound.speak(QUESTIONS[2], wait=False)
            app.wait_until(cut_or_over, "the reply is cut", 60)
        if "(interrupted)" in app.transcript:
            break
    assert "(interrupted)" in app.transcript
    cut_at = app.transcript.rindex("(interrupted)")
    app.wait_until(lambda: bool(turns(app.transcript[cut_at:], "Sightline")), "the interruption is answered", 90)
    app.wait_state("Listening")


def test_a_killed_engine_is_said_and_started_again_and_the_next_question_works(app: Desktop) -> None:
    n_before = len(turns(app.transcript, "Sightline"))
    before = app.transcript
    os.kill(app.engine_pid(), signal.SIGKILL)
    app.wait_state("Loading", limit_s=20)
    app.wait_until(
        lambda: "engine" in app.problems.lower() or "engine" in " ".join(app.reader.announcements).lower(), "said"
    )
    app.wait_state("Listening", limit_s=ENGINE_LIMIT_S)
    assert app.transcript.startswith(before[:200])
    ask_by_voice(app, QUESTIONS[0])
    wait_for_answer(app, n_before)
    app.wait_state("Listening")


def test_an_unplugged_microphone_is_said_typing_goes_on_and_it_comes_back(app: Desktop) -> None:
    app.sound.unload("microphone")
    app.sound.unload("micpipe")
    app.wait_until(lambda: "microphone" in app.problems.lower(), "the problem is shown", 30)
    n_before = len(turns(app.transcript, "Sightline"))
    app.key("ctrl+l")
    app.type("What is on the table?")
    app.key("Return")
    wait_for_answer(app, n_before)
    assert "What is on the table?" in turns(app.transcript, "You")
    app.sound.plug_microphone()
    app.wait_until(lambda: "microphone" not in app.problems.lower(), "the problem is over", 30)
    n_before = len(turns(app.transcript, "Sightline"))
    ask_by_voice(app, QUESTIONS[1])
    wait_for_answer(app, n_before)


def test_push_to_talk_works_while_the_microphone_is_off(app: Desktop) -> None:
    app.wait_state("Listening")
    app.key("ctrl+m")
    app.wait_state("Microphone off")
    n_before = len(turns(app.transcript, "Sightline"))
    with app.held("F8"):
        app.wait_state("Hearing you")
        app.sound.speak(QUESTIONS[0])
    wait_for_answer(app, n_before)
    app.wait_state("Microphone off")
    app.key("ctrl+m")
    app.wait_state("Listening")


def test_one_key_turns_microphone_and_camera_off_and_on(app: Desktop) -> None:
    app.key("F12")
    app.switched("Camera", False)
    app.switched("Microphone", False)
    app.key("F12")
    app.switched("Camera", True)
    app.switched("Microphone", True)


def test_the_screen_reader_was_told(app: Desktop) -> None:
    said = " ".join(app.reader.announcements).lower()
    assert "ready" in said
    assert "engine" in said
    assert "microphone" in said


def test_quitting_in_the_middle_of_a_reply_ends_every_process_in_time(app: Desktop) -> None:
    ask_by_voice(app, QUESTIONS[0])
    app.wait_state("Speaking")
    assert len(app.descendants()) >= 2
    took_s = app.quit("ctrl+q")
    print(f"quit after {took_s:.2f} s")
    assert app.process.returncode == 0
    assert took_s <= QUIT_LIMIT_S


def _is_playing(take: Recording) -> bool:
    return bool(audible(take.samples[-take.rate_hz // 4 :], take.rate_hz).any())


def test_without_any_device_the_window_says_so_and_typing_works() -> None:
    with session(with_sound_devices=False) as user, user.app({"reply_limit_s": 6.0}) as app:
        app.wait_until(
            lambda: (
                all(part in app.problems.lower() for part in ("microphone", "speaker"))
                and "camera" in app.no_pictures.lower()
            ),
            "the missing devices are named",
            60,
        )
        app.wait_state("No microphone", limit_s=ENGINE_LIMIT_S)
        app.key("ctrl+l")
        app.type("Hello")
        app.key("Return")
        wait_for_answer(app, 0)
        assert app.quit() <= QUIT_LIMIT_S


NO_PORTAUDIO = """
import ctypes.util
find = ctypes.util.find_library
ctypes.util.find_library = lambda name: None if name == "portaudio" else find(name)
"""


def test_without_portaudio_the_window_says_how_to_get_it() -> None:
    with session() as user:
        (user.home / "sitecustomize.py").write_text(NO_PORTAUDIO)
        user.environment["PYTHONPATH"] = str(user.home)
        with user.app({"pictures": "none"}) as app:
            app.wait_until(lambda: "libportaudio2" in app.problems, "the missing library is named", 60)
            assert app.quit() <= QUIT_LIMIT_S


def test_quitting_while_loading_ends_every_process() -> None:
    with session() as user, user.app({"pictures": "none"}) as app:
        assert app.state == "Loading"
        assert app.quit() <= QUIT_LIMIT_S


@pytest.mark.parametrize("display", ["", ":987", "127.0.0.1:54000"])
def test_without_a_display_there_is_a_message(tmp_path: Path, display: str) -> None:
    gone = ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM")
    environment = {name: value for name, value in os.environ.items() if name not in gone} | {"HOME": str(tmp_path)}
    if display:
        environment["DISPLAY"] = display
    done = subprocess.run(
        [sys.executable, str(ROOT / "main.py")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "display" in done.stderr
    assert "converse" in done.stderr
    assert "Traceback" not in done.stderr
