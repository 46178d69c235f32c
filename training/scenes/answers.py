"""The right answer to a question about a scene or a clip, and scenes that fit a question."""

from __future__ import annotations

import random
from dataclasses import replace

from training.domain import pictures, words
from training.domain.talk import SURE_ANSWER, Slots
from training.scenes.scene import (
    DARK,
    Clip,
    Scene,
    Thing,
    clock_hour,
    draw_pair,
    make_clip,
    make_scene,
    place_name,
    third,
)

TOO_DARK = "It is too dark to see."
TOO_BLURRED = "The picture is too blurred to see."
NOTHING = "I see nothing there."
STRANGE_WORD = "a word that I cannot read"
_MAX_IN_DETAIL = 3
MOVE_ANSWERS = {
    "left": "The {name} moves to the left.",
    "right": "The {name} moves to the right.",
    "closer": "The {name} comes closer.",
    "away": "The {name} moves away.",
    "light on": "The light goes on.",
    "light off": "The light goes off.",
    "appears": "A {name} appears.",
    "nothing": "Nothing changes.",
}
# Share of training scenes that are too dark or too blurred for the question.
_UNSEEN_SHARE = 0.08


def answer(intent: str, slots: Slots, shown: Scene | Clip) -> str | None:
    """The right answer; None when the scene leaves it open (two things of the asked kind, say)."""
    if isinstance(shown, Clip):
        if intent == "change":
            return MOVE_ANSWERS[shown.move].format(name=shown.thing.name if shown.thing else "").replace("A o", "An o")
        return answer(intent, slots, shown.scenes[-1])
    scene = shown
    if intent == "sure":
        return SURE_ANSWER
    if intent == "light":
        return None if scene.blurred else "It is dark." if scene.light == DARK else "It is light."
    if intent == "quality":
        return (
            "The picture is too dark." if scene.light == DARK
            else "The picture is blurred." if scene.blurred
            else "The picture is clear."
        )  # fmt: skip
    if scene.light == DARK:
        return TOO_DARK
    if scene.blurred:
        return TOO_BLURRED
    return _answer_of_seen(intent, slots, scene)


def _answer_of_seen(intent: str, slots: Slots, scene: Scene) -> str | None:
    things = sorted(scene.things, key=lambda thing: thing.x)
    if intent == "describe":
        return _describe(things, scene.word)
    if intent == "more_detail":
        return _detail(things, scene.word)
    if intent == "change":
        return MOVE_ANSWERS["nothing"]
    if intent == "read":
        if not scene.word:
            return "I see no word."
        return f"It says {scene.word.lower()}." if is_known_word(scene.word) else f"I see {STRANGE_WORD}."
    if intent == "count_all":
        return f"I see {_counted(len(things), 'thing')}." if things else NOTHING
    if intent == "count_colour":
        colour = slots["colour"]
        return f"I see {_counted(sum(thing.colour == colour for thing in things), colour + ' thing')}."
    if intent in ("colour_of", "where", "clock", "is_there"):
        return _about_kind(intent, slots["object"], things, scene)
    if intent in ("where_colour", "what_colour"):
        return _about_colour(intent, slots["colour"], things)
    if intent == "is_there_colour":
        name = f"{slots['colour']} {slots['object']}"
        found = any(thing.name == name for thing in things)
        return f"Yes, I see {words.article(name)}." if found else f"No, I see no {name}."
    if intent == "what_side":
        return _on_side(slots["side"], things)
    if intent == "biggest":
        by_size = sorted(things, key=lambda thing: -thing.size)
        if not by_size:
            return NOTHING
        if len(by_size) > 1 and by_size[0].size < 1.22 * by_size[1].size:
            return None
        return f"The biggest thing is the {by_size[0].name}."
    raise ValueError(f"intent {intent!r} is not about pictures; known: {', '.join(pictures.INTENTS)}")


def _counted(count: int, noun: str) -> str:
    return f"no {noun}" if count == 0 else f"one {noun}" if count == 1 else f"{words.number(count)} {noun}s"


def _describe(things: list[Thing], word: str) -> str:
    parts = [words.article(thing.name) for thing in things]
    if word:
        parts.append(f"the word {word.lower()}" if is_known_word(word) else STRANGE_WORD)
    return f"I see {words.listed(parts)}." if parts else NOTHING


def is_known_word(word: str) -> bool:
    """Whether flash-mini can read it."""
    return word.upper() in words.PRINTED_WORDS


def _detail(things: list[Thing], word: str) -> str:
    largest = sorted(things, key=lambda thing: -thing.size)[:_MAX_IN_DETAIL]
    parts = [f"The {thing.name} is {place_name(thing)}." for thing in things if thing in largest]
    if word:
        parts.append(f"The word is {word.lower()}." if is_known_word(word) else f"I see {STRANGE_WORD}.")
    return " ".join(parts) or "There is nothing more to see."


def _about_kind(intent: str, kind: str, things: list[Thing], scene: Scene) -> str | None:
    found = [thing for thing in things if thing.kind == kind]
    if intent == "is_there":
        if len(found) == 1:
            return f"Yes, I see {words.article(found[0].name)}."
        return f"Yes, I see {words.number(len(found))} {words.plural(kind)}." if found else f"No, I see no {kind}."
    if not found:
        return f"I see no {kind}."
    if len(found) > 1:
        return None
    if intent == "colour_of":
        return f"The {kind} is {found[0].colour}."
    if intent == "where":
        return f"The {kind} is {place_name(found[0])}."
    hour = clock_hour(found[0], scene.aspect)
    if hour is None:
        return None
    return f"The {kind} is at {words.number(hour)} o'clock." if hour else f"The {kind} is in the middle."


def _about_colour(intent: str, colour: str, things: list[Thing]) -> str | None:
    found = [thing for thing in things if thing.colour == colour]
    if not found:
        return f"I see no {colour} thing."
    if len(found) > 1:
        return None
    if intent == "where_colour":
        return f"The {found[0].name} is {place_name(found[0])}."
    return f"The {colour} thing is {words.article(found[0].kind)}."


def _on_side(side: str, things: list[Thing]) -> str:
    def there(thing: Thing) -> bool:
        column, row = third(thing.x), third(thing.y)
        return {
            "left": column == 0, "right": column == 2, "top": row == 0, "bottom": row == 2,
            "middle": column == 1 and row == 1,
        }[side]  # fmt: skip

    phrase = pictures.SIDE_PHRASES[side][0]
    found = [words.article(thing.name) for thing in things if there(thing)]
    if not found:
        return f"I see nothing {phrase}."
    return f"{words.capital(phrase)} I see {words.listed(found)}."


def _wanted(intent: str, slots: Slots, rng: random.Random) -> list[tuple[str, str]]:
    """Kinds and colours that make the question worth asking; a part of the scenes lacks what is asked for."""
    present = rng.random() < (0.5 if intent.startswith("is_there") else 0.9)
    kind, colour = draw_pair(rng)
    kind, colour = slots.get("object", kind), slots.get("colour", colour)
    wanted = [(kind, colour)] if present and (slots.get("object") or slots.get("colour")) else []
    if intent == "count_colour":
        wanted = [(rng.choice(words.OBJECTS), colour) for _ in range(rng.choice((0, 1, 1, 2, 2, 3)))]
    elif intent == "is_there_colour" and not present and rng.random() < 0.6:
        # The hard noes: the right kind in another colour, or the right colour on another kind.
        wanted = [(kind, draw_pair(rng)[1])] if rng.random() < 0.5 else [(draw_pair(rng)[0], colour)]
    n_more = rng.choice((0, 1, 1, 2, 2, 3, 4)) if intent in ("count_all", "describe") else rng.choice((0, 1, 1, 2, 3))
    if intent in ("describe", "count_all", "more_detail", "what_side", "biggest"):
        n_more += rng.random() < 0.8
    wanted += [draw_pair(rng) for _ in range(min(n_more, 5 - len(wanted)))]
    rng.shuffle(wanted)
    return wanted


def show_for(intent: str, slots: Slots, rng: random.Random) -> tuple[Scene | Clip, str]:
    """A scene or clip that fits a question, and the answer."""
    while True:
        shown: Scene | Clip
        if intent == "change":
            shown = make_clip(rng)
        else:
            word = rng.choice(words.PRINTED_WORDS) if rng.random() < (0.9 if intent == "read" else 0.06) else ""
            wanted = _wanted(intent, slots, rng)
            scene = make_scene(wanted[: rng.choice((0, 0, 1))] if word else wanted, rng, word)
            draw = rng.random()
            unseen = 0.55 if intent in ("light", "quality") else _UNSEEN_SHARE
            if draw < unseen:
                dark = rng.random() < (0.9 if intent == "light" else 0.5)
                scene = replace(scene, light=DARK) if dark else replace(scene, blurred=True)
            shown = scene
        right = answer(intent, slots, shown)
        if right is not None:
            return shown, right


def more_questions(
    scene: Scene, rng: random.Random, count: int, never: tuple[str, ...] = ()
) -> list[tuple[str, Slots, str, str]]:
    """Other questions that this scene answers: (intent, slots, question, answer)."""
    found: list[tuple[str, Slots, str, str]] = []
    kinds, colours = [thing.kind for thing in scene.things], [thing.colour for thing in scene.things]
    for _ in range(20 * count):
        if len(found) == count:
            break
        intent = pictures.draw_intent(rng)
        slots = pictures.ask(intent, rng)[1]
        if "object" in slots and kinds and rng.random() < (0.5 if intent == "is_there" else 0.75):
            slots["object"] = rng.choice(kinds)
        if "colour" in slots and colours and rng.random() < 0.75:
            slots["colour"] = rng.choice(colours)
        right = answer(intent, slots, scene)
        if right is None or intent in never or any(right == other[3] for other in found):
            continue
        found.append((intent, slots, pictures.ask(intent, rng, slots)[0], right))
    return found


def spoken_of(intent: str, slots: Slots, scene: Scene) -> Thing | None:
    """The one thing that an answer was about, for questions that say "it"."""
    if not scene.seen:
        return None
    found = [
        thing
        for thing in scene.things
        if slots.get("object", thing.kind) == thing.kind and slots.get("colour", thing.colour) == thing.colour
    ]
    if intent in ("colour_of", "where", "clock", "is_there", "is_there_colour", "where_colour", "what_colour"):
        return found[0] if len(found) == 1 else None
    if intent == "biggest" and answer(intent, slots, scene) is not None and scene.things:
        return max(scene.things, key=lambda thing: thing.size)
    return scene.things[0] if intent == "describe" and len(scene.things) == 1 and not scene.word else None


def follow_up_answer(intent: str, thing: Thing) -> str:
    """The answer to one of `pictures.FOLLOW_UPS` about this thing."""
    return f"The {thing.kind} is {place_name(thing) if intent == 'where_it' else thing.colour}."


def picture_replies(rng: random.Random, count: int) -> list[str]:
    """Replies to questions about pictures, without repetition, for the voice's training."""
    found = dict.fromkeys([TOO_DARK, TOO_BLURRED, NOTHING])
    for _ in range(20 * count):
        if len(found) >= count:
            break
        intent = rng.choice(pictures.INTENTS)
        slots = pictures.ask(intent, rng)[1]
        found[show_for(intent, slots, rng)[1]] = None
    return list(found)[:count]
