"""Questions about pictures and clips: intents and slots; the phrasings are in pictures.toml.

The answers need a scene: `training.scenes.answers`.
"""

import random

from training.domain import words
from training.domain.phrasings import load_phrasings
from training.domain.talk import Slots

_FILE = load_phrasings("pictures.toml")
PHRASINGS: dict[str, tuple[str, ...]] = _FILE["questions"]
INTENTS = tuple(PHRASINGS)
# Answers that put several things together are learnt last: training asks for them this much more often than the rest.
_TIMES_AS_OFTEN = {"count_colour": 4, "describe": 2, "more_detail": 2, "is_there": 2, "what_side": 2}
_SHARES = tuple(_TIMES_AS_OFTEN.get(intent, 1) for intent in INTENTS)
FOLLOW_UPS: dict[str, tuple[str, ...]] = _FILE["follow_ups"]  # about the thing that was spoken of last

SIDE_PHRASES = {
    "left": ("on the left", "on the left side", "to the left", "on my left"),
    "right": ("on the right", "on the right side", "to the right", "on my right"),
    "top": ("at the top", "on top", "above", "in the upper part"),
    "bottom": ("at the bottom", "below", "in the lower part", "down there"),
    "middle": ("in the middle", "in the centre", "straight ahead", "at the centre"),
}


def draw_intent(rng: random.Random) -> str:
    """An intent for training, the hard ones more often."""
    return rng.choices(INTENTS, _SHARES)[0]


def slot_names(intent: str) -> set[str]:
    """The slots that an intent's phrasings use, of object, colour and side."""
    used = "\n".join(PHRASINGS[intent])
    return {name for name in ("object", "colour", "side") if "{" + name + "}" in used}


def ask(intent: str, rng: random.Random, slots: Slots | None = None) -> tuple[str, Slots]:
    """A question of this intent: its words and its slots (drawn when not given)."""
    names = slot_names(intent)
    if slots is None:
        slots = {}
        if "object" in names:
            slots["object"] = rng.choice(words.OBJECTS)
        if "colour" in names:
            slots["colour"] = rng.choice(words.COLOURS)
        if "side" in names:
            slots["side"] = rng.choice(words.SIDES)
    text = rng.choice(PHRASINGS[intent])
    return fill(text, slots, rng), slots


def follow_up(intent: str, rng: random.Random) -> str:
    """A question about the thing that was spoken of last."""
    return rng.choice(FOLLOW_UPS[intent])


def fill(text: str, slots: Slots, rng: random.Random) -> str:
    """Puts slots into a phrasing, with the article that the next word wants."""
    values = dict(slots)
    if "object" in slots:
        values["objects"] = words.plural(slots["object"])
    if "side" in slots and "{side}" in text:
        values["side"] = rng.choice(SIDE_PHRASES[slots["side"]])
    return text.format(**values).replace("a orange", "an orange").replace("any stars", "any stars")
