"""Whole conversations as the app has them: spoken and typed turns, the camera on or off, prompts, interruptions.

A conversation is one packed row. Its trunk is what the runtime's caches hold from beginning to end; every reply in it
is learnt. What the runtime asks on the side and takes back again (the transcription of a turn, a reply of which only a
part was heard) are forks, and so are other questions that might have been typed in a turn.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from model.prompts import TRANSCRIBE_PROMPT
from training import hearing_audio, hearing_data, text, timing
from training.domain import app_prompts, draw, pictures, talk, words
from training.domain.talk import NO_PICTURE_ANSWER, OOD_ANSWER, UNCLEAR_ANSWER
from training.pretrain_seeing import draw_scene, size_of
from training.scenes import answers, unknown
from training.scenes.render import render
from training.scenes.scene import Clip, Scene, Thing
from training.sequences import (
    NEXT_USER,
    TURN_END,
    Fork,
    Gone,
    Picture,
    Segment,
    Sound,
    Span,
    Text,
    reply,
    say,
    written,
)

Pcm = npt.NDArray[np.float32]
NO_WORDS = "(unclear)"  # what is written down of a sound without understandable words
_TURNS, _TURN_SHARES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16), (2, 3, 3, 3, 3, 3, 3, 3, 3, 2, 1)
_CAMERA_SHARE, _STRANGE_SHARE = 0.75, 0.4
_FAR_SHARE, _FAR_POSITIONS = 0.3, 6000
_REFUSAL_SHARE = 0.35  # of talk
_INTERRUPTED_SHARE, _UNHEARD_SHARE = 0.12, 0.03
_EVICTED_SHARE = 0.15
_RESUMED_SHARE = 0.05
_FEW_TRIES = 12


class Inputs(Protocol):
    """Where a batch's sounds and pictures are put."""

    def sound(self, pcm: Pcm) -> Sound: ...

    def shown(self, rgb: npt.NDArray[np.uint8]) -> Picture: ...


@dataclass(frozen=True)
class Spoken:
    """Something that was said: samples at 16 kHz, its words (NO_WORDS: there are none; "": nobody wrote them down)."""

    pcm: Pcm
    wrote: str


class Speech(Protocol):
    """Draws utterances."""

    def question(
        self, kind: str, fits: Callable[[draw.Question], bool] | None = None
    ) -> tuple[draw.Question, Spoken] | None: ...

    def not_understood(self) -> Spoken: ...


View = Scene | Clip | unknown.Strange


@dataclass
class Turn:
    """One exchange before it is written: the words or the sound, the pictures with it, the reply, other questions."""

    answer: str
    words: str = ""
    spoken: Spoken | None = None
    view: View | None = None  # newly shown in this turn
    about: Thing | None = None  # what "it" is from now on
    others: list[tuple[str, str]] = field(default_factory=list)


class Conversation:
    """Draws one conversation. `typed` turns words into what people type."""

    def __init__(
        self,
        rng: random.Random,
        inputs: Inputs,
        speech: Speech | None,
        runs: Path,
        typed: Callable[[str, random.Random], str],
        n_turns: int | None = None,
    ) -> None:
        self.rng, self.inputs, self.speech, self.runs, self.typed = rng, inputs, speech, runs, typed
        self.camera = rng.random() < _CAMERA_SHARE
        self.has_seen = False
        self.view: View | None = None
        self.about: Thing | None = None
        self.last = ""
        self.segments: list[Segment] = []
        self.unanswered: list[str] = []  # what was said in the open turn before
        self.spoken_share = rng.choice((0.0, 0.5, 0.8, 1.0)) if speech is not None else 0.0
        self.open_turn = True  # the header of the user's turn is written already
        self.n_turns = n_turns or rng.choices(_TURNS, _TURN_SHARES)[0]
        # What lies before this turn may have lost its pictures, or pictures and sounds.
        self.evicted_before = rng.randrange(self.n_turns) if rng.random() < _EVICTED_SHARE else 0
        self.evicted_sound = rng.random() < 0.3

    def write(self) -> list[Segment]:
        """All its turns, after the first user header."""
        for number in range(self.n_turns):
            self._write_turn(self._draw_turn(), is_evicted=number < self.evicted_before)
        return self.segments

    @property
    def jump(self) -> int:
        """How far behind the instructions it begins: a long session has forgotten its beginning."""
        return self.rng.randrange(_FAR_POSITIONS) if self.rng.random() < _FAR_SHARE else 0

    # ---- what happens in a turn ------------------------------------------------------------------------------------

    def _draw_turn(self) -> Turn:
        rng = self.rng
        if rng.random() < 0.04:
            self.camera = not self.camera
        shares = {"talk": 0.38, "ood": 0.07, "picture": 0.28, "prompt": 0.2, "again": 0.05, "unclear": 0.06}
        if not self.camera:
            shares = {"talk": 0.6, "ood": 0.12, "picture": 0.0 if self.has_seen else 0.08, "again": 0.1, "unclear": 0.1}
        kind = rng.choices(list(shares), list(shares.values()))[0]
        drawn: Turn | None = None
        while drawn is None:
            drawn = {
                "talk": lambda: self._talk(draw.TALK),
                "ood": lambda: self._talk(draw.OUT_OF_DOMAIN),
                "picture": self._about_picture if self.camera else self._no_picture,
                "prompt": self._prompt,
                "again": self._again,
                "unclear": self._unclear,
            }[kind]()
            kind = "talk" if drawn is None else kind
        return drawn

    def _is_spoken(self) -> bool:
        return self.speech is not None and self.rng.random() < self.spoken_share

    def _any_view(self) -> View:
        """What the camera shows now: often what it showed before."""
        rng = self.rng
        if self.view is None or isinstance(self.view, Clip) or rng.random() < 0.3:
            self.about = None
            self.view = unknown.draw(self.runs, rng) if rng.random() < _STRANGE_SHARE else self._scene()
        return self.view

    def _scene(self) -> Scene:
        rng = self.rng
        if rng.random() < 0.6:
            shown = answers.show_for(intent := pictures.draw_intent(rng), pictures.ask(intent, rng)[1], rng)[0]
            if isinstance(shown, Scene):
                return _strange_word(shown, rng)
        return _strange_word(draw_scene(rng), rng)

    def _view_with(self) -> View | None:
        return self._any_view() if self.camera else None

    def _question(
        self, kind: str, fits: Callable[[draw.Question], bool] | None = None
    ) -> tuple[draw.Question, Spoken | None] | None:
        """A question of this kind, spoken or not; None where no utterance fits."""
        if self._is_spoken():
            assert self.speech is not None
            return self.speech.question(kind, fits)
        for _ in range(_FEW_TRIES):
            question = draw.question(self.rng, kind)
            if fits is None or fits(question):
                return question, None
        return None

    def _talk(self, kind: str) -> Turn | None:
        """Talk and what it does not know; the camera shows what it shows."""
        rng = self.rng
        wants_refusal = kind == draw.TALK and rng.random() < _REFUSAL_SHARE
        found = self._question(
            kind, lambda q: (q.intent in talk.REFUSALS) if wants_refusal else q.intent not in ("repeat", "sure")
        )
        if found is None:
            return None
        question, spoken = found
        right = OOD_ANSWER if kind == draw.OUT_OF_DOMAIN else talk.answer(question.intent, question.slots)
        turn = Turn(right, question.text, spoken, self._view_with())
        if spoken is None and rng.random() < 0.6:
            other = draw.question(rng, draw.TALK, rng.choice(talk.REFUSALS) if rng.random() < 0.4 else None)
            if other.intent not in ("repeat", "sure"):
                turn.others.append((other.text, talk.answer(other.intent, other.slots)))
            if self.camera and (more := self._more(self.view, 1)):
                turn.others += more
        return turn

    def _again(self) -> Turn | None:
        """Say it again; are you sure."""
        wanted = "repeat" if self.rng.random() < 0.7 else "sure"
        found = self._question(draw.TALK, lambda q: q.intent == wanted)
        if found is None and not self._is_spoken():
            found = draw.question(self.rng, draw.TALK, wanted), None
        if found is None:
            return None
        right = talk.SURE_ANSWER if wanted == "sure" else (self.last or talk.NOTHING_SAID_ANSWER)
        return Turn(right, found[0].text, found[1], self._view_with(), about=self.about)

    def _unclear(self) -> Turn | None:
        if self.speech is None or self.spoken_share == 0:
            return None
        return Turn(UNCLEAR_ANSWER, spoken=self.speech.not_understood(), view=self._view_with())

    def _no_picture(self) -> Turn | None:
        found = self._question(draw.PICTURE)
        return None if found is None else Turn(NO_PICTURE_ANSWER, found[0].text, found[1])

    def _prompt(self) -> Turn | None:
        """A key was pressed, or the narration speaks."""
        name = app_prompts.draw_name(self.rng)
        view = self._any_view()
        if isinstance(view, Clip):
            view = self.view = view.scenes[-1]
        if name == "read" and isinstance(view, Scene) and self.rng.random() < 0.6:
            shown = answers.show_for("read", {}, self.rng)[0]
            assert isinstance(shown, Scene)
            view = self.view = _strange_word(shown, self.rng)
        if isinstance(view, unknown.Strange):
            return Turn(view.answer(name), app_prompts.PROMPTS[name], view=view)
        others = [
            (app_prompts.PROMPTS[other], app_prompts.answer(other, view))
            for other in self.rng.sample(list(app_prompts.PROMPTS), 2)
            if other != name
        ]
        self.about = None
        return Turn(app_prompts.answer(name, view), app_prompts.PROMPTS[name], view=view, others=others)

    def _about_picture(self) -> Turn | None:
        rng = self.rng
        if self.about is not None and rng.random() < 0.35:
            return self._follow_up()
        if rng.random() < 0.5 or isinstance(self.view, Clip):
            return self._about_new_picture()
        view = self._any_view()
        assert not isinstance(view, Clip)
        found = self._question(draw.PICTURE, lambda q: _fits(q, view))
        if found is None:
            return None
        question, spoken = found
        if isinstance(view, unknown.Strange):
            turn = Turn(view.answer(question.intent), question.text, spoken, view)
        else:
            right = answers.answer(question.intent, question.slots, view)
            assert right is not None
            turn = Turn(right, question.text, spoken, view, answers.spoken_of(question.intent, question.slots, view))
        if spoken is None:
            turn.others = self._more(view, 2)
        return turn

    def _about_new_picture(self) -> Turn | None:
        """A picture made for the question."""
        found = self._question(draw.PICTURE, lambda q: q.intent not in pictures.FOLLOW_UPS)
        if found is None:
            return None
        question, spoken = found
        shown = answers.show_for(question.intent, question.slots, self.rng)[0]
        if isinstance(shown, Scene):
            shown = _strange_word(shown, self.rng)
        self.view = shown
        right = answers.answer(question.intent, question.slots, shown)
        if right is None:
            return None
        about = answers.spoken_of(question.intent, question.slots, shown) if isinstance(shown, Scene) else None
        turn = Turn(right, question.text, spoken, shown, about)
        if spoken is None and isinstance(shown, Scene):
            turn.others = self._more(shown, 2)
        return turn

    def _follow_up(self) -> Turn | None:
        found = self._question(draw.PICTURE, lambda q: q.intent in pictures.FOLLOW_UPS)
        if found is None or self.about is None or not isinstance(self.view, Scene):
            return None
        question, spoken = found
        right = answers.follow_up_answer(question.intent, self.about)
        return Turn(right, question.text, spoken, self.view, self.about)

    def _more(self, view: View | None, count: int) -> list[tuple[str, str]]:
        if isinstance(view, unknown.Strange):
            asked = [draw.question(self.rng, draw.PICTURE) for _ in range(count)]
            return [(q.text, view.answer(q.intent)) for q in asked if q.intent not in pictures.FOLLOW_UPS]
        if not isinstance(view, Scene):
            return []
        return [(words_, right) for _, _, words_, right in answers.more_questions(view, self.rng, count)]

    # ---- how a turn is written -------------------------------------------------------------------------------------

    def _write_turn(self, turn: Turn, *, is_evicted: bool) -> None:
        rng = self.rng
        if not self.open_turn:
            self.segments.append(say(NEXT_USER))
        self.open_turn = False
        self.segments += [_gone(part, self.evicted_sound) if is_evicted else part for part in self._input(turn)]
        if turn.view is not None:
            self.has_seen = True
        if is_evicted:
            self._write_history(turn)
            return
        if turn.spoken is not None:
            self.unanswered.append(turn.spoken.wrote)
            wrote = " ".join(self.unanswered) if all(self.unanswered) else ""
            if wrote:
                self.segments.append(Fork((say(TRANSCRIBE_PROMPT + TURN_END), *written(wrote))))
        else:
            for words_, right in turn.others:
                self.segments.append(Fork((say(self.typed(words_, rng) + TURN_END), *reply(right))))
            self.segments.append(
                say(turn.words if turn.words in app_prompts.PROMPTS.values() else self.typed(turn.words, rng))
            )
        self._write_reply(turn)

    def _write_history(self, turn: Turn) -> None:
        """A turn of which only words are left: nothing is learnt from it."""
        if turn.spoken is None:
            self.segments.append(say(self.typed(turn.words, self.rng)))
        self.last, self.about = turn.answer, turn.about
        self.segments += [say(TURN_END), Text(tuple(timing.speakable_tokens(turn.answer)))]

    def _write_reply(self, turn: Turn) -> None:
        """The reply; of one that was interrupted only what was heard stays."""
        rng = self.rng
        whole = reply(turn.answer)
        chance = rng.random()
        ids = whole[0].ids if isinstance(whole[0], Text) else ()
        self.last, self.about = turn.answer, turn.about
        if chance < _INTERRUPTED_SHARE and len(ids) > 8:
            self.segments.append(Fork((say(TURN_END), *whole)))
            self.last, self.about = "", None
            if chance < _UNHEARD_SHARE and self.segments:
                self.open_turn = True  # nothing was heard: the user's turn is open again
                return
            self.unanswered.clear()
            kept = ids[: rng.randint(4, len(ids) - 2)]
            self.segments += [say(TURN_END), Text(kept)]
            self.last = text.decode(list(kept)).strip()
            return
        assert isinstance(whole[0], Text)
        self.unanswered.clear()
        self.segments += [say(TURN_END), Text(whole[0].ids[:-1], learn=True)]
        self.segments.append(Fork((Text((text.IM_END,), learn=True),)))

    def _input(self, turn: Turn) -> list[Segment]:
        """Pictures and sound of a turn, as the runtime lays them out."""
        rng, inputs = self.rng, self.inputs
        view = turn.view
        shots: list[Picture] = []
        if isinstance(view, Clip):
            shots = [inputs.shown(_drawn(scene, shot)) for shot, scene in enumerate(view.scenes)]
        elif isinstance(view, unknown.Strange):
            shots = [inputs.shown(view.rgb)]
        elif view is not None:
            shots = [inputs.shown(_drawn(view, rng.randrange(4)))]
            if turn.spoken is not None and rng.random() < 0.1:
                shots.append(inputs.shown(_drawn(view, rng.randrange(4, 8))))
        if turn.spoken is None:
            return list(shots)
        pcm = turn.spoken.pcm
        if not shots:
            if rng.random() < _RESUMED_SHARE and len(pcm) > 2 * hearing_audio.RATE_HZ:
                at = rng.randrange(hearing_audio.RATE_HZ // 2, len(pcm) - hearing_audio.RATE_HZ // 2)
                return [inputs.sound(pcm[:at]), inputs.sound(pcm[at:])]  # the end of the turn was guessed too early
            return [inputs.sound(pcm)]
        sound = inputs.sound(pcm)
        if isinstance(view, Clip):
            step = rng.uniform(0.3, 1.0) if len(turn.spoken.pcm) < 3 * hearing_audio.RATE_HZ else rng.uniform(0.5, 1.2)
            return [Span(sound, tuple(shots), tuple(step * n for n in range(len(shots))))]
        if rng.random() < 0.08:
            return [*shots, sound]
        return [Span(sound, tuple(shots), tuple(0.0 if n == 0 else rng.uniform(0.5, 1.5) for n in range(len(shots))))]


def _drawn(scene: Scene, shot: int) -> npt.NDArray[np.uint8]:
    return render(scene, *size_of(scene), shot=shot)[0]


def _strange_word(scene: Scene, rng: random.Random) -> Scene:
    """Now and then a word that it does not know, where there is a word."""
    if not scene.word or rng.random() > 0.3:
        return scene
    return replace(scene, word=rng.choice(words.STRANGE_WORDS))


def _fits(question: draw.Question, view: Scene | unknown.Strange) -> bool:
    """Whether a question is worth asking of a view, and has one right answer."""
    if question.intent in pictures.FOLLOW_UPS or question.intent == "change":
        return False
    if isinstance(view, unknown.Strange):
        return True
    right = answers.answer(question.intent, question.slots, view)
    return right is not None and (not right.startswith(("I see no ", "No, ")) or random.Random(right).random() < 0.3)


def _gone(segment: Segment, with_sound: bool) -> Segment:
    """What an eviction leaves of an input of an earlier turn."""
    if isinstance(segment, Picture) or (with_sound and isinstance(segment, Sound | Span)):
        return Gone(segment)
    return segment


class SpeechOfParts:
    """Utterances of synthetic voices, and what nobody understands."""

    def __init__(
        self,
        by_kind: dict[str, list[tuple[hearing_data.SpeechPart, hearing_data.Utterance]]],
        heard: Callable[[hearing_data.SpeechPart, hearing_data.Utterance], Pcm],
        strangers: Callable[[], Spoken] | None,
        rng: random.Random,
        noise: np.random.Generator,
    ) -> None:
        self._by_kind, self._heard, self._strangers, self._rng, self._noise = by_kind, heard, strangers, rng, noise

    def question(
        self, kind: str, fits: Callable[[draw.Question], bool] | None = None
    ) -> tuple[draw.Question, Spoken] | None:
        for _ in range(60):
            part, item = self._rng.choice(self._by_kind[kind])
            if fits is None or fits(item.question):
                return item.question, Spoken(self._heard(part, item), item.question.text)
        return None

    def not_understood(self) -> Spoken:
        chance = self._rng.random()
        if chance < 0.3 or (draw.FOREIGN not in self._by_kind and self._strangers is None):
            return Spoken(hearing_audio.no_speech(self._noise), NO_WORDS)
        if self._strangers is not None and chance < 0.8:
            return self._strangers()
        part, item = self._rng.choice(self._by_kind[draw.FOREIGN])
        return Spoken(self._heard(part, item), NO_WORDS)
