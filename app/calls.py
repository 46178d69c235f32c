"""Tools that a reply calls: when they run, and what the engine is told then. Part of `app.conversation`.

A call runs when it is certain that the reply is wanted (a reply begun on a guess waits). The reply ends when it was
heard and its tools are done; their results then go to the engine as an `Ask` of their own, before whatever else waits,
and the engine answers with what it learnt. A reply that is cut takes its calls with it.
"""

from __future__ import annotations

from dataclasses import replace

from app.effects import AnswerPermission, RunTool
from app.state import Ask, Reply, Step

MAX_CALLS = 16
"""Of one reply; more are not carried out."""
MAX_ROUNDS = 8
"""Replies in a row that call tools; then the user is told instead."""
ROUND = "The engine called one tool after the other and was stopped."


def start_calls(step: Step) -> None:
    """Carries out what the present reply has called, once the reply is certain."""
    reply = step.state.reply
    if reply is None or reply.speculative or all(call.started for call in reply.calls):
        return
    for call in reply.calls:
        if not call.started:
            step.do(RunTool(call.call_id, call.name, call.arguments))
    step.reply(calls=tuple(replace(call, started=True) for call in reply.calls))


def results(step: Step, reply: Reply) -> Ask | None:
    """What the engine is to be told after this reply; None when there is nothing or it goes round in circles."""
    if not reply.calls or reply.failure or reply.limited or goes_round(reply):
        return None
    return Ask(
        turn=reply.ask.turn,
        at_s=step.at_s,
        limit_s=reply.ask.limit_s,
        picture=any(call.picture for call in reply.calls),
        outputs=tuple((call.call_id, call.output or "") for call in reply.calls),
        rounds=reply.ask.rounds + 1,
    )


def goes_round(reply: Reply) -> bool:
    """It has called tools too often in a row."""
    return bool(reply.calls) and reply.ask.rounds >= MAX_ROUNDS


def withdraw_questions(step: Step) -> None:
    """The reply that asked is gone."""
    for call_id, _ in step.state.questions:
        step.do(AnswerPermission(call_id, False))
    step.set(questions=())
