"""The user's voice: when it begins, pauses and ends, and what that does to a reply. Part of `app.conversation`."""

from __future__ import annotations

from dataclasses import replace

from app.asides import abandon, begin_aside, question_was_asked
from app.effects import DropSound, ForceVoice
from app.events import PushToTalkSet, VoiceDropped, VoiceEnded, VoicePaused, VoiceResumed, VoiceStarted
from app.safety import normalise
from app.state import Ask, Engine, Step, Utterance
from app.turns import add_ask, change_ask, cut, pause, put_user_turn, release, remove_ask, resume, say_failed


def voice_started(step: Step, event: VoiceStarted) -> None:
    if step.state.muted and not event.forced:
        step.do(DropSound(event.utterance))
        return
    if step.state.engine is Engine.FAILED:
        step.do(DropSound(event.utterance))
        say_failed(step)
        return
    if step.state.utterance is not None:  # its end was lost on the way
        voice_ended(step, VoiceEnded(event.at_s, step.state.utterance.number))
    step.set(utterance=Utterance(event.utterance, event.at_s, event.forced))
    if step.state.reply is None:
        abandon(step)
        if event.forced or not _must_call(step):
            _hear(step)
        return
    pause(step)
    step.set(utterance=Utterance(event.utterance, event.at_s, event.forced, overlap=True))
    if event.forced:
        barge_in(step)


def _must_call(step: Step) -> bool:
    """Whether what is said counts only if it holds the wake phrase: then it is judged by its words when it is over."""
    return bool(normalise(step.state.config.wake_phrase))


def _hear(step: Step, turn: int | None = None, earlier: str = "") -> None:
    """The present utterance is the user's turn (or goes on with `turn`, of which the words up to here are known)."""
    utterance = step.state.utterance
    assert utterance is not None
    ask = Ask(
        turn=turn if turn is not None else step.next_turn(),
        at_s=utterance.started_at_s,
        utterance=utterance.number,
        limit_s=step.state.config.reply_limit_s,
        ended=False,
        guessed=utterance.silent,
        earlier=earlier,
    )
    if not add_ask(step, ask):
        step.set(utterance=None)


def barge_in(step: Step) -> None:
    """The voice during a reply is an interruption: cut the reply where it is, and listen."""
    utterance = step.state.utterance
    assert utterance is not None
    abandon(step)
    reply = step.state.reply
    turn: int | None = None
    earlier = ""
    if reply is not None:
        unheard = not reply.played and reply.ask.utterance is not None and not reply.replay
        # Before anything was heard the user simply goes on with the same turn.
        turn = reply.ask.turn if unheard else None
        earlier = reply.ask.words or reply.ask.earlier if unheard else ""
        if not unheard:
            step.earcon("interrupted")
        cut(step, "interrupted")
    step.set(utterance=replace(utterance, overlap=False))
    _hear(step, turn, earlier)


def after_overlap(step: Step) -> None:
    """The reply ended by itself while the user began to speak: then it is an ordinary turn."""
    utterance = step.state.utterance
    if utterance is None or not utterance.overlap or step.state.reply is not None:
        return
    if _must_call(step) and not utterance.forced:
        step.set(utterance=replace(utterance, overlap=False))
    else:
        barge_in(step)


def went_on(step: Step) -> None:
    """The voice during a reply has become too long to be an "mm-hm"."""
    if not _must_call(step):
        barge_in(step)


def voice_paused(step: Step, event: VoicePaused) -> None:
    utterance = step.state.utterance
    if utterance is None or utterance.number != event.utterance:
        return
    step.set(utterance=replace(utterance, silent=True))
    change_ask(step, event.utterance, guessed=True)


def voice_resumed(step: Step, event: VoiceResumed) -> None:
    utterance = step.state.utterance
    if utterance is None or utterance.number != event.utterance:
        return
    step.set(utterance=replace(utterance, silent=False))
    change_ask(step, event.utterance, guessed=False)
    reply = step.state.reply
    if reply is not None and reply.speculative and reply.ask.utterance == event.utterance:
        cut(step, "", keep_sound=True)
        ask = replace(reply.ask, guessed=False, words="", earlier=reply.ask.words or reply.ask.earlier)
        step.set(asks=(ask, *step.state.asks))


def voice_ended(step: Step, event: VoiceEnded) -> None:
    utterance = step.state.utterance
    if utterance is None or utterance.number != event.utterance:
        return
    if _must_call(step) and not utterance.forced and not _is_asked(step, utterance.number):
        step.set(utterance=None)
        begin_aside(step, utterance.number, utterance.started_at_s, event.voiced_s)
        return
    if utterance.overlap:
        if utterance.forced or event.voiced_s >= step.state.config.backchannel_s or question_was_asked(step):
            barge_in(step)
            if step.state.utterance is None:  # refused
                return
        else:
            step.set(utterance=None)
            begin_aside(step, utterance.number, utterance.started_at_s, event.voiced_s)
            return
    step.set(utterance=None)
    ask = change_ask(step, event.utterance, ended=True)
    if ask is not None:
        put_user_turn(step, ask)
        return
    reply = step.state.reply
    if reply is not None and reply.speculative and reply.ask.utterance == event.utterance:
        put_user_turn(step, reply.ask)
        step.reply(speculative=False, ask=replace(reply.ask, ended=True))
        release(step)


def voice_dropped(step: Step, event: VoiceDropped) -> None:
    utterance = step.state.utterance
    if utterance is None or utterance.number != event.utterance:
        return
    step.set(utterance=None)
    reply = step.state.reply
    if reply is not None and reply.speculative and reply.ask.utterance == event.utterance:
        cut(step, "")
    remove_ask(step, event.utterance)
    resume(step)


def _is_asked(step: Step, utterance: int) -> bool:
    """It is a turn already (the setting was changed meanwhile)."""
    reply = step.state.reply
    asked = [ask.utterance for ask in step.state.asks] + ([reply.ask.utterance] if reply is not None else [])
    return utterance in asked


def push_to_talk(step: Step, event: PushToTalkSet) -> None:
    if event.down == step.state.push_to_talk:
        return
    step.set(push_to_talk=event.down)
    if event.down:
        abandon(step)
        if step.state.reply is not None and not step.state.reply.speculative:
            if step.state.reply.played:
                step.earcon("interrupted")
            cut(step, "interrupted")
        utterance = step.state.utterance
        if utterance is not None and not utterance.forced and _must_call(step):  # it is meant for us after all
            step.set(utterance=replace(utterance, forced=True, overlap=False))
            if not _is_asked(step, utterance.number):
                _hear(step)
    step.do(ForceVoice(event.down))
