"""Spoken questions for the hearing half: texts of the domain in many synthetic voices.

    python -m training.hearing_data [--runs DIR] [--part NAME] [--texts N] [--seed S] [--foreign]

Writes `hearing/NAME.i16` (16 kHz int16, utterances end to end) and `hearing/NAME.json` (one record an utterance).
Each text is spoken by one of flite's voices, which also gives its phones with their times, and by espeak-ng's
variants, most of them with an accent made by rule (`training.accents`).
Parts whose names start with `test` use the voices that are kept back and are never trained on. About 0.1 s a text on
one core. Needs Debian's flite and espeak-ng.
"""

from __future__ import annotations

import argparse
import io
import json
import random
import subprocess
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr

from training import accents, config, flite
from training.domain import draw, talk

RATE_HZ = 16_000
Pcm = npt.NDArray[np.float32]
# CMU phones as flite writes them; 0 is the blank of CTC, 1 a pause.
PHONES = (
    "blank pau aa ae ah ao aw ax ay b ch d dh eh er ey f g hh ih iy jh k l m n ng ow oy p r s sh t th uh uw v w y z zh"
).split()
PHONE_ID = {phone: number for number, phone in enumerate(PHONES)}

FLITE_VOICES = ("kal", "awb", "rms", "slt")
ESPEAK_LANGUAGES = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-029", "en-us-nyc")
ESPEAK_VARIANTS = ("", *("+" + name for name in (
    "m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 croak klatt klatt2 klatt3 klatt4 Alex Alicia Andrea Andy Annie antonio "
    "aunty belinda benjamin boris caleb david Denis Diogo ed edward edward2 Gene Gene2 gustave Henrique Hugo iven "
    "iven2 Jacky john Lee linda marcelo Marco Mario max Michael michel miguel Mike Nguyen pablo paul pedro quincy "
    "RicishayMax rob robert shelby steph Storm Tweaky zac anika grandma grandpa norbert sandro travis victor fast"
).split()))  # fmt: skip
# Voices whose accent is made by rule: how many in a part, and their share of its utterances by espeak-ng.
N_ACCENTS, ACCENT_SHARE = 150, 0.6
# Kept back for evaluation (never in a part that is trained on).
TEST_FLITE_VOICES = ("kal16",)
TEST_ESPEAK_VOICES = ("en-gb-scotland", "en-gb-scotland+f5", "en-us+f5", "en-gb+f5")


@dataclass(frozen=True)
class Utterance:
    """One spoken question. `phones` are ids of PHONES; `phone_ends_s` is empty where the times are not known."""

    question: draw.Question
    voice: str
    start: int  # first sample in the part
    n_samples: int
    phones: list[int] = field(default_factory=list)
    phone_ends_s: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class SpeechPart:
    """A part on disk; the samples are mapped, not loaded."""

    utterances: list[Utterance]
    pcm: npt.NDArray[np.int16]

    def samples(self, utterance: Utterance) -> Pcm:
        """float32 [n] at 16 kHz."""
        return self.pcm[utterance.start : utterance.start + utterance.n_samples].astype(np.float32) / np.float32(32768)


def say_flite(voice: str, text: str) -> tuple[Pcm, list[int], list[float]]:
    """Samples, phones and their end times; `kal16` and the others at 16 kHz, `kal` is resampled from 8 kHz."""
    words = [word for word in text.split() if any(letter.isalnum() for letter in word)]
    spoken = flite.synthesise(voice, words)
    pcm = spoken.pcm
    if voice == "kal":  # an 8 kHz voice
        pcm = np.asarray(soxr.resample(pcm, 8_000, RATE_HZ), np.float32)
    phones = [PHONE_ID.get(segment.phone, 1) for segment in spoken.segments]
    return pcm, phones, [round(segment.end_s, 4) for segment in spoken.segments]


def say_espeak(voice: str, text: str, words_per_minute: int, pitch: int, made: Path | None = None) -> Pcm:
    """Samples at 16 kHz; `made` is the directory of an accent's voices. Raises RuntimeError with espeak-ng's words."""
    where = [f"--path={made}"] if made else []
    command = ["espeak-ng", *where, "-v", voice, "-s", str(words_per_minute), "-p", str(pitch), "--stdout", text]
    done = subprocess.run(command, capture_output=True, timeout=30, check=False)
    if done.returncode != 0 or not done.stdout:
        raise RuntimeError(f"espeak-ng failed for voice {voice!r}: {done.stderr.decode(errors='replace').strip()}")
    pcm, rate_hz = soundfile.read(io.BytesIO(done.stdout), dtype="float32")
    return np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), np.float32)


def _trim(pcm: Pcm) -> tuple[Pcm, int]:
    """Without the silence at both ends (60 ms of it stay), and the number of samples cut off in front."""
    loud = np.flatnonzero(np.abs(pcm) > 0.02 * max(float(np.abs(pcm).max()), 1e-4))
    if not len(loud):
        return pcm, 0
    first, last = max(0, int(loud[0]) - 960), min(len(pcm), int(loud[-1]) + 960)
    return pcm[first:last], first


class _Writer:
    """Appends utterances to a part."""

    def __init__(self, folder: Path, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._json = folder / f"{name}.json"
        self._file = (folder / f"{name}.i16").open("wb")
        self._n_samples = 0
        self.utterances: list[Utterance] = []

    def add(self, question: draw.Question, voice: str, pcm: Pcm, phones: list[int], ends_s: list[float]) -> None:
        pcm, cut = _trim(pcm)
        pcm = pcm * (0.5 / max(float(np.abs(pcm).max()), 1e-3))
        self._file.write(np.round(np.clip(pcm, -1, 1) * 32767).astype(np.int16).tobytes())
        ends_s = [round(max(0.0, end - cut / RATE_HZ), 4) for end in ends_s]
        self.utterances.append(Utterance(question, voice, self._n_samples, len(pcm), phones, ends_s))
        self._n_samples += len(pcm)

    def close(self) -> None:
        self._file.close()
        self._json.write_text(json.dumps([asdict(utterance) for utterance in self.utterances]))


def load_part(path: Path) -> SpeechPart:
    """Open a part by its JSON file."""
    utterances = []
    for item in json.loads(path.read_text()):
        item["question"] = draw.Question(**item["question"])
        utterances.append(Utterance(**item))
    return SpeechPart(utterances, np.memmap(path.with_suffix(".i16"), np.int16, "r"))


def training_parts(runs: Path) -> list[SpeechPart]:
    """Every finished part that may be trained on. Raises FileNotFoundError when there is none."""
    paths = [path for path in sorted((runs / "hearing").glob("*.json")) if not path.stem.startswith("test")]
    if not paths:
        raise FileNotFoundError(f"no speech in {runs / 'hearing'}; make it with: python -m training.hearing_data")
    return [load_part(path) for path in paths]


def make_training_part(
    folder: Path, name: str, n_texts: int, seed: int, espeak_per_text: int = 2, intents: tuple[str, ...] = ()
) -> int:
    """Speak `n_texts` drawn questions in the training voices; returns the number of utterances.

    `intents` of talk: no other questions than these.
    """
    rng = random.Random(seed)
    made = accents.make(folder / "accents" / name, rng, N_ACCENTS)
    writer = _Writer(folder, name)
    started = time.monotonic()
    for number in range(n_texts):
        question = draw.question(rng, draw.TALK, rng.choice(intents)) if intents else draw.question(rng)
        voice = rng.choice(FLITE_VOICES)
        pcm, phones, ends_s = say_flite(voice, question.text)
        writer.add(question, "flite " + voice, pcm, phones, ends_s)
        for _ in range(espeak_per_text):
            path = made.path if rng.random() < ACCENT_SHARE else None
            voice = rng.choice(made.voices if path else ESPEAK_LANGUAGES) + rng.choice(ESPEAK_VARIANTS)
            pcm = say_espeak(voice, question.text, rng.randint(135, 200), rng.randint(25, 75), path)
            writer.add(question, voice, pcm, [phone for phone in phones if phone != 1], [])
        if number % 16 == 0:
            _add_foreign(writer, rng)
        if number % 200 == 199:
            print(f"{number + 1}/{n_texts} texts, {time.monotonic() - started:.0f} s", flush=True)
    writer.close()
    return len(writer.utterances)


def _add_foreign(writer: _Writer, rng: random.Random) -> None:
    language, question = draw.foreign(rng)
    pcm = say_espeak(language + rng.choice(ESPEAK_VARIANTS), question.text, rng.randint(135, 190), rng.randint(25, 75))
    writer.add(question, language, pcm, [], [])


def make_foreign_part(folder: Path, name: str, n_texts: int, seed: int) -> int:
    """Speak so many sentences in other languages; returns the number of utterances."""
    rng = random.Random(seed)
    writer = _Writer(folder, name)
    for _ in range(n_texts):
        _add_foreign(writer, rng)
    writer.close()
    return len(writer.utterances)


def make_test_part(folder: Path, name: str, questions: list[draw.Question], seed: int) -> int:
    """Speak questions in the voices that are kept back, one voice each in turn."""
    rng = random.Random(seed)
    writer = _Writer(folder, name)
    voices = TEST_FLITE_VOICES + TEST_ESPEAK_VOICES
    for number, question in enumerate(questions):
        voice = voices[number % len(voices)]
        if question.kind == draw.FOREIGN:  # its intent is its language
            voice = question.intent + "+f5"
        if voice in TEST_FLITE_VOICES:
            pcm, phones, ends_s = say_flite(voice, question.text)
            writer.add(question, "flite " + voice, pcm, phones, ends_s)
        else:
            writer.add(question, voice, say_espeak(voice, question.text, rng.randint(140, 180), 50), [], [])
    writer.close()
    return len(writer.utterances)


def main() -> None:
    """Make one part."""
    parser = argparse.ArgumentParser(description="Spoken questions for the hearing half.")
    parser.add_argument("--runs", type=Path, default=config.DEFAULT_RUNS)
    parser.add_argument("--part", default="part0", help="name of the part; one that starts with test is held out")
    parser.add_argument("--texts", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=config.SEED)
    parser.add_argument("--foreign", action="store_true", help="sentences in other languages only")
    parser.add_argument("--refusals", action="store_true", help="only questions that must be refused")
    options = parser.parse_args()
    folder = options.runs / "hearing"
    if options.part.startswith("test"):
        rng = random.Random(options.seed + 1)
        questions = [draw.question(rng) for _ in range(options.texts)]
        count = make_test_part(folder, options.part, questions, options.seed)
    elif options.foreign:
        count = make_foreign_part(folder, options.part, options.texts, options.seed)
    else:
        intents = talk.REFUSALS if options.refusals else ()
        count = make_training_part(folder, options.part, options.texts, options.seed, intents=intents)
    print(f"{count} utterances in {folder / options.part}.json")


if __name__ == "__main__":
    main()
