"""Reading aloud what OCR found, passage by passage: verbatim, in the user's hands, and without the model.

Words that the recogniser was not sure of are marked in the transcript and named after the passage. Whoever speaks comes
first: the user's voice or a new question pauses the reading, and "again" goes on with it.
"""

from __future__ import annotations

from dataclasses import replace

from app.effects import LookAt, ReadText, Say, Tone, WatchAim, WatchLight, WatchText
from app.events import (
    AimAdvised,
    AimSet,
    InstantTextSet,
    LightMeasured,
    LightToneSet,
    ReadAsked,
    ReadingMoved,
    SightAsked,
    SightSeen,
    TextFound,
)
from app.state import Ask, Engine, Reading, State, Step
from app.turns import cut, find_turn, put_turn, serve
from app.view import ReadingView, TranscriptTurn

LETTERS_PER_S = 15.0
"""How fast a passage is taken to be said when nobody reports its end: about 180 words a minute."""
BETWEEN_S = 0.5
LONGEST_SPELT = 80
WORDS_LIMIT_S = 120.0
"""Longest speech of one passage."""

QUESTIONS = {
    "codes": "Is there a code?",
    "colour": "What colour is in the middle?",
    "light": "How bright is it?",
}
_SIGNS = {".": "dot", ",": "comma", "-": "dash", "@": "at", "/": "slash", ":": "colon", "_": "underscore"}


def read_asked(step: Step, event: ReadAsked) -> None:
    _make_room(step)
    if event.shown:
        put_turn(step, TranscriptTurn(step.next_turn(), "user", event.at_s, "Read the text aloud.", done=True))
    step.do(ReadText())


def text_found(step: Step, event: TextFound) -> None:
    if not event.asked and (not step.state.instant_text or _busy(step.state)):
        return
    if not event.passages:
        if event.asked:
            answer(step, event.failure or event.advice or "There is no text in the picture.")
        return
    end_reading(step)
    if event.advice:
        step.say(event.advice)
    step.set(reading=Reading(step.next_turn(), event.passages))
    _read(step, 0)


def moved(step: Step, event: ReadingMoved) -> None:
    reading = step.state.reading
    if reading is None:
        step.say("Nothing has been read yet.")
        return
    match event.step:
        case "pause":
            if reading.active:
                step.set(reading=replace(reading, active=False))
                _hush(step)
                step.say("Reading paused.")
            else:
                _read(step, reading.at)
        case "again":
            _read(step, reading.at)
        case "back":
            _read(step, max(0, reading.at - 1))
        case "next":
            if reading.at + 1 < len(reading.passages):
                _read(step, reading.at + 1)
            else:
                step.say("That was the end of the text.")
        case "spell":
            text, _ = reading.passages[reading.at]
            step.set(reading=replace(reading, active=False))
            _speak(step, spelt(text))


def _switch(step: Step, mode: str, watch: WatchText | WatchAim | WatchLight, name: str) -> bool:
    """Turns a mode on or off and says so; False when it was so already. `mode`: its field of the state."""
    if watch.on == getattr(step.state, mode):
        return False
    step.set(**{mode: watch.on})
    step.do(watch)
    step.say(f"{name} {'on' if watch.on else 'off'}.")
    return True


def instant_text_set(step: Step, event: InstantTextSet) -> None:
    if _switch(step, "instant_text", WatchText(event.on), "Instant text") and not event.on:
        end_reading(step)


def aim_set(step: Step, event: AimSet) -> None:
    if _switch(step, "aiming", WatchAim(event.on), "Aiming help") and not event.on:
        _hush(step)


def aim_advised(step: Step, event: AimAdvised) -> None:
    """Said and not kept: in a minute it would fill the transcript. Whoever speaks or reads comes first."""
    reading = step.state.reading
    if not step.state.aiming or _busy(step.state) or (reading is not None and reading.active):
        return
    if event.good:
        step.earcon("steady")
    _speak(step, event.text)


def light_tone_set(step: Step, event: LightToneSet) -> None:
    _switch(step, "light_tone", WatchLight(event.on), "Light tone")


def light_measured(step: Step, event: LightMeasured) -> None:
    """While the user speaks the tones would stand in the way of being heard."""
    if step.state.light_tone and not _busy(step.state):
        step.do(Tone(event.frequency_hz))


def sight_asked(step: Step, event: SightAsked) -> None:
    _make_room(step)
    if event.shown:
        put_turn(step, TranscriptTurn(step.next_turn(), "user", event.at_s, QUESTIONS[event.what], done=True))
    step.do(LookAt(event.what))


def sight_seen(step: Step, event: SightSeen) -> None:
    answer(step, event.text)


def answer(step: Step, text: str) -> None:
    """An answer that is not the model's: in the transcript, and said."""
    put_turn(step, TranscriptTurn(step.next_turn(), "assistant", step.at_s, text, done=True))
    _speak(step, text)


def go_on(step: Step, before: State) -> None:
    """After every event: the next passage when the present one has been said, and silence when somebody speaks."""
    reading = step.state.reading
    if reading is None or not reading.active:
        return
    if _busy(step.state):
        step.set(reading=replace(reading, active=False))
        if not _busy(before):
            _hush(step)
        return
    if _speaking(step.state) or _speaking(before) or step.at_s < reading.due_s:
        return
    if reading.at + 1 < len(reading.passages):
        _read(step, reading.at + 1)
        serve(step)
    else:
        end_reading(step)
        step.earcon("listening")


def end_reading(step: Step, cut_by: str = "") -> None:
    """It goes on no further; the transcript keeps what was said of it."""
    reading = step.state.reading
    if reading is None:
        return
    turn = find_turn(step, reading.turn)
    whole = reading.heard >= len(reading.passages)
    if turn is not None and not turn.done:
        put_turn(step, replace(turn, done=True, cut=not whole, cut_by="" if whole else cut_by or "stopped"))
    if reading.active and cut_by:
        _hush(step)
    step.set(reading=replace(reading, active=False))


def reading_view(reading: Reading | None) -> ReadingView | None:
    if reading is None:
        return None
    return ReadingView(
        text="\n".join(text for text, _ in reading.passages),
        passage=reading.passages[reading.at][0],
        number=reading.at + 1,
        total=len(reading.passages),
        active=reading.active,
    )


def spelt(text: str) -> str:
    """Letter by letter; capitals, blanks and signs by name."""
    named = []
    for letter in text[:LONGEST_SPELT]:
        if letter.isspace():
            named.append("space")
        elif letter.isupper() and letter.lower() != letter:
            named.append(f"capital {letter}")
        else:
            named.append(_SIGNS.get(letter, letter))
    return ", ".join(named)


def marked(text: str, doubtful: tuple[str, ...]) -> str:
    """The passage with a mark after each doubtful word."""
    left = list(doubtful)
    words = []
    for word in text.split(" "):
        bare = word.rstrip(",") if word not in left else word
        if bare in left:
            left.remove(bare)
            word = f"{word} (?)"
        words.append(word)
    return " ".join(words)


def _read(step: Step, at: int) -> None:
    reading = step.state.reading
    assert reading is not None
    text, doubtful = reading.passages[at]
    said = f"{text} Doubtful: {', '.join(doubtful)}." if doubtful else text
    heard = max(reading.heard, at + 1)
    due_s = step.at_s + (0.0 if _has_voice(step.state) else len(said) / LETTERS_PER_S) + BETWEEN_S
    step.set(reading=replace(reading, at=at, heard=heard, active=True, due_s=due_s))
    shown = "\n".join(marked(*passage) for passage in reading.passages[:heard])
    before = find_turn(step, reading.turn)
    at_s = before.at_s if before is not None else step.at_s
    whole = heard == len(reading.passages)
    put_turn(step, TranscriptTurn(reading.turn, "assistant", at_s, shown, done=whole))
    _speak(step, said)


def _has_voice(state: State) -> bool:
    """The engine speaks given words, so that their end is known; otherwise screen readers do."""
    return state.config.says and state.config.speech and state.engine is Engine.READY


def _speaking(state: State) -> bool:
    """Given words are being spoken, or are about to be."""
    return (state.reply is not None and bool(state.reply.ask.said)) or any(ask.said for ask in state.asks)


def _speak(step: Step, text: str) -> None:
    """Exactly these words, instead of those that are being spoken."""
    if not _has_voice(step.state):
        step.do(Say(text))
        return
    _hush(step)
    ask = Ask(turn=0, at_s=step.at_s, said=text, picture=False, limit_s=WORDS_LIMIT_S)
    step.set(asks=(ask, *step.state.asks))


def _hush(step: Step) -> None:
    """No more of the given words."""
    step.set(asks=tuple(ask for ask in step.state.asks if not ask.said))
    reply = step.state.reply
    if reply is not None and reply.ask.said:
        cut(step, "")
    elif not _has_voice(step.state):
        step.do(Say(""))


def _busy(state: State) -> bool:
    """Somebody speaks or asks; a sound over our own words is not decided yet, and may be a cough."""
    talking = state.utterance is not None and not state.utterance.overlap
    answering = state.reply is not None and not state.reply.ask.said
    return talking or answering or any(not ask.said for ask in state.asks) or state.push_to_talk


def _make_room(step: Step) -> None:
    """The user wants something else now: what is being said ends."""
    if step.state.reply is not None and not step.state.reply.speculative:
        cut(step, "interrupted")
    end_reading(step, "interrupted")
