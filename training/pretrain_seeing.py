"""Dense pretraining of the vision encoder: kind, colour and letter of every position, and the picture's light and word.

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

from training import config, vision
from training.domain import words
from training.feeder import batches
from training.scenes.render import Labels, render
from training.scenes.scene import DARK, PICTURE_SIZES, Scene, draw_pair, make_scene
from training.stage import Saver, add_options, begin
from training.voice_loop import learning_rate, set_rate

_LEARNING_RATE = 1.5e-3
_WARMUP_STEPS = 100
_IGNORED = -100


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
        self.whole = nn.Linear(config.HIDDEN, 3)  # light, dark, blurred
        self.word = nn.Linear(config.HIDDEN, len(words.PRINTED_WORDS) + 1)


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
    n_things = 1 if word else rng.choice((1, 2, 2, 3, 4))
    return make_scene([draw_pair(rng) for _ in range(n_things)], rng, word)


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
    dense["whole"] = torch.tensor([1 if s.light == DARK else 2 if s.blurred else 0 for s in scenes])
    dense["word"] = torch.tensor(
        [words.PRINTED_WORDS.index(s.word) + 1 if s.word and s.seen else 0 for s in scenes]
    )  # fmt: skip
    return vision.patches(shown), (height, width), dense


def losses(eye: Eye, embeddings: torch.Tensor, labels: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The loss of every reader; background positions count less."""
    found = {}
    for name, reader in (("kinds", eye.kind), ("colours", eye.colour), ("letters", eye.letter)):
        logits = reader(embeddings).flatten(0, 1)
        weight = torch.ones(logits.shape[1], device=logits.device)
        weight[0] = 0.3
        found[name] = F.cross_entropy(logits, labels[name].flatten(), weight, ignore_index=_IGNORED)
    found["centres"] = F.binary_cross_entropy_with_logits(eye.centre(embeddings)[..., 0], labels["centres"].float())
    found["figure"] = 2 * F.binary_cross_entropy_with_logits(eye.figure(embeddings), labels["figure"].float())
    pooled = embeddings.mean(1)
    found["whole"] = F.cross_entropy(eye.whole(pooled), labels["whole"])
    found["word"] = F.cross_entropy(eye.word(pooled), labels["word"]) * 0.1
    return found


@torch.no_grad()
def right(eye: Eye, embeddings: torch.Tensor, labels: dict[str, torch.Tensor]) -> dict[str, float]:
    """Share of right readings on positions that show something, and of right words on pictures with one."""
    shares = {}
    for name, reader in (("kinds", eye.kind), ("colours", eye.colour), ("letters", eye.letter)):
        shown = labels[name] > 0
        if shown.any():
            shares[name] = float((reader(embeddings).argmax(-1) == labels[name])[shown].float().mean())
    drawn = labels["figure"] > 0
    if drawn.any():
        shares["figure"] = float((eye.figure(embeddings) > 0)[drawn].float().mean())
    has_word = labels["word"] > 0
    if has_word.any():
        shares["word"] = float((eye.word(embeddings.mean(1)).argmax(-1) == labels["word"])[has_word].float().mean())
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
    optimizer = torch.optim.AdamW(eye.parameters(), lr=options.rate, betas=(0.9, 0.98), weight_decay=0.02, fused=True)
    saver = Saver(options.runs / "vision_encoder.pt", {"eye": eye, "optimizer": optimizer})
    step = saver.restore()
    means = {"loss": 0.0}
    started = time.monotonic()
    with batches(partial(_start, options.batch), config.SEED + step, options.workers) as next_batch:
        while time.monotonic() - started < options.minutes * 60:
            pictures, (height, width), labels = next_batch()
            pictures, labels = pictures.to(device), {name: label.to(device) for name, label in labels.items()}
            done = (time.monotonic() - started) / 60 / options.minutes
            set_rate(optimizer, learning_rate(step, done, options.rate, warmup=_WARMUP_STEPS))
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
