"""Check again: the same question about two more pictures, silently, and whether the answers agree.

On request, and by itself after an answer that would do harm if it were wrong. Whoever speaks or asks ends it.
"""

from __future__ import annotations

from dataclasses import replace

from app.agreement import agree, matters
from app.events import CheckAsked
from app.reading import answer
from app.state import Ask, Check, State, Step
from app.turns import add_ask, cut, engine_free, find_turn, put_turn

LOOKS = 2
LIMIT_S = 20.0
REST_S = 1.0
"""Nothing is checked by itself before everybody has been silent for so long."""


def check_asked(step: Step, event: CheckAsked) -> None:
    del event
    last = step.state.last_answer
    if last is None:
        step.say("There is no answer about a picture yet that could be checked.")
        return
    if not step.state.camera_on:
        step.say("The camera is off, so nothing can be looked at again. Turn it on.")
        return
    state = step.state
    if state.utterance is not None or state.push_to_talk or state.asks or state.reply is not None:
        step.say("Checking works when nobody is speaking.")
        return
    step.say("Looking again, twice.")
    step.set(check=Check(last.turn, by_itself=False))


def go_on_checking(step: Step) -> None:
    """After every event, before anybody's wishes are carried out: the next look, the verdict, or the end."""
    _begin_by_itself(step)
    check = step.state.check
    if check is None:
        return
    reply = step.state.reply
    running = reply is not None and reply.ask.check
    waiting = any(ask.check for ask in step.state.asks)
    others = any(not (ask.check or ask.said) for ask in step.state.asks)
    if step.state.utterance is not None or step.state.push_to_talk or others or not step.state.camera_on:
        step.set(check=None, asks=tuple(ask for ask in step.state.asks if not ask.check))
        if running:
            cut(step, "")
        return
    if running or waiting:
        return
    if check.asked > len(check.answers):  # the look under way was lost
        step.set(check=None)
    elif check.asked < LOOKS:
        _look(step, check)
    else:
        step.set(check=None)
        _verdict(step, check)


def _begin_by_itself(step: Step) -> None:
    state = step.state
    last = state.last_answer
    if not state.config.check_answers or state.check is not None or last is None or last.checked:
        return
    if not matters(last.text) or not state.camera_on:
        step.set(last_answer=replace(last, checked=True))
    elif not _busy(state) and step.at_s - last.at_s >= REST_S and _question(step, last.question_turn):
        step.set(last_answer=replace(last, checked=True), check=Check(last.turn, by_itself=True))


def _look(step: Step, check: Check) -> None:
    last = step.state.last_answer
    question = (last.question or _question(step, last.question_turn)) if last is not None else ""
    if not question:
        step.set(check=None)
        if not check.by_itself:
            step.say("It is not known yet what you asked. Try again in a moment.")
        return
    ask = Ask(turn=step.next_turn(), at_s=step.at_s, text=question, limit_s=LIMIT_S, check=True)
    if add_ask(step, ask):
        step.set(check=replace(check, asked=check.asked + 1))


def _verdict(step: Step, check: Check) -> None:
    last = step.state.last_answer
    if last is None or last.turn != check.turn:
        return
    step.set(last_answer=replace(last, checked=True))
    differing = [text for text in check.answers if not agree(last.text, text)]
    if not differing:
        if not check.by_itself:
            answer(step, "I looked two more times. All three answers agree, which does not prove them right.")
        return
    turn = find_turn(step, check.turn)
    if turn is not None:
        put_turn(step, replace(turn, unsure=True))
    other = differing[-1] or "nothing"
    begin = "Careful: I looked again" if check.by_itself else "I looked two more times"
    answer(step, f"{begin}, and the answers do not agree. Another answer was: {other} Do not rely on either.")


def _question(step: Step, number: int) -> str:
    turn = find_turn(step, number)
    return turn.text if turn is not None else ""


def _busy(state: State) -> bool:
    reading = state.reading is not None and state.reading.active
    talking = state.utterance is not None or state.push_to_talk
    return not engine_free(state) or bool(state.asks) or talking or reading
