"""`Session.say`: a text that is given, spoken exactly, with the shipped checkpoint and with random ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import model
from model.conversation.events import ReplyDone, SpeechDelta, TextDelta
from model.conversation.saying import STRETCH_LETTERS, stretches_of
from model.conversation.session import ReplyStream, Session
from model.errors import InputError

FLASH_MINI = Path(__file__).parents[3] / "assets" / "flash-mini"
TEXT = "Your alarm is set for seven. Please hold the camera still."


@pytest.fixture(scope="module")
def mini() -> model.Flash:
    """flash-mini without the limit of turns that it can carry: what is tested here is the runtime."""
    flash = model.load(FLASH_MINI)
    flash.generation = replace(flash.generation, conversation_turns=None)
    return flash


def collect(stream: ReplyStream) -> tuple[str, np.ndarray, ReplyDone]:
    text, speech, done = "", [np.zeros(0, np.float32)], None
    for event in stream:
        if isinstance(event, TextDelta):
            text += event.text
        elif isinstance(event, SpeechDelta):
            speech.append(event.samples)
        elif isinstance(event, ReplyDone):
            done = event
    assert done is not None
    return text, np.concatenate(speech), done


def test_the_text_is_said_to_the_letter_and_is_the_reply(mini: model.Flash) -> None:
    session = Session(mini, seed=0)
    text, speech, done = collect(session.say(TEXT))
    assert text == done.text == TEXT
    assert (done.stats.stop, done.stats.speech_stop) == ("end", "end")
    assert 2.0 < len(speech) / 24_000 < 9.0
    assert np.abs(speech).max() > 0.05


def test_an_independent_recogniser_hears_most_words(mini: model.Flash) -> None:
    """Loosely: it mishears a fifth of this voice's own replies."""
    import soxr
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16_000, loglevel="FATAL")
    wanted, heard = TEXT.lower().replace(".", "").split(), []
    _, speech, _ = collect(Session(mini, seed=0).say(TEXT))
    pcm = np.clip(soxr.resample(speech, 24_000, 16_000), -1, 1)
    decoder.start_utt()
    decoder.process_raw((pcm * 32767).astype("<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp().hypstr.split()
    assert sum(word in heard for word in wanted) >= len(wanted) // 2, heard


def test_it_is_cut_to_what_was_heard(mini: model.Flash) -> None:
    session = Session(mini, seed=0)
    stream = session.say(TEXT)
    heard_ms = 0.0
    for event in stream:
        if isinstance(event, SpeechDelta):
            heard_ms += len(event.samples) / 24
        if heard_ms > 1200:
            break
    text = session.interrupt(1200)
    assert TEXT.startswith(text)
    assert 5 < len(text) < 30
    session.read("What did you say?")
    collect(session.reply(speech=False))


def test_taken_back_it_leaves_no_trace(mini: model.Flash) -> None:
    replies = []
    for says in (False, True):
        session = Session(mini, seed=0)
        session.read("Hello.")
        if says:
            collect(session.say(TEXT))
            assert session.interrupt(0) == ""
        replies.append(collect(session.reply(speech=False))[0])
    assert replies[0] == replies[1]


@pytest.mark.parametrize("variant", ["tiny", "tiny-hold"])
def test_any_checkpoint_says_it(variant: str, tmp_path: Path) -> None:
    from model.bench.random_checkpoint import write_sized

    flash = model.load(write_sized(tmp_path, "tiny", seed=3, hold=variant == "tiny-hold"))
    text, _, done = collect(Session(flash, seed=0).say("One two three. Four?", speech=False))
    assert text == done.text == "One two three. Four?"


def test_nothing_and_too_much_are_refused(mini: model.Flash) -> None:
    session = Session(mini, seed=0, max_positions=600)
    for text in ("", " \n"):
        with pytest.raises(InputError, match="empty"):
            session.say(text)
    with pytest.raises(InputError, match="positions"):
        session.say("word " * 2000)
    collect(session.say("Hello."))


def test_stretches_are_the_text() -> None:
    for text in (
        "One. Two! Three?",
        "no end",
        "1.5 and 2.5",
        'He said "stop." Then he went.\nA new line',
        "，。好！" * 3,
    ):
        assert "".join(stretches_of(text)) == text
    assert stretches_of("One. Two!") == ["One.", " Two!"]
    long = "many words, " * 60
    parts = stretches_of(long)
    assert "".join(parts) == long
    assert max(map(len, parts)) <= STRETCH_LETTERS


def test_earlier_replies_can_be_shortened(mini: model.Flash) -> None:
    session = Session(mini, seed=0)
    item = session.read("The cup is on the left.", role="assistant")
    session.read("And now?")
    assert session.shorten(item, 7) == "The cup"
    assert session.shorten(item, 0) == ""
    collect(session.reply(speech=False))
    with pytest.raises(InputError, match="no reply"):
        session.shorten(99, 1)


def test_a_reply_read_in_pieces_is_one(mini: model.Flash) -> None:
    whole, pieces = Session(mini, seed=0), Session(mini, seed=0)
    whole.read("The cup is on the left.", role="assistant")
    first = pieces.read("The cup is", role="assistant")
    assert pieces.read(" on the left.", role="assistant", goes_on=True) == first
    for session in (whole, pieces):
        session.read("Hello.")
    assert pieces.n_positions == whole.n_positions
    assert pieces.shorten(first, 7) == "The cup"


def test_less_than_a_window_can_be_transcribed_at_once(mini: model.Flash) -> None:
    session = Session(mini, seed=0)
    session.hear(np.zeros(8_000, np.float32))
    assert isinstance(session.transcribe_user(max_tokens=4), str)


def test_a_reply_that_nobody_asked_for(mini: model.Flash) -> None:
    session = Session(mini, seed=0)
    with pytest.raises(InputError, match="nothing to reply"):
        session.reply()
    collect(session.reply(unasked=True, max_tokens=8))
    collect(session.reply(unasked=True, max_tokens=8))


def test_what_is_written_before_a_call_is_spoken_and_the_call_is_not(
    mini: model.Flash, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The Thinker's words are given here, by way of `say`'s writer: what is tested is the way from them to speech."""
    from model.conversation import plain_decoding
    from model.conversation.saying import ForcedWriter

    call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'

    def write(source: plain_decoding.PlainWriter, count: int) -> object:
        if not hasattr(source, "forced"):
            ids = mini.encode_text(f"Let me see.\n{call}")
            source.forced = ForcedWriter(mini, source._context, source._hidden, ids, source._item, 400)
            source.forced.tokens = source.tokens
        return source.forced.write(count)

    monkeypatch.setattr(plain_decoding.PlainWriter, "write", write)
    session = Session(mini, seed=0)
    session.read("What time is it?")
    events = list(session.reply(tools=True))
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    calls = [event for event in events if type(event).__name__ == "CallMade"]
    seconds = sum(len(event.samples) for event in events if isinstance(event, SpeechDelta)) / 24_000
    assert text == "Let me see."
    assert [(made.name, made.arguments) for made in calls] == [("get_time", "{}")]
    assert 0.3 < seconds < 2.5
