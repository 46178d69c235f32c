"""The prompts that the app sends in the user's name, and what flash-mini says to them.

The texts are the app's own (`app.prompts`, `app.narration`), so training cannot drift from what is sent.
"""

from __future__ import annotations

import random

from app.narration import MOVING_PROMPT, RESTING_PROMPT
from app.prompts import DESCRIBE
from training.domain import words
from training.scenes import answers
from training.scenes.scene import DARK, Scene, Thing, place_name

# What a client may ask of a picture with text; the app itself reads text without the model.
READ = (
    "Read all the text in the picture aloud, in order and completely. Do not summarise and add nothing. "
    "Say when a part cannot be read, and say so when there is no text."
)
PROMPTS: dict[str, str] = {
    **{f"describe {detail}": text for detail, text in DESCRIBE.items()},
    "read": READ,
    "narration moving": MOVING_PROMPT,
    "narration resting": RESTING_PROMPT,
}
_SHARES = {"describe brief": 4, "describe normal": 2, "describe full": 3, "read": 4}
_MAX_IN_BRIEF = 3


def draw_name(rng: random.Random) -> str:
    """One of PROMPTS, the frequent ones more often."""
    return rng.choices(list(PROMPTS), [_SHARES.get(name, 2) for name in PROMPTS])[0]


def answer(name: str, scene: Scene) -> str:
    """What is said to this prompt about a scene."""
    if scene.light == DARK:
        return answers.TOO_DARK
    if scene.blurred:
        return answers.TOO_BLURRED
    if name == "read":
        return answers.answer("read", {}, scene) or ""
    things = sorted(scene.things, key=lambda thing: thing.x)
    if not things and not scene.word:
        return answers.NOTHING
    if name == "describe brief":
        return _with_places(things, scene.word)
    if name == "describe normal":
        return answers.answer("more_detail", {}, scene) or ""
    if name == "describe full":
        return f"{answers.answer('describe', {}, scene)} {answers.answer('more_detail', {}, scene)}"
    largest = sorted(things, key=lambda thing: -thing.size)
    if name == "narration moving":
        return f"I see {words.article(largest[0].name)}." if largest else answers.answer("describe", {}, scene) or ""
    shown = sorted(largest[:2], key=lambda thing: thing.x)
    return answers.answer("more_detail", {}, Scene(tuple(shown), word="" if shown else scene.word)) or ""


def _with_places(things: list[Thing], word: str) -> str:
    """One sentence: what there is, from left to right, and where."""
    largest = sorted(things, key=lambda thing: -thing.size)[:_MAX_IN_BRIEF]
    parts = [f"{words.article(thing.name)} {place_name(thing)}" for thing in things if thing in largest]
    if word:
        parts.append(f"the word {word.lower()}" if answers.is_known_word(word) else answers.STRANGE_WORD)
    return f"I see {words.listed(parts)}."
