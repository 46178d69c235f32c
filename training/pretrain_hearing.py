"""Pretraining of the audio encoder: CTC over phones, and the phone of each half token where its time is known.

    python -m training.pretrain_hearing [--runs DIR] [--minutes M] [--threads N]

Reads the parts of `training.hearing_data` (new ones are picked up while it runs), writes `hearing_encoder.pt`, and
goes on from it when it is there.
"""

from __future__ import annotations

import argparse
import random
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from training import config, hearing_audio, hearing_data, muon
from training.feeder import batches
from training.stage import Saver, add_options, begin, make_audio_tower
from training.voice_loop import learning_rate

SUBFRAMES = 2  # phone labels for each audio token
SUBFRAME_S = 1 / (hearing_audio.TOKENS_PER_CHUNK * SUBFRAMES)
_UNKNOWN = -100
_LEARNING_RATE = 1e-3
_WARMUP_STEPS = 100
_N_BINS = config.audio_config()["num_mel_bins"]


class PhoneEar(nn.Module):
    """The encoder and a linear reader of phones."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = make_audio_tower()
        self.reader = nn.Linear(config.HIDDEN, SUBFRAMES * len(hearing_data.PHONES))

    def forward(self, batch: hearing_audio.SoundBatch) -> torch.Tensor:
        """Log probabilities of phones [B, tokens * SUBFRAMES, phones]."""
        embeddings = hearing_audio.encode(self.tower, batch)
        logits = self.reader(embeddings).view(len(embeddings), -1, len(hearing_data.PHONES))
        return F.log_softmax(logits.float(), -1)


class Pool:
    """All training utterances, in batches of like length."""

    def __init__(self, runs: Path, seed: int) -> None:
        self._runs = runs
        self._n_parts = 0
        self.rng = random.Random(seed)
        self.items: list[tuple[hearing_data.SpeechPart, hearing_data.Utterance]] = []
        self.refresh()

    def refresh(self) -> None:
        parts = hearing_data.training_parts(self._runs)
        if len(parts) != self._n_parts:
            self._n_parts = len(parts)
            self.items = [(part, item) for part in parts for item in part.utterances]
            print(f"{len(self.items)} utterances in {len(parts)} parts", flush=True)

    def batch(self, size: int) -> list[tuple[hearing_data.SpeechPart, hearing_data.Utterance]]:
        """`size` utterances of about the same length."""
        drawn = sorted(self.rng.sample(self.items, min(len(self.items), 4 * size)), key=lambda item: item[1].n_samples)
        start = self.rng.randrange(max(1, len(drawn) - size + 1))
        return drawn[start : start + size]


def frame_targets(item: hearing_data.Utterance, heard: hearing_audio.Heard, n_labels: int) -> list[int]:
    """Phone of each label; unknown where the voice does not tell its times."""
    if not item.phone_ends_s or item.voice == "flite kal":  # kal's own times drift from its sound
        return [_UNKNOWN] * n_labels
    ends = [end / heard.speed + heard.delay_s for end in item.phone_ends_s]
    targets, place = [], 0
    for label in range(n_labels):
        at = (label + 0.5) * SUBFRAME_S
        while place < len(ends) and ends[place] <= at:
            place += 1
        inside = place < len(ends) and at >= heard.delay_s
        targets.append(item.phones[place] if inside else 1)
    return targets


def make_batch(pool: Pool, size: int, noise: np.random.Generator) -> tuple[Any, list[list[int]], torch.Tensor]:
    """Features, phone sequences for CTC, and labels [B, n] for the cross entropy."""
    drawn = pool.batch(size)
    heard = []
    for part, item in drawn:
        other_part, other = pool.rng.choice(pool.items)
        heard.append(hearing_audio.augment(part.samples(item), noise, other_part.samples(other)))
    tilt = hearing_audio.random_tilt(len(drawn), _N_BINS, pool.rng)
    batch = hearing_audio.features([h.pcm for h in heard], _N_BINS, tilt)
    width = batch.mel.shape[2] // hearing_audio.CHUNK_FRAMES * hearing_audio.TOKENS_PER_CHUNK * SUBFRAMES
    labels = torch.full((len(drawn), width), _UNKNOWN)
    for row, ((_, item), sound, n_tokens) in enumerate(zip(drawn, heard, batch.n_tokens, strict=True)):
        labels[row, : n_tokens * SUBFRAMES] = torch.tensor(frame_targets(item, sound, n_tokens * SUBFRAMES))
    return batch, [[p for p in item.phones if p != 1] for _, item in drawn], labels


def losses(log_probs: torch.Tensor, batch: Any, phones: list[list[int]], labels: torch.Tensor) -> tuple[Any, Any]:
    """CTC per phone, and cross entropy of the labels that are known."""
    lengths = torch.tensor([n * SUBFRAMES for n in batch.n_tokens])
    sizes = torch.tensor([len(p) for p in phones])
    kept = (sizes > 0) & (sizes < lengths)
    wanted = [p for row, p_row in enumerate(phones) if kept[row] for p in p_row]
    targets = torch.tensor(wanted, dtype=torch.long, device=log_probs.device)
    ctc = F.ctc_loss(
        log_probs[kept].transpose(0, 1), targets, lengths[kept], sizes[kept], reduction="sum", zero_infinity=True
    ) / max(1, len(targets))
    known = labels != _UNKNOWN
    frames = F.nll_loss(log_probs[known], labels[known]) if known.any() else log_probs.sum() * 0
    return ctc, frames


def _start(runs: Path, size: int, seed: int) -> Any:
    """A maker of batches; it looks for new parts of speech now and then."""
    pool, noise, made = Pool(runs, seed), np.random.default_rng(seed), 0

    def make() -> Any:
        nonlocal made
        made += 1
        if made % 50 == 0:
            pool.refresh()
        return make_batch(pool, size, noise)

    return make


def main() -> None:
    """Train for the given minutes."""
    parser = argparse.ArgumentParser(description="Pretraining of the audio encoder.")
    add_options(parser, minutes=30)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rate", type=float, default=_LEARNING_RATE, help="learning rate")
    parser.add_argument("--decay", type=float, default=0.5, help="share of the time in which the learning rate falls")
    options = parser.parse_args()
    device = begin(options)
    ear = PhoneEar().to(device)
    matrices = muon.hidden_matrices(ear.tower, without=())
    optimizer = muon.Mixed(
        matrices, [{"params": muon.others(ear.parameters(), matrices)}], lr=options.rate, weight_decay=0.01
    )
    saver = Saver(options.runs / "hearing_encoder.pt", {"ear": ear, "optimizer": optimizer})
    step = saver.restore()
    start = partial(_start, options.runs, options.batch)
    started, mean_ctc, mean_frames, mean_hits = time.monotonic(), 0.0, 0.0, 0.0
    with batches(start, config.SEED + step, options.workers) as next_batch:
        while time.monotonic() - started < options.minutes * 60:
            batch, phones, labels = next_batch()
            batch, labels = hearing_audio.SoundBatch(batch.mel.to(device), batch.n_frames), labels.to(device)
            done = (time.monotonic() - started) / 60 / options.minutes
            optimizer.set_rate(learning_rate(step, done, options.rate, warmup=_WARMUP_STEPS, decay=options.decay))
            log_probs = ear(batch)
            ctc, frames = losses(log_probs, batch, phones, labels)
            optimizer.zero_grad()
            (ctc + frames).backward()
            torch.nn.utils.clip_grad_norm_(ear.parameters(), 1.0)
            optimizer.step()
            step += 1
            known = labels != _UNKNOWN
            hits = float((log_probs.argmax(-1) == labels)[known].float().mean()) if known.any() else mean_hits
            keep = min(0.98, 1 - 1 / step) if mean_ctc else 0.0
            mean_ctc = keep * mean_ctc + (1 - keep) * float(ctc.detach())
            mean_frames = keep * mean_frames + (1 - keep) * float(frames.detach())
            mean_hits = keep * mean_hits + (1 - keep) * hits
            if step % 25 == 0:
                spent = time.monotonic() - started
                print(
                    f"step {step} {spent:.0f} s ctc {mean_ctc:.3f} frames {mean_frames:.3f} right {mean_hits:.3f}",
                    flush=True,
                )
            saver.maybe(step)
    saver.save(step)


if __name__ == "__main__":
    main()
