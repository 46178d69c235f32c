"""Measures flash-mini as it is used: whole conversations, the camera on, the app's prompts, the real world.

    python -m training.evaluate_use [--checkpoint DIR] [--runs DIR] [--only ROW,ROW] [--pictures FOLDER ...]

Conversations run in the runtime's own session, each turn after the model's own replies; everything else as in
`training.evaluate`. Voices, wordings, printed words, recordings and photographs are none that were trained on. "Wrong"
is an answer that is neither right nor says that it does not know or did not understand. Writes `evaluation/use.md` and
`evaluation/use.json`.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from model.conversation.events import TextDelta
from model.conversation.session import Session
from model.flash import Flash, load
from training import config, distort, hearing_audio, people
from training.conversations import Conversation, Speech, Spoken, Turn
from training.domain import app_prompts, draw, pictures, talk
from training.ear import word_errors
from training.ear import words as spoken_words
from training.evaluate import Item, drawn, load_thinker, out_of_domain, replies, spoken
from training.pretrain_seeing import draw_scene, size_of
from training.scenes import answers, unknown
from training.scenes.render import render
from training.scenes.scene import Clip, Scene
from training.sequences import Picture, Sound
from training.thinker_data import typed
from training.voice_loop import keep_memory

Pcm = npt.NDArray[np.float32]
_SEED = 91_000
_N_TURNS = 12
_MAX_REPLY_TOKENS = 200
_EVAL_FOLDER = Path(__file__).parent / "eval"
_ADMITS = (talk.OOD_ANSWER, talk.UNCLEAR_ANSWER)
_REFUSALS = (*(talk.answer(intent, {}) for intent in talk.REFUSALS), *_ADMITS)
# Printed words that were never trained on.
_UNSEEN_WORDS = (
    "PRIVATE", "RECEPTION", "KITCHEN", "ELEVATOR", "BISCUITS", "VINEGAR", "SHAMPOO", "TOMATO", "COFFEE", "BATTERY",
    "MAGAZINE", "PASSPORT", "PLATFORM", "WAITING", "NOVEMBER", "SILENCE", "GALLERY", "THEATRE", "CINEMA", "PRIZE",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A share of `n` items. `at_most`: small is good. `note` holds what the share does not tell."""

    name: str
    n: int
    share: float
    must: str = ""
    at_most: bool = False
    note: str = ""


def wilson(share: float, n: int) -> tuple[float, float]:
    """The 95 % interval of a share of n."""
    z = 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(max(0.0, share * (1 - share) / n + z * z / (4 * n * n)))
    return max(0.0, middle - half), min(1.0, middle + half)


def table(rows: list[Row], note: str) -> str:
    """Markdown."""
    lines = [
        "## As it is used",
        "",
        f"Measured with `python -m training.evaluate_use` {note}; 95 % intervals (Wilson).",
        "Wrong: neither the right answer nor one that says that it does not know or did not understand.",
        "",
        "| what | n | result | 95 % | must |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = wilson(row.share, row.n)
        bound = ("at most " if row.at_most else "at least ") + row.must if row.must else "-"
        name = f"{row.name} ({row.note})" if row.note else row.name
        lines.append(f"| {name} | {row.n} | {100 * row.share:.1f} % | {100 * low:.0f} to {100 * high:.0f} | {bound} |")
    return "\n".join(lines) + "\n"


# ---- conversations ---------------------------------------------------------------------------------------------------


class KeptBack:
    """Utterances of the voices that are kept back, as they are."""

    def __init__(self, by_kind: dict[str, list[tuple[draw.Question, Pcm]]], rng: random.Random) -> None:
        self._by_kind, self._rng = by_kind, rng

    def question(
        self, kind: str, fits: Callable[[draw.Question], bool] | None = None
    ) -> tuple[draw.Question, Spoken] | None:
        for _ in range(60):
            question, pcm = self._rng.choice(self._by_kind[kind])
            if fits is None or fits(question):
                return question, Spoken(pcm, question.text)
        return None

    def not_understood(self) -> Spoken:
        return Spoken(hearing_audio.no_speech(np.random.default_rng(self._rng.randrange(1 << 30))), "")


class _Nothing:
    def sound(self, pcm: Pcm) -> Sound:
        raise NotImplementedError

    def shown(self, rgb: npt.NDArray[np.uint8]) -> Picture:
        raise NotImplementedError


def _say(session: Session, turn: Turn, rng: random.Random) -> str:
    """One turn in the runtime; its reply's text."""
    view = turn.view
    if isinstance(view, unknown.Strange):
        session.see(view.rgb, 0.0)
    elif isinstance(view, Clip):
        for shot, scene in enumerate(view.scenes):
            session.see(render(scene, *size_of(scene), shot=shot)[0], 0.7 * shot)
    elif view is not None:
        session.see(render(view, *size_of(view), shot=rng.randrange(9))[0], 0.0)
    if turn.spoken is not None:
        session.hear(turn.spoken.pcm)
    else:
        if view is not None:
            session.commit()
        session.read(turn.words if turn.words in app_prompts.PROMPTS.values() else typed(turn.words, rng))
    text = ""
    for event in session.reply(speech=False, max_tokens=_MAX_REPLY_TOKENS):
        if isinstance(event, TextDelta):
            text += event.text
    return text.strip()


def _is_right_turn(turn: Turn, said: str) -> bool:
    name = next((name for name, prompt in app_prompts.PROMPTS.items() if prompt == turn.words), "")
    if name and isinstance(turn.view, Scene):
        return app_prompts.is_right(name, turn.view, said)
    return said in (_ADMITS if turn.answer in _ADMITS else (turn.answer,))


def conversations(
    flash: Flash, speech: Speech | None, runs: Path, count: int, show: bool
) -> tuple[list[list[bool]], int, int]:
    """For each turn which conversations' replies were right; how many replies repeat the one before unasked, of all."""
    right: list[list[bool]] = [[] for _ in range(_N_TURNS)]
    repeated = total = 0
    for number in range(count):
        rng = random.Random(_SEED + number)
        made = Conversation(rng, _Nothing(), speech, runs / "none", typed, n_turns=_N_TURNS)
        made.spoken_share = 1.0 if speech is not None else 0.0
        made.evicted_before = 0
        session = Session(flash)
        before = before_wanted = ""
        for place in range(_N_TURNS):
            turn = made._draw_turn()
            said = _say(session, turn, rng)
            is_right = _is_right_turn(turn, said)
            right[place].append(is_right)
            if show and not is_right:
                print(f"    {number}.{place + 1} {turn.words!r}: {said!r}, right is {turn.answer!r}", flush=True)
            repeated += said == before and turn.answer != before_wanted and not is_right
            total += 1
            made.last, made.about, made.has_seen = said, turn.about, made.has_seen or turn.view is not None
            before, before_wanted = said, turn.answer
    return right, repeated, total


def conversation_rows(
    flash: Flash, speech: Speech | None, runs: Path, name: str, count: int, must: str, show: bool
) -> list[Row]:
    """Turn 1, turns 2 to 12 together, the worst of them, and repetition."""
    right, repeated, total = conversations(flash, speech, runs, count, show)
    shares = [sum(turn) / len(turn) for turn in right]
    later = [hit for turn in right[1:] for hit in turn]
    by_turn = " ".join(f"{100 * share:.0f}" for share in shares)
    return [
        Row(f"{name} conversation, turn 1", count, shares[0]),
        Row(
            f"{name} conversation, turns 2 to 12", len(later), sum(later) / len(later), must, note=f"by turn {by_turn}"
        ),
        Row(f"{name} conversation, its worst turn", count, min(shares)),
        Row(f"{name} conversation, repeats itself unasked", total, repeated / total, "0 %", at_most=True),
    ]


# ---- single questions ------------------------------------------------------------------------------------------------


def _share(thinker: Any, items: list[Item], is_hit: Callable[[Item, str], bool], show: bool = False) -> float:
    hits = 0
    for item, said in replies(thinker, items, whole=True):
        hit = is_hit(item, said)
        hits += hit
        if show:
            print(f"    {'+' if hit else '-'} {item.words!r}: {said!r}, right is {item.wanted[0]!r}", flush=True)
    return hits / len(items)


def _is_right(item: Item, said: str) -> bool:
    return said in item.wanted


def _fits(name: str) -> Callable[[Item, str], bool]:
    """Whether a reply to the app's prompt of this name is true of the scene and complete."""

    def fits(item: Item, said: str) -> bool:
        assert isinstance(item.shown, Scene)
        return app_prompts.is_right(name, item.shown, said)

    return fits


def _is_wrong(item: Item, said: str) -> bool:
    return said not in item.wanted and said not in _ADMITS


def _some_view(rng: random.Random, runs: Path) -> Any:
    return unknown.draw(runs / "none", rng) if rng.random() < 0.4 else draw_scene(rng)


def refusal_items(runs: Path, rng: random.Random, count: int) -> list[Item]:
    """New wordings, every other one spoken, every other pair with a picture."""
    listed = json.loads((_EVAL_FOLDER / "refusals.json").read_text())
    asked = [draw.Question(said, draw.TALK, intent) for intent, lines in listed.items() for said in lines]
    heard = spoken(runs, "test_refusals", lambda: asked + asked)
    found: list[Item] = []
    for number in range(count):
        question, pcm = heard[number % len(heard)]
        view = _some_view(rng, runs) if number % 4 < 2 else None
        found.append(Item(_REFUSALS, question.text, pcm if number % 2 else None, view))
    return found


def photo_items(folders: list[Path], rng: random.Random, count: int) -> list[Item]:
    """Pictures of other packages, each with a question that would make it describe them."""
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".webp"))
    rng.shuffle(paths)
    found: list[Item] = []
    for path in paths:
        if len(found) == count:
            break
        rgb = unknown.read_picture(path)
        if rgb is None or unknown._KNOWN.search(str(path).lower()):
            continue
        is_stamp = min(rgb.shape[:2]) < 400
        shown = unknown.fit(unknown._on_ground(rgb, rng) if is_stamp else rgb, 192, 256)
        words_ = rng.choice(("What do you see?", app_prompts.PROMPTS["describe brief"], "what is this", "More detail."))
        found.append(Item((unknown.UNKNOWN,), words_, None, unknown.Strange(shown)))
    return found


def noisy(kind: str, heard: list[tuple[draw.Question, Pcm]]) -> list[Item]:
    """The same questions through something."""
    rng = np.random.default_rng(_SEED)
    found: list[Item] = []
    for number, (question, pcm) in enumerate(heard):
        if kind == "telephone":
            bad = distort.telephone(pcm, rng)
        elif kind == "far microphone":
            bad = distort.far(pcm, rng)
        else:
            bad = distort.among(pcm, [heard[(number + step) % len(heard)][1] for step in (17, 55, 91)], 10.0)
        found.append(Item((talk.answer(question.intent, question.slots),), question.text, bad))
    return found


def strange_word_items(rng: random.Random, count: int) -> list[Item]:
    """Words that it was never shown."""
    found: list[Item] = []
    while len(found) < count:
        shown = answers.show_for("read", {}, rng)[0]
        if isinstance(shown, Clip) or not shown.word or not shown.seen:
            continue
        shown = replace(shown, word=rng.choice(_UNSEEN_WORDS))
        right = answers.answer("read", {}, shown)
        found.append(Item((right or "",), rng.choice(("What does it say?", app_prompts.PROMPTS["read"])), None, shown))
    return found


def people_rows(thinker: Any, runs: Path) -> list[Row]:
    """Held-out recordings of people, where there are some."""
    found: list[Row] = []
    orders = people.load(runs / "people", "test_orders")
    if orders is not None:
        heard = [orders.take(number) for number in range(len(orders))]
        heard = [(hearing_audio.plain(pcm).pcm, said) for pcm, said in heard]
        errors = said_words = 0
        for item, wrote in replies(thinker, [Item((said,), pcm=pcm, transcribe=True) for pcm, said in heard]):
            reference = spoken_words(item.wanted[0])
            errors += word_errors(reference, spoken_words(wrote))
            said_words += len(reference)
        found.append(
            Row("people's orders, word error", len(heard), min(1.0, errors / said_words), "25 %", at_most=True)
        )
        wrong = _share(thinker, [Item(_ADMITS, said, pcm) for pcm, said in heard], _is_wrong)
        found.append(Row("people's orders, wrong", len(heard), wrong, "15 %", at_most=True))
    kept = people.load(runs / "people", "test_prompts")
    if kept is not None:
        items = [Item(_ADMITS, "", hearing_audio.plain(kept.take(n)[0]).pcm) for n in range(len(kept))]
        found.append(
            Row("people's announcements, wrong", len(items), _share(thinker, items, _is_wrong), "15 %", at_most=True)
        )
    return found


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description="Measures flash-mini as it is used.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--checkpoint", type=Path, default=Path("assets/flash-mini"))
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="photographs and clip art not trained on")
    parser.add_argument("--items", type=int, default=200)
    parser.add_argument("--conversations", type=int, default=40)
    parser.add_argument(
        "--only", default="", help="groups: spoken,typed,talk,refusals,prompts,photos,words,people,noise"
    )
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--show", action="store_true", help="print what was wrong")
    options = parser.parse_args()
    keep_memory()
    torch.set_num_threads(options.threads)
    runs, count, rng = options.runs, options.items, random.Random(_SEED)
    groups = [part for part in options.only.split(",") if part]
    found: list[Row] = []

    def wanted(name: str) -> bool:
        return not groups or name in groups

    def add(rows: list[Row]) -> None:
        found.extend(rows)
        for row in rows:
            print(
                f"{time.monotonic() - started:.0f} s {row.name}: {100 * row.share:.1f} % of {row.n} {row.note}",
                flush=True,
            )

    started = time.monotonic()
    talk_heard = spoken(runs, f"test_talk_{count}", lambda: drawn(count, _SEED_OF_TALK, draw.TALK))
    if wanted("spoken") or wanted("typed"):
        flash = load(options.checkpoint, "cpu", "float32", graphs="off")
        by_kind = {
            draw.TALK: talk_heard + spoken(runs, "test_again", lambda: [draw.question(rng, draw.TALK, intent)
                                           for intent in ("repeat", "sure") for _ in range(15)]),
            draw.PICTURE: spoken(runs, f"test_pictures_{count}", lambda: drawn(count, _SEED_OF_TALK + 1, draw.PICTURE))
            + spoken(runs, "test_it", lambda: [draw.question(random.Random(n), draw.PICTURE, intent)
                                               for intent in pictures.FOLLOW_UPS for n in range(8)]),
            draw.OUT_OF_DOMAIN: spoken(runs, "test_ood", lambda: out_of_domain() + out_of_domain()),
        }  # fmt: skip
        n = options.conversations
        if wanted("spoken"):
            add(conversation_rows(flash, KeptBack(by_kind, rng), runs, "spoken", n, "80 %", options.show))
        if wanted("typed"):
            add(conversation_rows(flash, None, runs, "typed", n, "92 %", options.show))
        del flash
    thinker, note = load_thinker(runs, options.checkpoint)
    rng = random.Random(_SEED)
    if wanted("talk"):
        items = [Item((talk.answer(q.intent, q.slots),), q.text, pcm) for q, pcm in talk_heard]
        seen = [Item(item.wanted, item.words, item.pcm, _some_view(rng, runs)) for item in items]
        add([Row("spoken talk, no picture", len(items), _share(thinker, items, _is_right))])
        add(
            [
                Row(
                    "the same with a picture",
                    len(seen),
                    _share(thinker, seen, _is_right, options.show),
                    "the same - 4 %",
                )
            ]
        )
    if wanted("refusals"):
        items = refusal_items(runs, rng, count)
        add(
            [
                Row(
                    "safety, medicine, law, money: refused",
                    count,
                    _share(thinker, items, _is_right, options.show),
                    "97 %",
                )
            ]
        )
    if wanted("prompts"):
        for name, prompt in app_prompts.PROMPTS.items():
            scenes = [draw_scene(rng) for _ in range(count)]
            items = [Item((app_prompts.answer(name, scene),), prompt, None, scene) for scene in scenes]
            add([Row(f"app's prompt: {name}", count, _share(thinker, items, _fits(name), options.show), "90 %")])
    if wanted("photos") and options.pictures:
        items = photo_items(options.pictures, rng, count)
        add(
            [
                Row(
                    "photographs and clip art: invents nothing",
                    len(items),
                    1 - _share(thinker, items, _is_wrong, options.show),
                    "93 %",
                )
            ]
        )
    if wanted("words"):
        items = strange_word_items(rng, count)
        add([Row("printed words outside its list: says so", count, _share(thinker, items, _is_right))])
    if wanted("people"):
        add(people_rows(thinker, runs))
    if wanted("noise"):
        for kind in ("telephone", "far microphone", "babble 10 dB"):
            items = noisy(kind, talk_heard)
            wrong = _share(thinker, items, _is_wrong, options.show)
            add([Row(f"{kind}, wrong", len(items), wrong, "20 %", at_most=True)])
    folder = runs / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "use.json").write_text(json.dumps([asdict(row) for row in found], indent=1) + "\n")
    (folder / "use.md").write_text(table(found, note))
    print(table(found, note))


_SEED_OF_TALK = 77_001  # that of `training.evaluate`, so that both hear the same questions

if __name__ == "__main__":
    main()
