"""Utterances that count or not by their words: "mm-hm" must not end a reply, "no" must.

The player is silent while the user speaks. An utterance that stays short is an aside: the engine is asked for its words
(a commit without a reply) as soon as it is free, and they decide. Where nothing can be learnt, the reply goes on.
"""

from __future__ import annotations

from dataclasses import replace

from app.effects import CommitInput, DeleteItem, DropSound, RewindSound, StreamSound
from app.heard import heard_text
from app.safety import normalise
from app.state import MAX_COMMITS, Aside, Ask, Engine, Step
from app.tool_calls import is_answer
from app.turns import add_ask, cut, pause, put_user_turn, resume, serve

_SHOWN_TO_LISTEN = """
mm mmm mhm mm-hm mm-hmm mmhmm hm hmm uh uh-huh um ah aha oh ooh okay ok right sure yeah yep huh wow cool nice good great
ahem ha haha ha-ha i-see got-it
"""
BACKCHANNELS = frozenset(normalise(words) for words in _SHOWN_TO_LISTEN.split())
"""What people say to show that they listen. "Yes", "no", "stop" and "wait" are none."""


CHARS_PER_S, SPARE_CHARS = 25, 8
"""Nobody says more letters in so short a time: then the words were made up, not heard."""


def shows_listening(text: str, voiced_s: float) -> bool:
    """Whether these words of a voice of this length only show that somebody listens, or cannot be what was said."""
    words = normalise(text)
    if not words or words in BACKCHANNELS or all(word in BACKCHANNELS for word in words.split()):
        return True
    return len(words) > voiced_s * CHARS_PER_S + SPARE_CHARS


STOPS = frozenset({"stop", "wait", "no", "quiet", "enough", "hold on", "be quiet", "shut up"})


def ends_a_reply(text: str) -> bool:
    """What silences a reply though Sightline was not called."""
    words = normalise(text)
    return words in STOPS or any(word in STOPS for word in words.split()[:2])


def question_was_asked(step: Step) -> bool:
    """What was heard of the present reply ends with a question: then a short answer is an answer."""
    reply = step.state.reply
    if reply is None or reply.replay:
        return False
    heard = heard_text(reply.pieces, reply.heard_ms, reply.total_ms if reply.done else None)
    return heard.rstrip().endswith("?")


def begin_aside(step: Step, utterance: int, at_s: float, voiced_s: float) -> None:
    """A short utterance has ended during the reply."""
    abandon(step)
    config = step.state.config
    deaf = step.state.engine is not Engine.READY or len(step.state.commits) >= MAX_COMMITS
    if deaf or not (config.transcribe and config.judges):
        # Nobody can say what it was.
        step.do(DropSound(utterance))
        resume(step)
        return
    step.set(aside=Aside(utterance, at_s, voiced_s))
    reply = step.state.reply
    if reply is not None and not reply.done:
        resume(step)  # the engine is busy for an unknown time; the reply goes on meanwhile
    elif reply is not None:
        pause(step)
    judge_when_free(step)


def judge_when_free(step: Step) -> None:
    state = step.state
    aside = state.aside
    if aside is None or aside.judging_since_s is not None or state.engine is not Engine.READY or state.closing:
        return
    if state.reply is not None and not state.reply.done:
        return
    step.do(StreamSound(aside.utterance, pictures=False), CommitInput(aside.utterance))
    step.set(aside=replace(aside, judging_since_s=step.at_s), commits=(*state.commits, None))


def aside_committed(step: Step, item_id: str) -> None:
    aside = step.state.aside
    if aside is None:
        step.do(DeleteItem(item_id))
        return
    step.set(aside=replace(aside, item_id=item_id))
    if aside.over:
        _close(step)


def _is_meant(step: Step, aside: Aside, text: str) -> bool:
    """Whether these words are the user's turn."""
    phrase = normalise(step.state.config.wake_phrase)
    if phrase:
        return f" {phrase} " in f" {normalise(text)} "
    return not shows_listening(text, aside.voiced_s)


def aside_transcribed(step: Step, text: str | None) -> None:
    aside = step.state.aside
    assert aside is not None
    if aside.over:
        return
    answered = text is not None and is_answer(step, text)
    if text is None or answered or not _is_meant(step, aside, text):
        step.do(DropSound(aside.utterance))
        _close(step)
        may_stop = bool(text) and not answered and bool(step.state.config.wake_phrase)
        if may_stop and step.state.reply is not None and ends_a_reply(text or ""):
            step.earcon("interrupted")
            cut(step, "interrupted")
        resume(step)
        return
    _close(step)
    if step.state.reply is not None:
        step.earcon("interrupted")
    cut(step, "interrupted")
    step.do(RewindSound(aside.utterance))
    ask = Ask(
        turn=step.next_turn(),
        at_s=aside.at_s,
        utterance=aside.utterance,
        words=text.strip(),
        limit_s=step.state.config.reply_limit_s,
    )
    if add_ask(step, ask):
        put_user_turn(step, ask)
    serve(step)


def abandon(step: Step) -> None:
    """The user did something else: the aside no longer matters."""
    aside = step.state.aside
    if aside is None or aside.over:
        return
    step.do(DropSound(aside.utterance))
    if aside.judging_since_s is None:
        step.set(aside=None)
        return
    step.set(aside=replace(aside, over=True))
    if aside.item_id is not None:
        _close(step)


def watch_aside(step: Step) -> None:
    """On every tick: a reply is not silent for long, and an aside is not judged for ever."""
    aside, config = step.state.aside, step.state.config
    if aside is None or aside.judging_since_s is None:
        return
    judged_s = step.at_s - aside.judging_since_s
    if judged_s >= config.judge_pause_s and step.state.utterance is None:
        resume(step)
    if judged_s >= config.judge_limit_s:
        abandon(step)
        if step.state.aside is not None and judged_s >= config.judge_limit_s + config.stuck_s:
            step.set(aside=None)  # the engine never answered the commit; its item is deleted when it does


def _close(step: Step) -> None:
    aside = step.state.aside
    assert aside is not None
    if aside.item_id is not None:
        step.do(DeleteItem(aside.item_id))
    step.set(aside=None)
