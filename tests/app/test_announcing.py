"""What screen readers are told over a conversation: each thing once, and nothing into speech by default."""

from __future__ import annotations

import numpy as np
import pytest

from app import events as ev
from app.config import Config
from app.conversation import reduce
from app.effects import Announce, CreateReply
from app.events import Event
from app.state import State

SPEECH = np.zeros(24_000, np.float32)


class Talk:
    """Feeds a conversation and keeps what was announced."""

    def __init__(self, announce: str, *, speech: bool = True) -> None:
        self.state = State(config=Config(announce=announce, speech=speech, speculate=False))
        self.said: list[str] = []
        self.reply = 0
        self.at_s = 0.0
        self(ev.EngineReady(0.0))

    def __call__(self, *events: Event) -> None:
        for event in events:
            self.state, effects = reduce(self.state, event)
            self.said += [effect.announcement.text for effect in effects if isinstance(effect, Announce)]
            self.reply = next((e.reply for e in effects if isinstance(e, CreateReply)), self.reply)

    def ask_by_voice(self, words: str, *, number: int = 1) -> None:
        self.at_s += 1.0
        self(ev.VoiceStarted(self.at_s, number), ev.VoiceEnded(self.at_s + 0.9, number))
        item = f"item-{number}"
        self(ev.InputCommitted(self.at_s, item), ev.ReplyCreated(self.at_s, self.reply, f"response-{self.reply}"))
        self(ev.ReplyItem(self.at_s, f"response-{self.reply}", f"reply-{self.reply}"))
        self._transcription = ev.UserTranscribed(self.at_s, item, words)

    def answer(self, text: str, *, speech: bool = True) -> None:
        response = f"response-{self.reply}"
        self(ev.ReplyText(self.at_s, response, text, 0))
        if speech:
            self(ev.ReplySpeech(self.at_s, response, SPEECH), ev.PlaybackStarted(self.at_s, self.reply))
        self(self._transcription)  # comes while the reply is being made or played
        self(ev.ReplyDone(self.at_s, response))
        if speech:
            self(ev.PlaybackFinished(self.at_s, self.reply, 1000))


def test_a_spoken_reply_is_not_said_again_and_what_was_heard_waits_for_its_end() -> None:
    talk = Talk("unheard")
    talk.ask_by_voice("what do you see")
    talk.answer("A red cup.")
    assert talk.said == ["Ready. Speak, or type.", "Listening.", "You said: what do you see"]


def test_everything_is_said_where_it_was_asked_for() -> None:
    talk = Talk("all")
    talk.ask_by_voice("what do you see")
    talk.answer("A red cup.")
    assert talk.said == [
        "Ready. Speak, or type.",
        "Hearing you.",
        "Thinking.",
        "Speaking.",
        "You said: what do you see",
        "Listening.",
        "A red cup.",
    ]


@pytest.mark.parametrize("mode", ["unheard", "all"])
def test_a_reply_that_is_not_spoken_is_said_once_and_whole(mode: str) -> None:
    talk = Talk(mode, speech=False)
    talk.ask_by_voice("what do you see")
    talk.answer("A red cup.", speech=False)
    assert [words for words in talk.said if "cup" in words] == ["A red cup."]
    assert talk.said.count("You said: what do you see") == 1


def test_a_reply_that_was_cut_is_said_with_its_mark() -> None:
    talk = Talk("all")
    talk.ask_by_voice("what do you see")
    response = f"response-{talk.reply}"
    talk(ev.ReplyText(2.0, response, "A red cup and a book.", 0), ev.ReplySpeech(2.0, response, SPEECH))
    talk(ev.PlaybackStarted(2.0, talk.reply), ev.PlaybackProgress(2.5, talk.reply, 700), ev.StopAsked(2.5))
    talk(ev.PlaybackStopped(2.6, talk.reply, 700), ev.ReplyDone(2.7, response))
    cut = [words for words in talk.said if words.endswith("(stopped)")]
    assert len(cut) == 1
    assert cut[0].startswith("A red")


def test_a_transcription_that_comes_twice_is_said_once_and_a_corrected_one_again() -> None:
    talk = Talk("unheard")
    talk.ask_by_voice("what do you see")
    talk.answer("A red cup.")
    talk(ev.UserTranscribed(5.0, "item-1", "what do you see"), ev.UserTranscribed(6.0, "item-1", "what did you see"))
    assert [words for words in talk.said if words.startswith("You said")] == [
        "You said: what do you see",
        "You said: what did you see",
    ]


def test_typed_questions_are_not_read_back() -> None:
    talk = Talk("all")
    talk(ev.TextEntered(1.0, "What is this?"))
    assert not any("What is this?" in words for words in talk.said)
