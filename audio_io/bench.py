"""Measures echo cancellation in simulated rooms: `python -m audio_io.bench [--json FILE]` (`main.py bench echo`).

Scenes of 21 s: a reply plays all the time, the user speaks into it three times, as loud as its echo. For each mode:

- ERLE in dB where only the echo is there, in the first 3 s and after;
- how much of the user's voice is left while both talk: short-time envelope correlation in third-octave bands (the
  measure inside STOI, Taal et al. 2011) with the clean voice, 1 is perfect;
- after how many seconds of the user's voice the segmenter reports it, how often it does not, and how often it reports
  a voice where only the echo was.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
from audio_io.echo import EchoCanceller, Mode
from audio_io.errors import SoundError
from audio_io.events import SpeechStarted
from audio_io.reference import LEAD_S
from audio_io.segmenter import Segmenter
from audio_io.wav_file import read_wav

SCENE_S: Final = 21.0
NEAR_AT_S: Final = (5.0, 10.5, 16.0)
MODES: Final[tuple[Mode, ...]] = ("off", "webrtc", "linear", "cascade", "auto")
REPLY: Final = (
    "In front of you there is a wooden table with a red cup on its left side and a closed book on the right. "
    "Behind the table I see a window, and the light in the room comes from there. On the floor lies a small "
    "carpet, and beside it stands a chair. The door is at two o'clock and it seems to be half open. "
    "If you want to know more about one of these things, just ask me and I will describe it in detail."
)
QUESTIONS: Final = (
    "Wait, what is on the chair?",
    "Stop please, read me the title of the book.",
    "No, where is the cup?",
)


@dataclass(frozen=True, slots=True)
class Scene:
    """far, echo, near: float32 [n] at 16 kHz; the reference runs ahead of the echo as in the app."""

    far: Samples
    echo: Samples
    near: Samples
    spoken: tuple[tuple[float, float], ...]
    """Start and end of the user's utterances in s."""


@dataclass(frozen=True, slots=True)
class Result:
    mode: str
    erle_first_db: float
    erle_db: float
    near_kept: float
    barge_in_s: list[float]
    missed: int
    false_starts: int
    ms_per_block: float


def speak(text: str, voice: str, folder: Path) -> Samples:
    """Speech by flite (voice "slt") or espeak-ng ("espeak:en-us"). Raises SoundError where neither is installed."""
    program = "espeak-ng" if voice.startswith("espeak:") else "flite"
    if shutil.which(program) is None:
        raise SoundError(
            f"The program {program} is not installed; it speaks the test sentences.", f"sudo apt install {program}"
        )
    path = folder / "speech.wav"
    if program == "flite":
        command = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
    else:
        command = ["espeak-ng", "-v", voice.removeprefix("espeak:"), "-w", str(path), text]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    sound = read_wav(path, INSIDE_RATE_HZ)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    return sound[loud[0] : loud[-1] + 1]


def room(rng: np.random.Generator, delay_s: float, rt60_s: float) -> Samples:
    """An impulse response: the direct sound after `delay_s`, then exponentially decaying noise, 9 dB below in all."""
    n = round(rt60_s * INSIDE_RATE_HZ)
    tail = rng.normal(size=n) * np.exp(-6.9 * np.arange(n) / n)
    tail *= 10 ** (-9 / 20) / np.sqrt((tail**2).sum())
    tail[0] += 1.0
    return np.concatenate((np.zeros(round(delay_s * INSIDE_RATE_HZ)), tail)).astype(np.float32)


def convolve(signal: Samples, response: Samples) -> Samples:
    n = len(signal) + len(response) - 1
    spectrum = np.fft.rfft(signal, n) * np.fft.rfft(response, n)
    return np.fft.irfft(spectrum, n)[: len(signal)].astype(np.float32)


def make_scene(number: int, folder: Path) -> Scene:
    """Rooms, voices, delays and loudness differ with the number; 0 dB user to echo."""
    rng = np.random.default_rng(number)
    reply_voice, user_voice = (("slt", "rms"), ("rms", "slt"), ("awb", "espeak:en-us"), ("kal", "awb"), ("slt", "awb"))[
        number % 5
    ]
    n = round(SCENE_S * INSIDE_RATE_HZ)
    reply = speak(REPLY, reply_voice, folder)
    far = np.resize(reply, n) * np.float32(0.3 / np.abs(reply).max())
    delay_s = LEAD_S + (0.005, 0.02, 0.06, 0.0, 0.1)[number % 5]
    played = np.tanh(2 * far) / 2 if number % 2 else far  # a small loudspeaker at its limit
    echo = convolve(played.astype(np.float32), room(rng, delay_s, (0.2, 0.4, 0.3, 0.5, 0.25)[number % 5]))
    near = np.zeros(n, np.float32)
    spoken = []
    for at_s, question in zip(NEAR_AT_S, QUESTIONS, strict=True):
        voice = speak(question, user_voice, folder)
        start = round(at_s * INSIDE_RATE_HZ)
        voice = voice * np.float32(_rms(echo) / _rms(voice))
        near[start : start + len(voice)] += voice
        spoken.append((at_s, at_s + len(voice) / INSIDE_RATE_HZ))
    near = convolve(near, room(rng, 0.0, 0.2))
    echo = echo + rng.normal(0, 3e-4, n).astype(np.float32)  # the microphone's own noise
    return Scene(far, echo, near, tuple(spoken))


def _rms(signal: NDArray[Any]) -> float:
    return float(np.sqrt(np.mean(np.square(signal, dtype=np.float64)) + 1e-12))


def cancel(mode: Mode, microphone: Samples, far: Samples) -> tuple[Samples, float]:
    """The whole signal through a new canceller; the result and its cost in ms per block."""
    canceller = EchoCanceller(mode)
    out = np.empty_like(microphone)
    began_s = time.process_time()
    n_blocks = len(microphone) // BLOCK_SAMPLES
    for i in range(n_blocks):
        part = slice(i * BLOCK_SAMPLES, (i + 1) * BLOCK_SAMPLES)
        out[part] = canceller.process(microphone[part], far[part])
    return out, 1000 * (time.process_time() - began_s) / n_blocks


def envelope_correlation(clean: Samples, processed: Samples) -> float:
    """Mean correlation of third-octave envelopes over 384 ms, after aligning by up to 30 ms."""
    lags = range(0, 30 * INSIDE_RATE_HZ // 1000, 8)
    scores = [float(np.dot(clean[: len(clean) - lag], processed[lag:])) for lag in lags]
    lag = list(lags)[int(np.argmax(scores))]
    bands = [_bands(clean[: len(clean) - lag]), _bands(processed[lag:])]
    n_segment = 24  # of 16 ms
    values = []
    loud = bands[0].sum(axis=0)
    for start in range(bands[0].shape[1] - n_segment):
        if loud[start : start + n_segment].mean() < 0.05 * loud.max():
            continue
        a, b = (band[:, start : start + n_segment] for band in bands)
        a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
        values.append(np.mean((a * b).sum(axis=1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1) + 1e-9)))
    return float(np.mean(values)) if values else 0.0


def _bands(signal: Samples) -> NDArray[np.float64]:
    """Magnitudes [15 bands, n] every 16 ms, third octaves from 150 Hz."""
    size, hop = 512, 256
    windows = np.lib.stride_tricks.sliding_window_view(signal, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(windows, axis=1)) ** 2
    frequencies = np.fft.rfftfreq(size, 1 / INSIDE_RATE_HZ)
    edges = 150 * 2 ** ((np.arange(16) - 0.5) / 3)
    return np.array(
        [
            np.sqrt(power[:, (frequencies >= low) & (frequencies < high)].sum(axis=1))
            for low, high in itertools.pairwise(edges)
        ]
    )


def detections(sound: Samples, scene: Scene) -> tuple[list[float], int, int]:
    """Delays of the reported starts, number of utterances missed, number of starts where nobody spoke."""
    segmenter = Segmenter()
    delays: list[float] = []
    false_starts = 0
    found: set[int] = set()
    for start in range(0, len(sound), BLOCK_SAMPLES):
        for event in segmenter.feed(sound[start : start + BLOCK_SAMPLES]):
            if not isinstance(event, SpeechStarted):
                continue
            now_s = segmenter.now_s
            hit = next((i for i, (a, b) in enumerate(scene.spoken) if a <= now_s <= b + 0.3 and i not in found), None)
            if hit is not None:
                found.add(hit)
                delays.append(round(now_s - scene.spoken[hit][0], 3))
            elif not any(a <= now_s <= b + 0.3 for a, b in scene.spoken):
                false_starts += 1
    return delays, len(scene.spoken) - len(found), false_starts


def measure(mode: Mode, scenes: Sequence[Scene]) -> Result:
    first: list[float] = []
    later: list[float] = []
    kept: list[float] = []
    delays: list[float] = []
    missed = false_starts = 0
    cost = 0.0
    for scene in scenes:
        out, ms = cancel(mode, scene.echo + scene.near, scene.far)
        only_echo = np.ones(len(out), bool)
        for start_s, end_s in scene.spoken:
            part = slice(round(start_s * INSIDE_RATE_HZ), round((end_s + 0.3) * INSIDE_RATE_HZ))
            only_echo[part] = False
            kept.append(envelope_correlation(scene.near[part], out[part]))
        early = np.arange(len(out)) < 3 * INSIDE_RATE_HZ
        for where, values in ((early, first), (~early, later)):
            where = where & only_echo
            values.append(20 * np.log10(_rms(scene.echo[where]) / _rms(out[where])))
        found = detections(out, scene)
        delays += found[0]
        missed += found[1]
        false_starts += found[2]
        cost += ms / len(scenes)
    return Result(
        mode,
        round(float(np.mean(first)), 1),
        round(float(np.mean(later)), 1),
        round(float(np.mean(kept)), 3),
        sorted(delays),
        missed,
        false_starts,
        round(cost, 3),
    )


def run(n_scenes: int = 5, modes: Sequence[Mode] = MODES) -> list[Result]:
    """Raises SoundError where a program or package is missing."""
    with tempfile.TemporaryDirectory() as folder:
        scenes = [make_scene(number, Path(folder)) for number in range(n_scenes)]
    return [measure(mode, scenes) for mode in modes]


def table(results: Sequence[Result]) -> str:
    lines = [
        f"{'mode':9}{'ERLE 0-3 s':>11}{'ERLE':>7}{'voice kept':>12}{'barge-in p50':>14}{'max':>7}{'missed':>8}"
        f"{'false':>7}{'ms/10 ms':>10}"
    ]
    for r in results:
        middle = f"{np.median(r.barge_in_s):.2f} s" if r.barge_in_s else "-"
        most = f"{max(r.barge_in_s):.2f}" if r.barge_in_s else "-"
        lines.append(
            f"{r.mode:9}{r.erle_first_db:>8.1f} dB{r.erle_db:>7.1f}{r.near_kept:>12.3f}{middle:>14}{most:>7}"
            f"{r.missed:>8}{r.false_starts:>7}{r.ms_per_block:>10.3f}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench echo", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scenes", type=int, default=5)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    arguments = parser.parse_args(argv)
    try:
        results = run(arguments.scenes, arguments.modes)
    except SoundError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(table(results) + "\n")
    if arguments.json is not None:
        arguments.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
