"""Measures what flash-mini hears, sees and answers.

    python -m training.evaluate [--runs DIR] [--checkpoint DIR] [--items N] [--only ROW,ROW] [--threads N]

Every row has at least N items (200 unless told otherwise). Spoken items use the voices that were never trained on, and
an answer is right only when the whole text is right. Prints a table and writes `evaluation/thinker.json` and
`evaluation/thinker.md`, which `training.export` puts into MODEL_CARD.md. With --checkpoint the exported directory is
read with transformers and measured; otherwise `thinker.pt`.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.prompts import DEFAULT_INSTRUCTIONS, TRANSCRIBE_PROMPT
from training import config, hearing_audio, hearing_data, text
from training.domain import draw, pictures, talk, words
from training.ear import word_errors
from training.ear import words as spoken_words
from training.pretrain_seeing import size_of
from training.scenes import answers
from training.scenes.render import render
from training.scenes.scene import Clip, Scene
from training.scenes.unknown import Strange
from training.sequences import TURN_END, USER_HEADER, Picture, Segment, Sound, Span, pack, say, system_turn
from training.stage import load_part_of, make_thinker
from training.thinker import Batch, decode
from training.thinker_data import answer_without_picture
from training.voice_loop import keep_memory

_EVAL_FOLDER = Path(__file__).parent / "eval"
_BATCH = 64
_MAX_ANSWER_TOKENS = 200  # five things in full detail
_SEED = 77_000
Pcm = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Item:
    """One question: sound or words, pictures with their times, and the answers that count as right."""

    wanted: tuple[str, ...]
    words: str = ""
    pcm: Pcm | None = None
    shown: Scene | Clip | Strange | None = None
    transcribe: bool = False


@dataclass(frozen=True)
class Result:
    """A row of the table. `right` is a share, or a word error rate when `error_rate`."""

    name: str
    n_items: int
    right: float
    must: str
    aim: str
    error_rate: bool = False


def _prefix(item: Item, sounds: list[Pcm], shots: list[Any]) -> list[Segment]:
    pictures_: list[Picture] = []
    if isinstance(item.shown, Strange):
        shots.append(item.shown.rgb)
        pictures_.append(Picture(len(shots) - 1, *item.shown.rgb.shape[:2]))
    elif item.shown is not None:
        for shot, scene in enumerate(item.shown.scenes if isinstance(item.shown, Clip) else (item.shown,)):
            height, width = size_of(scene)
            shots.append(render(scene, height, width, shot=shot)[0])
            pictures_.append(Picture(len(shots) - 1, height, width))
    if item.pcm is None:
        return [*pictures_, say(item.words)]
    sounds.append(item.pcm)
    sound = Sound(len(sounds) - 1, len(item.pcm) // hearing_audio.SAMPLES_PER_MEL_FRAME)
    return [Span(sound, tuple(pictures_), tuple(0.7 * n for n in range(len(pictures_))))] if pictures_ else [sound]


def replies(thinker: Any, items: list[Item], *, whole: bool = False) -> Iterator[tuple[Item, str]]:
    """The model's greedy text for every item, with the default instructions.

    Unless `whole`, an answer is broken off where it is no longer the beginning of a right one (it is wrong then,
    whatever follows); transcriptions never are.
    """
    system = system_turn(DEFAULT_INSTRUCTIONS)
    for first in range(0, len(items), _BATCH):
        group = items[first : first + _BATCH]
        sounds: list[Pcm] = []
        shots: list[Any] = []
        rows = []
        for item in group:
            prefix = _prefix(item, sounds, shots)
            ending = (TRANSCRIBE_PROMPT if item.transcribe else "") + TURN_END
            rows.append(pack([say(USER_HEADER), *prefix, say(ending)], [], len(system)))
        batch = Batch(system, rows, sounds, shots)

        def hopeless(row: int, ids: list[int], group: list[Item] = group) -> bool:
            if whole or group[row].transcribe:
                return False
            said = text.decode(ids).lstrip()
            return not any(wanted.startswith(said) for wanted in group[row].wanted)

        found = decode(thinker, batch, end=text.IM_END, max_tokens=_MAX_ANSWER_TOKENS, hopeless=hopeless)
        for item, ids in zip(group, found, strict=True):
            yield item, text.decode(ids).strip()


def spoken(runs: Path, name: str, questions: Callable[[], list[draw.Question]]) -> list[tuple[draw.Question, Pcm]]:
    """A part spoken by the kept-back voices; made when it is not there or was made of other questions."""
    path, wanted = runs / "hearing" / f"{name}.json", questions()
    if not path.exists() or [item.question for item in hearing_data.load_part(path).utterances] != wanted:
        hearing_data.make_test_part(path.parent, name, wanted, _SEED)
    part = hearing_data.load_part(path)
    return [(item.question, hearing_audio.plain(part.samples(item)).pcm) for item in part.utterances]


def to_item(question: draw.Question, pcm: Pcm | None, rng: random.Random) -> Item:
    """An item with a scene or clip where the question is about one."""
    if question.kind == draw.PICTURE and question.intent not in pictures.FOLLOW_UPS:
        shown, right = answers.show_for(question.intent, question.slots, rng)
        return Item((right,), question.text, pcm, shown)
    wanted = answer_without_picture(question)
    alternatives = (talk.OOD_ANSWER, talk.UNCLEAR_ANSWER)
    return Item(alternatives if question.kind in (draw.OUT_OF_DOMAIN, draw.FOREIGN) else (wanted,), question.text, pcm)


def new_wordings(rng: random.Random) -> list[draw.Question]:
    """The hundred wordings that were written without sight of the grammar, their open slots filled."""
    found = []
    for entry in json.loads((_EVAL_FOLDER / "new_wordings.json").read_text()):
        intent = entry["intent"]
        slots = {
            key: words.number(value) if isinstance(value, int) else value
            for key, value in entry.items()
            if key not in ("say", "intent")
        }
        kind = draw.PICTURE if intent in pictures.INTENTS else draw.TALK
        if kind == draw.PICTURE:
            slots = pictures.ask(intent, rng)[1]
        found.append(draw.Question(pictures.fill(entry["say"], slots, rng), kind, intent, slots))
    return found


def drawn(count: int, seed: int, kind: str | None = None) -> list[draw.Question]:
    rng = random.Random(seed)
    found: list[draw.Question] = []
    while len(found) < count:
        question = draw.question(rng, kind)
        if question.intent not in ("repeat", "sure", *pictures.FOLLOW_UPS):
            found.append(question)
    return found


def other_languages() -> list[draw.Question]:
    """Sentences in languages that are trained on and in others, none of them trained on; the intent is the language."""
    listed = json.loads((_EVAL_FOLDER / "other_languages.json").read_text())
    return [draw.Question(said, draw.FOREIGN, language) for language, sentences in listed.items() for said in sentences]


def out_of_domain() -> list[draw.Question]:
    listed = json.loads((_EVAL_FOLDER / "out_of_domain.json").read_text())
    return [draw.Question(entry, draw.OUT_OF_DOMAIN, "out_of_domain") for entry in listed]


def rows(runs: Path, count: int) -> dict[str, tuple[Callable[[], list[Item]], str, str]]:
    """Name of each row: how its items are made, what it must reach, what is aimed at."""
    rng = random.Random(_SEED)
    noise = np.random.default_rng(_SEED)

    def in_domain() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, f"test_domain_{count}", lambda: drawn(count, _SEED))

    def talk_only() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, f"test_talk_{count}", lambda: drawn(count, _SEED + 1, draw.TALK))

    def about_pictures() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, f"test_pictures_{count}", lambda: drawn(count, _SEED + 2, draw.PICTURE))

    def wordings() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, "test_new", lambda: new_wordings(rng) + new_wordings(rng))

    def no_domain() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, "test_ood", lambda: out_of_domain() + out_of_domain())

    def no_english() -> list[tuple[draw.Question, Pcm]]:
        return spoken(runs, "test_foreign", other_languages)

    def typed_about(intent: str) -> list[Item]:
        found = []
        for _ in range(count):
            question, slots = pictures.ask(intent, rng)
            shown, right = answers.show_for(intent, slots, rng)
            found.append(Item((right,), question, None, shown))
        return found

    def typed_out_of_domain() -> list[Item]:
        """Each as it is, and as people write."""
        alternatives = (talk.OOD_ANSWER, talk.UNCLEAR_ANSWER)
        as_it_is = [question.text for question in out_of_domain()]
        as_written = [words[:1].upper() + words[1:] + "?" for words in as_it_is]
        return [Item(alternatives, words) for words in as_it_is + as_written]

    def without_words() -> list[Item]:
        unclear = (talk.UNCLEAR_ANSWER, talk.OOD_ANSWER)
        return [Item(unclear, pcm=hearing_audio.no_speech(noise)) for _ in range(count)]

    found: dict[str, tuple[Callable[[], list[Item]], str, str]] = {
        "word error of transcription": (
            lambda: [Item((q.text,), pcm=pcm, transcribe=True) for q, pcm in in_domain()],
            "20 %",
            "8 %",
        ),
        "spoken talk, answers": (lambda: [to_item(q, pcm, rng) for q, pcm in talk_only()], "80 %", "92 %"),
        "typed talk, answers": (lambda: [to_item(q, None, rng) for q in drawn(count, _SEED + 3, draw.TALK)], "", ""),
        "new wordings, spoken": (lambda: [to_item(q, pcm, rng) for q, pcm in wordings()], "60 %", "80 %"),
        "new wordings, typed": (lambda: [to_item(q, None, rng) for q in new_wordings(rng) + new_wordings(rng)], "", ""),
        "spoken question about a picture": (
            lambda: [to_item(q, pcm, rng) for q, pcm in about_pictures()],
            "70 %",
            "88 %",
        ),
        "out of domain, spoken": (lambda: [to_item(q, pcm, rng) for q, pcm in no_domain()], "80 %", "95 %"),
        "out of domain, typed": (typed_out_of_domain, "80 %", "95 %"),
        "other languages, spoken": (lambda: [to_item(q, pcm, rng) for q, pcm in no_english()], "80 %", "95 %"),
        "sound without words": (without_words, "80 %", "95 %"),
    }
    for intent in pictures.INTENTS:
        must, aim = ("80 %", "95 %") if intent in ("read", "change") else ("85 %", "95 %")
        found[f"picture: {intent}"] = ((lambda name: lambda: typed_about(name))(intent), must, aim)
    return found


def measure(thinker: Any, name: str, items: list[Item], must: str, aim: str) -> Result:
    """One row: the share of right answers, or the word error rate of a transcription."""
    if items[0].transcribe:
        errors = said = 0
        for item, heard in replies(thinker, items):
            reference = spoken_words(item.wanted[0])
            errors += word_errors(reference, spoken_words(heard))
            said += len(reference)
        return Result(name, len(items), errors / said, must, aim, error_rate=True)
    hits = sum(heard in item.wanted for item, heard in replies(thinker, items))
    return Result(name, len(items), hits / len(items), must, aim)


def table(results: list[Result], note: str) -> str:
    """Markdown of the results."""
    lines = [
        "## Hearing, seeing, answering",
        "",
        f"Measured with `python -m training.evaluate` {note}. Voices that were never trained on; an answer counts only",
        "when every word is right; chance is near 0 unless the question is yes or no.",
        "",
        "| what | items | result | must | aim |",
        "|---|---|---|---|---|",
    ]
    for result in results:
        bound = "at most " if result.error_rate else "at least " if result.must else ""
        must, aim = (bound + result.must if result.must else "-"), result.aim or "-"
        lines.append(f"| {result.name} | {result.n_items} | {100 * result.right:.1f} % | {must} | {aim} |")
    return "\n".join(lines) + "\n"


def load_thinker(runs: Path, checkpoint: Path | None) -> tuple[Any, str]:
    """The Thinker in float32 and a word about where it comes from."""
    if checkpoint is None:
        thinker = make_thinker()
        path = runs / "thinker.pt"
        thinker.load_state_dict(load_part_of(path, "thinker"))
        step = int(torch.load(path, map_location="cpu", weights_only=True)["step"])
        return thinker.eval(), f"on the training state of step {step}"
    from transformers import Qwen3OmniMoeForConditionalGeneration

    whole = Qwen3OmniMoeForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.float32)
    return whole.thinker.eval(), "on the exported checkpoint"


def main() -> None:
    """Measure and write the tables."""
    parser = argparse.ArgumentParser(description="Measures what flash-mini hears, sees and answers.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--only", default="", help="rows to measure, separated by commas; parts of names are enough")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", type=int, default=0, help="print so many replies of each row")
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    thinker, note = load_thinker(options.runs, options.checkpoint)
    wanted = [part for part in options.only.split(",") if part]
    results = []
    for name, (make, must, aim) in rows(options.runs, options.items).items():
        if wanted and not any(part in name for part in wanted):
            continue
        started, items = time.monotonic(), make()
        for item, heard in replies(thinker, items[: options.show], whole=True):
            print(f"    {item.words!r}: {heard!r}, right is {item.wanted[0]!r}", flush=True)
        results.append(measure(thinker, name, items, must, aim))
        spent = time.monotonic() - started
        print(f"{name}: {100 * results[-1].right:.1f} % of {len(items)}, {spent:.0f} s", flush=True)
    folder = options.runs / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "thinker.json").write_text(json.dumps([vars(result) for result in results], indent=1) + "\n")
    (folder / "thinker.md").write_text(table(results, note))
    print(table(results, note))


if __name__ == "__main__":
    main()
