"""Draws questions of the whole domain, and lists of replies for the voice's training."""

from __future__ import annotations

import argparse
import random
from dataclasses import dataclass, field
from pathlib import Path

from training.domain import pictures, talk, words

TALK, PICTURE, OUT_OF_DOMAIN, FOREIGN = "talk", "picture", "out_of_domain", "foreign"
# How often each kind of question is drawn for the pool of spoken questions.
_KIND_SHARES = ((TALK, 0.46), (PICTURE, 0.42), (OUT_OF_DOMAIN, 0.12))
_FOLLOW_UP_SHARE = 0.08
_SLOTTED_WEIGHT = 3  # an intent with slots has more to learn than one without

# Other languages, for espeak's voices; the answer is that they were not understood. Sentences are these, or some of the
# words in any order: what matters is that it sounds like the language.
FOREIGN_TEXTS = {
    "de": ("wie viele Tassen siehst du", "was ist das hier", "guten Morgen mein Freund", "wo ist die rote Flasche",
           "ich möchte nach Hause gehen", "kannst du mir bitte helfen", "das Wetter ist heute schön"),
    "fr": ("combien de tasses vois-tu", "qu'est-ce que c'est", "bonjour mon ami", "où est la bouteille rouge",
           "je voudrais rentrer à la maison", "peux-tu m'aider", "il fait beau aujourd'hui"),
    "es": ("cuántas tazas ves", "qué es esto", "buenos días amigo", "dónde está la botella roja",
           "quiero ir a casa", "me puedes ayudar por favor", "hoy hace buen tiempo"),
    "it": ("quante tazze vedi", "che cosa è questo", "buongiorno amico mio", "dove è la bottiglia rossa",
           "vorrei andare a casa", "mi puoi aiutare per favore", "oggi fa bel tempo"),
    "pl": ("ile widzisz kubków", "co to jest", "dzień dobry przyjacielu", "gdzie jest czerwona butelka",
           "chcę iść do domu", "czy możesz mi pomóc", "dzisiaj jest ładna pogoda"),
}  # fmt: skip
_FOREIGN_WORDS = {
    "de": "ich du er wir nicht sehr heute morgen gestern Haus Straße Wasser Brot Kinder Schule Arbeit Freund Zeit Jahr "
          "gehen machen sehen sprechen kommen kaufen zwischen schnell langsam schön groß klein neu immer vielleicht "
          "warum wohin wann welche durch ohne gegen Frühstück Geschichte Bahnhof Zug fünf zwölf zwanzig",
    "fr": "je tu il nous pas très aujourd'hui demain hier maison rue eau pain enfants école travail ami temps année "
          "aller faire voir parler venir acheter entre vite lentement beau grand petit nouveau toujours peut-être "
          "pourquoi quand laquelle par sans contre déjeuner histoire gare train cinq douze vingt",
    "es": "yo tú él nosotros no muy hoy mañana ayer casa calle agua pan niños escuela trabajo amigo tiempo año ir "
          "hacer ver hablar venir comprar entre rápido despacio bonito grande pequeño nuevo siempre quizás por qué "
          "adónde cuándo cuál por sin contra desayuno historia estación tren cinco doce veinte",
    "it": "io tu lui noi non molto oggi domani ieri casa strada acqua pane bambini scuola lavoro amico tempo anno "
          "andare fare vedere parlare venire comprare tra veloce lento bello grande piccolo nuovo sempre forse perché "
          "dove quando quale per senza contro colazione storia stazione treno cinque dodici venti",
    "pl": "ja ty on my nie bardzo dzisiaj jutro wczoraj dom ulica woda chleb dzieci szkoła praca przyjaciel czas rok "
          "iść robić widzieć mówić przyjść kupić między szybko powoli piękny duży mały nowy zawsze może dlaczego dokąd "
          "kiedy która przez bez przeciw śniadanie historia dworzec pociąg pięć dwanaście dwadzieścia",
}  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A question: its words, what it asks for and with which slots."""

    text: str
    kind: str
    intent: str
    slots: dict[str, str] = field(default_factory=dict)


def question(rng: random.Random, kind: str | None = None, intent: str | None = None) -> Question:
    """A question in the words of the grammar, of any kind unless one is given."""
    if kind is None:
        kind = rng.choices([name for name, _ in _KIND_SHARES], [share for _, share in _KIND_SHARES])[0]
    if kind == OUT_OF_DOMAIN:
        return Question(talk.frame(talk.ask_out_of_domain(rng), rng), kind, "out_of_domain")
    if intent is None and kind == PICTURE and rng.random() < _FOLLOW_UP_SHARE:
        intent = rng.choice(list(pictures.FOLLOW_UPS))
    if intent in pictures.FOLLOW_UPS:
        return Question(talk.frame(pictures.follow_up(intent, rng), rng), kind, intent)
    if kind == PICTURE:
        intent = intent or rng.choice(pictures.INTENTS)
        text, slots = pictures.ask(intent, rng)
    elif intent in ("repeat", "sure"):
        again = rng.choice(talk.REPEAT if intent == "repeat" else talk.SURE)
        return Question(talk.frame(again, rng), kind, intent)
    else:
        if intent is None:
            names = [*talk.FIXED, *talk.WITH_SLOTS, "repeat", "sure"]
            weights = [_SLOTTED_WEIGHT if name in talk.WITH_SLOTS else 1 for name in names]
            intent = rng.choices(names, weights)[0]
            return question(rng, TALK, intent)
        text, slots = talk.ask(intent, rng)
    return Question(talk.frame(text, rng), kind, intent, slots)


def foreign(rng: random.Random) -> tuple[str, Question]:
    """espeak's language and a question in it."""
    language = rng.choice(list(FOREIGN_TEXTS))
    if rng.random() < 0.3:
        said = rng.choice(FOREIGN_TEXTS[language])
    else:
        said = " ".join(rng.sample(_FOREIGN_WORDS[language].split(), rng.randint(3, 7)))
    return language, Question(said, FOREIGN, "foreign")


def talk_replies(rng: random.Random, count: int) -> list[str]:
    """Replies to talk questions, without repetition, at most `count`."""
    found: dict[str, None] = dict.fromkeys(
        [*talk.FIXED.values(), talk.SURE_ANSWER, talk.OOD_ANSWER, talk.UNCLEAR_ANSWER, talk.NO_PICTURE_ANSWER]
    )
    for word in words.SAY_WORDS:
        found[talk.answer("say_word", {"word": word})] = None
    for _ in range(20 * count):
        if len(found) >= count:
            break
        intent = rng.choice(talk.WITH_SLOTS)
        found[talk.answer(intent, talk.ask(intent, rng)[1])] = None
    return list(found)[:count]


def main() -> None:
    """Write replies of the domain, one a line, for the voice's training."""
    from training.scenes.answers import picture_replies

    parser = argparse.ArgumentParser(description="Replies of the domain, one a line, for the voice's training.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    replies = talk_replies(rng, options.count // 3) + picture_replies(rng, options.count - options.count // 3)
    options.out.write_text("\n".join(replies[: options.count]) + "\n")


if __name__ == "__main__":
    main()
