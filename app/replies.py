"""Handlers for what the engine and the player report. Late events of old replies are known by their response id."""

from __future__ import annotations

from dataclasses import replace

from app import asides
from app.asides import judge_when_free
from app.effects import (
    CancelReply,
    ClearInput,
    DropSound,
    ReadForModel,
    RestoreConversation,
    RewindSound,
    StartEngine,
)
from app.events import (
    EngineLost,
    EngineReady,
    EngineRenewed,
    InputCommitted,
    PlaybackFinished,
    PlaybackProgress,
    PlaybackStarted,
    PlaybackStopped,
    ReplyCreated,
    ReplyDone,
    ReplyItem,
    ReplyRefused,
    ReplySpeech,
    ReplyText,
    ReplyTruncated,
    UserTranscribed,
)
from app.heard import Piece
from app.looks import look
from app.phrases import phrase
from app.state import MAX_ITEMS, SPEECH_RATE_HZ, Engine, Reply, Step
from app.turns import (
    change_ask,
    cut,
    find_turn,
    finish,
    judge_text,
    put_turn,
    release,
    resume,
    serve,
    settle,
    show_reply,
    unanswered,
)
from app.view import Problem

RESTORED_TURNS = 40
RESTORED_CHARS = 8000
"""How much of the conversation a restarted engine is given: its newest part, within these bounds."""
NOBODYS_TURN = 0
LOST = "The last question was lost with the engine. Please ask again."


def _live(step: Step, response_id: str) -> Reply | None:
    reply = step.state.reply
    return reply if reply is not None and reply.response_id == response_id else None


# --- the engine makes a reply ---------------------------------------------------------------------------------------


def reply_created(step: Step, event: ReplyCreated) -> None:
    reply = step.state.reply
    if reply is not None and reply.number == event.reply and reply.response_id is None:
        step.reply(response_id=event.response_id, active_at_s=step.at_s)
        return
    for closing in step.state.closing:
        if closing.reply.number == event.reply and closing.reply.response_id is None:
            # It was cancelled before it had an id; a cancellation that came too early may have met nothing.
            _change_closing(step, event.reply, response_id=event.response_id)
            if not closing.engine_done:
                step.do(CancelReply(event.reply, event.response_id))
            return


def reply_item(step: Step, event: ReplyItem) -> None:
    if _live(step, event.response_id) is not None:
        step.reply(item_id=event.item_id, active_at_s=step.at_s)
        return
    for closing in step.state.closing:
        if closing.reply.response_id == event.response_id:
            _change_closing(step, closing.reply.number, item_id=event.item_id)


def reply_text(step: Step, event: ReplyText) -> None:
    reply = _live(step, event.response_id)
    if reply is None or reply.done or reply.limited:
        return
    step.reply(pieces=(*reply.pieces, Piece(event.text, event.start_ms)), active_at_s=step.at_s)
    if not judge_text(step, len(event.text)):
        return
    reply = step.state.reply
    assert reply is not None
    if not reply.speech and len(reply.text) > reply.ask.limit_s * 20:
        _limit(step, reply)
    release(step)


def reply_speech(step: Step, event: ReplySpeech) -> None:
    reply = _live(step, event.response_id)
    if reply is None or reply.done or reply.limited or not len(event.samples):
        return
    room = int(reply.ask.limit_s * SPEECH_RATE_HZ) - reply.n_samples
    samples = event.samples[:room]
    step.reply(
        unplayed=(*reply.unplayed, samples) if len(samples) else reply.unplayed,
        n_samples=reply.n_samples + len(samples),
        active_at_s=step.at_s,
    )
    if len(event.samples) > room:
        reply = step.state.reply
        assert reply is not None
        _limit(step, reply)
    release(step)


def _limit(step: Step, reply: Reply) -> None:
    step.do(CancelReply(reply.number, reply.response_id))
    step.reply(limited=True)


def reply_done(step: Step, event: ReplyDone) -> None:
    reply = _live(step, event.response_id)
    if reply is not None:
        if reply.done:
            return
        step.reply(done=True, failure=event.failure, active_at_s=step.at_s)
        if not judge_text(step):
            return
        release(step)
        judge_when_free(step)
        serve(step)
        return
    for closing in step.state.closing:
        if closing.reply.response_id == event.response_id:
            _end_closing(step, closing.reply.number)


def reply_refused(step: Step, event: ReplyRefused) -> None:
    reply = step.state.reply
    if reply is not None and reply.number == event.reply and not reply.done:
        step.reply(done=True, failure=event.message, speculative=False)
        release(step)
        serve(step)
        return
    _end_closing(step, event.reply)


def _end_closing(step: Step, number: int) -> None:
    step.set(closing=tuple(replace(c, engine_done=True) if c.reply.number == number else c for c in step.state.closing))
    settle(step)
    judge_when_free(step)
    serve(step)


def _change_closing(step: Step, number: int, **changes: object) -> None:
    step.set(
        closing=tuple(
            replace(c, reply=replace(c.reply, **changes)) if c.reply.number == number else c  # type: ignore[arg-type]
            for c in step.state.closing
        )
    )


def reply_truncated(step: Step, event: ReplyTruncated) -> None:
    """The engine's own record of what it kept is what it will remember: the transcript says the same."""
    turn_number = next((turn for item, turn in reversed(step.state.cut_items) if item == event.item_id), None)
    turn = find_turn(step, turn_number) if turn_number is not None else None
    if turn is not None and event.text is not None and event.text.strip():
        put_turn(step, replace(turn, text=event.text.strip()))


# --- what the user said ---------------------------------------------------------------------------------------------


def input_committed(step: Step, event: InputCommitted) -> None:
    if not step.state.commits:
        return
    turn, rest = step.state.commits[0], step.state.commits[1:]
    step.set(commits=rest)
    if turn is None:
        asides.aside_committed(step, event.item_id)
    else:
        step.set(items=(*step.state.items, (event.item_id, turn))[-MAX_ITEMS:])


def user_transcribed(step: Step, event: UserTranscribed) -> None:
    aside = step.state.aside
    if aside is not None and aside.item_id == event.item_id:
        asides.aside_transcribed(step, event.text)
        serve(step)
        return
    number = next((turn for item, turn in reversed(step.state.items) if item == event.item_id), None)
    if number is None:
        return
    ours = [item for item, turn in step.state.items if turn == number]
    step.set(item_words=(*step.state.item_words, (event.item_id, (event.text or "").strip()))[-MAX_ITEMS:])
    known = {item: words for item, words in step.state.item_words if item in ours and words}
    if step.state.config.words_of_turn:
        words = next((known[item] for item in reversed(ours) if item in known), "")
    else:
        words = " ".join(known[item] for item in ours if item in known)
    complete = event.item_id == ours[-1]
    reply = step.state.reply
    if reply is not None and reply.ask.turn == number:
        step.reply(ask=replace(reply.ask, words=words) if complete else replace(reply.ask, earlier=words))
    for ask in step.state.asks:
        if ask.turn == number and ask.utterance is not None:  # it goes on: these are the words up to here
            change_ask(step, ask.utterance, earlier=words)
            complete = False
    turn = find_turn(step, number)
    if turn is not None and turn.role == "user":
        put_turn(step, replace(turn, text=words or turn.text, done=turn.done or complete))
        command = phrase(words, step.at_s) if complete else None
        if command is not None:
            # What the model makes of it is a guess; what the picture says is not.
            if step.state.reply is not None and step.state.reply.turn > number:
                cut(step, "interrupted")
            look(step, command)


# --- the player -----------------------------------------------------------------------------------------------------


def playback_started(step: Step, event: PlaybackStarted) -> None:
    reply = step.state.reply
    if reply is not None and reply.number == event.reply:
        step.reply(sounding=True)


def playback_progress(step: Step, event: PlaybackProgress) -> None:
    reply = step.state.reply
    if reply is None or reply.number != event.reply or event.heard_ms <= reply.heard_ms:
        return
    step.reply(heard_ms=event.heard_ms, sounding=True)
    show_reply(step, replace(reply, heard_ms=event.heard_ms), heard_ms=event.heard_ms)


def playback_stopped(step: Step, event: PlaybackStopped) -> None:
    step.set(
        closing=tuple(
            replace(c, heard_ms=max(0, event.heard_ms)) if c.reply.number == event.reply and c.heard_ms is None else c
            for c in step.state.closing
        )
    )
    settle(step)
    judge_when_free(step)
    serve(step)


def playback_finished(step: Step, event: PlaybackFinished) -> None:
    reply = step.state.reply
    if reply is None or reply.number != event.reply or not reply.finish_sent:
        return
    finish(step, event.heard_ms)


# --- the engine comes and goes --------------------------------------------------------------------------------------


def engine_ready(step: Step, event: EngineReady) -> None:
    del event
    step.set(engine=Engine.READY)
    if step.remove_problem("engine lost"):
        step.say("The engine is back.")
    step.remove_problem("engine failed")
    waiting = {ask.turn for ask in step.state.asks}  # will be asked again
    turns: list[tuple[str, str]] = []
    n_chars = 0
    for turn in reversed(step.state.transcript):
        if turn.role == "notice" or not turn.text or not turn.done or turn.number in waiting:
            continue
        n_chars += len(turn.text)
        if len(turns) >= RESTORED_TURNS or n_chars > RESTORED_CHARS:
            break
        turns.append((turn.role, turn.text))
    if turns:
        step.do(RestoreConversation(tuple(reversed(turns))))
    if step.state.config.read_typed and step.state.camera_on:
        step.do(ReadForModel(NOBODYS_TURN))  # the reading models are loaded before the first question
    serve(step)


def engine_lost(step: Step, event: EngineLost) -> None:
    if step.state.engine is Engine.FAILED:
        return
    forget_engine(step)
    config = step.state.config
    recent = tuple(s for s in step.state.restarts_s if step.at_s - s < config.restart_window_s)
    step.earcon("error")
    if event.final or len(recent) >= config.restart_limit:
        step.set(engine=Engine.FAILED, restarts_s=())
        remedy = event.remedy or "Look at `doctor` for the reason, then press Try again."
        step.remove_problem("engine lost")
        step.add_problem(Problem("engine failed", f"The engine does not run: {event.reason}", remedy))
        step.say(f"The engine does not run: {event.reason} {remedy}", urgent=True)
        return
    step.set(engine=Engine.STARTING, restarts_s=(*recent, step.at_s))
    problem = Problem("engine lost", f"The engine stopped: {event.reason}", "It is being started again; please wait.")
    step.add_problem(problem)
    step.say(f"{problem.message} {problem.remedy}", urgent=True)
    step.do(StartEngine(config.restart_delay_s * 2 ** len(recent)))


def engine_renewed(step: Step, event: EngineRenewed) -> None:
    """No fault and no restart: the conversation goes on in a new session, with its text."""
    if step.state.engine is Engine.FAILED:
        return
    forget_engine(step)
    step.set(engine=Engine.STARTING)
    step.say(f"{event.reason} The conversation goes on in a new one.")


def _lose_calls(step: Step, reply: Reply) -> None:
    """It plays on. The engine that comes knows another item, and nothing of the tools that were called."""
    step.reply(item_id=None, calls=())
    if reply.waits_for_tools:
        unanswered(step, LOST)
    if reply.over_at_ms is not None:
        finish(step, reply.over_at_ms)


def forget_engine(step: Step) -> None:
    """The engine and all it knew are gone: cut what sounds, and keep every question that had no answer yet."""
    if step.state.aside is not None:
        step.do(DropSound(step.state.aside.utterance))
        step.set(aside=None)
    reply = step.state.reply
    if reply is not None and not reply.replay and not reply.done:
        unasked = reply.ask.narration or reply.ask.check or bool(reply.ask.said)
        kept = not (unasked or reply.ask.outputs)
        again = kept and not (reply.played or reply.ask.attempts)
        ask = replace(reply.ask, attempts=reply.ask.attempts + 1, streaming=False)
        step.reply(done=True)  # no engine to cancel it on
        cut(step, "engine lost", keep_sound=again, gone=True)
        if again:
            step.set(asks=(ask, *step.state.asks))
        elif not reply.played and not unasked:
            unanswered(step, LOST)
    elif reply is not None:
        _lose_calls(step, reply)
    step.set(asks=tuple(ask for ask in step.state.asks if not ask.said))
    if any(ask.outputs for ask in step.state.asks):
        step.set(asks=tuple(ask for ask in step.state.asks if not ask.outputs))
        unanswered(step, LOST)
    for ask in step.state.asks:
        if ask.utterance is not None:
            step.do(RewindSound(ask.utterance))
    if any(ask.streaming for ask in step.state.asks):
        step.do(ClearInput())
    step.set(
        asks=tuple(replace(ask, streaming=False) for ask in step.state.asks),
        closing=tuple(replace(closing, engine_done=True, gone=True) for closing in step.state.closing),
        commits=(),
        items=(),
        item_words=(),
        cut_items=(),
    )
    settle(step)
    if step.state.utterance is None:
        resume(step)
