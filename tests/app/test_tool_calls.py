"""Tools in the conversation: when they run, what the engine is told, what happens when the user cuts in."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from app import effects as fx
from app import events as ev
from app.calls import MAX_ROUNDS, ROUND
from app.conversation import reduce
from app.state import State
from app.view import Phase

CALL = ("call-1", "get_time", '{"timezone": "Europe/Paris"}')


@dataclass
class Talk:
    """The reducer with an engine that answers what it is asked."""

    state: State = field(default_factory=State)
    effects: list[fx.Effect] = field(default_factory=list)
    at_s: float = 0.0

    def feed(self, *events: ev.Event) -> None:
        for event in events:
            self.state, effects = reduce(self.state, event)
            self.effects += effects

    def new(self, kind: type) -> list[fx.Effect]:
        """The effects of this kind since the last look."""
        found = [effect for effect in self.effects if isinstance(effect, kind)]
        self.effects = [effect for effect in self.effects if not isinstance(effect, kind)]
        return found

    def ask(self, text: str = "What time is it?") -> str:
        """Asks, and begins the reply; its id."""
        self.feed(ev.TextEntered(self.at_s, text))
        return self.answer()

    def answer(self) -> str:
        (create,) = self.new(fx.CreateReply)
        assert isinstance(create, fx.CreateReply)
        self.feed(ev.ReplyCreated(self.at_s, create.reply, f"r{create.reply}"))
        return f"r{create.reply}"

    def call(self, reply: str, call_id: str = "call-1") -> None:
        self.feed(ev.ToolCalled(self.at_s, reply, call_id, *CALL[1:]))

    def notices(self) -> list[str]:
        return [turn.text for turn in self.state.transcript if turn.role == "notice"]

    def answers(self) -> list[str]:
        return [turn.text for turn in self.state.transcript if turn.role == "assistant"]


@pytest.fixture
def talk() -> Talk:
    talk = Talk()
    talk.feed(ev.EngineReady(0.0))
    return talk


def speech(reply: str, text: str = "Let me see.") -> tuple[ev.Event, ...]:
    return (ev.ReplyText(0.0, reply, text), ev.ReplySpeech(0.0, reply, np.zeros(2400, np.float32)))


def finished(call_id: str = "call-1", output: str = "It is 14:05.") -> ev.ToolFinished:
    return ev.ToolFinished(0.0, call_id, output, f"Time: {output}")


def test_a_call_runs_and_its_result_is_answered(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    assert talk.new(fx.RunTool) == [fx.RunTool(*CALL)]
    talk.feed(ev.ReplyDone(0.0, reply))
    assert talk.state.phase is Phase.REPLYING
    assert not talk.new(fx.SendResults)
    talk.feed(finished())
    assert talk.new(fx.SendResults) == [fx.SendResults((("call-1", "It is 14:05."),), picture=False)]
    second = talk.answer()
    talk.feed(*speech(second, "Five past two."), ev.ReplyDone(0.0, second))
    talk.feed(ev.PlaybackStarted(0.0, 2), ev.PlaybackFinished(0.0, 2, 100))
    assert talk.notices() == ["Time: It is 14:05."]
    assert talk.answers() == ["Five past two."]
    assert talk.state.phase is Phase.LISTENING


def test_a_result_that_comes_before_the_end_of_the_reply_waits_for_it(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    talk.feed(finished())
    assert not talk.new(fx.SendResults)  # nothing is sent to an engine that makes a reply
    talk.feed(ev.ReplyDone(0.0, reply))
    assert len(talk.new(fx.SendResults)) == 1


def test_a_spoken_preamble_is_heard_to_its_end_first(talk: Talk) -> None:
    reply = talk.ask()
    talk.feed(*speech(reply))
    talk.call(reply)
    talk.feed(ev.ReplyDone(0.0, reply), finished())
    assert not talk.new(fx.SendResults)
    talk.feed(ev.PlaybackStarted(0.0, 1), ev.PlaybackFinished(0.0, 1, 100))
    assert len(talk.new(fx.SendResults)) == 1
    assert talk.answers() == ["Let me see."]


def test_parallel_calls_are_answered_together(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply, "a")
    talk.call(reply, "b")
    talk.call(reply, "b")  # told twice
    talk.feed(ev.ReplyDone(0.0, reply), finished("b", "two"), finished("b", "again"))
    assert len(talk.new(fx.RunTool)) == 2
    assert not talk.new(fx.SendResults)
    talk.feed(finished("a", "one"))
    (sent,) = talk.new(fx.SendResults)
    assert isinstance(sent, fx.SendResults)
    assert sent.outputs == (("a", "one"), ("b", "two"))


def test_a_reply_on_a_guess_calls_nothing_before_it_is_wanted(talk: Talk) -> None:
    talk.feed(ev.VoiceStarted(0.0, 1), ev.VoicePaused(1.0, 1))
    reply = talk.answer()
    talk.call(reply)
    assert not talk.new(fx.RunTool)
    talk.feed(ev.VoiceEnded(1.5, 1))
    assert len(talk.new(fx.RunTool)) == 1


def test_a_guess_that_was_wrong_calls_nothing(talk: Talk) -> None:
    talk.feed(ev.VoiceStarted(0.0, 1), ev.VoicePaused(1.0, 1))
    talk.call(talk.answer())
    talk.feed(ev.VoiceResumed(1.2, 1))
    assert not talk.new(fx.RunTool)


def test_stopping_forgets_the_calls(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    talk.feed(ev.ReplyDone(0.0, reply), ev.StopAsked(0.0), finished())
    assert not talk.new(fx.SendResults)
    assert talk.notices() == []
    assert talk.state.phase is Phase.LISTENING


def test_a_new_question_goes_first_when_it_interrupts(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    talk.feed(ev.ReplyDone(0.0, reply))
    second = talk.ask("Never mind. What day is it?")
    talk.feed(finished(), *speech(second, "Monday."), ev.ReplyDone(0.0, second))
    assert not talk.new(fx.SendResults)


def test_an_engine_that_is_lost_takes_the_calls_with_it(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    talk.feed(ev.ReplyDone(0.0, reply), ev.EngineLost(0.0, "gone"), finished(), ev.EngineReady(1.0))
    assert not talk.new(fx.SendResults)  # the new engine knows nothing of the call
    assert any("lost with the engine" in text for text in talk.notices())
    assert talk.state.phase is Phase.LISTENING


def test_results_that_wait_when_the_engine_is_lost_are_not_sent_to_the_next(talk: Talk) -> None:
    reply = talk.ask()
    talk.call(reply)
    talk.feed(ev.EngineLost(0.0, "gone"), ev.EngineReady(1.0))
    assert not talk.new(fx.SendResults)


def test_a_model_that_only_calls_tools_is_stopped(talk: Talk) -> None:
    reply = talk.ask()
    for n in range(MAX_ROUNDS + 1):
        talk.call(reply, f"call-{n}")
        talk.feed(ev.ReplyDone(0.0, reply), finished(f"call-{n}"))
        if n < MAX_ROUNDS:
            assert len(talk.new(fx.SendResults)) == 1
            reply = talk.answer()
    assert not talk.new(fx.SendResults)
    assert ROUND in talk.notices()
    assert talk.state.phase is Phase.LISTENING


def test_a_fresh_picture_goes_with_the_result(talk: Talk) -> None:
    reply = talk.ask("What do you see now?")
    talk.call(reply)
    talk.feed(ev.ReplyDone(0.0, reply), ev.ToolFinished(0.0, "call-1", "A new picture follows.", "Check again", True))
    assert talk.new(fx.SendResults) == [fx.SendResults((("call-1", "A new picture follows."),), picture=True)]


# --- asking first ---


def asking(talk: Talk) -> None:
    talk.call(talk.ask("Open the news."))
    talk.feed(ev.ReplyDone(0.0, "r1"), ev.PermissionWanted(0.0, "call-1", "Open example.org in your browser?"))
    assert talk.state.questions == (("call-1", "Open example.org in your browser?"),)


@pytest.mark.parametrize("yes", [True, False])
def test_a_question_is_answered_by_a_key(talk: Talk, yes: bool) -> None:
    asking(talk)
    assert any("Open example.org" in effect.announcement.text for effect in talk.new(fx.Announce))  # type: ignore[attr-defined]
    talk.feed(ev.PermissionGiven(0.0, yes))
    assert talk.new(fx.AnswerPermission) == [fx.AnswerPermission("call-1", yes)]
    assert talk.state.questions == ()


@pytest.mark.parametrize(("words", "yes"), [("Yes.", True), ("no", False), ("Go ahead!", True)])
def test_a_question_is_answered_by_voice(talk: Talk, words: str, yes: bool) -> None:
    asking(talk)
    talk.feed(ev.VoiceStarted(1.0, 1), ev.VoiceEnded(1.4, 1, voiced_s=0.4))
    talk.feed(ev.InputCommitted(1.5, "item-1"), ev.UserTranscribed(1.6, "item-1", words))
    assert talk.new(fx.AnswerPermission) == [fx.AnswerPermission("call-1", yes)]
    talk.feed(finished())
    assert len(talk.new(fx.SendResults)) == 1


def test_whoever_says_something_else_has_not_allowed_it(talk: Talk) -> None:
    asking(talk)
    talk.feed(ev.StopAsked(0.0))
    assert talk.new(fx.AnswerPermission) == [fx.AnswerPermission("call-1", False)]


def test_an_answer_to_nothing_is_told(talk: Talk) -> None:
    talk.feed(ev.PermissionGiven(0.0, True))
    assert not talk.new(fx.AnswerPermission)
    assert any("no question" in effect.announcement.text for effect in talk.new(fx.Announce))  # type: ignore[attr-defined]


def test_a_question_of_a_reply_that_is_gone_is_a_no(talk: Talk) -> None:
    talk.feed(ev.PermissionWanted(0.0, "call-9", "Open it?"))
    assert talk.new(fx.AnswerPermission) == [fx.AnswerPermission("call-9", False)]


def test_what_rings_is_announced_at_once(talk: Talk) -> None:
    talk.feed(ev.Rang(0.0, "Tea timer: time is up."))
    assert talk.notices() == ["Tea timer: time is up."]
    assert fx.Earcon("listening") in talk.effects
