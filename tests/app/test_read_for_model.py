"""What is read in the picture goes to the model with the question, and never holds it up for long."""

from __future__ import annotations

import re

from app import effects as fx
from app import events as ev
from app.config import Config
from app.prompts import MAX_READ_CHARS, with_read
from app.replies import NOBODYS_TURN
from app.turns import READ_WAIT_S
from tests.app.test_conversation import Story, kinds, of

READS = Config(read_typed=True, read_spoken=True)
ASKED = "What is this?"


def test_a_typed_question_waits_for_what_is_read_and_takes_it_along() -> None:
    story = Story(READS)
    assert kinds(story.now(ev.TextEntered(1.0, ASKED))) == [fx.ReadForModel]
    assert kinds(story.now(ev.Tick(1.3))) == []
    assert of(fx.SendText, story.now(ev.ReadForTurn(1.4, 1, "Whole milk"))) == [
        fx.SendText(ASKED, True, None, "Whole milk")
    ]


def test_a_typed_question_waits_no_longer_than_it_may() -> None:
    story = Story(READS)
    story.now(ev.TextEntered(1.0, ASKED))
    assert not of(fx.SendText, story.now(ev.Tick(1.0 + READ_WAIT_S - 0.01)))
    assert of(fx.SendText, story.now(ev.Tick(1.0 + READ_WAIT_S))) == [fx.SendText(ASKED, True, None, "")]
    assert kinds(story.now(ev.ReadForTurn(3.0, 1, "too late"))) == []


def test_a_spoken_question_never_waits_and_takes_along_what_is_there() -> None:
    story = Story(READS)
    assert kinds(story.now(ev.VoiceStarted(1.0, 1))) == [fx.StreamSound, fx.ReadForModel]
    story.now(ev.ReadForTurn(1.5, 1, "Whole milk"))
    asked = story.now(ev.VoiceEnded(2.0, 1, 0.9))
    assert kinds(asked) == [fx.CommitInput, fx.SendRead, fx.CreateReply]
    assert of(fx.SendRead, asked) == [fx.SendRead("Whole milk")]

    late = Story(READS)
    assert kinds(late.ask()) == [fx.StreamSound, fx.ReadForModel, fx.CommitInput, fx.CreateReply]
    assert kinds(late.now(ev.ReadForTurn(3.0, 1, "too late"))) == []


def test_who_goes_on_after_a_guess_is_not_given_the_text_twice() -> None:
    story = Story(READS)
    story.now(ev.VoiceStarted(1.0, 1), ev.ReadForTurn(1.2, 1, "Whole milk"))
    assert of(fx.SendRead, story.now(ev.VoicePaused(1.5, 1, 1.4)))
    story.now(ev.VoiceResumed(1.7, 1), ev.ReplyCreated(1.7, 1, "r1"), ev.ReplyDone(1.8, "r1"))
    again = story.now(ev.VoiceEnded(2.5, 1, 1.0))
    assert of(fx.CommitInput, again)
    assert of(fx.SendRead, story.effects) == [fx.SendRead("Whole milk")]
    assert of(fx.ReadForModel, story.effects) == [fx.ReadForModel(NOBODYS_TURN), fx.ReadForModel(1)]


def test_what_comes_after_a_guess_is_given_when_the_user_goes_on() -> None:
    story = Story(READS)
    story.now(ev.VoiceStarted(1.0, 1), ev.VoicePaused(1.5, 1, 1.4), ev.ReadForTurn(1.6, 1, "Whole milk"))
    story.now(ev.VoiceResumed(1.7, 1), ev.ReplyCreated(1.7, 1, "r1"), ev.ReplyDone(1.8, "r1"))
    assert of(fx.SendRead, story.now(ev.VoiceEnded(2.5, 1, 1.0))) == [fx.SendRead("Whole milk")]


def test_nothing_is_read_for_a_model_that_is_not_helped_or_where_there_is_no_picture() -> None:
    plain = Story()
    plain.now(ev.TextEntered(1.0, ASKED))
    plain.ask(2.0)
    off = Story(READS)
    off.now(ev.CameraSet(0.5, False), ev.TextEntered(1.0, ASKED))
    assert of(fx.SendText, off.effects) == [fx.SendText(ASKED, False)]
    assert not of(fx.ReadForModel, plain.effects)
    assert of(fx.ReadForModel, off.effects) == [fx.ReadForModel(NOBODYS_TURN)]  # before the camera was off


def test_the_reading_models_are_loaded_before_the_first_question() -> None:
    assert of(fx.ReadForModel, Story(READS).effects) == [fx.ReadForModel(NOBODYS_TURN)]


def test_the_text_is_marked_as_read_and_bounded() -> None:
    assert with_read("", ASKED) == ASKED
    marked = with_read("EXIT", ASKED)
    assert re.search(rf"OCR.*“EXIT”.*\n{re.escape(ASKED)}$", marked)
    assert len(with_read("word " * 1000)) < MAX_READ_CHARS + 200
