"""Dense pretraining of the vision encoder: what every position shows, and the picture's light and number of things.

A position of a thing also has to tell where that whole thing is, and one of a letter the whole word and the letter's
place in it: what questions ask for is then there to be copied.

    python -m training.pretrain_seeing [--runs DIR] [--minutes M] [--threads N]

Pictures are rendered while it trains; writes `vision_encoder.pt`, and goes on from it when it is there.
"""

from __future__ import annotations

import argparse
import random
import time
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from training import config, muon, vision
from training.domain import words
from training.feeder import batches
from training.scenes.render import Labels, render
from training.scenes.scene import DARK, PICTURE_SIZES, Scene, clock_hour, draw_pair, make_scene, third
from training.stage import Saver, add_options, begin
from training.voice_loop import learning_rate

_LEARNING_RATE = 1.5e-3
_WARMUP_STEPS = 100
_IGNORED = -100
_MOST_THINGS = 5
_COUNTS = 4  # of one colour or kind: none, one, two, more
_LONGEST_WORD = max(map(len, words.PRINTED_WORDS))


class Eye(nn.Module):
    """The encoder and linear readers of what each position, and the whole picture, shows."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = vision.make_tower()
        self.kind = nn.Linear(config.HIDDEN, len(words.OBJECTS) + 1)
        self.colour = nn.Linear(config.HIDDEN, len(words.COLOURS) + 1)
        self.letter = nn.Linear(config.HIDDEN, 27)
        self.centre = nn.Linear(config.HIDDEN, 1)
        self.figure = nn.Linear(config.HIDDEN, 64)  # of a position's 8 x 8 squares
        self.column = nn.Linear(config.HIDDEN, 3)  # of the thing's centre: left, middle, right
        self.row = nn.Linear(config.HIDDEN, 3)
        self.hour = nn.Linear(config.HIDDEN, 13)  # 0: in the middle
        self.word = nn.Linear(config.HIDDEN, len(words.PRINTED_WORDS))  # of a letter
        self.order = nn.Linear(config.HIDDEN, _LONGEST_WORD)
        self.whole = nn.Linear(config.HIDDEN, 3)  # light, dark, blurred
        self.count = nn.Linear(config.HIDDEN, _MOST_THINGS + 1)
        self.count_of_colour = nn.Linear(config.HIDDEN, len(words.COLOURS) * _COUNTS)
        self.count_of_kind = nn.Linear(config.HIDDEN, len(words.OBJECTS) * _COUNTS)


_OF_A_POSITION = {"kinds": "kind", "colours": "colour", "letters": "letter"}  # 0: nothing there
_OF_ITS_THING = {"columns": "column", "rows": "row", "hours": "hour", "words": "word", "orders": "order"}
_COUNTED = {"count_of_colour": (words.COLOURS, "colour"), "count_of_kind": (words.OBJECTS, "kind")}


def place_labels(scene: Scene, label: Labels) -> dict[str, torch.Tensor]:
    """Each position's labels [rows * columns] of `_OF_ITS_THING`; ignored where there is no thing or no letter."""
    n_rows, n_columns = label.kinds.shape
    found = {name: torch.full((n_rows * n_columns,), _IGNORED) for name in _OF_ITS_THING}
    for cell, kind in enumerate(label.kinds.flatten().tolist()):
        y, x = (cell // n_columns + 0.5) / n_rows, (cell % n_columns + 0.5) / n_columns
        # Two things of a kind are far apart, so the nearest one is the one that shows here.
        things = [thing for thing in scene.things if kind > 0 and words.OBJECTS[kind - 1] == thing.kind]
        if things:
            thing = min(things, key=lambda thing: (thing.x - x) ** 2 * scene.aspect**2 + (thing.y - y) ** 2)
            hour = clock_hour(thing, scene.aspect)
            found["columns"][cell], found["rows"][cell] = third(thing.x), third(thing.y)
            found["hours"][cell] = _IGNORED if hour is None else hour
    found["orders"] = torch.from_numpy(label.orders).flatten()
    if scene.word:
        found["words"][found["orders"] != _IGNORED] = words.PRINTED_WORDS.index(scene.word)
    return found


def count_labels(scene: Scene, names: tuple[str, ...], of: str) -> list[int]:
    """How many things there are of each colour or kind; ignored when nothing can be seen."""
    counts = [sum(getattr(thing, of) == name for thing in scene.things) for name in names]
    return [min(count, _COUNTS - 1) if scene.seen else _IGNORED for count in counts]


def draw_scene(rng: random.Random) -> Scene:
    """A scene of any kind: empty to five things, a word in a third of them, sometimes dark or blurred."""
    word = rng.choice(words.PRINTED_WORDS) if rng.random() < 0.35 else ""
    n_things = rng.choice((0, 0, 1)) if word else rng.choice((0, 1, 1, 2, 2, 3, 3, 4, 5))
    scene = make_scene([draw_pair(rng) for _ in range(n_things)], rng, word)
    draw = rng.random()
    if draw < 0.06:
        return replace(scene, light=DARK)
    return replace(scene, blurred=True) if draw < 0.12 else scene


def size_of(scene: Scene) -> tuple[int, int]:
    """Height and width in pixels of a scene's picture."""
    return next(size for size in PICTURE_SIZES if abs(size[1] / size[0] - scene.aspect) < 0.01)


def draw_dense_scene(rng: random.Random) -> Scene:
    """A scene for pretraining: many things or a word, so that few positions show nothing."""
    if rng.random() < 0.15:
        return draw_scene(rng)
    word = rng.choice(words.PRINTED_WORDS) if rng.random() < 0.4 else ""
    pairs = [draw_pair(rng)]
    for _ in range(0 if word else rng.choice((0, 1, 1, 2, 3))):
        kind, colour = draw_pair(rng)  # often like an earlier thing, so that there is something to count
        like = rng.choice(pairs)
        draw = rng.random()
        pairs.append((kind, like[1]) if draw < 0.3 else (like[0], colour) if draw < 0.4 else (kind, colour))
    return make_scene(pairs, rng, word)


def make_batch(rng: random.Random, size: int) -> tuple[torch.Tensor, tuple[int, int], dict[str, torch.Tensor]]:
    """Patches of `size` pictures of one shape, that shape, and what they show."""
    height, width = rng.choice(PICTURE_SIZES)
    shown: list[Any] = []
    labels: list[Labels] = []
    scenes: list[Scene] = []
    while len(shown) < size:
        scene = draw_dense_scene(rng)
        if size_of(scene) == (height, width):
            picture, label = render(scene, height, width)
            shown.append(picture)
            labels.append(label)
            scenes.append(scene)
    dense = {
        name: torch.stack([torch.from_numpy(getattr(label, name)).flatten() for label in labels])
        for name in ("kinds", "colours", "letters", "centres")
    }
    dense["figure"] = torch.stack([torch.from_numpy(label.figure).view(-1, 64) for label in labels])
    places = [place_labels(scene, label) for scene, label in zip(scenes, labels, strict=True)]
    dense |= {name: torch.stack([place[name] for place in places]) for name in _OF_ITS_THING}
    dense["whole"] = torch.tensor([1 if s.light == DARK else 2 if s.blurred else 0 for s in scenes])
    dense["count"] = torch.tensor([len(s.things) if s.seen else _IGNORED for s in scenes])
    for name, (names, of) in _COUNTED.items():
        dense[name] = torch.tensor([count_labels(scene, names, of) for scene in scenes])
    return vision.patches(shown), (height, width), dense


def losses(eye: Eye, embeddings: torch.Tensor, labels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The loss of every reader; background positions count less."""
    found = {}
    for name, head in _OF_A_POSITION.items():
        logits = getattr(eye, head)(embeddings).flatten(0, 1)
        weight = torch.ones(logits.shape[1], device=logits.device)
        weight[0] = 0.3
        found[name] = F.cross_entropy(logits, labels[name].flatten(), weight, ignore_index=_IGNORED)
    for name, head in _OF_ITS_THING.items():
        logits, wanted = getattr(eye, head)(embeddings).flatten(0, 1), labels[name].flatten()
        known = (wanted != _IGNORED).sum().clamp_min(1)
        found[name] = 0.5 * F.cross_entropy(logits, wanted, ignore_index=_IGNORED, reduction="sum") / known
    found["centres"] = F.binary_cross_entropy_with_logits(eye.centre(embeddings)[..., 0], labels["centres"].float())
    found["figure"] = 2 * F.binary_cross_entropy_with_logits(eye.figure(embeddings), labels["figure"].float())
    pooled = embeddings.mean(1)
    found["whole"] = F.cross_entropy(eye.whole(pooled), labels["whole"])
    if (labels["count"] != _IGNORED).any():
        found["count"] = 0.3 * F.cross_entropy(eye.count(pooled), labels["count"], ignore_index=_IGNORED)
        for name in _COUNTED:
            logits = getattr(eye, name)(pooled).view(-1, _COUNTS)
            found[name] = 2 * F.cross_entropy(logits, labels[name].flatten(), ignore_index=_IGNORED)
    return found


@torch.no_grad()
def right(eye: Eye, embeddings: torch.Tensor, labels: dict[str, torch.Tensor]) -> dict[str, float]:
    """Share of right readings on positions that show something, and of right counts of what is there."""
    readings = {name: getattr(eye, head)(embeddings) for name, head in (_OF_A_POSITION | _OF_ITS_THING).items()}
    pooled = embeddings.mean(1)
    readings["count"] = eye.count(pooled)
    readings |= {name: getattr(eye, name)(pooled).unflatten(1, (-1, _COUNTS)) for name in _COUNTED}
    shares = {}
    for name, logits in readings.items():
        shown = labels[name] > (0 if name in _OF_A_POSITION or name in _COUNTED else _IGNORED)
        if shown.any():
            shares[name] = float((logits.argmax(-1) == labels[name])[shown].float().mean())
    drawn = labels["figure"] > 0
    if drawn.any():
        shares["figure"] = float((eye.figure(embeddings) > 0)[drawn].float().mean())
    return shares


def _start(size: int, seed: int) -> Any:
    """A maker of batches."""
    return partial(make_batch, random.Random(seed), size)


def main() -> None:
    """Train for the given minutes."""
    parser = argparse.ArgumentParser(description="Dense pretraining of the vision encoder.")
    add_options(parser, minutes=30)
    parser.add_argument("--batch", type=int, default=24)
    parser.add_argument("--rate", type=float, default=_LEARNING_RATE, help="learning rate")
    options = parser.parse_args()
    device = begin(options)
    eye = Eye().to(device)
    # The mergers are so wide that orthogonal steps would take longer than the rest of a step.
    matrices = muon.hidden_matrices(eye.tower, without=("pos_embed", "merger"))
    rest = [{"params": muon.others(eye.parameters(), matrices)}]
    optimizer = muon.Mixed(matrices, rest, lr=options.rate, weight_decay=0.02)
    saver = Saver(options.runs / "vision_encoder.pt", {"eye": eye, "optimizer": optimizer})
    step = saver.restore()
    means = {"loss": 0.0}
    started = time.monotonic()
    with batches(partial(_start, options.batch), config.SEED + step, options.workers) as next_batch:
        while time.monotonic() - started < options.minutes * 60:
            pictures, (height, width), labels = next_batch()
            pictures, labels = pictures.to(device), {name: label.to(device) for name, label in labels.items()}
            done = (time.monotonic() - started) / 60 / options.minutes
            optimizer.set_rate(learning_rate(step, done, options.rate, warmup=_WARMUP_STEPS))
            embeddings, _ = vision.encode(eye.tower, pictures, height, width, levels=False)
            parts = losses(eye, embeddings, labels)
            loss = torch.stack(list(parts.values())).sum()
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(eye.parameters(), 1.0)
            optimizer.step()
            step += 1
            for name, value in {"loss": float(loss.detach()), **right(eye, embeddings, labels)}.items():
                means[name] = 0.95 * means.get(name, value) + 0.05 * value
            if step % 25 == 0:
                shown = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                print(f"step {step} {time.monotonic() - started:.0f} s {shown}", flush=True)
            saver.maybe(step)
    saver.save(step)


if __name__ == "__main__":
    main()
