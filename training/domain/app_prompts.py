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
_SAME_PLACE = 0.08  # of the width: nobody could say which of two things is further left


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


def is_right(name: str, scene: Scene, said: str) -> bool:
    """Whether a reply to this prompt is true and as complete as `answer`, whichever of the things it chose to name.

    Of several things of nearly one size `answer` has to take some; a reply that names others of them, each once and in
    its place, is no worse.
    """
    right = answer(name, scene)
    if said == right:
        return True
    if name == "read" or not scene.seen or scene.word or len(scene.things) < 2:
        return False  # there is no choice
    if name == "narration moving":
        return any(said == f"I see {words.article(thing.name)}." for thing in scene.things)
    if name == "describe brief":
        return said.startswith("I see ") and _are_there(_listed(said), scene, len(_listed(right)))
    if name == "describe full":
        listed, _, said = said.partition(". ")
        right = right.partition(". ")[2]
        if not listed.startswith("I see ") or not _are_all(_listed(listed), scene):
            return False
    sentences = said.removesuffix(".").split(". ")
    if not all(part.startswith("The ") and " is " in part for part in sentences):
        return False
    return _are_there([part[4:].replace(" is ", " ", 1) for part in sentences], scene, right.count("."))


def _listed(said: str) -> list[str]:
    """The parts of "I see a red cup, a blue car and a green tree", without their articles."""
    parts = said.removeprefix("I see ").removesuffix(".").replace(" and ", ", ").split(", ")
    return [part.partition(" ")[2] for part in parts]


def _are_all(names: list[str], scene: Scene) -> bool:
    """Whether these are all the things, from left to right as far as that can be told."""
    left, reached = sorted(scene.things, key=lambda thing: thing.x), 0.0
    for name in names:
        found = next((thing for thing in left if thing.name == name), None)
        if found is None or found.x < reached - _SAME_PLACE:
            return False
        left.remove(found)
        reached = max(reached, found.x)
    return not left


def _are_there(parts: list[str], scene: Scene, count: int) -> bool:
    """Whether "red cup on the left" and so on are `count` different things, each in its place."""
    left = [f"{thing.name} {place_name(thing)}" for thing in scene.things]
    for part in parts:
        if part not in left:
            return False
        left.remove(part)
    return len(parts) == count
