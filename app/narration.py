"""Live narration: the reply that nobody asked for. It comes when the scene has changed and nobody is busy.

It speaks on change, not on a timer; briefly while the picture moves, with more when it rests. Whoever speaks comes
first: a change that is seen meanwhile waits, and only the newest is kept.
"""

from __future__ import annotations

from app.effects import WatchScene
from app.events import NarrationSet, SceneChanged
from app.state import Ask, State, Step
from app.turns import add_ask, cut, engine_free, serve

MOVING_PROMPT = "The picture is moving. Say what is new in it, in at most eight words. No greeting, no question."
RESTING_PROMPT = (
    "Say what is new in the picture in one or two short sentences, the most important first, and where: left, right, "
    "ahead, near, far. No greeting, no question."
)
MOVING_LIMIT_S, RESTING_LIMIT_S = 5.0, 12.0
REST_S = 1.5
"""Nothing is said for so long after anybody has spoken: the user gets the word first."""


def narration_set(step: Step, event: NarrationSet) -> None:
    if event.on == step.state.narrating:
        return
    step.set(narrating=event.on, scene=None, quiet_since_s=step.at_s - REST_S)
    step.do(WatchScene(event.on))
    if event.on:
        step.say("Narration on.")
        return
    reply = step.state.reply
    if reply is not None and reply.ask.narration:
        cut(step, "stopped")
    step.say("Narration off.")


def scene_changed(step: Step, event: SceneChanged) -> None:
    """The newest change replaces one that waits."""
    if step.state.narrating:
        step.set(scene=event)


def _busy(state: State) -> bool:
    return not engine_free(state) or bool(state.asks) or state.utterance is not None or state.push_to_talk


def narrate(step: Step, before: State) -> None:
    """Asks for a narration when there is something new and everybody is silent. `before`: the state at the event."""
    state = step.state
    if not state.narrating:
        return
    if _busy(before) or _busy(state):
        step.set(quiet_since_s=step.at_s)
    if _busy(state):
        return
    if state.scene is None or not state.camera_on or step.at_s - state.quiet_since_s < REST_S:
        return
    moving = state.scene.moving
    ask = Ask(
        turn=step.next_turn(),
        at_s=step.at_s,
        text=MOVING_PROMPT if moving else RESTING_PROMPT,
        limit_s=min(state.config.reply_limit_s, MOVING_LIMIT_S if moving else RESTING_LIMIT_S),
        narration=True,
    )
    step.set(scene=None)
    if add_ask(step, ask):
        serve(step)
