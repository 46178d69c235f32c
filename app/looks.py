"""What a key or a phrase asks for without a new question to the model: reading, looking, checking."""

from __future__ import annotations

from app.checking import check_asked
from app.events import CheckAsked, ReadAsked, ReadingMoved, SightAsked
from app.phrases import LookEvent
from app.reading import moved, read_asked, sight_asked
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
