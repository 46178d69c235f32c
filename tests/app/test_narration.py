"""Live narration: on change, when everybody is silent, shorter while the scene moves."""

from __future__ import annotations

from app import effects as fx
from app import events as ev
from app.narration import MOVING_LIMIT_S, MOVING_PROMPT, REST_S, RESTING_LIMIT_S, RESTING_PROMPT
from app.view import Phase
from tests.app.test_conversation import Story, kinds, of


def narrating() -> Story:
    story = Story()
    assert of(fx.WatchScene, story.now(ev.NarrationSet(1.0, True))) == [fx.WatchScene(True)]
    return story


def test_a_change_is_told_at_once_and_nothing_without_one() -> None:
    story = narrating()
    assert kinds(story.now(ev.Tick(2.0), ev.Tick(60.0))) == []
    asked = story.now(ev.SceneChanged(61.0))
    assert kinds(asked) == [fx.SendText, fx.CreateReply]
    assert of(fx.SendText, asked) == [fx.SendText(RESTING_PROMPT, True, "narration-1")]
    assert of(fx.CreateReply, asked)[0].limit_s == RESTING_LIMIT_S
    story.reply("A ", "dog.", at_s=61.2, done=True)
    story.hear(80, at_s=61.4)
    story.now(ev.PlaybackFinished(61.8, 1, 160))
    assert story.said == [("assistant", "A dog.", "")]  # nobody asked, so nothing stands as asked
    assert story.state.phase is Phase.LISTENING
    assert kinds(story.now(ev.Tick(100.0))) == []


def test_it_is_short_while_the_scene_moves() -> None:
    asked = narrating().now(ev.SceneChanged(5.0, moving=True))
    assert of(fx.SendText, asked) == [fx.SendText(MOVING_PROMPT, True, "narration-1")]
    assert of(fx.CreateReply, asked)[0].limit_s == MOVING_LIMIT_S


def test_whoever_speaks_comes_first_and_the_newest_change_waits() -> None:
    story = narrating()
    story.now(ev.VoiceStarted(2.0, 1))
    assert of(fx.SendText, story.now(ev.SceneChanged(2.5, moving=True), ev.SceneChanged(2.8), ev.Tick(3.0))) == []
    story.now(ev.VoiceEnded(3.2, 1, 1.0))
    story.reply("Yes.", at_s=3.5, done=True)
    story.hear(80, at_s=3.6)
    assert of(fx.SendText, story.now(ev.PlaybackFinished(4.0, 1, 80), ev.Tick(4.0 + REST_S - 0.1))) == []
    assert of(fx.SendText, story.now(ev.Tick(4.0 + REST_S + 0.1))) == [fx.SendText(RESTING_PROMPT, True, "narration-2")]


def test_a_voice_interrupts_a_narration_as_it_does_a_reply() -> None:
    story = narrating()
    story.now(ev.SceneChanged(2.0))
    story.reply("A ", "long ", "tale ", word_ms=900, at_s=2.2)
    story.hear(900, at_s=3.0)
    assert kinds(story.now(ev.VoiceStarted(3.1, 1))) == [fx.PausePlayback]
    assert of(fx.FlushPlayback, story.now(ev.Tick(4.2))) == [fx.FlushPlayback(1)]
    assert story.said[-1] == ("assistant", "A", "interrupted")


def test_turning_it_off_ends_it_at_once() -> None:
    story = narrating()
    story.now(ev.SceneChanged(2.0))
    story.reply("A ", "long ", "tale ", at_s=2.2)
    off = story.now(ev.NarrationSet(2.5, False))
    assert of(fx.WatchScene, off) == [fx.WatchScene(False)]
    assert of(fx.CancelReply, off)
    story.now(ev.ReplyDone(2.6, "resp-1"))
    assert kinds(story.now(ev.SceneChanged(3.0), ev.Tick(9.0))) == []


def test_nothing_is_told_with_the_camera_off_and_an_answer_to_the_user_is_left_alone_when_it_ends() -> None:
    story = narrating()
    story.now(ev.CameraSet(2.0, False))
    assert of(fx.SendText, story.now(ev.SceneChanged(3.0), ev.Tick(9.0))) == []
    story.now(ev.TextEntered(10.0, "Hello"))
    assert of(fx.CancelReply, story.now(ev.NarrationSet(10.1, False))) == []


def test_a_change_from_before_the_camera_was_off_is_not_told_when_it_is_on_again() -> None:
    story = narrating()
    story.now(ev.VoiceStarted(2.0, 1), ev.SceneChanged(2.1), ev.CameraSet(2.2, False), ev.VoiceDropped(2.3, 1))
    on_again = story.now(ev.Tick(9.0), ev.CameraSet(10.0, True), ev.NarrationSet(11.0, True), ev.Tick(20.0))
    assert of(fx.SendText, on_again) == []
    assert of(fx.SendText, story.now(ev.SceneChanged(21.0)))


def test_a_narration_that_is_lost_with_the_engine_is_nobodys_question() -> None:
    story = narrating()
    story.now(ev.SceneChanged(2.0))
    story.now(ev.EngineLost(2.5, "it was killed."), ev.NarrationSet(2.6, False))
    back = story.now(ev.EngineReady(4.0), ev.Tick(9.0))
    assert of(fx.SendText, back) == []
    assert story.said == []
    assert story.state.phase is Phase.LISTENING


def test_the_prompt_of_a_narration_that_nobody_heard_is_no_part_of_the_users_question() -> None:
    story = narrating()
    story.now(ev.SceneChanged(2.0))
    story.reply("A ", at_s=2.2)
    story.now(ev.TextEntered(2.3, "What time is it?"))
    after = story.now(ev.ReplyDone(2.4, "resp-1"))
    question = fx.SendText("What time is it?", True)
    assert after[:3] == [fx.TruncateReply("item-1", 0), fx.DeleteItem("narration-1"), question]


def test_the_prompt_of_a_narration_that_failed_is_forgotten_and_that_of_one_that_was_heard_is_kept() -> None:
    story = narrating()
    refused = story.now(ev.SceneChanged(2.0), ev.ReplyRefused(2.1, 1, "no room"))
    assert of(fx.DeleteItem, refused) == [fx.DeleteItem("narration-1")]
    story.now(ev.SceneChanged(5.0))
    story.reply("A ", "dog ", number=2, at_s=5.2)
    story.hear(80, number=2, at_s=5.4)
    story.now(ev.StopAsked(5.5))
    assert of(fx.DeleteItem, story.now(ev.ReplyDone(5.6, "resp-2"))) == []
