"""What the user says or types that stands for a key: looking that needs no model. Only these words by themselves."""

from __future__ import annotations

import re

from app.events import AimSet, CheckAsked, LightToneSet, ReadAsked, ReadingMoved, ReadingStep, SightAsked, SightKind

LookEvent = ReadAsked | SightAsked | ReadingMoved | CheckAsked | AimSet | LightToneSet

_READ = (
    "read the text",
    "read the text aloud",
    "read this",
    "read this to me",
    "read it to me",
    "read this aloud",
    "read it aloud",
    "what does it say",
    "what does this say",
)
_SIGHTS: dict[str, SightKind] = {
    "scan the code": "codes",
    "scan this code": "codes",
    "scan the bar code": "codes",
    "scan the barcode": "codes",
    "read the code": "codes",
    "is there a code": "codes",
    "what colour is this": "colour",
    "what color is this": "colour",
    "what colour is in the middle": "colour",
    "what color is in the middle": "colour",
    "how bright is it": "light",
    "is the light on": "light",
    "where does the light come from": "light",
}
_AIM = {
    "help me aim": True,
    "help me aim the camera": True,
    "guide the camera": True,
    "stop aiming": False,
    "stop helping me aim": False,
}
_LIGHT_TONE = {"light tone": True, "play the light tone": True, "stop the light tone": False, "stop the tone": False}
_STEPS: dict[str, ReadingStep] = {
    "pause reading": "pause",
    "go on reading": "pause",
    "continue reading": "pause",
    "next sentence": "next",
    "sentence back": "back",
    "go back a sentence": "back",
    "read that again": "again",
    "spell it": "spell",
    "spell that": "spell",
}


def phrase(text: str, at_s: float) -> LookEvent | None:
    """The event that a text stands for; None for everything else, which goes to the model."""
    words = re.sub(r"[^\w\s]", "", text.lower()).split()
    plain = " ".join(word for word in words if word != "please")
    if plain in _READ:
        return ReadAsked(at_s, shown=False)
    if plain in _SIGHTS:
        return SightAsked(at_s, _SIGHTS[plain], shown=False)
    if plain in ("check again", "check that again", "are you sure", "look again"):
        return CheckAsked(at_s)
    if plain in _AIM:
        return AimSet(at_s, _AIM[plain])
    if plain in _LIGHT_TONE:
        return LightToneSet(at_s, _LIGHT_TONE[plain])
    if plain in _STEPS:
        return ReadingMoved(at_s, _STEPS[plain])
    return None
