"""Joint training of the Thinker: it reads, hears and sees, and writes answers on the voice's clock.

    python -m training.train_thinker [--runs DIR] [--minutes M] [--threads N] [--encoders frozen|trained]

Starts from `hearing_encoder.pt` and `vision_encoder.pt`, writes `thinker.pt`, and goes on from it when it is there.
With `--encoders frozen` the encoders are taken from their pretraining (again whenever those files change, so that all
three stages can run at the same time); with `trained` they learn on in here, from what `thinker.pt` holds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F

from training import config, muon, peers
from training.feeder import batches
from training.stage import Saver, add_options, begin, load_part_of, make_thinker
from training.thinker import Batch, Output, compile_elementwise, forward
from training.thinker_data import training_maker
from training.voice_loop import give_back_memory, learning_rate

_LEARNING_RATE = 1.5e-3
_ENCODER_FACTOR = 0.6
_WARMUP_STEPS = 40
_BALANCE_WEIGHT = 0.02
_SEED_STRIDE = 10_007  # between peers
# Rows of each kind in one batch.
DEFAULT_MIX = "typed=3,image=3,heard=6,spoken=5"


class EncoderSource:
    """Takes the encoders from their pretraining, and again when those files change."""

    def __init__(self, runs: Path, thinker: Any) -> None:
        self._files = {
            runs / "hearing_encoder.pt": ("ear", thinker.model.audio_tower),
            runs / "vision_encoder.pt": ("eye", thinker.model.visual),
        }
        self._taken_at: dict[Path, float] = {}

    def refresh(self) -> None:
        for path, (name, tower) in self._files.items():
            if path.exists() and self._taken_at.get(path) != path.stat().st_mtime:
                self._taken_at[path] = path.stat().st_mtime
                state = load_part_of(path, name)
                tower.load_state_dict(
                    {key[len("tower.") :]: value for key, value in state.items() if key.startswith("tower.")}
                )


def parse_mix(given: str) -> dict[str, int]:
    """`typed=3,image=2` as a dictionary. Raises ValueError for unknown kinds."""
    kinds = ("typed", "image", "heard", "spoken", "conversation")
    found = {}
    for item in given.split(","):
        kind, _, count = item.partition("=")
        if kind not in kinds or not count.isdigit():
            raise ValueError(f"--mix was given {item!r}; expected KIND=COUNT with a kind of {', '.join(kinds)}")
        found[kind] = int(count)
    return found


def branch_results(batch: Batch, output: Output) -> dict[str, list[bool]]:
    """For every branch whether greedy decoding gives exactly the right text, by the kind of its row and branch."""
    hits = (output.logits.argmax(-1) == output.targets).tolist()
    whole: dict[tuple[int, int], bool] = {}
    for owner, hit in zip(output.owners, hits, strict=True):
        whole[owner] = whole.get(owner, True) and hit
    found: dict[str, list[bool]] = {}
    for (row, branch), hit in whole.items():
        kinds = {source[0] for source in batch.rows[row].sources if source is not None}
        heard, seen = "sound" in kinds, "picture" in kinds
        asked = "spoken" if heard and seen else "heard" if heard else "image" if seen else "typed"
        name = "write" if heard and branch == 2 else asked
        found.setdefault(name, []).append(hit)
    return found


def _start(runs: Path, mix: dict[str, int], seed: int) -> Callable[[], Batch]:
    """A maker of batches."""
    return partial(training_maker(runs, seed).batch, mix)


def main() -> None:
    """Train for the given minutes."""
    parser = argparse.ArgumentParser(description="Joint training of the Thinker.")
    add_options(parser, minutes=60)
    parser.add_argument("--mix", default=DEFAULT_MIX)
    parser.add_argument("--encoders", choices=("frozen", "trained"), default="frozen")
    parser.add_argument("--rate", type=float, default=_LEARNING_RATE, help="learning rate")
    parser.add_argument("--decay", type=float, default=0.4, help="share of the time in which it falls; 0: more follows")
    parser.add_argument("--peers", type=int, default=1, help="processes that train together, each with its own batches")
    parser.add_argument("--compile", action="store_true", help="fuse the element-wise parts (needs a C++ compiler)")
    parser.add_argument(
        "--bfloat16", action="store_true", help="matrix products in bfloat16; measure, it may be slower"
    )
    options = parser.parse_args()
    peers.run(train, options, options.peers)


def train(options: argparse.Namespace, rank: int) -> None:
    """Train as one of the peers; the one of rank 0 saves and reports."""
    mix = parse_mix(options.mix)
    device = begin(options)
    if options.compile:
        compile_elementwise()
    thinker = make_thinker().to(device)
    encoders = [*thinker.model.audio_tower.parameters(), *thinker.model.visual.parameters()]
    matrices = muon.hidden_matrices(thinker.model.language_model, without=("embed_tokens", "gate.weight"))
    rest = muon.others([*thinker.model.language_model.parameters(), *thinker.lm_head.parameters()], matrices)
    optimizer = muon.Mixed(
        matrices,
        [{"params": rest}, {"params": encoders, "factor": _ENCODER_FACTOR}],
        lr=options.rate,
        weight_decay=0.02,
    )
    saver = Saver(options.runs / "thinker.pt", {"thinker": thinker, "optimizer": optimizer})
    step = saver.restore()
    source = EncoderSource(options.runs, thinker)
    frozen = options.encoders == "frozen"
    if frozen or step == 0:
        source.refresh()
    means: dict[str, float] = {}
    started, began = time.monotonic(), step
    with batches(
        partial(_start, options.runs, mix), config.SEED + step + _SEED_STRIDE * rank, options.workers
    ) as next_batch:
        while (done := peers.mean((time.monotonic() - started) / 60 / options.minutes)) < 1:
            batch = next_batch()
            rate = learning_rate(step - began, done, options.rate, warmup=_WARMUP_STEPS, decay=options.decay)
            optimizer.set_rate(rate)
            with torch.autocast(device.type, torch.bfloat16, enabled=options.bfloat16):
                output = forward(thinker, batch, frozen_encoders=frozen)
            loss = F.cross_entropy(output.logits, output.targets)
            optimizer.zero_grad()
            (loss + _BALANCE_WEIGHT * output.balance).backward()
            peers.share_gradients(thinker.parameters())
            torch.nn.utils.clip_grad_norm_((p for p in thinker.parameters() if p.grad is not None), 1.0)
            optimizer.step()
            step += 1
            now = {"loss": float(loss.detach()), "balance": float(output.balance.detach())}
            now |= {name: sum(hits) / len(hits) for name, hits in branch_results(batch, output).items()}
            for name, value in now.items():
                means[name] = 0.96 * means.get(name, value) + 0.04 * value
            if step % 20 == 0 and frozen:
                source.refresh()
            if step % 2 == 0:
                give_back_memory()
            if step % 20 == 0 and rank == 0:
                shown = " ".join(f"{name} {value:.3f}" for name, value in means.items())
                print(f"step {step} {time.monotonic() - started:.0f} s {shown}", flush=True)
            if rank == 0:
                saver.maybe(step)
    if rank == 0:
        saver.save(step)


if __name__ == "__main__":
    main()
