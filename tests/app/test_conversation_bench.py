"""The bench of whole conversations: its scenes, its scores, and one run through the real app."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from app import effects as fx
from app import events as ev
from commands.conversation_bench import Ears, Scene, main, room, table, with_pause
from commands.timeline import Span, timeline_svg
from tests.app.engine_server import TOKEN, engine_server
from tests.audio_io.voices import spoken
from tests.model.realtime.scripted import ScriptedFlash


def test_a_pause_is_put_between_words_and_nothing_else_changes() -> None:
    question = spoken("Is the red cup still on the table?")
    paused = with_pause(question, 1.0)
    assert len(paused) == len(question) + 16_000
    at = next(i for i in range(len(question)) if paused[i] != question[i])
    assert len(question) // 3 <= at <= 2 * len(question) // 3
    assert np.array_equal(paused[at + 16_000 :], question[at:])
    assert np.abs(paused[at : at + 16_000]).max() < 0.01


def test_the_room_has_three_kinds_of_sound() -> None:
    kinds = [room(number)[0] for number in range(6)]
    assert kinds == ["fan", "door", "keys"] * 2
    assert all(0.01 < np.abs(room(number)[1]).max() < 1 for number in range(6))


def test_the_table_counts_what_passed_and_names_what_did_not() -> None:
    scenes = [
        Scene("questions", "a.wav", True, "", 400.0),
        Scene("questions", "b.wav", True, "", 600.0),
        Scene("room", "door", False, "taken for 1 turns"),
    ]
    lines = table(scenes).splitlines()
    assert lines[1].split() == ["questions", "2", "2", "400", "ms", "600", "ms"]
    assert lines[2].split() == ["room", "1", "0"]
    assert lines[3].strip() == "room, door: taken for 1 turns"


def test_both_voices_are_kept_with_their_times_and_drawn() -> None:
    ears = Ears()
    for event in (ev.VoiceStarted(1.0, 1), ev.VoiceEnded(2.0, 1), ev.PlaybackStarted(2.5, 1)):
        ears.watch(event, ())
    ears.watch(ev.VoiceStarted(3.0, 2), (fx.PausePlayback(),))
    ears.watch(ev.Tick(4.0), (fx.FlushPlayback(1),))
    assert ears.spans == [Span("user", 1.0, 2.0), Span("sightline", 2.5, 4.0)]
    assert (ears.voices, ears.paused_at_s, ears.voice_at_s) == (1, 3.0, 3.0)
    picture = ElementTree.fromstring(timeline_svg([*ears.spans, Span("user", 59.0, 61.0)]))
    titles = [element.text for element in picture.iter() if element.tag.endswith("title")]
    assert titles == [
        "user 1.00 to 2.00 s",
        "user 59.00 to 61.00 s",
        "sightline 2.50 to 4.00 s",
        "user 59.00 to 61.00 s",  # over the end of the row
    ]


@pytest.mark.e2e
def test_a_question_and_a_room_through_the_whole_app(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with engine_server(ScriptedFlash()) as url:
        arguments = ["--rounds", "1", "--scenes", "questions", "room", "--out", str(tmp_path)]
        assert main([*arguments, "--engine", url, "--token", TOKEN]) == 0
    assert "questions" in capsys.readouterr().out
    written = json.loads((tmp_path / "conversation.json").read_text("utf-8"))
    assert [(scene["kind"], scene["passed"]) for scene in written["scenes"]] == [("questions", True), ("room", True)]
    assert written["scenes"][0]["first_sound_ms"] > 0
    assert (tmp_path / "timeline.svg").read_text("utf-8").startswith("<svg")
