"""Speech and noise for the tests: real synthesisers, mixed at known places and loudness."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio_io.blocks import INSIDE_RATE_HZ
from audio_io.wav_file import read_wav

Samples = NDArray[np.float32]


@functools.lru_cache(maxsize=64)
def _spoken(text: str, voice: str, rate_hz: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "speech.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(path)], check=True, timeout=60)
        sound = read_wav(path, rate_hz)
    loud = np.flatnonzero(np.abs(sound) > 0.02 * np.abs(sound).max())
    sound = sound[loud[0] : loud[-1] + 1]
    return (sound * np.float32(0.1 / np.sqrt(np.mean(sound**2)))).tobytes()


def spoken(text: str, voice: str = "slt", rate_hz: int = INSIDE_RATE_HZ) -> Samples:
    """Speech without silence around it, float32 [n] with a root mean square of 0.1."""
    return np.frombuffer(_spoken(text, voice, rate_hz), dtype=np.float32)


def silence(seconds: float, rate_hz: int = INSIDE_RATE_HZ) -> Samples:
    return np.zeros(round(seconds * rate_hz), dtype=np.float32)


def noise(kind: str, n: int, seed: int = 0) -> Samples:
    """ "white", "fan" (steady, low), "keys" (clicks) or "music" (chords), root mean square 1."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / INSIDE_RATE_HZ
    if kind == "white":
        out = rng.normal(size=n)
    elif kind == "fan":
        out = np.cumsum(rng.normal(size=n))
        out = out - np.convolve(out, np.ones(400) / 400, "same") + 20 * np.sin(2 * np.pi * 100 * t)
    elif kind == "keys":
        out = np.zeros(n)
        for at in np.cumsum(rng.uniform(0.08, 0.3, 4 * n // INSIDE_RATE_HZ)):
            start = round(at * INSIDE_RATE_HZ)
            click = rng.normal(size=400) * np.exp(-np.arange(400) / 60)
            end = min(n, start + 400)
            if start < n:
                out[start:end] += click[: end - start]
    elif kind == "music":
        out = np.zeros(n)
        beat = INSIDE_RATE_HZ // 2
        for i in range(-(-n // beat)):
            part = slice(i * beat, min(n, (i + 1) * beat))
            root = 220 * 2 ** (rng.integers(0, 12) / 12)
            chord = sum(np.sin(2 * np.pi * root * ratio * t[part]) for ratio in (1, 1.25, 1.5, 2, 3))
            out[part] = chord * np.exp(-3 * (t[part] - t[part][0]))
    else:
        raise ValueError(f"no noise called {kind!r}")
    return (out / np.sqrt(np.mean(out**2))).astype(np.float32)


def scene(*parts: tuple[float, Samples], length_s: float) -> Samples:
    """Sounds placed at their times (s) on a silent line."""
    line = silence(length_s)
    for at_s, sound in parts:
        start = round(at_s * INSIDE_RATE_HZ)
        line[start : start + len(sound)] += sound
    return line
