"""Talk without a picture: intents, phrasings and answers.

A phrasing is a text with `{slots}`; the `|` character separates phrasings. The evaluation's new wordings
(`training/eval/new_wordings.json`) were written before this file, and a test holds that none of them occurs here.
"""

import random
from collections.abc import Callable

from training.domain import words

Slots = dict[str, str]

FIXED: dict[str, tuple[str, str]] = {
    # intent: (phrasings, answer)
    "greet": (
        "hello|hi|hey|hello there|hi there|hey there|hello Sightline|hi Sightline|hey Sightline|hello assistant|"
        "hello, how are things|hi, are you there|hello, is somebody there|hello again|hey you|greetings|"
        "good to meet you|"
        "nice to meet you|hi, good to see you",
        "Hello. How can I help?",
    ),
    "how_are_you": (
        "how are you|how are you today|how are you doing|how do you do|how do you feel|how is it going|how are things|"
        "are you well|are you okay|are you all right|how have you been|how are you feeling today|what's up|"
        "how is your day|hello, how are you|hi, how are you doing|everything okay with you|do you feel good",
        "I am fine, thank you.",
    ),
    "thanks": (
        "thanks|thank you|thank you very much|thanks a lot|many thanks|thank you so much|great, thank you|"
        "okay, thanks|thanks for your help|thank you for helping me|that helped me, thank you|perfect, thanks|"
        "thanks, that is all|I thank you|thank you Sightline|good, thanks|very kind, thank you|I appreciate it",
        "You are welcome.",
    ),
    "bye": (
        "goodbye|bye|bye bye|see you|see you later|see you soon|good night|talk to you later|that is all for today|"
        "I am leaving now|I have to go|goodbye Sightline|okay, bye|until next time|until tomorrow|bye for now|"
        "have a nice day|take care",
        "Goodbye.",
    ),
    "who_are_you": (
        "who are you|what are you|what is your name|what's your name|tell me your name|do you have a name|"
        "who am I talking to|who is this|who is speaking|how are you called|say who you are|what are you called|"
        "can you tell me who you are|tell me about yourself|may I know your name|who is there|your name please|"
        "who might you be",
        "I am Sightline, your assistant.",
    ),
    "what_can_you_do": (
        "what can you do|what do you do|how can you help me|what can I ask you|what can I ask|help|help me|"
        "what are your abilities|tell me what you can do|what can you help me with|what is it that you do|"
        "what are you able to do|how do you work|what do you know how to do|can you help me|I need help|"
        "what are you for|what can I do with you|which questions can I ask|how does this work",
        "I can hear you, look at pictures and answer short questions.",
    ),
    "are_you_human": (
        "are you human|are you a human|are you a person|are you a real person|are you real|are you a machine|"
        "are you a computer|are you a robot|am I talking to a person|am I talking to a computer|are you alive|"
        "is this a real person|is there a person behind you|are you a man or a machine|are you a program|"
        "are you an artificial intelligence",
        "I am a computer program.",
    ),
    "private": (
        "are you private|is this private|do you record me|do you send my data|where do my pictures go|"
        "where does my voice go|do you share what I say|who can see my pictures|who can hear me|is anybody listening|"
        "do you keep my voice|are my pictures private|do you send pictures away|is my data safe|"
        "does anything leave this computer|do you send anything to the internet|are you spying on me|"
        "what happens to my recordings|who else can listen to us|do you store my pictures somewhere",
        "Nothing leaves this computer.",
    ),
    "internet": (
        "do you need the internet|do you need internet|do you work without internet|do you work offline|"
        "are you online|are you connected to the internet|can you work without a network|do I need to be connected|"
        "does it work without the internet|do you use the internet|can I use you offline|do you need a connection|"
        "do you need wifi|are you on the internet",
        "I work without the internet.",
    ),
    "can_you_hear": (
        "can you hear me|do you hear me|are you listening|can you hear my voice|are you hearing me|can you hear this|"
        "is the microphone on|is the microphone working|did you hear me|do you listen to me|hello, can you hear me|"
        "can you understand me|do you hear what I say|is my microphone okay|am I loud enough|testing|"
        "this is a test|one two three, test",
        "Yes, I can hear you.",
    ),
    "how_clever": (
        "how clever are you|are you smart|are you clever|how smart are you|are you intelligent|do you know a lot|"
        "do you know everything|how big are you|are you a big model|how good are you|can I trust you|"
        "can I rely on you|do you make mistakes|are you always right|are you ever wrong|how large is your knowledge",
        "I am a small model and I make mistakes.",
    ),
    "who_made_you": (
        "who made you|who created you|who trained you|where do you come from|who is your maker|how were you made|"
        "who wrote you|who developed you|who programmed you|who designed you|what are you made of|"
        "how did you learn to speak|who taught you|how were you trained",
        "I was trained from nothing on made up speech and pictures.",
    ),
    "joke": (
        "tell me a joke|tell a joke|do you know a joke|say something funny|can you tell me a joke|make a joke|"
        "I want to hear a joke|another joke please|give me a joke|are you funny|a joke please|tell me something funny|"
        "do you know any jokes|cheer me up|can you be funny",
        "Why was six afraid of seven? Because seven ate nine.",
    ),
    "never_mind": (
        "never mind|forget it|it doesn't matter|it does not matter|cancel|cancel that|forget what I said|"
        "leave it|not important|don't worry about it|ignore that|drop it|skip it|no, leave it|it was nothing|"
        "nothing, never mind|stop|stop talking|be quiet|that's enough",
        "All right.",
    ),
    "sorry": (
        "sorry|I am sorry|I'm sorry|oh, sorry|sorry about that|excuse me|pardon me|my mistake|my fault|"
        "that was my mistake|please forgive me|I did not mean that|oops, sorry|forgive me|I beg your pardon",
        "No problem.",
    ),
    "compliment": (
        "well done|good job|great|very good|excellent|you are great|you are good|I like you|nice work|"
        "that was good|you are clever|that is right|you are right|wonderful|you are very helpful|"
        "that was a good answer|fantastic|brilliant|nice|you are the best",
        "Thank you.",
    ),
    "safety": (
        "can I cross the road|can I cross the street|is it safe to cross|is it safe to walk|can I go now|"
        "is the road clear|may I cross|guide me across the road|is a car coming|is the traffic light green|"
        "can I walk straight on|help me cross the street|is it safe to go|can I step forward|is the way free|"
        "is it safe here|tell me when I can cross|should I cross now",
        "I am not a safe guide. Please ask a person.",
    ),
    "medicine": (
        "which pill should I take|can I take this pill|how many pills should I take|is this medicine right|"
        "should I take this medicine|am I ill|what is my illness|is this pill safe|what medicine do I need|"
        "do I need a doctor|can you give me medical advice|my chest hurts|how much medicine should I take|"
        "I feel sick|is this rash dangerous|what should I take for a headache|may I take two pills",
        "I cannot give medical advice. Please ask a doctor.",
    ),
    "sing": (
        "sing|sing a song|can you sing|sing something|sing for me|do you sing|please sing a song|can you sing a song|"
        "I want to hear a song|do you know a song|sing me a song|hum a melody|can you play music",
        "I cannot sing.",
    ),
    "languages": (
        "which languages do you speak|what languages do you speak|do you speak German|do you speak French|"
        "can you speak Spanish|do you speak other languages|can you speak another language|do you understand Italian|"
        "can we speak German|do you know French|speak Spanish|what language is this|do you only speak English|"
        "can you talk to me in French|how many languages do you know",
        "I speak English only.",
    ),
    "settings": (
        "speak slower|speak more slowly|can you speak slower|talk slower please|speak faster|talk faster|louder|"
        "speak louder|can you speak louder|speak up|be louder|quieter please|not so loud|not so fast|"
        "you are too loud|you are too fast|you speak too fast|change your voice|can you change your voice|"
        "talk more quietly|I want another voice|slow down please|volume up|volume down",
        "You can change that in the settings.",
    ),
}

REPEAT = (
    "repeat that|say that again|say it again|can you repeat that|please repeat|what did you say|pardon|again please|"
    "once more|one more time|I did not hear you|could you say that again|I missed that|come again|repeat please|"
    "sorry, what was that|what was that again|tell me again"
).split("|")

SURE = (
    "are you sure|are you certain|is that right|really|is that true|do you really think so|how sure are you|"
    "are you really sure|is this correct|you are not sure, are you|can I believe that"
).split("|")
SURE_ANSWER = "I think so, but I can be wrong."

WITH_SLOTS: dict[str, str] = {
    "daypart": "good {part}|good {part} Sightline|hello, good {part}|a good {part} to you|hi, good {part}|"
    "good {part}, assistant|good {part}, how are you",
    "my_name": "my name is {name}|I am {name}|I'm {name}|my name's {name}|call me {name}|you can call me {name}|"
    "hello, my name is {name}|hi, I am {name}|this is {name}|please call me {name}|hello, this is {name}|"
    "{name} is my name|I am called {name}|it's {name}",
    "add": "what is {a} plus {b}|what's {a} plus {b}|how much is {a} plus {b}|add {a} and {b}|{a} plus {b}|"
    "what is {a} and {b}|what is the sum of {a} and {b}|can you add {a} and {b}|how much is {a} and {b}|"
    "calculate {a} plus {b}|please add {b} to {a}|tell me {a} plus {b}|what do {a} and {b} make|"
    "how many is {a} plus {b}|{a} and {b} is how much",
    "subtract": "what is {a} minus {b}|what's {a} minus {b}|how much is {a} minus {b}|subtract {b} from {a}|"
    "{a} minus {b}|what is {a} take away {b}|calculate {a} minus {b}|tell me {a} minus {b}|{a} take away {b}|"
    "what remains of {a} without {b}|how many is {a} minus {b}|what is {b} less than {a}|{a} less {b} is how much",
    "after_number": "what comes after {n}|what number comes after {n}|which number comes after {n}|"
    "what is the number after {n}|what is after {n}|which number follows {n}|what follows {n}|"
    "tell me the number after {n}|the number after {n}|what comes next after {n}|what is the next number after {n}",
    "before_number": "what comes before {n}|what number comes before {n}|which number comes before {n}|"
    "what is the number before {n}|what is before {n}|tell me the number before {n}|the number before {n}|"
    "which number is just before {n}|what do you count before {n}",
    "count_to": "count to {n}|please count to {n}|can you count to {n}|count up to {n}|count from one to {n}|"
    "count for me to {n}|let me hear you count to {n}|could you count to {n} please|say the numbers to {n}|"
    "say the numbers from one to {n}|I want you to count to {n}",
    "next_day": "what day comes after {day}|which day comes after {day}|what comes after {day}|"
    "what is the day after {day}|what day is after {day}|which day follows {day}|the day after {day}|"
    "what day follows {day}|tell me the day after {day}|today is {day}, what is tomorrow|"
    "what day is it tomorrow if today is {day}|after {day} comes which day",
    "opposite": "what is the opposite of {word}|what's the opposite of {word}|the opposite of {word}|"
    "tell me the opposite of {word}|opposite of {word}|what is the contrary of {word}|"
    "do you know the opposite of {word}|"
    "what means the opposite of {word}|which word is the opposite of {word}|not {word} but what|"
    "can you say the opposite of {word}",
    "thing_colour": "what colour is {art}{thing}|which colour is {art}{thing}|what colour does {art}{thing} have|"
    "tell me the colour of {art}{thing}|what is the colour of {art}{thing}|{art}{thing} has what colour|"
    "the colour of {art}{thing}|what colour is usual for {art}{thing}|say the colour of {art}{thing}|"
    "which colour does {art}{thing} usually have",
    "animal_sound": "what sound does a {animal} make|how does a {animal} sound|what does a {animal} say|"
    "what noise does a {animal} make|which sound does a {animal} make|how does a {animal} go|"
    "make a sound like a {animal}|"
    "speak like a {animal}|what does the {animal} say|the sound of a {animal}|can you sound like a {animal}|"
    "tell me the sound of a {animal}",
    "legs": "how many legs does a {animal} have|how many legs has a {animal}|how many legs are on a {animal}|"
    "does a {animal} have legs|tell me how many legs a {animal} has|the number of legs of a {animal}|"
    "count the legs of a {animal}|on how many legs does a {animal} walk|how many feet does a {animal} have|"
    "a {animal} has how many legs",
    "say_word": "say {word}|please say {word}|say the word {word}|can you say {word}|repeat the word {word}|"
    "repeat after me, {word}|please repeat after me, {word}|speak the word {word}|let me hear the word {word}|"
    "could you say {word}|I want you to say {word}|tell me the word {word}|pronounce {word}",
    "bigger": "which is bigger, {a} or {b}|what is bigger, {a} or {b}|what is more, {a} or {b}|is {a} bigger than {b}|"
    "is {a} more than {b}|which is more, {a} or {b}|which number is bigger, {a} or {b}|is {a} or {b} bigger|"
    "which is larger, {a} or {b}|what is greater, {a} or {b}|which one is more, {a} or {b}|compare {a} and {b}|"
    "is {a} greater than {b}",
}

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

# Questions that a small closed model cannot know the answer of (other words than the evaluation's list).
_OOD = (
    "who is the {role} of {place}|what is the {fact} of {place}|where is {place}|how far is it to {place}|"
    "how do I get to {place}|what is the weather in {place}|will it {weather} tomorrow|will it {weather} in {place}|"
    "what time is it|what time is it in {place}|what is the date today|who won the {event}|when is the next {event}|"
    "who is playing in the {event}|what is the {fact} of {topic}|tell me about {topic}|explain {topic}|"
    "what is {topic}|what do you know about {topic}|how does {topic} work|why is there {topic}|"
    "who invented {topic}|when was {topic} invented|who wrote about {topic}|write a {writing} about {topic}|"
    "write a {writing}|read me a {writing}|send a {writing} to my {person}|call my {person}|where is my {person}|"
    "when is my {person} coming|what is my {person} doing|how old is my {person}|what does my {person} want|"
    "play {media}|play some {media}|put on {media}|buy {goods}|order {goods}|where can I buy {goods}|"
    "how much does {goods} cost|how much are {goods}|how do I cook {goods}|how do I make {goods}|"
    "how do I repair {goods}|turn on the {device}|turn off the {device}|start the {device}|how do I use the {device}|"
    "set a timer for {n} minutes|set an alarm for {n}|remind me in {n} minutes|wake me at {n}|"
    "what is {n} times {n}|divide {n} by {n}|what is the root of {n}|how many {unit} are in a {unit}|"
    "translate {goods} into French|what does {topic} mean|who discovered {topic}|when did {topic} begin|"
    "how many people live in {place}|how high is {place}|how long is {topic}|what is the best {device}|"
    "recommend {goods}|find {goods} near me|book a {trip} to {place}|when does the {trip} to {place} leave|"
    "how much is a {trip} to {place}|is there a {trip} to {place}|what happened in {place}|"
    "what is in the news|what is the news from {place}|who lives in {place}|what is the meaning of {topic}|"
    "should I {act}|why should I {act}|how do I {act}|when can I {act}|can you help me to {act}|"
    "who is {famous}|when did {famous} die|when was {famous} born|what did {famous} do|how old is {famous}"
)
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
    "vote,invest my money,clean the carpet,open a bank account,write a letter,play chess".split(","),
    "famous": "Einstein,Shakespeare,Cleopatra,Beethoven,Columbus,Newton,the pope,the queen,Picasso".split(","),
}  # fmt: skip
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
        return FIXED[intent][1]
    return words.capital(_ANSWERS[intent](slots))


def phrasings(intent: str) -> list[str]:
    return (FIXED[intent][0] if intent in FIXED else WITH_SLOTS[intent]).split("|")


def ask(intent: str, rng: random.Random) -> tuple[str, Slots]:
    """A question of this intent: its words (without polite frames) and its slots."""
    slots = _draw_slots(intent, rng) if intent in WITH_SLOTS else {}
    art = words.article("x")[:0]
    if intent == "thing_colour":
        art = thing_phrase(slots["thing"])[: -len(slots["thing"])]
    text = rng.choice(phrasings(intent)).format(**slots, art=art)
    return text.replace("a owl", "an owl").replace("a ant", "an ant"), slots


def ask_out_of_domain(rng: random.Random) -> str:
    text = rng.choice(_OOD.split("|"))
    while "{" in text:
        start, end = text.index("{"), text.index("}")
        text = text[:start] + rng.choice(_OOD_SLOTS[text[start + 1 : end]]) + text[end + 1 :]
    return text


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
