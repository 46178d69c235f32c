"""The handlers for tools: called, done, asking first. Part of `app.conversation`; the rules stand in `app.calls`."""

from __future__ import annotations

from dataclasses import replace

from app.calls import MAX_CALLS
from app.effects import AnswerPermission
from app.events import PermissionGiven, PermissionWanted, ToolCalled, ToolFinished
from app.safety import normalise
from app.state import Call, Step
from app.turns import finish, notice, release

YES = frozenset(
    normalise(words)
    for words in ["yes", "yes please", "yeah", "yep", "sure", "ok", "okay", "do it", "go ahead", "allow it"]
)
NO = frozenset(
    normalise(words)
    for words in ["no", "no thanks", "no thank you", "nope", "don't", "do not", "never", "cancel", "stop"]
)


def tool_called(step: Step, event: ToolCalled) -> None:
    reply = step.state.reply
    if reply is None or reply.response_id != event.response_id or reply.limited:
        return
    if any(call.call_id == event.call_id for call in reply.calls) or len(reply.calls) >= MAX_CALLS:
        return
    call = Call(event.call_id, event.name, event.arguments)
    step.reply(calls=(*reply.calls, call), active_at_s=step.at_s)
    release(step)


def tool_finished(step: Step, event: ToolFinished) -> None:
    """The result is kept until the reply is over; that of a reply which is gone is not wanted any more."""
    _close_question(step, event.call_id)
    reply = step.state.reply
    if reply is None or not any(call.call_id == event.call_id and call.output is None for call in reply.calls):
        return
    step.reply(
        calls=tuple(
            replace(call, output=event.output, picture=event.picture) if call.call_id == event.call_id else call
            for call in reply.calls
        )
    )
    notice(step, event.shown)
    reply = step.state.reply
    if reply is not None and reply.over_at_ms is not None and not reply.waits_for_tools:
        finish(step, reply.over_at_ms)


# --- asking first -----------------------------------------------------------------------------------------------------


def permission_wanted(step: Step, event: PermissionWanted) -> None:
    reply = step.state.reply
    if reply is None or not any(call.call_id == event.call_id for call in reply.calls):
        step.do(AnswerPermission(event.call_id, False))
        return
    step.set(questions=(*step.state.questions, (event.call_id, event.question)))
    step.earcon("listening")
    notice(step, event.question)
    step.say(f"{event.question} Say yes or no, or press Ctrl+Shift+Y or Ctrl+Shift+N.", urgent=True)


def permission_given(step: Step, event: PermissionGiven) -> None:
    if not step.state.questions:
        step.say("There is no question.")
        return
    call_id, question = step.state.questions[0]
    step.do(AnswerPermission(call_id, event.yes))
    _close_question(step, call_id)
    step.say("Yes." if event.yes else "No.")
    if not event.yes:
        notice(step, f"{question} No.")


def is_answer(step: Step, words: str) -> bool:
    """Whether these words answer the question that waits; if so they do."""
    said = normalise(words)
    if not step.state.questions or said not in YES | NO:
        return False
    permission_given(step, PermissionGiven(step.at_s, said in YES))
    return True


def _close_question(step: Step, call_id: str) -> None:
    step.set(questions=tuple(question for question in step.state.questions if question[0] != call_id))
