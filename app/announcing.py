"""What a conversation says to screen readers beyond its messages: states, what was heard, and replies; each once.

By default only what cannot be heard otherwise: a reply that was spoken aloud needs no second voice over it. `all` is
for braille, and for who wants to follow everything. What was understood of the user's voice is always said, so that a
mishearing is noticed, but never into a reply or into what the user says: it waits for the end.
"""

from __future__ import annotations

from app.state import State, Step
from app.view import Phase, TranscriptTurn

WORDS = {Phase.HEARING: "Hearing you.", Phase.REPLYING: "Thinking.", Phase.SPEAKING: "Speaking."}
BUSY = frozenset({Phase.HEARING, Phase.SPEAKING})
MAX_WAITING = 8
"""Overflow: the oldest is dropped; the transcript has it."""


def announce(step: Step, before: State) -> None:
    """Adds announcements for what this step has changed."""
    everything = step.state.config.announce == "all"
    if everything and step.state.phase is not before.phase and step.state.phase in WORDS:
        step.say(WORDS[step.state.phase])
    if step.state.transcript is not before.transcript:
        for turn in _changed(before.transcript, step.state.transcript):
            if words := _words(turn, _find(before.transcript, turn.number), everything):
                step.set(to_announce=(*step.state.to_announce, words)[-MAX_WAITING:])
    if step.state.to_announce and (everything or step.state.phase not in BUSY):
        for words in step.state.to_announce:
            step.say(words)
        step.set(to_announce=())


def _changed(old: tuple[TranscriptTurn, ...], new: tuple[TranscriptTurn, ...]) -> list[TranscriptTurn]:
    """Turns of `new` that `old` has not, or not like that; only the newest few can differ."""
    known = set(map(id, old[-8:]))
    return [turn for turn in new[-8:] if id(turn) not in known]


def _find(turns: tuple[TranscriptTurn, ...], number: int) -> TranscriptTurn | None:
    return next((turn for turn in reversed(turns) if turn.number == number), None)


def _words(turn: TranscriptTurn, was: TranscriptTurn | None, everything: bool) -> str:
    """What to say about a turn that is new or has changed; "" for nothing."""
    if turn.role == "user":
        heard = turn.spoken and turn.text and (was is None or was.text != turn.text)
        return f"You said: {turn.text}" if heard else ""
    # Without a reply's number it is not the model's: it was read or seen, and has been said as it came.
    over = turn.role == "assistant" and turn.reply > 0 and turn.done and (was is None or not was.done)
    if not over or not turn.text or (turn.spoken and turn.heard_ms > 0 and not everything):
        return ""
    return f"{turn.text} ({turn.cut_by})" if turn.cut and turn.cut_by else turn.text
