"""What a key or a phrase asks for without a new question to the model, and the end of all modes of looking."""

from __future__ import annotations

from app.checking import check_asked
from app.events import (
    AimSet,
    CheckAsked,
    InstantTextSet,
    LightToneSet,
    NarrationSet,
    ReadAsked,
    ReadingMoved,
    SightAsked,
)
from app.narration import narration_set
from app.phrases import LookEvent
from app.reading import aim_set, instant_text_set, light_tone_set, moved, read_asked, sight_asked
from app.state import Step


def look(step: Step, event: LookEvent) -> None:
    match event:
        case ReadAsked():
            read_asked(step, event)
        case SightAsked():
            sight_asked(step, event)
        case ReadingMoved():
            moved(step, event)
        case CheckAsked():
            check_asked(step, event)


def stop_looking(step: Step) -> None:
    """There are no more pictures: no mode that needs them stays on, and each that was on is said to be off."""
    narration_set(step, NarrationSet(step.at_s, False))
    instant_text_set(step, InstantTextSet(step.at_s, False))
    aim_set(step, AimSet(step.at_s, False))
    light_tone_set(step, LightToneSet(step.at_s, False))
