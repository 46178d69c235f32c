"""Batches for the Thinker: typed and spoken questions, with and without pictures, dialogues, transcriptions.

Every kind of row follows the layout of a user turn in `model.conversation.listening`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.prompts import DEFAULT_INSTRUCTIONS, TRANSCRIBE_PROMPT
from training import config, distort, hearing_audio, hearing_data, people
from training.conversations import NO_WORDS, Conversation, SpeechOfParts, Spoken
from training.domain import app_prompts, draw, pictures, talk, words
from training.domain.talk import NO_PICTURE_ANSWER, OOD_ANSWER, UNCLEAR_ANSWER
from training.pretrain_seeing import draw_scene, size_of
from training.scenes import answers, unknown
from training.scenes.render import render
from training.scenes.scene import Clip, Scene
from training.sequences import (
    NEXT_USER,
    TURN_END,
    USER_HEADER,
    Picture,
    Segment,
    Sound,
    Span,
    Text,
    pack,
    reply,
    say,
    system_turn,
    written,
)
from training.thinker import Batch

_OTHER_INSTRUCTIONS = (
    None,
    "You are a helpful assistant.",
    "Answer briefly.",
    "You are Sightline. Answer in short sentences.",
    "You help a blind person. Be brief and honest.",
    "You are a friendly assistant. Speak simply.",
    "You are my eyes. Answer in one sentence.",
    "Answer in English, in at most two sentences. Say when you do not know.",
    DEFAULT_INSTRUCTIONS + " My name is Anna.",
    DEFAULT_INSTRUCTIONS + " Be polite.",
)
# Words that a question is understood without; wordings that nobody listed have fewer or others of them.
_SMALL_WORDS = frozenset(
    "the a an of is are do does did can could would you me please there that this it to in on".split()
)
# How often each set of recordings of people is drawn from.
_PEOPLE = {"orders": 5, "lj": 3, "words": 2, "prompts": 3}
_TYPED_BRANCHES = 5
_IMAGE_BRANCHES = 8
_PROMPT_BRANCHES = 2  # of them
_LONGEST_S = 12  # of a recording


@dataclass
class _Builder:
    """Collects the sounds and pictures of a batch while its rows are made."""

    rng: random.Random
    noise: np.random.Generator
    first_position: int
    sounds: list[npt.NDArray[np.float32]] = field(default_factory=list)
    pictures: list[npt.NDArray[np.uint8]] = field(default_factory=list)

    def sound(self, pcm: npt.NDArray[np.float32]) -> Sound:
        self.sounds.append(pcm)
        return Sound(len(self.sounds) - 1, len(pcm) // hearing_audio.SAMPLES_PER_MEL_FRAME)

    def picture(self, scene: Scene, shot: int = 0) -> Picture:
        return self.shown(render(scene, *size_of(scene), shot=shot)[0])

    def shown(self, rgb: npt.NDArray[np.uint8]) -> Picture:
        self.pictures.append(rgb)
        return Picture(len(self.pictures) - 1, rgb.shape[0], rgb.shape[1])


def typed(words: str, rng: random.Random) -> str:
    """A question as people type it: with or without a capital letter and a question mark, perhaps without "the"."""
    if rng.random() < 0.2 and len(all_words := words.split()) > 3:
        left_out = rng.choice([n for n, word in enumerate(all_words) if word in _SMALL_WORDS] or [None])
        words = " ".join(word for n, word in enumerate(all_words) if n != left_out)
    if rng.random() < 0.5:
        words = words[:1].upper() + words[1:]
    return words + rng.choice(("", "?", "?", ".")) if rng.random() < 0.7 else words


def answer_without_picture(question: draw.Question) -> str:
    """The answer to a question when no picture was seen and nothing was said before."""
    if question.kind == draw.PICTURE:
        return NO_PICTURE_ANSWER
    if question.kind == draw.OUT_OF_DOMAIN:
        return OOD_ANSWER
    if question.kind == draw.FOREIGN:
        return UNCLEAR_ANSWER
    if question.intent == "repeat":
        return talk.NOTHING_SAID_ANSWER
    if question.intent == "sure":
        return talk.SURE_ANSWER
    return talk.answer(question.intent, question.slots)


def _typed_turn(words: str, answer: str, rng: random.Random, first: bool = True) -> list[Segment]:
    segments = [say((words if first else NEXT_USER + words) + TURN_END)]
    return [*segments, *reply(answer)]


def _history(answer: str) -> list[Segment]:
    """An earlier reply as the cache holds it: with its holds, and not learnt again."""
    return [say(TURN_END), *(_unlearn(segment) for segment in reply(answer)[:1])]


def _unlearn(segment: Segment) -> Segment:
    assert isinstance(segment, Text)
    return Text(segment.ids[:-1])


def _next_turn(answer: str, question: str, next_answer: str) -> list[Segment]:
    """Branch: the turn's answer, then a typed question about it and its answer."""
    return [*_history(answer), say(NEXT_USER + question + TURN_END), *reply(next_answer)]


class Maker:
    """Draws batches. `parts` are spoken questions; without them only typed rows can be drawn."""

    def __init__(self, parts: list[hearing_data.SpeechPart], seed: int, runs: Path = config.DEFAULT_RUNS) -> None:
        self.runs = runs
        self.rng = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.by_kind: dict[str, list[tuple[hearing_data.SpeechPart, hearing_data.Utterance]]] = {}
        for part in parts:
            for item in part.utterances:
                self.by_kind.setdefault(item.question.kind, []).append((part, item))
        found = {name: people.load(runs / "people", name) for name in _PEOPLE}
        self.people = {name: recordings for name, recordings in found.items() if recordings is not None}
        self.speech = SpeechOfParts(
            self.by_kind, self._said, self._stranger if self.people else None, self.rng, self.noise
        ) if parts else None  # fmt: skip

    def batch(self, counts: dict[str, int]) -> Batch:
        """A batch with so many rows of each kind: typed, image, heard, spoken (about a picture), clip."""
        rng = self.rng
        instructions = DEFAULT_INSTRUCTIONS if rng.random() < 0.75 else rng.choice(_OTHER_INSTRUCTIONS)
        system = system_turn(instructions)
        builder = _Builder(rng, self.noise, len(system))
        rows = []
        for kind, count in counts.items():
            for _ in range(count):
                if kind == "conversation":
                    whole = Conversation(rng, builder, self.speech, self.runs, typed)
                    rows.append(pack([say(USER_HEADER), *whole.write()], [], len(system) + whole.jump))
                    continue
                prefix, branches = getattr(self, "_" + kind)(builder)
                rows.append(pack([say(USER_HEADER), *prefix], branches, len(system)))
        tilt = hearing_audio.random_tilt(len(builder.sounds), config.audio_config()["num_mel_bins"], rng)
        return Batch(system, rows, builder.sounds, builder.pictures, tilt if len(tilt) else None)

    def _said(self, part: hearing_data.SpeechPart, item: hearing_data.Utterance) -> npt.NDArray[np.float32]:
        """An utterance, half of the time with the noise and the rooms of the encoder's pretraining."""
        pcm = part.samples(item)
        chance = self.rng.random()
        if chance < 0.35:
            return hearing_audio.augment(pcm, self.noise).pcm
        if chance < 0.55:
            return self._worse(hearing_audio.stretch(pcm, self.rng.uniform(0.88, 1.2)))
        return hearing_audio.plain(hearing_audio.stretch(pcm, self.rng.uniform(0.88, 1.2))).pcm

    def _worse(self, pcm: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Through a telephone, from far away, among others, with music, overdriven."""
        others = []
        for _ in range(3):
            part, item = self.rng.choice(self.by_kind[self.rng.choice(list(self.by_kind))])
            others.append(part.samples(item))
        return distort.some(hearing_audio.plain(pcm).pcm, self.noise, others)

    def _stranger(self) -> Spoken:
        """A real person who says something that flash-mini does not know."""
        rng = self.rng
        name = rng.choices(list(self.people), [_PEOPLE[name] for name in self.people])[0]
        recordings = self.people[name]
        pcm, said = recordings.take(rng.randrange(len(recordings)))
        pcm = hearing_audio.stretch(pcm, rng.uniform(0.85, 1.2))
        chance = rng.random()
        pcm = hearing_audio.augment(pcm, self.noise).pcm if chance < 0.3 else (
            self._worse(pcm) if chance < 0.45 else hearing_audio.plain(pcm).pcm
        )  # fmt: skip
        return Spoken(pcm[: _LONGEST_S * hearing_audio.RATE_HZ], said)

    def _typed(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """Typed questions without a picture, a third of them with a second turn."""
        rng, branches = self.rng, []
        for _ in range(_TYPED_BRANCHES):
            question = draw.question(rng, rng.choices((draw.TALK, draw.OUT_OF_DOMAIN, draw.PICTURE), (6, 1, 1))[0])
            answer = answer_without_picture(question)
            branch = _typed_turn(typed(question.text, rng), answer, rng)
            if rng.random() < 0.25:
                second, second_answer = self._second(answer)
                branch += _typed_turn(typed(second, rng), second_answer, rng, first=False)
            branches.append(branch)
        return [], branches

    def _second(self, answer: str) -> tuple[str, str]:
        """A second turn that needs the first: repeat that, are you sure; or any other question."""
        rng = self.rng
        draw_ = rng.random()
        if draw_ < 0.5:
            return draw.question(rng, draw.TALK, "repeat").text, answer
        if draw_ < 0.65:
            return draw.question(rng, draw.TALK, "sure").text, talk.SURE_ANSWER
        question = draw.question(rng, draw.TALK)
        if question.intent == "repeat":
            return question.text, answer
        return question.text, answer_without_picture(question)

    def _image(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """A picture and typed questions about it, some followed by a question that says "it"."""
        rng = self.rng
        if rng.random() < 0.1:
            return self._typed_clip(builder)
        if rng.random() < 0.25:
            return self._typed_strange(builder)
        if rng.random() < 0.2:
            return self._typed_word(builder)
        if rng.random() < 0.3:
            scene, asked = draw_scene(rng), []
        else:  # a scene made for a question: hard noes, several things of a colour
            intent = pictures.draw_intent(rng)
            if intent == "change":
                return self._typed_clip(builder)
            words, slots = pictures.ask(intent, rng)
            shown, answer = answers.show_for(intent, slots, rng)
            assert isinstance(shown, Scene)
            scene, asked = shown, [(intent, slots, words, answer)]
        branches = [
            _typed_turn(app_prompts.PROMPTS[name], app_prompts.answer(name, scene), rng)
            for name in rng.sample(list(app_prompts.PROMPTS), _PROMPT_BRANCHES)
        ]
        n_more = _IMAGE_BRANCHES - len(branches) - len(asked)
        for intent, slots, words, answer in asked + answers.more_questions(scene, rng, n_more):
            branch = _typed_turn(typed(words, rng), answer, rng)
            if rng.random() < 0.3:
                second, second_answer = self._follow_up(scene, intent, slots, answer)
                branch += _typed_turn(typed(second, rng), second_answer, rng, first=False)
            branches.append(branch)
        return [builder.picture(scene)], branches

    def _typed_strange(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """A picture outside its world: whatever is asked, it cannot tell; talk stays talk."""
        rng = self.rng
        view = unknown.draw(self.runs, rng)
        branches = []
        for _ in range(4):
            question = draw.question(rng, draw.PICTURE)
            if question.intent not in (*pictures.FOLLOW_UPS, "change"):
                branches.append(_typed_turn(typed(question.text, rng), view.answer(question.intent), rng))
        prompt = app_prompts.PROMPTS[app_prompts.draw_name(rng)]
        branches.append(_typed_turn(prompt, view.answer(""), rng))
        question = draw.question(rng, draw.TALK, rng.choice(talk.REFUSALS) if rng.random() < 0.5 else None)
        branches.append(_typed_turn(typed(question.text, rng), answer_without_picture(question), rng))
        return [builder.shown(view.rgb)], branches

    def _typed_word(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """A printed word, every third one that it cannot read."""
        rng = self.rng
        scene = answers.show_for("read", {}, rng)[0]
        assert isinstance(scene, Scene)
        if scene.word and rng.random() < 0.35:
            scene = replace(scene, word=rng.choice(words.STRANGE_WORDS))
        branches = []
        for intent in ("read", "read", "describe", "more_detail"):
            right = answers.answer(intent, {}, scene)
            branches.append(_typed_turn(typed(pictures.ask(intent, rng)[0], rng), right or "", rng))
        prompts = ("read", app_prompts.draw_name(rng))
        branches += [_typed_turn(app_prompts.PROMPTS[name], app_prompts.answer(name, scene), rng) for name in prompts]
        return [builder.picture(scene)], branches

    def _follow_up(self, scene: Scene, intent: str, slots: talk.Slots, answer: str) -> tuple[str, str]:
        rng = self.rng
        thing = answers.spoken_of(intent, slots, scene)
        if thing is not None and rng.random() < 0.6:
            follow = rng.choice(list(pictures.FOLLOW_UPS))
            return pictures.follow_up(follow, rng), answers.follow_up_answer(follow, thing)
        if rng.random() < 0.5:
            others = answers.more_questions(scene, rng, 1)
            if others:
                return others[0][2], others[0][3]
        return self._second(answer)

    def _typed_clip(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        clip, answer = self._clip_scenes()
        prefix: list[Segment] = [builder.picture(scene, shot) for shot, scene in enumerate(clip.scenes)]
        words, _ = pictures.ask("change", self.rng)
        branches = [_typed_turn(typed(words, self.rng), answer, self.rng)]
        for _, _, words, right in answers.more_questions(clip.scenes[-1], self.rng, 2, never=("change",)):
            branches.append(_typed_turn(typed(words, self.rng), right, self.rng))
        return prefix, branches

    def _clip_scenes(self) -> tuple[Clip, str]:
        shown, answer = answers.show_for("change", {}, self.rng)
        assert isinstance(shown, Clip)
        return shown, answer

    def _spoken(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """A spoken question about a picture, in the layouts of the runtime."""
        rng = self.rng
        part, item = rng.choice(self.by_kind[draw.PICTURE])
        intent, slots = item.question.intent, item.question.slots
        if intent in pictures.FOLLOW_UPS:
            return self._spoken_follow_up(builder, part, item)
        shown, answer = answers.show_for(intent, slots, rng)
        pcm = self._said(part, item)
        prefix = self._show(builder, shown, pcm)
        branches = [[say(TURN_END), *reply(answer)], _transcription(item.question.text)]
        scene = shown.scenes[-1] if isinstance(shown, Clip) else shown
        if rng.random() < 0.3 and intent != "change":
            second, second_answer = self._follow_up(scene, intent, slots, answer)
            branches.append(_next_turn(answer, typed(second, rng), second_answer))
        return prefix, branches

    def _show(self, builder: _Builder, shown: Scene | Clip, pcm: npt.NDArray[np.float32]) -> list[Segment]:
        """Sound with a scene or a clip: pictures inside the span, now and then before it."""
        rng = self.rng
        sound = builder.sound(pcm)
        if isinstance(shown, Clip):
            step = rng.uniform(0.3, 1.0) if len(pcm) < 3 * hearing_audio.RATE_HZ else rng.uniform(0.5, 1.2)
            frames = tuple(builder.picture(scene, shot) for shot, scene in enumerate(shown.scenes))
            return [Span(sound, frames, tuple(step * n for n in range(len(frames))))]
        if rng.random() < 0.15:
            return [builder.picture(shown), sound]
        n_shots = 2 if rng.random() < 0.2 else 1
        frames = tuple(builder.picture(shown, shot) for shot in range(n_shots))
        return [Span(sound, frames, tuple(0.0 if n == 0 else rng.uniform(0.5, 1.5) for n in range(n_shots)))]

    def _spoken_follow_up(
        self, builder: _Builder, part: hearing_data.SpeechPart, item: hearing_data.Utterance
    ) -> tuple[list[Segment], list[list[Segment]]]:
        """A typed question about a picture, then a spoken one that says "it"."""
        rng = self.rng
        intent = rng.choice(("colour_of", "where", "is_there", "what_colour"))
        while True:
            words, slots = pictures.ask(intent, rng)
            shown, answer = answers.show_for(intent, slots, rng)
            assert isinstance(shown, Scene)
            thing = answers.spoken_of(intent, slots, shown)
            if thing is not None:
                break
        sound = builder.sound(self._said(part, item))
        prefix = [builder.picture(shown), say(typed(words, rng)), *_history(answer), say(NEXT_USER), sound]
        second = answers.follow_up_answer(item.question.intent, thing)
        return prefix, [[say(TURN_END), *reply(second)], _transcription(item.question.text)]

    def _heard(self, builder: _Builder) -> tuple[list[Segment], list[list[Segment]]]:
        """A spoken question, or a sound without words, without a picture."""
        rng = self.rng
        if rng.random() < 0.07:
            sound = builder.sound(hearing_audio.no_speech(self.noise))
            return [sound], [[say(TURN_END), *reply(UNCLEAR_ANSWER)], _transcription(NO_WORDS)]
        if self.people and rng.random() < 0.3:
            stranger = self._stranger()
            sound = builder.sound(stranger.pcm)
            written_down = [_transcription(stranger.wrote)] if stranger.wrote else []
            return [sound], [[say(TURN_END), *reply(UNCLEAR_ANSWER)], *written_down]
        kinds = [kind for kind in self.by_kind if kind != draw.PICTURE]
        weights = [{draw.TALK: 8, draw.OUT_OF_DOMAIN: 2, draw.FOREIGN: 1}[kind] for kind in kinds]
        kind = draw.PICTURE if rng.random() < 0.1 else rng.choices(kinds, weights)[0]
        part, item = rng.choice(self.by_kind[kind])
        question = item.question
        answer = answer_without_picture(question)
        sound = builder.sound(self._said(part, item))
        wrote = NO_WORDS if kind == draw.FOREIGN else question.text
        if question.intent in ("repeat", "sure") and rng.random() < 0.8:
            first = draw.question(rng, draw.TALK)
            while first.intent == "repeat":
                first = draw.question(rng, draw.TALK)
            before = answer_without_picture(first)
            answer = before if question.intent == "repeat" else talk.SURE_ANSWER
            prefix: list[Segment] = [say(typed(first.text, rng)), *_history(before), say(NEXT_USER), sound]
            return prefix, [[say(TURN_END), *reply(answer)], _transcription(wrote)]
        branches = [[say(TURN_END), *reply(answer)], _transcription(wrote)]
        if rng.random() < 0.15:
            second, second_answer = self._second(answer)
            branches.append(_next_turn(answer, typed(second, rng), second_answer))
        return [sound], branches


def _transcription(wrote: str) -> list[Segment]:
    return [say(TRANSCRIBE_PROMPT + TURN_END), *written(wrote)]


def training_maker(runs: Path, seed: int) -> Maker:
    """A maker over all training parts that there are."""
    return Maker(hearing_data.training_parts(runs), seed, runs)
