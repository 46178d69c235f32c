"""Check again: two more looks, silently, and whether the answers agree; whoever speaks comes first."""

from __future__ import annotations

import pytest

from app import effects as fx
from app import events as ev
from app.agreement import agree, matters
from app.config import Config
from app.view import Phase
from tests.app.test_conversation import Story, of

PICTURE = b"jpeg"


def said(effects: list[fx.Effect]) -> list[str]:
    return [effect.text for effect in of(fx.Say, effects)]


def answered(text: str, *, by_itself: bool = False, question: str = "How many cups?") -> Story:
    """The user has typed a question about a picture and heard this answer."""
    story = Story(Config(check_answers=by_itself))
    story.now(ev.TextEntered(1.0, question), ev.PictureSent(1.0, PICTURE))
    story.reply(text, at_s=1.5, done=True)
    story.hear(80, at_s=1.6)
    story.now(ev.PlaybackFinished(1.8, 1, 80))
    assert story.said == [("user", question, ""), ("assistant", text, "")]
    assert story.state.transcript[-1].picture == PICTURE
    return story


def look(story: Story, number: int, text: str, at_s: float) -> list[fx.Effect]:
    """The engine answers a look: as text, since it was asked for so."""
    name = f"resp-{number}"
    new = story.now(ev.ReplyCreated(at_s, number, name), ev.ReplyItem(at_s, name, f"item-{number}"))
    return new + story.now(ev.ReplyText(at_s, name, text, 0), ev.ReplyDone(at_s, name))


def test_it_looks_twice_silently_and_says_that_the_answers_agree() -> None:
    story = answered("There are two cups.")
    asked = story.now(ev.CheckAsked(3.0))
    assert of(fx.SendText, asked) == [fx.SendText("How many cups?", True, "check-2")]
    assert of(fx.CreateReply, asked)[0].spoken is False
    assert story.state.phase is Phase.LISTENING
    again = look(story, 2, "2 cups.", 3.5)
    assert of(fx.DeleteItem, again) == [fx.DeleteItem("item-2"), fx.DeleteItem("check-2")]
    assert of(fx.SendText, again) == [fx.SendText("How many cups?", True, "check-3")]
    assert not of(fx.PlaySpeech, again)
    assert not said(again)
    assert said(look(story, 3, "I see two cups on the table.", 4.0)) == [
        "I looked two more times. All three answers agree, which does not prove them right."
    ]
    assert not story.state.transcript[1].unsure
    assert [text for _, text, _ in story.said[2:]] == [
        "I looked two more times. All three answers agree, which does not prove them right."
    ]


def test_it_says_that_they_do_not_agree_and_marks_the_answer() -> None:
    story = answered("There are two cups.")
    story.now(ev.CheckAsked(3.0))
    look(story, 2, "There are three cups.", 3.5)
    told = said(look(story, 3, "There are two cups.", 4.0))[0]
    assert "do not agree" in told
    assert "three cups" in told
    assert story.state.transcript[1].unsure
    assert story.state.transcript[1].picture == PICTURE


def test_by_itself_it_speaks_only_when_they_differ() -> None:
    story = answered("The label says 400 mg.", by_itself=True, question="What is on the label?")
    assert of(fx.SendText, story.now(ev.Tick(2.0))) == []  # the user gets the word first
    assert len(of(fx.SendText, story.now(ev.Tick(3.0)))) == 1
    look(story, 2, "It says 400 mg.", 3.2)
    assert said(look(story, 3, "400 mg.", 3.4)) == []
    assert of(fx.SendText, story.now(ev.Tick(9.0), ev.Tick(90.0))) == []  # once
    story = answered("The label says 400 mg.", by_itself=True, question="What is on the label?")
    story.now(ev.Tick(3.0))
    look(story, 2, "It says 100 mg.", 3.2)
    assert said(look(story, 3, "It says 400 mg.", 3.4))[0].startswith("Careful: I looked again")


def test_harmless_answers_and_those_without_a_picture_are_left_alone() -> None:
    story = answered("A cat on a sofa.", by_itself=True)
    assert of(fx.SendText, story.now(ev.Tick(5.0), ev.Tick(9.0))) == []
    story = Story(Config(check_answers=True))
    story.now(ev.TextEntered(1.0, "What is 6 times 7?"))
    story.reply("42.", at_s=1.5, done=True)
    story.hear(80)
    assert of(fx.SendText, story.now(ev.PlaybackFinished(3.0, 1, 80), ev.Tick(9.0))) == []
    assert of(fx.Announce, story.now(ev.CheckAsked(10.0)))[0].announcement.text.startswith("There is no answer")


@pytest.mark.parametrize(
    "event", [ev.VoiceStarted(3.2, 1), ev.TextEntered(3.2, "Stop that"), ev.CameraSet(3.2, False), ev.StopAsked(3.2)]
)
def test_whoever_speaks_or_asks_ends_it(event: ev.Event) -> None:
    story = answered("There are two cups.")
    story.now(ev.CheckAsked(3.0))
    story.now(ev.ReplyCreated(3.1, 2, "resp-2"), ev.ReplyItem(3.1, "resp-2", "item-2"))
    new = story.now(event)
    assert of(fx.CancelReply, new)
    done = story.now(ev.ReplyDone(3.3, "resp-2"))
    assert fx.TruncateReply("item-2", 0) in done
    assert fx.DeleteItem("check-2") in done
    assert story.state.check is None
    assert not of(fx.PlaySpeech, new + done)
    assert "cups?" not in "".join(effect.text for effect in of(fx.SendText, done))


def test_an_engine_that_is_lost_ends_it_without_a_word() -> None:
    story = answered("There are two cups.")
    story.now(ev.CheckAsked(3.0), ev.EngineLost(3.2, "gone"), ev.EngineReady(4.0), ev.Tick(5.0))
    assert story.state.check is None
    assert all(role != "notice" for role, _, _ in story.said)


def test_a_spoken_question_is_checked_by_its_words() -> None:
    story = Story()
    story.now(ev.VoiceStarted(1.0, 1), ev.PictureSent(1.0, PICTURE), ev.VoiceEnded(2.0, 1, 1.0))
    story.now(ev.InputCommitted(2.1, "user-1"))
    story.reply("Two.", at_s=2.2, done=True)
    story.hear(80)
    story.now(ev.PlaybackFinished(2.8, 1, 80), ev.UserTranscribed(2.9, "user-1", "How many cups are there?"))
    assert of(fx.SendText, story.now(ev.CheckAsked(3.0)))[0].text == "How many cups are there?"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("There are two cups.", "I see 2 cups.", True),
        ("There are two cups.", "There are three cups.", False),
        ("A red mug on the left.", "A red mug on the right.", False),
        ("It is a red mug.", "It is a blue mug.", False),
        ("The door is open.", "The door is not open.", False),
        ("A dog lies on the sofa.", "On the sofa there is a dog.", True),
        ("A dog lies on the sofa.", "An empty street with cars.", False),
        ("It says EXIT.", "It says EXIT", True),
        ("", "", True),
        ("", "A dog.", False),
    ],
)
def test_what_counts_as_the_same_answer(one: str, other: str, same: bool) -> None:
    assert agree(one, other) is same
    assert agree(other, one) is same
    assert agree(one, one)


@pytest.mark.parametrize(
    ("text", "harms"),
    [
        ("It costs 4 euros.", True),
        ("Two cups.", True),
        ("It says “pull”.", True),
        ("A knife.", True),
        ("A cat.", False),
    ],
)
def test_which_answers_are_looked_at_twice(text: str, harms: bool) -> None:
    assert matters(text) is harms
