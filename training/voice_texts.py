"""Sentences that the voice is trained on: replies of flash-mini's domain and a wide spread of everyday English.

`domain_texts` are the replies that the Thinker gives; `general_texts` give every common word some neighbours, so that
the voice can say more than the domain does.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from training import config
from training.domain import talk, words

COLOURS = "red green blue yellow orange purple pink brown black white grey".split()
SHAPES = (
    "circle square triangle star heart cross arrow ring diamond rectangle house tree car cup book phone key bottle "
    "chair flower fish bird cat dog boat sun moon cloud hand table lamp door window ball box bag hat shoe apple banana "
    "clock bus bicycle plane leaf mug spoon fork knife plate bell umbrella person face ladder guitar rocket mushroom"
).split()
PLURALS = {"person": "people", "knife": "knives", "leaf": "leaves", "fish": "fish", "bus": "buses", "box": "boxes"}
NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand"
).split()
PLACES = [
    "on the left",
    "on the right",
    "at the top",
    "at the bottom",
    "in the middle",
    "at the top left",
    "at the top right",
    "at the bottom left",
    "at the bottom right",
    "in the centre",
    "in the corner",
    "near the edge",
    "to the left",
    "to the right",
    "straight ahead",
    "behind you",
    "in front of you",
]
SIGNS = (
    "exit open closed stop push pull danger hot cold sale "
    "free entrance toilet coffee tea milk bread water fire taxi hotel "
    "bank police school office press start help please wait private warning poison salt sugar juice soup rice ticket "
    "platform north south east west lift stairs pay cash welcome hello thanks up down on off left right yes no north "
    "men women staff only keep out slow fast new old big small bakery market pharmacy station museum library"
).split()
NOUNS = (
    "man woman child boy girl friend mother father brother sister baby doctor teacher driver guest family water coffee "
    "tea bread milk sugar salt food lunch dinner breakfast "
    "room kitchen bathroom bedroom garden street road bridge river "
    "mountain sea beach city town village country world house home school office shop market station airport train car "
    "bus picture image camera screen light colour shape word letter number page line text paper pen box bag coat shirt "
    "question answer problem reason story song music voice sound noise name place time day night morning evening week "
    "month year hour minute second money price job work game team book news weather rain snow wind sun sky star fire "
    "hand head eye ear mouth foot leg arm heart hair face "
    "body horse sheep cow cat dog bird fish tree flower grass leaf "
    "table chair bed door window wall floor roof stairs key phone computer machine button assistant message battery "
    "microphone speaker internet language english example idea thing object side corner edge centre part top bottom"
).split()
VERBS_PAST = (
    "saw found heard opened closed moved took gave asked answered helped watched carried lost bought sold made broke "
    "liked wanted needed used held dropped turned touched described noticed counted remembered forgot pushed pulled "
    "cleaned painted wrote read kept left brought sent showed followed chose changed started finished stopped"
).split()
ADJECTIVES = (
    "big small large little long short tall old young new good "
    "bad nice warm cold hot cool dark light bright heavy easy "
    "hard soft quick slow loud quiet clear blurry empty full "
    "open closed clean dirty dry wet safe strong weak round flat "
    "happy sad tired hungry busy ready sure sorry strange simple different similar important possible beautiful careful"
).split()
ADVERBS = (
    "now today tomorrow yesterday always never often sometimes "
    "again soon later already still here there slowly quickly "
    "quietly carefully clearly really maybe perhaps probably almost together alone outside inside away back"
).split()
PREPOSITIONS = "in on at near under over behind beside between above below with without from into across around".split()
NAMES = (
    "Sightline Anna Peter Maria John Lucy Tom Sarah David Emma London Paris America Europe Monday Friday June".split()
)
FIXED = [
    "Hello, I am Sightline.",
    "Hello! How can I help you?",
    "Hi there.",
    "Good morning.",
    "Good afternoon.",
    "Good evening.",
    "Good night.",
    "Goodbye.",
    "Bye, see you soon.",
    "You are welcome.",
    "Thank you.",
    "I am fine, thank you.",
    "Sorry, I did not understand that.",
    "I did not understand. Please say it again.",
    "I cannot know that.",
    "I do not know.",
    "I am not sure.",
    "I cannot see a picture.",
    "There is no picture.",
    "I see nothing.",
    "The picture is too dark.",
    "The picture is too blurred.",
    "The picture is too dark to see anything.",
    "It is too dark to see.",
    "It is light.",
    "It is dark.",
    "It got darker.",
    "It got lighter.",
    "The light was switched on.",
    "The light was switched off.",
    "Something appeared.",
    "Nothing changed.",
    "I am a small model that hears, sees and speaks.",
    "I am Sightline, your assistant.",
    "My name is Sightline.",
    "I can hear you, see pictures and talk.",
    "I can tell you what is in a picture, its colour, and where it is.",
    "I run on this computer, and nothing leaves it.",
    "I can only talk about simple pictures and about myself.",
    "I see no words.",
    "There is no text.",
    "Nothing to repeat.",
    "I have not said anything yet.",
    "Yes.",
    "No.",
    "Okay.",
    "Of course.",
    "None.",
    "Please ask me something else.",
    "I can count, name colours, and read printed words.",
    "Please hold the camera still.",
    "Please move closer.",
    "I heard you.",
    "I am listening.",
    "Tell me more.",
]


def _plural(noun: str) -> str:
    return PLURALS.get(noun, noun + "s")


def _article(word: str) -> str:
    return ("an " if word[0] in "aeiou" else "a ") + word


def _thing(rng: random.Random) -> str:
    size = rng.choice(["", "", "", "small ", "big ", "large "])
    return f"{size}{rng.choice(COLOURS)} {rng.choice(SHAPES)}"


def _clock(rng: random.Random) -> str:
    return f"at {rng.choice(NUMBERS[1:13])} o'clock"


def _place(rng: random.Random) -> str:
    return _clock(rng) if rng.random() < 0.2 else rng.choice(PLACES)


def _seen(rng: random.Random) -> str:
    one, two = _thing(rng), _thing(rng)
    return rng.choice(
        [
            f"I see {_article(one)}.",
            f"I see {_article(one)} {_place(rng)}.",
            f"I see {_article(one)} {_place(rng)} and {_article(two)} {_place(rng)}.",
            f"I see {_article(one)}, {_article(two)} and {_article(_thing(rng))}.",
            f"There is {_article(one)} {_place(rng)}.",
            f"The {one} is {_place(rng)}.",
            f"It is {_place(rng)}.",
            f"The {rng.choice(SHAPES)} is {rng.choice(COLOURS)}.",
            f"It is {rng.choice(COLOURS)}.",
            f"Yes, there is {_article(one)}.",
            f"No, there is no {rng.choice(SHAPES)}.",
            f"No, I do not see {_article(rng.choice(SHAPES))}.",
            f"Yes, {_place(rng)}.",
            f"It is {_article(one)}.",
            f"That is {_article(rng.choice(SHAPES))}.",
            f"A {rng.choice(SHAPES)} appeared {_place(rng)}.",
            f"The {rng.choice(SHAPES)} moved {rng.choice(['left', 'right', 'closer', 'away', 'up', 'down'])}.",
            f"The {one} moved to the {rng.choice(['left', 'right'])}.",
            f"The {one} came closer.",
            f"The {one} went away.",
        ]
    )


def _count(rng: random.Random) -> str:
    number = rng.choice(NUMBERS[2:13])
    thing = _plural(rng.choice(SHAPES))
    return rng.choice(
        [
            f"There are {number} {thing}.",
            f"I see {number} {thing}.",
            f"{number.capitalize()}.",
            f"There are {number} objects.",
            f"I count {number} {rng.choice(COLOURS)} {thing}.",
            f"There is one {rng.choice(SHAPES)}.",
            f"There are {number} {thing} {_place(rng)}.",
        ]
    )


def _sign(rng: random.Random) -> str:
    words = " ".join(rng.sample(SIGNS, rng.choice([1, 1, 2, 3])))
    return rng.choice(
        [
            f"It says {words}.",
            f"The word is {words}.",
            f"I read {words}.",
            f"The sign says {words}.",
            f"It reads {words}.",
        ]
    )


def _everyday(rng: random.Random) -> str:
    noun, other, third = rng.sample(NOUNS, 3)
    adjective, verb, adverb = rng.choice(ADJECTIVES), rng.choice(VERBS_PAST), rng.choice(ADVERBS)
    preposition, name = rng.choice(PREPOSITIONS), rng.choice(NAMES)
    return rng.choice(
        [
            f"The {adjective} {noun} {verb} the {other} {adverb}.",
            f"{name} {verb} {_article(noun)} {preposition} the {other}.",
            f"My {noun} is {adjective}, and your {other} is {rng.choice(ADJECTIVES)}.",
            f"Can you see the {noun} {preposition} the {other}?",
            f"We {verb} the {noun}, but the {other} was {adjective}.",
            f"This is {_article(adjective)} {noun} for the {other}.",
            f"I cannot tell you about the {noun} or the {other}.",
            f"What is the {noun} of the {other}?",
            f"They {verb} it {adverb} with {_article(adjective)} {third}.",
            f"Please ask me about the {adjective} {noun}.",
            f"{adverb.capitalize()}, {name} {verb} {rng.choice(NUMBERS[2:])} {_plural(noun)}.",
            f"You said {noun} {other} {adverb}.",
            f"I only know {adjective} {_plural(noun)} and {_plural(other)}.",
        ]
    )


def _salad(rng: random.Random) -> str:
    pool = rng.choice([NOUNS, SIGNS, ADJECTIVES, ADVERBS, SHAPES, VERBS_PAST, NUMBERS, COLOURS])
    words = [rng.choice(pool if rng.random() < 0.5 else NOUNS) for _ in range(rng.randint(2, 7))]
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "?", "!"])


_MAKERS: list[tuple[float, Callable[[random.Random], str]]] = [
    (0.36, _seen),
    (0.12, _count),
    (0.12, _sign),
    (0.25, _everyday),
    (0.15, _salad),
]


def general_texts(n: int, seed: int | None) -> list[str]:
    """`n` different sentences, the fixed ones first; the same for the same seed (None: the project's)."""
    rng = random.Random(config.SEED if seed is None else seed)
    found = dict.fromkeys(FIXED)
    weights = [weight for weight, _ in _MAKERS]
    while len(found) < n:
        maker = rng.choices(_MAKERS, weights)[0][1]
        sentence = maker(rng)
        found[sentence[0].upper() + sentence[1:]] = None
    return list(found)[:n]


def domain_texts(seed: int | None = None, draws: int = 3000) -> list[str]:
    """Replies of the domain, each once: every fixed one, then those that random slots give, talk and pictures mixed."""
    rng = random.Random((config.SEED if seed is None else seed) + 1)
    found = dict.fromkeys([*FIXED, talk.SURE_ANSWER, talk.OOD_ANSWER, talk.UNCLEAR_ANSWER, talk.NO_PICTURE_ANSWER])
    for intent in talk.FIXED:
        found[talk.answer(intent, {})] = None
    for _ in range(draws):
        intent = rng.choice(talk.WITH_SLOTS)
        found[talk.answer(intent, talk.ask(intent, rng)[1])] = None
        found[_picture_reply(rng)] = None
    return list(found)


def _picture_reply(rng: random.Random) -> str:
    """A reply about a picture in the domain's own words."""

    def thing(with_colour: bool = True) -> str:
        noun = rng.choice(words.OBJECTS)
        return f"{rng.choice(words.COLOURS)} {noun}" if with_colour else noun

    place = rng.choice(PLACES[:9])
    number = rng.choice(words.NUMBERS[2:7])
    printed = rng.choice(words.PRINTED_WORDS)
    a = words.article
    reply = rng.choice(
        [
            f"I see {a(thing())}.",
            f"I see {a(thing())} and {a(thing())}.",
            f"I see {a(thing())} {place} and {a(thing())} {rng.choice(PLACES[:9])}.",
            f"I see {a(thing())}, {a(thing())} and {a(thing())}.",
            f"I see {number} things: {a(thing())}, {a(thing())} and {a(thing())}.",
            f"There is {a(thing())} {place}.",
            f"The {thing(False)} is {rng.choice(words.COLOURS)}.",
            f"The {thing(False)} is {place}.",
            f"The {thing()} is {place}.",
            f"The {rng.choice(words.COLOURS)} one is {place}.",
            f"It is {a(thing())}.",
            f"It is {place}.",
            f"It is {rng.choice(words.COLOURS)}.",
            f"{number.capitalize()}.",
            f"There are {number} things.",
            f"There are {number} {rng.choice(words.COLOURS)} things.",
            f"There is one {thing(False)}.",
            f"There is one {rng.choice(words.COLOURS)} thing.",
            f"The {thing(False)} is at {rng.choice(words.NUMBERS[1:13])} o'clock.",
            f"Yes, there is {a(thing(False))}.",
            f"Yes, there is {a(thing())}.",
            f"No, there is no {thing()}.",
            f"No, I do not see {a(thing(False))}.",
            f"I do not see {a(thing(False))}.",
            f"It says {printed.lower()}.",
            f"It says {printed}.",
            f"The {thing(False)} is moving {rng.choice(['left', 'right', 'closer', 'away'])}.",
            f"The {thing()} moves {rng.choice(['to the left', 'to the right', 'closer', 'away'])}.",
            f"The biggest thing is the {thing()}.",
            f"{a(thing()).capitalize()} appeared.",
            f"The light went {rng.choice(['on', 'off'])}.",
        ]
    )
    return reply
