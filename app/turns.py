"""How turns go to the engine and how replies end: what the handlers of `app.conversation` share."""

from __future__ import annotations

from dataclasses import replace

from app import calls
from app.effects import (
    CancelReply,
    ClearInput,
    CommitInput,
    CreateReply,
    DeleteItem,
    DropSound,
    FinishSpeech,
    FlushPlayback,
    PausePlayback,
    PlaySpeech,
    ReadForModel,
    ResumePlayback,
    SaveTurn,
    SendRead,
    SendResults,
    SendText,
    SpeakWords,
    StreamSound,
    TruncateReply,
    Unanswered,
)
from app.events import ReadForTurn
from app.heard import heard_text
from app.safety import Verdict
from app.state import MAX_ASKS, MAX_ITEMS, MAX_TURNS, Answer, Ask, Closing, Engine, Reply, State, Step
from app.view import TranscriptTurn

READ_WAIT_S = 0.8
"""How long a typed question waits for what is read in its picture."""

# --- transcript -----------------------------------------------------------------------------------------------------


def find_turn(step: Step, number: int) -> TranscriptTurn | None:
    return next((turn for turn in reversed(step.state.transcript) if turn.number == number), None)


def put_turn(step: Step, turn: TranscriptTurn) -> None:
    """Adds or replaces an entry; entries stand in the order of their numbers."""
    if find_turn(step, turn.number) == turn:
        return
    others = [t for t in step.state.transcript if t.number != turn.number]
    step.set(transcript=tuple(sorted([*others, turn], key=lambda t: t.number)[-MAX_TURNS:]))
    if turn.done or turn.role == "user":
        step.do(SaveTurn(turn))


def put_user_turn(step: Step, ask: Ask) -> None:
    if ask.utterance is None:
        return
    known = bool(ask.words) or not step.state.config.transcribe
    before = find_turn(step, ask.turn)
    text = ask.words or ask.earlier or (before.text if before is not None else "")
    at_s = before.at_s if before is not None else ask.at_s
    put_turn(step, TranscriptTurn(ask.turn, "user", at_s, text, spoken=True, done=known))


def show_reply(
    step: Step, reply: Reply, *, heard_ms: int, cut_by: str = "", done: bool = False, is_read: bool = False
) -> None:
    """Puts what was heard of a reply into the transcript; nothing where nothing was heard, unless it `is_read`."""
    if reply.replay or reply.ask.check or reply.ask.said:
        return
    spoken = reply.n_samples > 0
    if is_read or (done and not cut_by):
        text = reply.text
    elif spoken:
        text = heard_text(reply.pieces, heard_ms, reply.total_ms if reply.done else None)
    else:
        text = "" if reply.speech else reply.text
    if not text and heard_ms <= 0:
        return
    before = find_turn(step, reply.turn)
    if before is not None and len(text) < len(before.text) and not done:
        text = (
            before.text
        )  # a better estimate may be shorter, but what was shown as heard is not taken back while it runs
    put_turn(
        step,
        TranscriptTurn(
            number=reply.turn,
            role="assistant",
            at_s=before.at_s if before is not None else step.at_s,
            text=text,
            spoken=spoken,
            done=done,
            cut=bool(cut_by),
            cut_by=cut_by,
            heard_ms=heard_ms,
            unsure=before is not None and before.unsure,
            picture=reply.picture,
            reply=reply.number,
        ),
    )


def notice(step: Step, text: str) -> None:
    """A line of the app's own in the transcript."""
    put_turn(step, TranscriptTurn(step.next_turn(), "notice", step.at_s, text, done=True))


def unanswered(step: Step, why: str) -> None:
    """The same for a question that gets no answer."""
    notice(step, why)
    step.do(Unanswered(why))


def say_failed(step: Step) -> None:
    step.earcon("error")
    step.say("The engine does not run, so there is no answer. Press Try again.", urgent=True)


# --- asking ---------------------------------------------------------------------------------------------------------


def add_ask(step: Step, ask: Ask) -> bool:
    """Queues a turn. False (and an announcement) when too many wait already."""
    if len(step.state.asks) >= MAX_ASKS:
        step.say("Too many questions are waiting; this one was not taken.", urgent=True)
        if ask.utterance is not None:
            step.do(DropSound(ask.utterance))
        return False
    step.set(asks=(*step.state.asks, ask))
    return True


def change_ask(step: Step, utterance: int, **changes: object) -> Ask | None:
    """Changes the waiting ask of this utterance and returns it."""
    changed: Ask | None = None
    asks = []
    for ask in step.state.asks:
        if ask.utterance == utterance:
            changed = replace(ask, **changes)  # type: ignore[arg-type]
            asks.append(changed)
        else:
            asks.append(ask)
    if changed is not None:
        step.set(asks=tuple(asks))
    return changed


def remove_ask(step: Step, utterance: int) -> None:
    """The utterance never was: the engine forgets what it got of it."""
    for ask in step.state.asks:
        if ask.utterance == utterance and ask.streaming:
            step.do(ClearInput())
    step.set(asks=tuple(ask for ask in step.state.asks if ask.utterance != utterance))
    step.do(DropSound(utterance))


def engine_free(state: State) -> bool:
    return state.engine is Engine.READY and state.reply is None and not state.closing and state.aside is None


def serve(step: Step) -> None:
    """Gives the engine the first waiting turn, as far as it goes, when the engine is free."""
    if not engine_free(step.state) or not step.state.asks:
        return
    ask, rest = step.state.asks[0], step.state.asks[1:]
    if _waits_for_read(step, ask):
        return
    if ask.utterance is not None and not ask.streaming:
        step.do(StreamSound(ask.utterance, step.state.camera_on))
        if step.state.config.read_spoken and step.state.camera_on and ask.read is None:
            step.do(ReadForModel(ask.turn))
        ask = replace(ask, streaming=True)
        step.set(asks=(ask, *rest))
    if not ask.ended and not (ask.guessed and step.state.config.speculate):
        return
    number = step.next_reply()
    if ask.utterance is not None:
        step.do(CommitInput(ask.utterance))
        step.set(commits=(*step.state.commits, ask.turn))
        if ask.read:
            step.do(SendRead(ask.read))
            ask = replace(ask, read="")  # if the user goes on, the engine has it
    elif ask.outputs:
        step.do(SendResults(ask.outputs, ask.picture and step.state.camera_on))
    elif not ask.said:
        item_id = _prompt_id(ask, number) if ask.narration or ask.check else None
        step.do(SendText(ask.text, ask.picture and step.state.camera_on, item_id, ask.read or ""))
    if ask.said:
        step.do(SpeakWords(number, ask.said))
    else:
        step.do(CreateReply(number, ask.limit_s, spoken=not ask.check))
    step.set(
        asks=rest,
        reply=Reply(
            number=number,
            turn=step.next_turn(),
            ask=replace(ask, streaming=False),
            asked_at_s=step.at_s,
            speech=step.state.config.speech and not ask.check,
            active_at_s=step.at_s,
            speculative=not ask.ended,
            cued=ask.narration or ask.check or bool(ask.outputs or ask.said),
            picture=step.state.picture if ask.utterance is not None else b"",
        ),
        picture=b"",
    )


def _waits_for_read(step: Step, ask: Ask) -> bool:
    """A typed question about a picture waits a moment for what is read there, so that the answer agrees with it."""
    config = step.state.config
    typed = ask.utterance is None and not (ask.said or ask.outputs or ask.narration)
    if not (typed and config.read_typed and ask.picture and step.state.camera_on and ask.read is None):
        return False
    if ask.read_due_s is None:
        step.do(ReadForModel(ask.turn))
        ask = replace(ask, read_due_s=step.at_s + READ_WAIT_S)
        step.set(asks=(ask, *step.state.asks[1:]))
    assert ask.read_due_s is not None
    return step.at_s < ask.read_due_s


def read_for_turn(step: Step, event: ReadForTurn) -> None:
    """Too late for a question that has been asked, unless it was asked on a guess and the user goes on."""
    asks = [replace(ask, read=event.text) if ask.turn == event.turn else ask for ask in step.state.asks]
    step.set(asks=tuple(asks))
    reply = step.state.reply
    if reply is not None and reply.speculative and reply.ask.turn == event.turn and reply.ask.read is None:
        step.reply(ask=replace(reply.ask, read=event.text))


# --- replying -------------------------------------------------------------------------------------------------------


def judge_text(step: Step, n_new: int = 0) -> bool:
    """Applies the safety list to the present reply, which has `n_new` new characters. False when it had to be cut."""
    reply = step.state.reply
    assert reply is not None
    verdict = step.state.config.safety.check(reply.text, complete=reply.done, n_new=n_new)
    if verdict is Verdict.BLOCKED:
        cut(step, "not allowed")
        step.earcon("error")
        step.say("The reply was stopped: it said something on your safety list.", urgent=True)
        return False
    if reply.clear != (verdict is Verdict.CLEAR):
        step.reply(clear=verdict is Verdict.CLEAR)
    return True


def release(step: Step) -> None:
    """Plays what was held back, once the turn's end is certain and the text is allowed."""
    reply = step.state.reply
    if reply is None or reply.speculative or not reply.clear:
        return
    calls.start_calls(step)
    reply = step.state.reply
    assert reply is not None
    for samples in reply.unplayed:
        step.do(PlaySpeech(reply.number, samples))
    if reply.unplayed:
        reply = replace(reply, unplayed=(), played=True)
    if reply.done and not reply.finish_sent:
        if reply.played:
            step.do(FinishSpeech(reply.number))
            reply = replace(reply, finish_sent=True)
        else:
            step.set(reply=reply)
            finish(step, 0)
            return
    step.set(reply=reply)
    if not reply.speech:
        show_reply(step, reply, heard_ms=0)


def finish(step: Step, heard_ms: int) -> None:
    """The present reply is over: everything that was made of it has been heard (or there was nothing to hear)."""
    reply = step.state.reply
    assert reply is not None
    if reply.ask.check:
        _finish_check(step, reply)
        return
    if reply.ask.said:
        _finish_words(step, reply)
        return
    if reply.waits_for_tools and not reply.failure and not reply.limited:
        step.reply(over_at_ms=heard_ms)
        return
    cut_by = "too long" if reply.limited else reply.failure
    # Without a speaker nothing can be heard; then the reply is what the user reads.
    is_read = heard_ms <= 0 and any(problem.code == "speaker" for problem in step.state.problems)
    show_reply(step, reply, heard_ms=heard_ms, cut_by=cut_by, done=True, is_read=is_read)
    if reply.limited and reply.item_id is not None and not is_read:
        truncate(step, reply, heard_ms)
    if reply.failure:
        if heard_ms <= 0 and not is_read:
            forget_prompt(step, reply)
        step.earcon("error")
        why = f"The engine could not answer: {reply.failure}"
        step.say(why, urgent=True)
        step.do(Unanswered(why))
    elif not (reply.replay or reply.ask.narration or reply.text or reply.n_samples or reply.calls):
        step.say("The engine gave an empty answer.")
        step.do(Unanswered("The engine gave an empty answer."))
    if reply.ask.utterance is not None:
        step.do(DropSound(reply.ask.utterance))
    if reply.picture and reply.text and not (cut_by or reply.replay or reply.ask.narration):
        ask = reply.ask
        step.set(last_answer=Answer(reply.turn, ask.turn, ask.text or ask.words, reply.text, step.at_s))
    step.set(reply=None, can_repeat=step.state.can_repeat or reply.played)
    following = calls.results(step, reply)
    if following is not None:
        step.set(asks=(following, *step.state.asks))
    elif calls.goes_round(reply):
        unanswered(step, calls.ROUND)
        step.say(calls.ROUND, urgent=True)
    calls.withdraw_questions(step)
    resume(step)


def _finish_check(step: Step, reply: Reply) -> None:
    """What was answered is compared (`app.checking`); the engine forgets that it was asked."""
    if reply.item_id is not None:
        step.do(DeleteItem(reply.item_id))
    forget_prompt(step, reply)
    check = step.state.check
    if check is not None and not reply.failure:
        step.set(check=replace(check, answers=(*check.answers, reply.text)))
    step.set(reply=None)
    resume(step)


def _finish_words(step: Step, reply: Reply) -> None:
    """Given words have been spoken; where the engine could not, screen readers get them."""
    step.set(reply=None)
    if reply.failure or not reply.played:
        step.say(reply.ask.said)
    resume(step)


def picture_sent(step: Step, jpeg: bytes) -> None:
    """The picture of the question that has just been asked, or that is being spoken."""
    reply = step.state.reply
    if reply is not None and reply.ask.utterance is None and not reply.picture:
        step.reply(picture=jpeg)
    else:
        step.set(picture=jpeg)


def truncate(step: Step, reply: Reply, heard_ms: int) -> None:
    if reply.item_id is None:
        return
    step.do(TruncateReply(reply.item_id, heard_ms))
    if heard_ms > 0:
        step.set(cut_items=(*step.state.cut_items, (reply.item_id, reply.turn))[-MAX_ITEMS:])


def _prompt_id(ask: Ask, reply: int) -> str:
    return f"{'check' if ask.check else 'narration'}-{reply}"


def forget_prompt(step: Step, reply: Reply) -> None:
    """A narration of which nothing was heard: its prompt must not become part of the user's next turn."""
    if reply.ask.narration or reply.ask.check:
        step.do(DeleteItem(_prompt_id(reply.ask, reply.number)))


def pause(step: Step) -> None:
    if not step.state.playback_paused:
        step.do(PausePlayback())
        step.set(playback_paused=True)


def resume(step: Step) -> None:
    if step.state.playback_paused:
        step.do(ResumePlayback())
        step.set(playback_paused=False)


def cut(step: Step, cut_by: str, *, keep_sound: bool = False, gone: bool = False) -> None:
    """Ends the present reply now. Its sound stops; the engine and the player are told, and asked what was heard.

    `keep_sound`: the ask will be asked again, so its utterance is kept. `gone`: the engine that made it is gone, so
    there is nothing to truncate.
    """
    reply = step.state.reply
    if reply is None:
        return
    if not reply.done:
        step.do(CancelReply(reply.number, reply.response_id))
    if reply.played:
        step.do(FlushPlayback(reply.number))
    if reply.ask.utterance is not None and not keep_sound:
        step.do(DropSound(reply.ask.utterance))
    closing = Closing(
        reply=replace(reply, unplayed=()),
        cut_by=cut_by,
        since_s=step.at_s,
        heard_ms=None if reply.played else 0,
        recorded=reply.speculative,
        engine_done=reply.done,
        gone=gone,
    )
    step.set(reply=None, closing=(*step.state.closing, closing), can_repeat=step.state.can_repeat or reply.played)
    calls.withdraw_questions(step)
    resume(step)
    settle(step)


def _heard_all(reply: Reply, heard_ms: int) -> bool:
    return reply.done and reply.n_samples > 0 and heard_ms >= reply.total_ms


def _record(step: Step, closing: Closing, heard_ms: int) -> None:
    reply = closing.reply
    cut_by = "" if _heard_all(reply, heard_ms) else closing.cut_by
    show_reply(step, reply, heard_ms=heard_ms, cut_by=cut_by, done=True)


def record_all(step: Step) -> None:
    """Puts what is known to have been heard of every closing into the transcript, without waiting for the player."""
    for closing in step.state.closing:
        if not closing.recorded:
            heard_ms = closing.heard_ms if closing.heard_ms is not None else closing.reply.heard_ms
            _record(step, closing, heard_ms)


def settle(step: Step) -> None:
    """Takes every closing as far as it goes: record what was heard, then truncate, then it is gone."""
    left = []
    for closing in step.state.closing:
        reply = closing.reply
        if closing.heard_ms is not None and not closing.recorded:
            _record(step, closing, closing.heard_ms)
            closing = replace(closing, recorded=True)
        if not (closing.recorded and closing.engine_done):
            left.append(closing)
            continue
        assert closing.heard_ms is not None
        read = not reply.speech and bool(reply.text) and not reply.speculative and not reply.ask.check
        kept = reply.replay or bool(reply.ask.said)  # nothing of the conversation's
        if not closing.gone and not kept and not _heard_all(reply, closing.heard_ms) and not read:
            truncate(step, reply, closing.heard_ms)
            if closing.heard_ms <= 0:
                forget_prompt(step, reply)
    step.set(closing=tuple(left))
