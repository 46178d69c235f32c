"""Speech for the codec and the Talker: every sentence in both voices, stretched to the one clock of `training.timing`.

    python -m training.voice_data [--runs DIR] [--sentences N] [--part NAME] [--workers W]

Writes `voice/NAME.i16` (24 kHz int16, utterances end to end, each a whole number of codec frames) and
`voice/NAME.json` (one record an utterance: text, speaker, first frame, frames, token ids, the phone of every frame).
Synthesis takes about 0.1 s a sentence and voice on one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

from training import config, flite, timing
from training.voice_texts import domain_texts, general_texts

FRAME_16K = flite.RATE_HZ * config.SAMPLES_PER_CODEC_FRAME // config.SAMPLE_RATE_HZ  # 1280
_FADE_S = 0.005
_PEAK = 0.5
PHONES = (
    "pau aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
).split()
_PHONE_ID = {phone: number for number, phone in enumerate(PHONES)}


@dataclass(frozen=True)
class Record:
    """One utterance of a part."""

    text: str
    speaker: str
    first_frame: int
    n_frames: int
    token_ids: list[int]
    phones: list[int]  # [n_frames], index into PHONES at the middle of each codec frame


def _phrases(plan: timing.Plan, segments: tuple[flite.Segment, ...]) -> list[tuple[int, int]]:
    """Runs of words without a pause in the plan or in the speech: (first word, last word)."""
    paused_before = {segment.word for before, segment in itertools.pairwise(segments) if before.word < 0}
    runs: list[list[int]] = []
    for number in range(len(plan.words)):
        gap = number > 0 and plan.starts[number] > plan.starts[number - 1] + plan.lengths[number - 1]
        if number == 0 or gap or number in paused_before:
            runs.append([number, number])
        else:
            runs[-1][1] = number
    return [(a, b) for a, b in runs]


def speak(plan: timing.Plan, voice: str) -> tuple[npt.NDArray[np.float32], list[int]]:
    """`plan` spoken on its frame grid: float32 [n_frames x FRAME_16K] at 16 kHz, and the phones of the frames."""
    natural = flite.synthesise(voice, plan.words).word_spans_s(len(plan.words))
    stretch = [
        length * timing.FRAME_S / max(end - start, 0.02)
        for length, (start, end) in zip(plan.lengths, natural, strict=True)
    ]
    spoken = flite.synthesise(voice, plan.words, stretch)
    spans = spoken.word_spans_s(len(plan.words))
    out = np.zeros(plan.n_frames * FRAME_16K, np.float32)
    phones = [0] * plan.n_frames
    fade = round(_FADE_S * flite.RATE_HZ)
    ramp = np.linspace(0, 1, fade, dtype=np.float32)
    for first, last in _phrases(plan, spoken.segments):
        shift_s = plan.starts[first] * timing.FRAME_S - spans[first][0]
        source_start_s = max(spans[first][0] - 0.02, 0.0)
        source_end_s = spans[last][1] + (0.06 if last == len(plan.words) - 1 else 0.03)
        piece = spoken.pcm[round(source_start_s * flite.RATE_HZ) : round(source_end_s * flite.RATE_HZ)].copy()
        if len(piece) > 2 * fade:
            piece[:fade] *= ramp
            piece[-fade:] *= ramp[::-1]
        at = max(0, round((source_start_s + shift_s) * flite.RATE_HZ))
        piece = piece[: len(out) - at]
        out[at : at + len(piece)] += piece
        start_s = 0.0
        for segment in spoken.segments:
            if first <= segment.word <= last:
                low, high = (start_s + shift_s) / timing.FRAME_S, (segment.end_s + shift_s) / timing.FRAME_S
                for frame in range(plan.n_frames):
                    if low <= frame + 0.5 < high:
                        phones[frame] = _PHONE_ID.get(segment.phone, 0)
            start_s = segment.end_s
    return out, phones


def _utterance(job: tuple[str, str]) -> tuple[str, str, list[int], list[int], npt.NDArray[np.int16]]:
    sentence, speaker = job
    plan = timing.plan(sentence)
    pcm, phones = speak(plan, config.FLITE_VOICE_OF_SPEAKER[speaker])
    pcm = pcm * (_PEAK / max(float(np.abs(pcm).max()), 1e-3))
    wide = soxr.resample(pcm, flite.RATE_HZ, config.SAMPLE_RATE_HZ)
    n_samples = plan.n_frames * config.SAMPLES_PER_CODEC_FRAME
    wide = np.pad(wide, (0, max(0, n_samples - len(wide))))[:n_samples]
    return sentence, speaker, plan.token_ids, phones, np.round(np.clip(wide, -1, 1) * 32767).astype(np.int16)


def make_part(sentences: Iterable[str], folder: Path, name: str, workers: int) -> int:
    """Speak `sentences` in every voice into `folder`; returns the number of utterances."""
    folder.mkdir(parents=True, exist_ok=True)
    jobs = [(sentence, speaker) for sentence in sentences for speaker in config.SPEAKERS]
    records: list[Record] = []
    frame = 0
    started = time.monotonic()
    with (folder / f"{name}.i16").open("wb") as out, multiprocessing.get_context("spawn").Pool(workers) as pool:
        for sentence, speaker, ids, phones, pcm in pool.imap(_utterance, jobs, chunksize=8):
            out.write(pcm.tobytes())
            records.append(Record(sentence, speaker, frame, len(phones), ids, phones))
            frame += len(phones)
            if len(records) % 250 == 0:
                out.flush()
                _write_records(folder, name, records)  # what there is can be trained on already
                print(f"{len(records)}/{len(jobs)} utterances, {time.monotonic() - started:.0f} s", flush=True)
    _write_records(folder, name, records)
    return len(records)


def _write_records(folder: Path, name: str, records: list[Record]) -> None:
    new = folder / f"{name}.json.new"
    new.write_text(json.dumps([asdict(record) for record in records]))
    new.replace(folder / f"{name}.json")


@dataclass(frozen=True)
class VoicePart:
    """A part on disk: its records and all samples, int16 [frames x 1920], not loaded but mapped."""

    records: list[Record]
    pcm: npt.NDArray[np.int16]

    def samples(self, record: Record) -> npt.NDArray[np.float32]:
        """float32 [n_frames x 1920] at 24 kHz."""
        low = record.first_frame * config.SAMPLES_PER_CODEC_FRAME
        piece = self.pcm[low : low + record.n_frames * config.SAMPLES_PER_CODEC_FRAME]
        return piece.astype(np.float32) / np.float32(32767)


def load_part(runs: Path, name: str) -> VoicePart:
    """Open a part; raises FileNotFoundError with the command that makes it."""
    path = runs / "voice" / f"{name}.json"
    if not path.exists():
        raise FileNotFoundError(f"{path} is missing; make it with: python -m training.voice_data --part {name}")
    records = [Record(**item) for item in json.loads(path.read_text())]
    return VoicePart(records, np.memmap(path.with_suffix(".i16"), np.int16, "r"))


def main() -> None:
    """Make one part."""
    parser = argparse.ArgumentParser(description="Speak sentences in both voices for training the voice.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--part", default="general", help="name of the part; one that starts with test is held out")
    parser.add_argument("--sentences", type=int, default=3000)
    parser.add_argument("--texts", type=Path, help="one sentence a line instead of generated ones")
    parser.add_argument("--seed", type=int, default=config.SEED)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    if options.texts is None and options.part.removeprefix("test_").startswith("domain"):
        sentences = domain_texts(options.seed)[: options.sentences]
    elif options.texts is None:
        sentences = general_texts(options.sentences, options.seed)
    else:
        sentences = [line.strip() for line in options.texts.read_text().splitlines() if line.strip()]
    started = time.monotonic()
    n = make_part(sentences, options.runs / "voice", options.part, options.workers)
    print(f"{n} utterances in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
