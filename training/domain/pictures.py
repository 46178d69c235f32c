"""Questions about pictures and clips: intents and phrasings. The answers need a scene: `training.scenes.answers`."""

import random

from training.domain import words
from training.domain.talk import Slots

PHRASINGS: dict[str, str] = {
    "describe": "what do you see|what is this|what can you see|describe the picture|describe this|"
    "what is in the picture|"
    "what is in front of me|what is there|tell me what you see|what is it|what's this|what's that|what is that|"
    "what am I holding|can you describe the picture|what is around me|describe what you see|look at this|"
    "what are you looking at|what does the camera see|what is on the table|what am I looking at|what do I have here|"
    "do you see anything|can you see something|what's in front of you|take a look|what is here|describe the scene|"
    "what does it look like",
    "more_detail": "more detail|more details please|tell me more|describe it in more detail|give me more detail|"
    "can you say more|say more about it|what else do you see|what else|describe everything|tell me everything|"
    "I want more detail|describe it exactly|more please|and what else|can you describe it in detail|go on|"
    "tell me more about the picture|where is everything|details please",
    "colour_of": "what colour is the {object}|which colour is the {object}|what is the colour of the {object}|"
    "what colour does the {object} have|which colour does the {object} have|tell me the colour of the {object}|"
    "the colour of the {object}|what colour has the {object}|and what colour is the {object}|"
    "say the colour of the {object}|what colour is this {object}|can you see the colour of the {object}|"
    "the {object} has what colour|do you know what colour the {object} is",
    "count_all": "how many things are there|how many things do you see|how many objects are there|how many are there|"
    "how many objects do you see|how many things can you see|count the things|count the objects|how many|"
    "how many things are in the picture|how many objects can you see|tell me how many things there are|"
    "how many things are in front of me|what is the number of things|count everything|how many do you see|"
    "how many objects are in the picture|count them",
    "count_colour": "how many {colour} things are there|how many {colour} things do you see|"
    "how many things are {colour}|count the {colour} things|how many {colour} objects are there|"
    "how many of them are {colour}|how many {colour} ones are there|how many {colour} things can you see|"
    "how many objects are {colour}|how many {colour} ones do you see|tell me how many are {colour}",
    "where": "where is the {object}|where do you see the {object}|where can I find the {object}|"
    "can you find the {object}|on which side is the {object}|find the {object}|locate the {object}|"
    "tell me where the {object} is|in which direction is the {object}|which side is the {object} on|"
    "is the {object} on the left or on the right|where's the {object}|where is my {object}|"
    "show me where the {object} is|I can't find the {object}|I need the {object}, where is it|"
    "and where is the {object}|"
    "where did I put the {object}|do you know where the {object} is|where exactly is the {object}",
    "where_colour": "where is the {colour} one|where is the {colour} thing|and where is the {colour} one|"
    "where do you see the {colour} one|find the {colour} one|on which side is the {colour} one|"
    "find the {colour} thing|where's the {colour} one|tell me where the {colour} one is|"
    "where is the {colour} object|and the {colour} one, where is it",
    "clock": "at what o'clock is the {object}|where is the {object} on the clock|at which hour is the {object}|"
    "what o'clock is the {object}|where is the {object} on a clock face|which hour is the {object} at|"
    "give me the clock position of the {object}|where on the clock face is the {object}|"
    "tell me the hour of the {object}|clock direction of the {object}|at what hour do you see the {object}|"
    "where is the {object} as on a clock|what is the clock position of the {object}",
    "is_there": "is there a {object}|do you see a {object}|can you see a {object}|is there a {object} in the picture|"
    "is a {object} there|is there any {object}|do you see any {object}|is a {object} in the picture|"
    "can you find a {object}|are there any {objects}|do you see {objects}|is there a {object} here|"
    "is there a {object} in front of me|tell me if there is a {object}|have you seen a {object}|"
    "is this a {object}|can you spot a {object}|does the picture show a {object}",
    "is_there_colour": "is there a {colour} {object}|do you see a {colour} {object}|can you see a {colour} {object}|"
    "is there a {colour} {object} in the picture|is a {colour} {object} there|is there any {colour} {object}|"
    "can you find a {colour} {object}|is there a {colour} {object} here|tell me if there is a {colour} {object}|"
    "is this a {colour} {object}|is the {object} {colour}",
    "read": "what does it say|read the word|read it|read this|what is written here|what is the word|"
    "can you read this|read it to me|what does the sign say|read the sign|read the text|what is on the sign|"
    "which word do you see|what word is this|read me the word|what do the letters say|what stands there|"
    "can you read the word|is there a word|tell me what it says|what does this say|read it out|"
    "do you see any text|what is the text|read what you see|what does the label say|please read the label",
    "light": "is it light or dark|is it dark|is it light|is it dark here|is it bright|is the light on|"
    "is there light|is it bright or dark|are the lights on|is the lamp on|is the room dark|is the light off|"
    "how is the light|do I have the light on|is it too dark|is it bright enough|is it light in here|"
    "did I leave the light on|tell me if it is dark|is the room bright",
    "what_side": "what is {side}|what do you see {side}|which thing is {side}|what's {side}|is there something {side}|"
    "tell me what is {side}|what is there {side}|which object is {side}|what thing do you see {side}|"
    "is anything {side}|what can you see {side}|describe what is {side}|what do I have {side}|and {side}",
    "what_colour": "what is the {colour} thing|which thing is {colour}|what is {colour}|what is the {colour} one|"
    "which object is {colour}|what is the {colour} object|which one is {colour}|what's the {colour} thing|"
    "what shape is the {colour} one|and what is the {colour} one|tell me what the {colour} thing is|"
    "what shape is the {colour} thing|what kind of thing is the {colour} one",
    "biggest": "what is the biggest thing|which one is the biggest|which thing is the biggest|"
    "what is the largest thing|"
    "what is the biggest|which object is biggest|which is the largest one|which thing is the largest|"
    "what is the largest object|tell me the biggest thing|which one is biggest|the biggest one, what is it|"
    "which object is the largest",
    "quality": "is the picture clear|is the picture good|is the picture sharp|is the picture blurred|is it blurry|"
    "can you see clearly|is the camera okay|is the image clear|how good is the picture|can you see the picture|"
    "is the camera covered|do I hold the camera right|how is the picture|is the picture okay|is the camera clean|"
    "is it in focus",
    "change": "what is happening|what happened|what changed|what has changed|which way is it moving|"
    "in which direction does it move|where is it going|where does it go|is it moving|what is moving|does it move|"
    "what happens|what is going on|is something moving|is something happening|which way does it go|"
    "is it coming closer|did something change|what do you notice|describe the movement|is anything changing|"
    "is it going left or right|what just happened|how does it move",
}
INTENTS = tuple(PHRASINGS)

# Questions about the thing that was spoken of last.
FOLLOW_UPS: dict[str, str] = {
    "where_it": "where is it|and where is it|and where|where exactly|where do you see it|on which side is it|"
    "tell me where it is|which side|can you say where it is|where",
    "colour_it": "what colour is it|and what colour is it|and the colour|which colour does it have|what colour|"
    "tell me its colour|which colour|and its colour|can you tell me its colour",
}

SIDE_PHRASES = {
    "left": ("on the left", "on the left side", "to the left", "on my left"),
    "right": ("on the right", "on the right side", "to the right", "on my right"),
    "top": ("at the top", "on top", "above", "in the upper part"),
    "bottom": ("at the bottom", "below", "in the lower part", "down there"),
    "middle": ("in the middle", "in the centre", "straight ahead", "at the centre"),
}


def slot_names(intent: str) -> set[str]:
    """The slots that an intent's phrasings use, of object, colour and side."""
    text = PHRASINGS[intent]
    return {name for name in ("object", "colour", "side") if "{" + name + "}" in text}


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
    text = rng.choice(PHRASINGS[intent].split("|"))
    return fill(text, slots, rng), slots


def follow_up(intent: str, rng: random.Random) -> str:
    """A question about the thing that was spoken of last."""
    return rng.choice(FOLLOW_UPS[intent].split("|"))


def fill(text: str, slots: Slots, rng: random.Random) -> str:
    """Puts slots into a phrasing, with the article that the next word wants."""
    values = dict(slots)
    if "object" in slots:
        values["objects"] = words.plural(slots["object"])
    if "side" in slots and "{side}" in text:
        values["side"] = rng.choice(SIDE_PHRASES[slots["side"]])
    return text.format(**values).replace("a orange", "an orange").replace("any stars", "any stars")
