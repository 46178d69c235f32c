"""The Assistant with its real parts but the model: sound files through the segmenter, pictures, the wire, a player.

The engine is the real server over a scripted model that writes down what it was given (80 ms of speech a word).
"""

from __future__ import annotations

import os
import random
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from app import commands as cmd
from app import events as ev
from app.assistant import Assistant
from app.engine.handle import EngineHandle, LocalEngine
from app.history import History
from app.inbox import Overflow
from app.ports import Parts
from app.prompts import DESCRIBE
from app.settings import SettingsStore
from app.view import Announcement, Phase, View
from audio_io.events import ListenerEvent
from audio_io.listener import Listener
from audio_io.segmenter import Segmenter
from audio_io.wav_file import read_wav
from audio_io.wav_player import WavPlayer
from audio_io.wav_source import WavSource
from commands.compose import make_engine
from commands.devices import ListeningEars, PlayingMouth, SeeingEyes
from commands.reading_pictures import letter
from tests.app.engine_server import TOKEN, engine_server
from tests.audio_io.voices import spoken
from tests.model.realtime.scripted import ScriptedFlash, ScriptedSession
from tests.sound_server import wait_until
from tests.video_io.pictures import desk, write_video
from tests.video_io.test_aiming import Camera, label
from video_io.light import measure_light, tone_hz

PATIENCE_S = 30.0
SAMPLES = Path(__file__).parents[2] / "assets" / "samples"
QUESTION = SAMPLES / "question-1.wav"
SCRIPTED_ENGINE = str(Path(__file__).parent / "scripted_engine.py")
LONG = tuple(f"word{number} " for number in range(60))  # 4.8 s


class Room:
    """A user with a file for a voice, in front of the Assistant."""

    def __init__(self, folder: Path, engine: EngineHandle, settings: dict[str, object], *, realtime: bool) -> None:
        self.source = WavSource(realtime)
        self.store = SettingsStore(folder)
        self.store.change({"pictures": "none", "reply_limit_s": 30.0, **settings})

        def listener(emit: Callable[[ListenerEvent], None]) -> Listener:
            return Listener(self.source, emit, Segmenter())

        mouth = PlayingMouth(lambda emit: WavPlayer(emit, realtime))
        assert isinstance(mouth.player, WavPlayer)
        self.player = mouth.player
        self.engine = engine
        self.history_path = folder / "history.sqlite3"
        self.assistant = Assistant(
            Parts(ListeningEars(listener), mouth, SeeingEyes(self.store.settings.pictures), engine),
            self.store,
            History(self.history_path),
            default_instructions="be brief",
            lossless=not realtime,
        )
        self.changed = threading.Condition()
        self.views: list[View] = []
        self.announced: list[Announcement] = []

    def on_view(self, view: View) -> None:
        with self.changed:
            self.views.append(view)
            self.changed.notify_all()

    def wait(self, reached: Callable[[View], object], what: str = "") -> View:
        """The first view from now on for which this holds."""
        with self.changed:
            assert self.changed.wait_for(lambda: reached(self.views[-1]), PATIENCE_S), (what, self.views[-1])
            return self.views[-1]

    def wait_phase(self, *phases: Phase) -> View:
        return self.wait(lambda view: view.phase in phases, f"{phases}")

    def wait_answered(self, n_replies: int) -> View:
        def answered(view: View) -> bool:
            replies = [turn for turn in view.transcript if turn.role == "assistant"]
            return len(replies) >= n_replies and all(turn.done for turn in view.transcript)

        return self.wait(lambda view: answered(view) and view.phase in (Phase.LISTENING, Phase.PAUSED))

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(turn.role, turn.text, turn.cut_by) for turn in self.assistant.view.transcript]


@contextmanager
def room(
    folder: Path, engine: EngineHandle | None = None, *, realtime: bool = False, **settings: object
) -> Iterator[Room]:
    made = Room(folder, engine or EngineHandle(make_engine), settings, realtime=realtime)
    made.assistant.subscribe(made.on_view, made.announced.append)
    made.assistant.start()
    try:
        yield made
    finally:
        started_s = time.monotonic()
        made.assistant.stop(5.0)
        assert time.monotonic() - started_s < 5.0
        assert not [thread.name for thread in threading.enumerate() if thread.name == "assistant"]
        made.assistant.stop(1.0)


@contextmanager
def remote_room(folder: Path, flash: ScriptedFlash, *, realtime: bool = False, **settings: object) -> Iterator[Room]:
    with engine_server(flash) as url:
        address: dict[str, object] = {"engine_url": url, "engine_token": TOKEN}
        with room(folder, realtime=realtime, **address, **settings) as made:
            yield made


def test_a_spoken_and_a_typed_question_with_pictures(tmp_path: Path) -> None:
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash, pictures=str(SAMPLES / "table.jpg")) as user:
        user.wait(lambda view: view.devices.picture_source and view.phase is Phase.LISTENING)
        user.source.say(QUESTION)
        view = user.wait_answered(1)
        assert user.said == [("user", "words 1", ""), ("assistant", "One two three four.", "")]
        assert view.transcript[1].heard_ms == 320
        assert len(user.player.heard_samples("reply-1")) == 4 * 1920
        assert view.latency is not None
        assert view.latency.first_sample_ms is not None
        held = [kind for kind, _ in flash.newest.held]
        assert held[:2] == ["picture", "sound"]  # the model sees before it hears
        assert flash.newest.options.instructions == "be brief"
        user.assistant.send(cmd.SendText("And now?"))
        user.wait_answered(2)
        assert ("user", "And now?") in flash.newest.held
        assert [kind for kind, _ in flash.newest.held].count("picture") >= 2
        conversation = user.assistant.view.conversation_id
    history = History(tmp_path / "history.sqlite3")
    assert conversation is not None
    assert [turn.text for turn in history.turns(conversation)] == [text for _, text, _ in user.said]
    history.close()


def test_what_is_read_in_the_picture_goes_with_the_question(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.turns.READ_WAIT_S", PATIENCE_S)  # here the machine may be slow
    Image.fromarray(letter(random.Random(3), "reported").made("letter", "letter").rgb).save(tmp_path / "letter.png")
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash, pictures=str(tmp_path / "letter.png")) as user:
        user.wait(lambda view: view.devices.picture_source and view.phase is Phase.LISTENING)
        user.assistant.send(cmd.Describe())
        user.wait_answered(1)
        asked = "".join(value for kind, value in flash.newest.held if kind == "user")
        assert re.match(r"\[Text that OCR reads .*“Notice \d\d\d ", asked)
        assert asked.endswith(DESCRIBE["brief"])
        assert user.said[0] == ("user", "Describe what you see.", "")  # the transcript holds what was asked
        assert "Notice" not in flash.newest.options.instructions
    unhelped = ScriptedFlash(knows_read_text=False)
    with remote_room(tmp_path, unhelped, pictures=str(tmp_path / "letter.png")) as user:
        user.wait(lambda view: view.devices.picture_source and view.phase is Phase.LISTENING)
        user.assistant.send(cmd.Describe())
        user.wait_answered(1)
        assert ("user", DESCRIBE["brief"]) in unhelped.newest.held


@pytest.mark.slow
def test_narration_tells_what_changes_before_the_camera_until_it_is_turned_off(tmp_path: Path) -> None:
    flash = ScriptedFlash()
    pictures = [desk(seed, height=240, width=320) for seed in (1, 2)]
    clip = write_video(tmp_path / "clip.avi", [pictures[0]] * 50 + [pictures[1]] * 50)
    with remote_room(tmp_path, flash, pictures=str(clip)) as user:
        user.wait_phase(Phase.LISTENING)
        user.wait(lambda view: view.devices.picture_source)
        user.assistant.send(cmd.SetNarration(True))
        user.wait_answered(3)
        assert user.assistant.view.narrating
        assert {role for role, _, _ in user.said} == {"assistant"}  # nobody asked
        assert [kind for kind, _ in flash.newest.held].count("picture") >= 3
        user.assistant.send(cmd.SetNarration(False))
        assert user.assistant.wait_handled(PATIENCE_S)
        assert not user.assistant.view.narrating
    with room(tmp_path, pictures="none", checkpoint=str(tmp_path / "none")) as user:
        user.assistant.send(cmd.SetNarration(True))
        assert user.assistant.wait_handled(PATIENCE_S)
        assert not user.assistant.view.narrating
        assert any("no picture" in announcement.text for announcement in user.announced)


def test_aiming_help_is_spoken_by_the_engine_and_the_light_is_a_tone(tmp_path: Path) -> None:
    world = Camera(label(), 3200, 1600, 2400).picture()
    cv2.imwrite(str(tmp_path / "label.png"), world[:, :, ::-1])
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash, pictures=str(tmp_path / "label.png")) as user:
        user.wait(lambda view: view.devices.picture_source and view.phase is Phase.LISTENING)
        user.assistant.send(cmd.SetAim(True))
        user.wait(lambda view: view.aiming)
        wait_until(lambda: flash.newest.spoken[:1] == ["A QR code. Move the camera left."], "the advice is spoken")
        user.assistant.send(cmd.SetLightTone(True))
        wait_until(lambda: user.player.tones_played, "the light is heard")
        assert user.player.tones_played[0] == pytest.approx(tone_hz(measure_light(world).level), rel=0.03)
        user.assistant.send(cmd.SetLightTone(False))
        user.assistant.send(cmd.SetAim(False))
        user.wait(lambda view: not view.aiming)
        assert user.said == []  # nothing of it fills the transcript


def test_a_question_before_anything_was_heard_of_a_narration_is_asked_without_its_prompt(tmp_path: Path) -> None:
    started, may_go_on = threading.Event(), threading.Event()

    def gate() -> None:
        started.set()
        assert may_go_on.wait(PATIENCE_S)

    flash = ScriptedFlash(gate=gate)
    with remote_room(tmp_path, flash, pictures=str(SAMPLES / "table.jpg")) as user:
        user.wait(lambda view: view.devices.picture_source and view.phase is Phase.LISTENING)
        user.assistant.send(cmd.SetNarration(True))
        assert started.wait(PATIENCE_S)
        user.assistant.send(cmd.SendText("What time is it?"))
        user.wait(lambda view: view.transcript)
        may_go_on.set()
        user.wait_answered(1)
        asked = [value for kind, value in flash.newest.held if kind == "user"]
    assert asked == ["What time is it?"]
    assert user.said == [("user", "What time is it?", ""), ("assistant", "One two three four.", "")]


def test_half_a_character_breaks_neither_wire_nor_history(tmp_path: Path) -> None:
    with remote_room(tmp_path, ScriptedFlash()) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("half \ud83d a smile"))
        user.wait_answered(1)
        assert user.said[0] == ("user", "half ? a smile", "")


@pytest.mark.slow
def test_the_users_voice_cuts_a_reply_and_both_sides_know_where(tmp_path: Path) -> None:
    flash = ScriptedFlash(words=LONG)
    with remote_room(tmp_path, flash, realtime=True) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("Tell me a story"))
        user.wait(lambda view: any(turn.role == "assistant" and turn.heard_ms > 300 for turn in view.transcript))
        user.source.say(QUESTION)
        view = user.wait(lambda view: any(turn.cut for turn in view.transcript))
        cut = next(turn for turn in view.transcript if turn.cut)
        assert cut.cut_by == "interrupted"
        assert 300 < cut.heard_ms < 4800
        heard = user.player.heard_samples("reply-1")
        assert len(heard) == pytest.approx(cut.heard_ms * 24, abs=48)
        user.wait_answered(2)
        roles = [role for role, _, _ in user.said]
        assert roles == ["user", "assistant", "user", "assistant"]
        cut = next(turn for turn in user.assistant.view.transcript if turn.cut)
        kept = "".join(value for kind, value in flash.newest.held[1 : 1 + len(LONG)] if kind == "said" and True)
        assert f"interrupt({cut.heard_ms})" in flash.newest.calls
        assert kept.startswith(cut.text)  # the model remembers what the transcript says was heard
        assert len(cut.text.split()) == -(-cut.heard_ms // 80)


class UnderstandingFlash(ScriptedFlash):
    """Transcribes what is said first in each session as `second`."""

    second = ""

    def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
        made = super().open_session(instructions, voice)
        made.heard += [self.second] * 2  # as an aside, and as the turn that it proves to be
        return made


@pytest.mark.slow
@pytest.mark.parametrize(("words", "cuts"), [("Mm-hm.", False), ("No!", True)])
def test_a_short_voice_during_a_reply_is_judged_by_its_words(tmp_path: Path, words: str, cuts: bool) -> None:
    flash = UnderstandingFlash(words=LONG)
    flash.second = words
    with remote_room(tmp_path, flash, realtime=True) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("Tell me a story"))
        user.wait(lambda view: any(turn.role == "assistant" and turn.heard_ms > 300 for turn in view.transcript))
        user.source.say(spoken("no"), "a short word")
        user.wait_phase(Phase.HEARING)
        user.wait_phase(Phase.SPEAKING, Phase.REPLYING)
        if cuts:
            user.wait(lambda view: any(turn.cut for turn in view.transcript))
            user.wait_answered(2)
            assert [(role, cut_by) for role, _, cut_by in user.said] == [
                ("user", ""),
                ("assistant", "interrupted"),
                ("user", ""),
                ("assistant", ""),
            ]
            assert user.said[2][1] == words
            return
        user.wait_answered(1)
        assert user.said == [("user", "Tell me a story", ""), ("assistant", "".join(LONG), "")]
        assert len(user.player.heard_samples("reply-1")) == len(LONG) * 1920  # every sample, once
        assert [kind for kind, _ in flash.newest.held if kind != "said"] == ["user"]  # the aside left no trace


def test_stop_repeat_mute_and_describe(tmp_path: Path) -> None:
    flash = ScriptedFlash(words=LONG)
    with remote_room(tmp_path, flash, realtime=True) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.Describe())
        user.assistant.send(cmd.SendText("Tell me a story"))
        user.wait_phase(Phase.SPEAKING)
        assert any("no picture" in said.text for said in user.announced)
        user.assistant.send(cmd.Stop())
        user.wait_phase(Phase.LISTENING)
        assert user.said[-1][2] == "stopped"
        user.assistant.send(cmd.Repeat())
        user.wait_phase(Phase.SPEAKING)
        n_turns = len(user.said)
        user.assistant.send(cmd.Stop())
        user.wait_phase(Phase.LISTENING)
        assert len(user.said) == n_turns
        user.assistant.send(cmd.SetPrivacy(True))
        view = user.wait_phase(Phase.PAUSED)
        assert (view.microphone_on, view.camera_on) == (False, False)
        user.source.say(QUESTION)
        user.assistant.send(cmd.SetPrivacy(False))
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.NewConversation())
        user.wait(lambda view: not view.transcript and view.phase in (Phase.LISTENING, Phase.HEARING))


def test_settings_take_effect_and_bad_ones_are_refused(tmp_path: Path) -> None:
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.ChangeSettings((("voice", "chelsie"), ("instructions", "be long"))))
        user.assistant.send(cmd.SendText("hello"))
        user.wait_answered(1)
        assert flash.newest.options.voice == "chelsie"
        assert flash.newest.options.instructions == "be long"
        user.assistant.send(cmd.ChangeSettings((("volume", 7.0),)))
        view = user.wait(lambda view: any(problem.code == "settings" for problem in view.problems))
        assert "volume is 7.0" in view.problems[-1].message
        user.assistant.send(cmd.ChangeSettings((("volume", 0.5),)))
        user.wait(lambda view: not view.problems)
        assert SettingsStore(tmp_path).settings.volume == 0.5


def scripted_process() -> EngineHandle:
    return EngineHandle(lambda _: LocalEngine((sys.executable, SCRIPTED_ENGINE, "--exit-with-stdin")))


def test_a_killed_engine_is_said_started_again_and_remembers(tmp_path: Path) -> None:
    engine = scripted_process()
    with room(tmp_path, engine) as user:
        user.wait_phase(Phase.LISTENING)
        user.source.say(QUESTION)
        user.wait_answered(1)
        first = engine.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        view = user.wait(lambda view: any(problem.code == "engine lost" for problem in view.problems))
        assert "killed" in view.problems[-1].message
        user.assistant.send(cmd.SendText("And now?"))  # asked while it is away
        view = user.wait_answered(2)
        assert view.problems == ()
        assert engine.pid != first
        assert [role for role, _, _ in user.said] == ["user", "assistant", "user", "assistant"]
        last = engine.pid
    assert last is not None
    with pytest.raises(ProcessLookupError):
        os.kill(last, 0)


def test_an_engine_that_cannot_load_is_a_failure_that_says_why(tmp_path: Path) -> None:
    command = (sys.executable, SCRIPTED_ENGINE, "--fail", "the weights are damaged", "--exit-with-stdin")
    with room(tmp_path, EngineHandle(lambda _: LocalEngine(command))) as user:
        view = user.wait_phase(Phase.FAILED)
        assert "the weights are damaged" in view.problems[-1].message
        assert view.problems[-1].remedy
        assert any(said.urgent for said in user.announced)


def test_a_remote_engine_is_shown_as_one_before_it_answers(tmp_path: Path) -> None:
    with room(tmp_path, engine_url="ws://192.0.2.1:9/v1/realtime") as user:  # an address that nobody has
        view = user.wait(lambda view: view.engine.url)
        assert view.engine.remote
        assert not view.engine.ready


@pytest.mark.parametrize("url", ["ws://127.0.0.1:1/v1/realtime", "ws://"])
def test_an_address_without_an_engine_is_a_failure_that_says_why(tmp_path: Path, url: str) -> None:
    with room(tmp_path, engine_url=url) as user:
        view = user.wait(lambda view: view.problems)
        assert view.problems[-1].message


def test_stopping_while_everything_is_busy_ends_in_time(tmp_path: Path) -> None:
    flash = ScriptedFlash(words=LONG)
    with remote_room(tmp_path, flash, realtime=True) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("Tell me a story"))
        user.wait_phase(Phase.SPEAKING)
        user.source.say(read_wav(QUESTION, 16_000))


def test_a_subscriber_gets_the_present_view_and_can_leave(tmp_path: Path) -> None:
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash) as user:
        views: list[View] = []
        leave = user.assistant.subscribe(views.append)
        assert len(views) >= 1
        leave()
        leave()
        user.wait_phase(Phase.LISTENING)
        n_views = len(views)
        user.assistant.send(cmd.SendText("hello"))
        user.wait_answered(1)
        assert len(views) == n_views
    with pytest.raises(RuntimeError):
        user.assistant.start()


def test_silence_is_no_question(tmp_path: Path) -> None:
    flash = ScriptedFlash()
    with remote_room(tmp_path, flash) as user:
        user.wait_phase(Phase.LISTENING)
        user.source.say(np.zeros(16_000, np.float32), "silence")
        user.source.say(QUESTION)
        user.wait_answered(1)
        assert [role for role, _, _ in user.said] == ["user", "assistant"]


def test_quitting_during_a_reply_keeps_what_was_heard(tmp_path: Path) -> None:
    with remote_room(tmp_path, ScriptedFlash(words=LONG), realtime=True) as user:
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("Tell me a story"))
        user.wait(lambda view: any(turn.role == "assistant" and turn.heard_ms > 300 for turn in view.transcript))
        conversation = user.assistant.view.conversation_id
    assert conversation is not None
    history = History(tmp_path / "history.sqlite3")
    turns = history.turns(conversation)
    history.close()
    assert [(turn.role, turn.cut_by) for turn in turns] == [("user", ""), ("assistant", "stopped")]
    assert turns[1].text.startswith("word0 word1")


class NoParts:
    """Stands in for every device and the engine of an Assistant that is not started."""


def test_sound_that_is_refused_while_the_view_is_made_is_counted(tmp_path: Path) -> None:
    """Refused in one thread and shown by another: what came between reading and clearing was lost."""
    nothing: Any = NoParts()
    assistant = Assistant(Parts(nothing, nothing, nothing, nothing), SettingsStore(tmp_path))
    block = ev.VoiceSound(1, np.zeros(160, np.float32), 0.0)
    while assistant._inbox.put(block, Overflow.REFUSE):
        pass

    def take_lost_ms() -> float:
        assistant.post(block)  # as the microphone's thread does just then
        return 0.0

    assistant._performer.sounds.take_lost_ms = take_lost_ms  # type: ignore[method-assign]
    assistant.post(block)
    assistant._refresh()
    assistant._performer.sounds.take_lost_ms = lambda: 0.0  # type: ignore[method-assign]
    assistant._refresh()
    assert assistant._front.view.lost_input_ms == 20


def test_a_model_without_a_voice_says_so_once_and_answers_in_text(tmp_path: Path) -> None:
    flash = ScriptedFlash(voices=())
    with remote_room(tmp_path, flash) as user:
        user.wait_phase(Phase.LISTENING)
        view = user.wait(lambda view: any(problem.code == "voice" for problem in view.problems))
        (problem,) = [problem for problem in view.problems if problem.code == "voice"]
        assert problem.message.endswith("has no voice: it answers in text.")
        user.assistant.send(cmd.SendText("Hello?"))
        user.wait_answered(1)
        assert [role for role, text, _ in user.said if text] == ["user", "assistant"]
        assert sum("has no voice" in said.text for said in user.announced) == 1
