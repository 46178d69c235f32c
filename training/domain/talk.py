"""Talk without a picture: intents, phrasings and answers.

The phrasings are in talk.toml. The evaluation's new wordings (`training/eval/new_wordings.json`) were written before
them, and a test holds that none of them occurs there.
"""

import random
from collections.abc import Callable

from training.domain import refusals, words
from training.domain.phrasings import fill_slots, load_phrasings

Slots = dict[str, str]

_FILE = load_phrasings("talk.toml")
FIXED: dict[str, str] = {intent: entry["answer"] for intent, entry in _FILE["fixed"].items()}  # the answer to each
WITH_SLOTS: tuple[str, ...] = tuple(_FILE["with_slots"])
REPEAT: tuple[str, ...] = _FILE["other"]["repeat"]
SURE: tuple[str, ...] = _FILE["other"]["sure"]
# What a small closed model cannot know (other words than the evaluation's list).
_OUT_OF_DOMAIN: tuple[str, ...] = _FILE["other"]["out_of_domain"]
SURE_ANSWER = "I think so, but I can be wrong."

DAYPARTS = ("morning", "afternoon", "evening")
_NO_ARTICLE = {
    "grass": "",
    "sky": "the ",
    "snow": "",
    "blood": "",
    "coal": "",
    "milk": "",
    "night": "the ",
    "sun": "the ",
}

_OOD_SLOTS = {
    "role": "king queen leader mayor minister chief".split(),
    "place": "Spain,China,Rome,Canada,Egypt,Vienna,Paris,Sweden,Mexico,Moscow,Texas,Australia,the castle,the city,"
    "the school,the harbour,the old town,the market,the nearest shop".split(","),
    "fact": "size,age,history,height,weight,price,origin,flag,temperature".split(","),
    "weather": "rain,snow,storm,freeze,be sunny,be warm".split(","),
    "event": "cup final,race,election,tennis match,contest,marathon,concert,league".split(","),
    "topic": "electricity,gravity,history,biology,the ocean,money,the law,democracy,chemistry,the brain,glass,steel,"
    "the wheel,energy,the stars,volcanoes,dinosaurs,football,physics,mathematics,religion,art,the pyramids,taxes,"
    "the radio,engines,the middle ages,climate change,inflation,cancer".split(","),
    "writing": "letter,story,message,report,speech,mail,text,book,postcard".split(","),
    "person": "father,brother,friend,neighbour,teacher,wife,husband,daughter,son,uncle".split(","),
    "media": "the radio,a song,rock music,a film,my playlist,classical music,a podcast".split(","),
    "goods": "bread,potatoes,a bicycle,a new phone,shoes,chicken soup,tickets,pasta,a cake,flowers,coffee,a towel,"
    "fresh fish,a hotel room,a winter coat,medicine,cheese,a chair lift".split(","),
    "device": "heating,radio,oven,television,light in the hall,dishwasher,computer,printer,alarm".split(","),
    "n": "five,twelve,thirty,sixty,ninety,fifteen,a hundred,forty two,seventeen".split(","),
    "unit": "miles,metres,grams,ounces,inches,minutes,litres,pound,week,year,kilometre".split(","),
    "trip": "train,bus,flight,taxi,ship,hotel,tour".split(","),
    "act": "marry,sell my car,change my job,learn the piano,lose weight,pay my bills,fix the roof,move to the country,"
    "vote,paint the door,clean the carpet,open a bank account,write a letter,play chess".split(","),
    "famous": "Einstein,Shakespeare,Cleopatra,Beethoven,Columbus,Newton,the pope,the queen,Picasso".split(","),
}  # fmt: skip
_MADE_REFUSALS = 0.6
REFUSALS = ("safety", "medicine", "law", "money")  # intents whose answer sends to somebody who can judge
OOD_ANSWER = "I do not know that."
UNCLEAR_ANSWER = "I did not understand that."
NOTHING_SAID_ANSWER = "I did not say anything yet."
NO_PICTURE_ANSWER = "I do not see a picture."


def _draw_slots(intent: str, rng: random.Random) -> Slots:
    if intent == "daypart":
        return {"part": rng.choice(DAYPARTS)}
    if intent == "my_name":
        return {"name": rng.choice(words.NAMES)}
    if intent == "add":
        return {"a": words.number(rng.randint(0, 10)), "b": words.number(rng.randint(0, 10))}
    if intent == "subtract":
        a = rng.randint(1, 10)
        return {"a": words.number(a), "b": words.number(rng.randint(0, a))}
    if intent == "bigger":
        a, b = rng.sample(range(11), 2)
        return {"a": words.number(a), "b": words.number(b)}
    if intent in ("after_number", "before_number"):
        return {"n": words.number(rng.randint(1, 12))}
    if intent == "count_to":
        return {"n": words.number(rng.randint(3, 10))}
    if intent == "next_day":
        return {"day": rng.choice(words.DAYS)}
    if intent == "opposite":
        return {"word": rng.choice(list(words.OPPOSITES))}
    if intent == "thing_colour":
        return {"thing": rng.choice(list(words.THING_COLOURS))}
    if intent == "animal_sound":
        return {"animal": rng.choice(list(words.ANIMAL_SOUNDS))}
    if intent == "legs":
        return {"animal": rng.choice(list(words.LEGS))}
    if intent == "say_word":
        return {"word": rng.choice(words.SAY_WORDS)}
    raise ValueError(f"intent {intent!r} has no slots; known: {', '.join(WITH_SLOTS)}")


def _value(slot: str) -> int:
    return words.NUMBERS.index(slot)


_ANSWERS: dict[str, Callable[[Slots], str]] = {
    "daypart": lambda s: f"Good {s['part']}. How can I help?",
    "my_name": lambda s: f"Nice to meet you, {s['name']}.",
    "add": lambda s: f"{s['a']} plus {s['b']} is {words.number(_value(s['a']) + _value(s['b']))}.",
    "subtract": lambda s: f"{s['a']} minus {s['b']} is {words.number(_value(s['a']) - _value(s['b']))}.",
    "after_number": lambda s: f"After {s['n']} comes {words.number(_value(s['n']) + 1)}.",
    "before_number": lambda s: f"Before {s['n']} comes {words.number(_value(s['n']) - 1)}.",
    "count_to": lambda s: ", ".join(words.NUMBERS[1 : _value(s["n"]) + 1]) + ".",
    "next_day": lambda s: f"After {s['day']} comes {words.DAYS[(words.DAYS.index(s['day']) + 1) % 7]}.",
    "opposite": lambda s: f"The opposite of {s['word']} is {words.OPPOSITES[s['word']]}.",
    "thing_colour": lambda s: f"{thing_phrase(s['thing'])} is {words.THING_COLOURS[s['thing']]}.",
    "animal_sound": lambda s: f"A {s['animal']} says {words.ANIMAL_SOUNDS[s['animal']]}.".replace("A owl", "An owl"),
    "legs": lambda s: f"{words.article(s['animal'])} has {words.LEGS[s['animal']]} legs.",
    "say_word": lambda s: f"{s['word']}.",
    "bigger": lambda s: "{} is bigger than {}.".format(*sorted((s["a"], s["b"]), key=_value, reverse=True)),
}

INTENTS = (*FIXED, *WITH_SLOTS)


def thing_phrase(thing: str) -> str:
    return _NO_ARTICLE.get(thing, words.article(thing)[: -len(thing)]) + thing


def answer(intent: str, slots: Slots) -> str:
    """The one right answer of a talk intent."""
    if intent in FIXED:
        return FIXED[intent]
    return words.capital(_ANSWERS[intent](slots))


def phrasings(intent: str) -> tuple[str, ...]:
    found: tuple[str, ...] = _FILE["fixed"][intent]["phrasings"] if intent in FIXED else _FILE["with_slots"][intent]
    return found


def ask(intent: str, rng: random.Random) -> tuple[str, Slots]:
    """A question of this intent: its words (without polite frames) and its slots."""
    slots = _draw_slots(intent, rng) if intent in WITH_SLOTS else {}
    art = words.article("x")[:0]
    if intent == "thing_colour":
        art = thing_phrase(slots["thing"])[: -len(slots["thing"])]
    if intent in REFUSALS and rng.random() < _MADE_REFUSALS:
        return refusals.ask(intent, rng), slots
    text = rng.choice(phrasings(intent)).format(**slots, art=art)
    return text.replace("a owl", "an owl").replace("a ant", "an ant"), slots


def ask_out_of_domain(rng: random.Random) -> str:
    return fill_slots(rng.choice(_OUT_OF_DOMAIN), _OOD_SLOTS, rng)


_BEFORE = (
    "please", "okay", "hey", "so", "um", "well", "now", "hey Sightline", "Sightline", "tell me", "can you tell me",
    "I want to know", "excuse me", "and", "could you tell me", "I have a question",
)  # fmt: skip
_AFTER = ("please", "for me", "now", "then", "thank you")


def frame(text: str, rng: random.Random) -> str:
    """Puts polite or hesitant words around a question now and then."""
    draw = rng.random()
    if draw < 0.18:
        before = rng.choice(_BEFORE)
        return f"{before}, {text}"
    if draw < 0.28:
        return f"{text} {rng.choice(_AFTER)}" if rng.random() < 0.5 else f"{text}, {rng.choice(_AFTER)}"
    return text
