"""Measures flash-mini's speech with an independent ear (pocketsphinx).

    python -m training.evaluate_voice [--runs DIR] [--items N] [--voice NAME]

The same sentences, half of them never trained on, go through four stations, and each one's word error is told: the
source voice as flite speaks it, the source voice on our clock, codes and Code2Wav, and the whole way from text. Also:
whether every reply stops, its length beside the source voice's, and the time it takes to make. Prints a table and
writes `evaluation/voice.json` and `evaluation/voice.md`, which `training.export` puts into MODEL_CARD.md.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from training import config, ear, flite, timing
from training.code2wav import load_code2wav
from training.codec import load_codec
from training.talker import generate, load_talker
from training.voice_data import speak
from training.voice_texts import domain_texts

Pcm = npt.NDArray[np.float32]
STATIONS = ("source voice", "on our clock", "through the codec", "from text")
_BATCH = 25


@dataclass
class Tally:
    """Words said and word errors at each station, lengths and times of one voice."""

    said: int = 0
    errors: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATIONS, 0))
    stopped: int = 0
    in_length: int = 0
    sentences: int = 0
    speech_s: float = 0.0
    spent_s: float = 0.0

    def hear(self, station: str, sentence: str, pcm: Pcm, rate_hz: int) -> None:
        """Count the errors of one sentence at one station."""
        self.errors[station] += ear.word_errors(ear.words(sentence), ear.write_down(pcm, rate_hz))

    def row(self) -> dict[str, float]:
        """Shares and rates for the table."""
        rates = {f"word error, {name}": n / max(1, self.said) for name, n in self.errors.items()}
        n = max(1, self.sentences)
        return {
            **rates,
            "stops": self.stopped / n,
            "length within 30 %": self.in_length / n,
            "real-time factor": self.spent_s / max(self.speech_s, 1e-6),
        }


def test_sentences(runs: Path, items: int) -> list[str]:
    """`items` replies of the domain, as many unseen in training as there are (up to half)."""
    trained: set[str] = set()
    for path in (runs / "voice").glob("*.json"):
        if not path.stem.startswith("test"):
            trained |= {record["text"] for record in json.loads(path.read_text())}
    every = domain_texts(config.SEED + 500)
    rng = random.Random(config.SEED)
    new = [sentence for sentence in every if sentence not in trained]
    known = [sentence for sentence in every if sentence in trained]
    chosen = rng.sample(new, min(len(new), items - items // 2))
    chosen += rng.sample(known, min(len(known), items - len(chosen)))
    return chosen


@torch.no_grad()
def sound_of(code2wav: Any, codes: torch.Tensor) -> Pcm:
    """Samples of [T, groups] codes at 24 kHz; silence for no codes."""
    if len(codes) == 0:
        return np.zeros(config.SAMPLES_PER_CODEC_FRAME, np.float32)
    out: Pcm = code2wav(codes.T[None])[0, 0].numpy()
    return out


def measure(runs: Path, sentences: list[str], speaker: str) -> Tally:
    """All stations for one voice."""
    import soxr

    codec, code2wav, talker = load_codec(runs), load_code2wav(runs), load_talker(runs)
    voice, tally = config.FLITE_VOICE_OF_SPEAKER[speaker], Tally()
    for start in range(0, len(sentences), _BATCH):
        part = sentences[start : start + _BATCH]
        plans = [timing.plan(sentence) for sentence in part]
        started = time.monotonic()
        made = generate(talker, [p.token_ids for p in plans], [config.SPEAKERS[speaker]] * len(part), context=16)
        sounds = [sound_of(code2wav, codes) for codes in made]
        tally.spent_s += time.monotonic() - started
        limit = int(max(len(p.token_ids) for p in plans) * 1.3) + 25
        for sentence, plan, codes, sound in zip(part, plans, made, sounds, strict=True):
            tally.said += len(ear.words(sentence))
            tally.sentences += 1
            source = flite.synthesise(voice, plan.words).pcm
            clocked = speak(plan, voice)[0]
            wide = soxr.resample(clocked * (0.5 / max(float(np.abs(clocked).max()), 1e-3)), flite.RATE_HZ, 24_000)
            wide = np.pad(wide, (0, 1920))[: plan.n_frames * config.SAMPLES_PER_CODEC_FRAME]
            coded = sound_of(code2wav, codec.codes(torch.from_numpy(wide)))
            tally.hear("source voice", sentence, source, flite.RATE_HZ)
            tally.hear("on our clock", sentence, clocked, flite.RATE_HZ)
            tally.hear("through the codec", sentence, coded, config.SAMPLE_RATE_HZ)
            tally.hear("from text", sentence, sound, config.SAMPLE_RATE_HZ)
            tally.stopped += len(codes) < limit
            ratio = len(sound) / config.SAMPLE_RATE_HZ / (len(source) / flite.RATE_HZ)
            tally.in_length += 0.7 <= ratio <= 1.3
            tally.speech_s += len(sound) / config.SAMPLE_RATE_HZ
    return tally


def table(rows: dict[str, dict[str, float]], items: int) -> str:
    """The rows of all voices as a Markdown table."""
    names = list(next(iter(rows.values())))
    lines = [f"## Its speech ({items} sentences a voice, heard by pocketsphinx)", ""]
    lines += ["| | " + " | ".join(rows) + " |", "|---|" + "---|" * len(rows)]
    for name in names:
        lines.append(f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in rows.values()) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure and write the table."""
    parser = argparse.ArgumentParser(description="Measure the speech of flash-mini.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--voice", choices=list(config.SPEAKERS), help="only this voice")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    sentences = test_sentences(options.runs, options.items)
    speakers = [options.voice] if options.voice else list(config.SPEAKERS)
    rows = {speaker: measure(options.runs, sentences, speaker).row() for speaker in speakers}
    folder = options.runs / "evaluation"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "voice.json").write_text(json.dumps(rows, indent=2) + "\n")
    written = table(rows, len(sentences))
    (folder / "voice.md").write_text(written)
    print(written)


if __name__ == "__main__":
    main()
