"""The rules that people feel, as short stories: events in, effects and transcript out."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import pytest

from app import effects as fx
from app import events as ev
from app.config import Config
from app.conversation import reduce
from app.safety import SafetyList
from app.state import Engine, State
from app.view import Phase, Problem

E = TypeVar("E")
SPEECH_80_MS = np.zeros(1920, np.float32)


class Story:
    """Feeds events and keeps all effects; the player's answer to a flush is what `heard_ms` says."""

    def __init__(self, config: Config | None = None, *, ready: bool = True) -> None:
        self.state = State(config=config or Config())
        self.effects: list[fx.Effect] = []
        self.at_s = 0.0
        self.heard_ms = 0
        if ready:
            self.now(ev.EngineReady(0.0))

    def now(self, *events: ev.Event) -> list[fx.Effect]:
        """Feeds events; returns the effects of these alone."""
        new: list[fx.Effect] = []
        for event in events:
            self.state, effects = reduce(self.state, event)
            new.extend(effects)
            for effect in effects:
                if isinstance(effect, fx.FlushPlayback):
                    new.extend(self.now(ev.PlaybackStopped(event.at_s, effect.reply, self.heard_ms)))
        self.effects.extend(new)
        return new

    def ask(self, at_s: float = 1.0, utterance: int = 1) -> list[fx.Effect]:
        """The user says something, without a probable end before the end."""
        return self.now(ev.VoiceStarted(at_s, utterance), ev.VoiceEnded(at_s + 1, utterance, 1.0))

    def reply(
        self, *words: str, number: int = 1, at_s: float = 2.2, done: bool = False, word_ms: int = 80
    ) -> list[fx.Effect]:
        """The engine makes so much speech for each word."""
        speech = np.zeros(24 * word_ms, np.float32)
        name = f"resp-{number}"
        new = self.now(ev.ReplyCreated(at_s, number, name), ev.ReplyItem(at_s, name, f"item-{number}"))
        for place, word in enumerate(words):
            new += self.now(ev.ReplyText(at_s, name, word, place * word_ms), ev.ReplySpeech(at_s, name, speech))
        if done:
            new += self.now(ev.ReplyDone(at_s, name))
        return new

    def hear(self, heard_ms: int, number: int = 1, at_s: float = 2.5) -> None:
        self.heard_ms = heard_ms
        self.now(ev.PlaybackStarted(at_s, number), ev.PlaybackProgress(at_s, number, heard_ms))

    @property
    def said(self) -> list[tuple[str, str, str]]:
        return [(turn.role, turn.text, turn.cut_by) for turn in self.state.transcript]


def of(kind: type[E], effects: list[fx.Effect]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def kinds(effects: list[fx.Effect]) -> list[type]:
    """Without what is only for the ears of people."""
    return [type(e) for e in effects if not isinstance(e, fx.Earcon | fx.Announce | fx.SaveTurn)]


def test_a_question_and_its_answer() -> None:
    story = Story()
    assert story.state.phase is Phase.LISTENING
    assert kinds(story.now(ev.VoiceStarted(1.0, 1))) == [fx.StreamSound]
    assert story.state.phase is Phase.HEARING
    assert kinds(story.now(ev.VoiceEnded(2.0, 1, 0.9))) == [fx.CommitInput, fx.CreateReply]
    assert story.state.phase is Phase.REPLYING
    assert len(of(fx.PlaySpeech, story.reply("A ", "cup."))) == 2
    story.hear(80)
    assert story.state.phase is Phase.SPEAKING
    assert story.said == [("user", "", ""), ("assistant", "A", "")]
    story.now(ev.InputCommitted(2.6, "user-1"), ev.ReplyDone(2.7, "resp-1"), ev.PlaybackFinished(2.8, 1, 160))
    story.now(ev.UserTranscribed(2.9, "user-1", "What is this?"))
    assert story.said == [("user", "What is this?", ""), ("assistant", "A cup.", "")]
    assert story.state.phase is Phase.LISTENING
    assert all(turn.done for turn in story.state.transcript)


def test_an_interruption_silences_at_once_and_is_told_to_the_engine_in_order() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ", "three ", "four ", word_ms=400)
    story.hear(850)
    assert kinds(story.now(ev.VoiceStarted(3.0, 2))) == [fx.PausePlayback]
    assert kinds(story.now(ev.Tick(3.9))) == []
    cut = story.now(ev.Tick(4.01))
    # Nothing reaches the engine but the cancellation until it has stopped.
    assert kinds(cut) == [fx.CancelReply, fx.FlushPlayback, fx.DropSound, fx.ResumePlayback]
    assert story.said[-1] == ("assistant", "One two", "interrupted")
    after = story.now(ev.ReplyDone(3.8, "resp-1"))
    assert kinds(after) == [fx.TruncateReply, fx.StreamSound]
    assert of(fx.TruncateReply, after) == [fx.TruncateReply("item-1", 850)]
    # What the engine kept is what the transcript says.
    story.now(ev.ReplyTruncated(3.9, "item-1", "One two "))
    assert story.said[-1] == ("assistant", "One two", "interrupted")


def test_late_events_of_a_cut_reply_change_nothing() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ")
    story.hear(80)
    story.now(ev.StopAsked(3.0))
    said = story.said
    late = story.now(
        ev.ReplyText(3.1, "resp-1", "late"),
        ev.ReplySpeech(3.1, "resp-1", SPEECH_80_MS),
        ev.PlaybackProgress(3.1, 1, 900),
        ev.PlaybackFinished(3.1, 1, 900),
    )
    assert kinds(late) == []
    assert story.said == said


def test_a_noise_lets_the_reply_go_on_where_it_stopped() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ")
    story.hear(80)
    assert kinds(story.now(ev.VoiceStarted(3.0, 2), ev.VoiceDropped(3.2, 2))) == [
        fx.PausePlayback,
        fx.DropSound,
        fx.ResumePlayback,
    ]
    assert story.state.phase is Phase.SPEAKING


@pytest.mark.parametrize(
    "words", ["Mm-hm.", "uh huh", "Okay!", "Yeah, yeah. Right.", "what do you see there", "", None]
)
def test_a_backchannel_is_judged_by_its_words_and_the_reply_goes_on(words: str | None) -> None:
    story = Story()
    story.ask()
    story.now(ev.InputCommitted(2.1, "user-1"))
    story.reply("One ", "two ", done=True)
    story.hear(80)
    judged = story.now(ev.VoiceStarted(3.0, 2), ev.VoiceEnded(3.4, 2, 0.3))
    assert kinds(judged) == [fx.PausePlayback, fx.StreamSound, fx.CommitInput]
    over = story.now(ev.InputCommitted(3.5, "user-2"), ev.UserTranscribed(3.6, "user-2", words))
    assert kinds(over) == [fx.DropSound, fx.DeleteItem, fx.ResumePlayback]
    assert story.state.phase is Phase.SPEAKING
    assert [role for role, _, _ in story.said] == ["user", "assistant"]


@pytest.mark.parametrize("words", ["No.", "yes", "Stop!", "No, wait.", "What?"])
def test_a_short_answer_during_a_reply_is_heard(words: str) -> None:
    story = Story()
    story.ask()
    story.now(ev.InputCommitted(2.1, "user-1"))
    story.reply("One ", "two ", done=True)
    story.hear(80)
    story.now(ev.VoiceStarted(3.0, 2), ev.VoiceEnded(3.4, 2, 0.3))
    heard = story.now(ev.InputCommitted(3.5, "user-2"), ev.UserTranscribed(3.6, "user-2", words))
    assert kinds(heard)[-4:] == [fx.TruncateReply, fx.StreamSound, fx.CommitInput, fx.CreateReply]
    assert of(fx.TruncateReply, heard) == [fx.TruncateReply("item-1", 80)]
    assert story.said[1:] == [("assistant", "One", "interrupted"), ("user", words, "")]


def test_while_the_engine_is_busy_an_aside_waits_and_the_reply_goes_on() -> None:
    story = Story()
    story.ask()
    story.now(ev.InputCommitted(2.1, "user-1"))
    story.reply("One ", "two ")
    story.hear(80)
    assert kinds(story.now(ev.VoiceStarted(3.0, 2), ev.VoiceEnded(3.4, 2, 0.3))) == [
        fx.PausePlayback,
        fx.ResumePlayback,
    ]
    done = story.now(ev.ReplyDone(3.6, "resp-1"))
    assert kinds(done) == [fx.FinishSpeech, fx.StreamSound, fx.CommitInput]


def test_after_a_question_a_short_answer_needs_no_judging() -> None:
    story = Story()
    story.ask()
    story.reply("Shall ", "I?", done=True)
    story.hear(160)
    heard = story.now(ev.VoiceStarted(3.0, 2), ev.VoiceEnded(3.3, 2, 0.25))
    assert kinds(heard)[-3:] == [fx.StreamSound, fx.CommitInput, fx.CreateReply]


def test_a_guess_is_not_played_before_the_end_is_certain() -> None:
    story = Story()
    story.now(ev.VoiceStarted(1.0, 1))
    assert kinds(story.now(ev.VoicePaused(1.6, 1))) == [fx.CommitInput, fx.CreateReply]
    assert of(fx.PlaySpeech, story.reply("A ", "cup.")) == []
    assert story.state.phase is Phase.HEARING
    assert story.said == []
    assert len(of(fx.PlaySpeech, story.now(ev.VoiceEnded(2.3, 1, 0.6)))) == 2


def test_a_guess_is_dropped_when_the_user_goes_on() -> None:
    story = Story()
    story.now(ev.VoiceStarted(1.0, 1), ev.VoicePaused(1.6, 1))
    story.reply("A ")
    assert kinds(story.now(ev.VoiceResumed(1.9, 1))) == [fx.CancelReply]
    after = story.now(ev.ReplyDone(2.0, "resp-1"))
    assert after == [fx.TruncateReply("item-1", 0), fx.StreamSound(1)]
    assert kinds(story.now(ev.VoiceEnded(3.0, 1, 1.5))) == [fx.CommitInput, fx.CreateReply]
    story.reply("Yes.", number=2, done=True)
    story.hear(80, number=2)
    story.now(ev.PlaybackFinished(4.0, 2, 80))
    assert story.said == [("user", "", ""), ("assistant", "Yes.", "")]


def test_going_on_before_anything_was_heard_is_the_same_turn() -> None:
    story = Story()
    story.ask()
    story.now(ev.ReplyCreated(2.1, 1, "resp-1"))
    story.now(ev.VoiceStarted(2.2, 2), ev.VoiceEnded(3.2, 2, 1.0))
    after = story.now(ev.ReplyDone(3.3, "resp-1"))
    assert kinds(after) == [fx.StreamSound, fx.CommitInput, fx.CreateReply]
    story.now(ev.InputCommitted(3.4, "user-1"), ev.InputCommitted(3.4, "user-2"))
    story.now(ev.UserTranscribed(3.5, "user-2", "What is this and that?"))
    assert story.said == [("user", "What is this and that?", "")]


def test_a_cancellation_before_the_reply_has_an_id_still_reaches_it() -> None:
    story = Story()
    story.now(ev.TextEntered(1.0, "hello"))
    assert of(fx.CancelReply, story.now(ev.StopAsked(1.1))) == [fx.CancelReply(1, None)]
    assert of(fx.CancelReply, story.now(ev.ReplyCreated(1.2, 1, "resp-1"))) == [fx.CancelReply(1, "resp-1")]
    story.now(ev.ReplyDone(1.3, "resp-1"))
    assert story.state.phase is Phase.LISTENING


def test_muting_in_the_middle_of_a_word_ends_the_turn() -> None:
    story = Story()
    story.now(ev.VoiceStarted(1.0, 1))
    assert fx.SetMicrophone(False) in story.now(ev.MicrophoneSet(1.5, False))
    assert kinds(story.now(ev.VoiceEnded(1.5, 1, 0.5))) == [fx.CommitInput, fx.CreateReply]
    story.reply("Yes.", done=True)
    story.hear(80)
    story.now(ev.PlaybackFinished(3.0, 1, 80))
    assert story.state.phase is Phase.PAUSED
    assert kinds(story.now(ev.VoiceStarted(4.0, 2))) == [fx.DropSound]


def test_push_to_talk_works_while_muted_and_interrupts() -> None:
    story = Story()
    story.ask()
    story.reply("One ")
    story.hear(80)
    story.now(ev.MicrophoneSet(3.0, False))
    pressed = story.now(ev.PushToTalkSet(3.1, True))
    assert kinds(pressed)[:2] == [fx.CancelReply, fx.FlushPlayback]
    assert fx.ForceVoice(True) in pressed
    story.now(ev.ReplyDone(3.2, "resp-1"))
    assert kinds(story.now(ev.VoiceStarted(3.2, 2, forced=True))) == [fx.StreamSound]
    assert fx.ForceVoice(False) in story.now(ev.PushToTalkSet(4.0, False))
    assert kinds(story.now(ev.VoiceEnded(4.0, 2, 0.1))) == [fx.CommitInput, fx.CreateReply]


def test_typed_text_interrupts_and_takes_a_picture_only_with_the_camera_on() -> None:
    story = Story()
    assert of(fx.SendText, story.now(ev.TextEntered(1.0, " hello "))) == [fx.SendText("hello", True)]
    story.reply("One ")
    story.hear(80)
    story.now(ev.CameraSet(2.9, False))
    assert fx.CancelReply(1, "resp-1") in story.now(ev.TextEntered(3.0, "next"))
    assert of(fx.SendText, story.now(ev.ReplyDone(3.1, "resp-1"))) == [fx.SendText("next", False)]


def test_a_reply_stops_at_its_limit_and_what_was_made_is_heard() -> None:
    story = Story(Config(reply_limit_s=0.2))
    story.ask()
    assert len(of(fx.CancelReply, story.reply("a ", "b ", "c ", "d "))) == 1
    played = sum(len(effect.samples) for effect in of(fx.PlaySpeech, story.effects))
    assert played == 4800
    story.hear(200)
    story.now(ev.ReplyDone(3.0, "resp-1"), ev.PlaybackFinished(3.1, 1, 200))
    assert story.said[-1][2] == "too long"
    assert of(fx.TruncateReply, story.effects) == [fx.TruncateReply("item-1", 200)]


def test_speech_waits_while_its_text_could_become_a_listed_phrase() -> None:
    story = Story(Config(safety=SafetyList(("very bad thing",))))
    story.ask()
    assert len(of(fx.PlaySpeech, story.reply("A "))) == 1
    held = story.now(ev.ReplyText(2.3, "resp-1", "very bad "), ev.ReplySpeech(2.3, "resp-1", SPEECH_80_MS))
    assert of(fx.PlaySpeech, held) == []
    story.hear(80)
    cut = story.now(ev.ReplyText(2.4, "resp-1", "thing. "))
    assert of(fx.PlaySpeech, cut) == []
    assert fx.FlushPlayback(1) in cut
    assert story.said[-1][0::2] == ("assistant", "not allowed")
    assert "bad" not in story.said[-1][1]


def test_held_speech_is_played_when_its_text_turns_out_well() -> None:
    story = Story(Config(safety=SafetyList(("very bad thing",))))
    story.ask()
    assert of(fx.PlaySpeech, story.reply("very bad ")) == []
    assert len(of(fx.PlaySpeech, story.now(ev.ReplyText(2.4, "resp-1", "weather. ")))) == 1


def test_a_lost_engine_is_started_again_and_the_question_is_asked_again() -> None:
    story = Story()
    story.now(ev.TextEntered(0.5, "first"))
    story.reply("One.", done=True)
    story.hear(80)
    story.now(ev.PlaybackFinished(0.9, 1, 80))
    story.ask(at_s=1.0)
    lost = story.now(ev.EngineLost(2.5, "it was killed."))
    assert fx.StartEngine(0.5) in lost
    assert story.state.phase is Phase.STARTING
    assert [p.code for p in story.state.problems] == ["engine lost"]
    back = story.now(ev.EngineReady(4.0))
    assert of(fx.RestoreConversation, back) == [fx.RestoreConversation((("user", "first"), ("assistant", "One.")))]
    assert kinds(back)[-3:] == [fx.StreamSound, fx.CommitInput, fx.CreateReply]
    assert story.state.problems == ()


def test_a_reply_that_sounded_when_the_engine_died_is_cut_where_it_was() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ", "three ")
    story.hear(80)
    story.now(ev.EngineLost(3.0, "it was killed."))
    assert story.said[-1] == ("assistant", "One", "engine lost")
    assert of(fx.TruncateReply, story.effects) == []
    story.now(ev.EngineReady(4.0))
    assert story.state.phase is Phase.LISTENING
    assert fx.CreateReply in kinds(story.now(ev.TextEntered(5.0, "And now?")))


def test_a_question_spoken_while_the_engine_is_away_is_answered_when_it_is_back() -> None:
    story = Story(ready=False)
    assert kinds(story.ask()) == []
    assert kinds(story.now(ev.EngineReady(5.0))) == [fx.StreamSound, fx.CommitInput, fx.CreateReply]


def test_an_engine_that_dies_again_and_again_is_a_failure_with_a_remedy() -> None:
    story = Story()
    for count in range(4):
        story.now(ev.EngineLost(1.0 + count, "it was killed."), ev.EngineReady(1.5 + count))
    delays = [effect.delay_s for effect in of(fx.StartEngine, story.effects)]
    assert delays == [0.5, 1.0, 2.0]
    story = Story()
    for count in range(4):
        story.now(ev.EngineLost(1.0 + count, "it was killed."))
    assert story.state.phase is Phase.FAILED
    assert story.state.problems[-1].remedy
    for asked in (ev.TextEntered(8.0, "hello"), ev.VoiceStarted(8.1, 1)):
        assert any("does not run" in said.announcement.text for said in of(fx.Announce, story.now(asked)))
    assert story.state.phase is Phase.FAILED
    assert fx.StartEngine(0.0) in story.now(ev.RetryAsked(9.0))
    story.now(ev.EngineReady(10.0))
    assert story.state.phase is Phase.LISTENING
    assert story.state.problems == ()


def test_an_engine_that_does_not_stop_is_started_again() -> None:
    story = Story()
    story.ask()
    story.reply("One ")
    story.now(ev.StopAsked(3.0))
    assert of(fx.StartEngine, story.now(ev.Tick(12.0))) == []
    assert len(of(fx.StartEngine, story.now(ev.Tick(13.1)))) == 1


def test_repeat_plays_again_without_the_engine() -> None:
    story = Story()
    assert fx.ReplayLast not in kinds(story.now(ev.RepeatAsked(0.5)))
    story.ask()
    story.reply("One.", done=True)
    story.hear(80)
    story.now(ev.PlaybackFinished(3.0, 1, 80))
    said = story.said
    again = story.now(ev.RepeatAsked(4.0))
    assert kinds(again) == [fx.ReplayLast]
    story.hear(40, number=2)
    assert story.state.phase is Phase.SPEAKING
    assert kinds(story.now(ev.StopAsked(4.5))) == [fx.FlushPlayback]
    assert story.said == said
    assert of(fx.TruncateReply, story.effects) == []


def test_a_new_conversation_forgets_everything() -> None:
    story = Story()
    story.ask()
    story.reply("One ")
    story.hear(80)
    fresh = story.now(ev.NewConversationAsked(3.0))
    assert fx.NewSession in kinds(fresh)
    assert fx.BeginHistory in kinds(fresh)
    assert story.said == []
    assert story.state.engine is Engine.STARTING
    assert fx.RestoreConversation not in kinds(story.now(ev.EngineReady(3.5)))


def test_a_refused_reply_is_said_and_the_next_question_works() -> None:
    story = Story()
    story.now(ev.TextEntered(1.0, "hello"), ev.ReplyRefused(1.1, 1, "no room"))
    assert story.state.phase is Phase.LISTENING
    assert any("no room" in e.announcement.text for e in of(fx.Announce, story.effects))
    assert fx.CreateReply in kinds(story.now(ev.TextEntered(2.0, "again")))


def test_text_only_replies_are_shown_as_they_come() -> None:
    story = Story(Config(speech=False))
    story.now(ev.TextEntered(1.0, "hello"), ev.ReplyCreated(1.1, 1, "resp-1"), ev.ReplyText(1.2, "resp-1", "Good "))
    assert story.said[-1] == ("assistant", "Good ", "")
    story.now(ev.ReplyText(1.3, "resp-1", "day."), ev.ReplyDone(1.4, "resp-1"))
    assert story.said[-1] == ("assistant", "Good day.", "")
    assert story.state.phase is Phase.LISTENING


def test_the_thinking_earcon_comes_only_when_it_takes_long() -> None:
    story = Story()
    story.ask()
    assert of(fx.Earcon, story.now(ev.Tick(2.5))) == []
    assert of(fx.Earcon, story.now(ev.Tick(3.0))) == [fx.Earcon("thinking")]
    assert of(fx.Earcon, story.now(ev.Tick(4.0))) == []


def test_the_listening_earcon_does_not_fall_on_the_first_word_after_a_reply() -> None:
    story = Story()
    story.ask()
    story.reply("A ", "cup.", done=True)
    story.hear(160)
    assert of(fx.Earcon, story.now(ev.PlaybackFinished(3.0, 1, 160))) == []
    story.now(ev.MicrophoneSet(4.0, False))
    assert fx.Earcon("listening") in story.now(ev.MicrophoneSet(5.0, True))
    silent = Story(Config(speech=False))
    silent.now(ev.TextEntered(1.0, "hello"), ev.ReplyCreated(1.1, 1, "resp-1"), ev.ReplyText(1.2, "resp-1", "Good."))
    assert fx.Earcon("listening") in silent.now(ev.ReplyDone(1.4, "resp-1"))


def test_a_guessed_reply_of_text_alone_is_taken_back_when_the_user_goes_on() -> None:
    story = Story(Config(speech=False))
    story.now(ev.VoiceStarted(1.0, 1), ev.VoicePaused(1.8, 1))
    story.now(ev.ReplyCreated(1.9, 1, "resp-1"), ev.ReplyItem(1.9, "resp-1", "item-1"))
    story.now(ev.ReplyText(1.9, "resp-1", "A cup."), ev.ReplyDone(1.95, "resp-1"))
    went_on = story.now(ev.VoiceResumed(2.0, 1))
    assert of(fx.TruncateReply, went_on) == [fx.TruncateReply("item-1", 0)]
    assert story.said == []


@pytest.mark.parametrize("speech", [False, True])
def test_an_answer_that_nobody_can_hear_is_announced(speech: bool) -> None:
    story = Story(Config(speech=speech))
    if speech:  # asked for as speech, but there is no speaker
        story.now(ev.DeviceFails(0.5, "speaker", Problem("speaker", "No speaker is plugged in.")))
    story.ask()
    story.now(ev.ReplyCreated(2.2, 1, "resp-1"), ev.ReplyText(2.3, "resp-1", "A cup."))
    if speech:
        story.now(ev.ReplySpeech(2.3, "resp-1", SPEECH_80_MS))
    done = story.now(ev.ReplyDone(2.4, "resp-1"))
    if speech:
        done = story.now(ev.PlaybackFinished(6.0, 1, 0))
    assert "A cup." in [said.announcement.text for said in of(fx.Announce, done)]


def test_an_answer_that_was_heard_is_not_announced_again() -> None:
    story = Story()
    story.ask()
    story.reply("A ", "cup.", done=True)
    story.hear(160)
    done = story.now(ev.PlaybackFinished(3.0, 1, 160))
    assert "A cup." not in [said.announcement.text for said in of(fx.Announce, done)]


def test_a_new_conversation_during_a_reply_keeps_what_was_heard_in_the_history() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ", "three ", "four ", word_ms=400)
    story.hear(850)
    effects = story.now(ev.NewConversationAsked(3.0))
    kept = [e.turn for e in effects if isinstance(e, fx.SaveTurn) and e.turn.role == "assistant"]
    assert [(turn.text, turn.cut_by, turn.heard_ms) for turn in kept] == [("One two", "stopped", 850)]
    assert effects.index(of(fx.SaveTurn, effects)[-1]) < effects.index(fx.BeginHistory())
    assert story.said == []


def test_quitting_during_a_reply_keeps_what_was_heard_in_the_history() -> None:
    story = Story()
    story.ask()
    story.reply("One ", "two ", "three ", "four ", word_ms=400)
    story.hear(850)
    effects = story.now(ev.QuitAsked(3.0))
    kept = [e.turn for e in effects if isinstance(e, fx.SaveTurn)]
    assert [(turn.text, turn.cut_by, turn.done) for turn in kept] == [("One two", "stopped", True)]


def test_a_device_that_fails_is_said_once_and_so_is_its_return() -> None:
    story = Story()
    lost = Problem("microphone", "No microphone is plugged in.", "Plug one in.")
    said = of(fx.Announce, story.now(ev.DeviceFails(1.0, "microphone", lost)))
    assert [announce.announcement.urgent for announce in said] == [True]
    assert story.state.problems == (lost,)
    back = of(fx.Announce, story.now(ev.DeviceRuns(2.0, "microphone", "Headset")))
    assert [announce.announcement.text for announce in back] == ["Using Headset."]
    assert (story.state.devices.microphone, story.state.problems) == ("Headset", ())
    assert of(fx.Announce, story.now(ev.DeviceRuns(3.0, "microphone", "Desk"))) == []


def test_advice_about_the_picture_waits_for_nobody() -> None:
    story = Story()
    assert len(of(fx.Announce, story.now(ev.AdviceGiven(1.0, "It is dark.")))) == 1
    story.now(ev.VoiceStarted(2.0, 1))
    assert of(fx.Announce, story.now(ev.AdviceGiven(2.1, "It is dark."))) == []


def in_two_pieces(config: Config | None = None) -> Story:
    """“What can you” … a pause that looks like the end … “do?”: the guess is taken back."""
    story = Story(config)
    story.now(ev.VoiceStarted(1.0, 1), ev.VoicePaused(1.8, 1), ev.InputCommitted(1.85, "user-1"))
    story.now(ev.ReplyCreated(1.9, 1, "resp-1"), ev.ReplyItem(1.9, "resp-1", "item-1"))
    story.now(ev.VoiceResumed(2.0, 1), ev.ReplyDone(2.1, "resp-1"))
    return story


def users_turn(story: Story) -> tuple[str, bool]:
    (turn,) = [turn for turn in story.state.transcript if turn.role == "user"]
    return turn.text, turn.done


def test_a_turn_in_two_pieces_is_one_turn_with_all_its_words() -> None:
    story = in_two_pieces()
    story.now(ev.UserTranscribed(2.1, "user-1", "what can you"))
    story.now(ev.VoiceEnded(2.6, 1, 1.2), ev.InputCommitted(2.7, "user-2"))
    assert users_turn(story) == ("what can you", False)  # whoever waits for the words waits on
    story.now(ev.UserTranscribed(3.0, "user-2", "what can you do"))
    assert users_turn(story) == ("what can you do", True)


def test_words_of_an_earlier_piece_that_come_late_replace_nothing() -> None:
    story = in_two_pieces()
    story.now(ev.VoiceEnded(2.6, 1, 1.2), ev.InputCommitted(2.7, "user-2"))
    story.now(ev.UserTranscribed(3.0, "user-2", "what can you do"), ev.UserTranscribed(3.1, "user-1", "what can you"))
    assert users_turn(story) == ("what can you do", True)


def test_words_that_cannot_be_had_do_not_take_the_earlier_ones_away() -> None:
    story = in_two_pieces()
    story.now(ev.UserTranscribed(2.1, "user-1", "what can you"))
    story.now(ev.VoiceEnded(2.6, 1, 1.2), ev.InputCommitted(2.7, "user-2"), ev.UserTranscribed(3.0, "user-2", None))
    assert users_turn(story) == ("what can you", True)


def test_an_engine_that_knows_items_alone_gets_its_pieces_joined() -> None:
    story = Story(Config(words_of_turn=False, speculate=False))
    story.now(ev.VoiceStarted(1.0, 1), ev.VoiceEnded(2.0, 1, 1.0), ev.InputCommitted(2.1, "user-1"))
    story.now(ev.UserTranscribed(2.2, "user-1", "what can you"))
    story.now(ev.VoiceStarted(2.3, 2), ev.VoiceEnded(3.3, 2, 1.0))  # nothing of the reply was heard
    story.now(ev.ReplyCreated(3.4, 1, "resp-1"), ev.ReplyDone(3.4, "resp-1"), ev.InputCommitted(3.5, "user-2"))
    assert users_turn(story) == ("what can you", False)
    story.now(ev.UserTranscribed(3.6, "user-2", "do"))
    assert users_turn(story) == ("what can you do", True)


def uncalled(words: str, *, at_s: float = 1.0, utterance: int = 1) -> tuple[Story, list[fx.Effect]]:
    """Something is said while only calls are answered."""
    story = Story(Config(wake_phrase="Sightline"))
    story.ask(at_s, utterance)
    heard = story.now(ev.InputCommitted(2.1, "user-1"), ev.UserTranscribed(2.3, "user-1", words))
    return story, heard


def test_what_does_not_call_is_not_answered_and_leaves_no_trace() -> None:
    story, heard = uncalled("Did you see the game last night?")
    assert kinds(heard) == [fx.DropSound, fx.DeleteItem]
    assert (story.said, story.state.phase) == ([], Phase.LISTENING)


@pytest.mark.parametrize("words", ["Sightline, what is this?", "What is this, sightline?"])
def test_what_calls_is_answered(words: str) -> None:
    story, heard = uncalled(words)
    assert kinds(heard)[-3:] == [fx.StreamSound, fx.CommitInput, fx.CreateReply]
    assert story.said == [("user", words, "")]


def test_push_to_talk_needs_no_call() -> None:
    story = Story(Config(wake_phrase="Sightline"))
    story.now(ev.PushToTalkSet(0.9, True), ev.VoiceStarted(1.0, 1, forced=True), ev.PushToTalkSet(2.0, False))
    assert kinds(story.now(ev.VoiceEnded(2.0, 1, 1.0))) == [fx.CommitInput, fx.CreateReply]


@pytest.mark.parametrize(("words", "cut_by"), [("Stop it!", "interrupted"), ("The bus is late again.", "")])
def test_during_a_reply_others_may_talk_but_a_stop_is_obeyed(words: str, cut_by: str) -> None:
    story = Story(Config(wake_phrase="Sightline"))
    story.now(ev.TextEntered(1.0, "Tell me a story"))
    story.reply("One ", "two ", done=True)
    story.hear(80)
    story.now(ev.VoiceStarted(3.0, 2), ev.Tick(4.5), ev.VoiceEnded(5.0, 2, 2.0))
    story.now(ev.InputCommitted(5.1, "user-2"), ev.UserTranscribed(5.3, "user-2", words))
    assert [(role, cut) for role, _, cut in story.said] == [("user", ""), ("assistant", cut_by)]
    assert not story.state.playback_paused
