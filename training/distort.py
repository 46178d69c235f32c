"""What lies between a mouth and the model: a telephone's band, a far microphone, other people, music, overdriven sound.

All take and give float32 [n] at 16 kHz; random through the generator given.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.hearing_audio import RATE_HZ, coloured_noise

Pcm = npt.NDArray[np.float32]


def _level(pcm: Pcm) -> float:
    return float(np.sqrt(np.mean(pcm**2))) + 1e-6


def _filtered(pcm: Pcm, gain: npt.NDArray[np.floating]) -> Pcm:
    spectrum = np.fft.rfft(pcm) * np.interp(
        np.fft.rfftfreq(len(pcm), 1 / RATE_HZ), np.linspace(0, RATE_HZ / 2, len(gain)), gain
    )
    return np.asarray(np.fft.irfft(spectrum, len(pcm)), np.float32)


def telephone(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    """300 to 3400 Hz, coarse steps (mu-law's eight bits), some noise."""
    hertz = np.linspace(0, RATE_HZ / 2, 257)
    low, high = rng.uniform(200, 350), rng.uniform(3000, 3600)
    gain = 1 / (1 + (low / np.maximum(hertz, 1)) ** 6) / (1 + (hertz / high) ** 14)
    narrow = _filtered(pcm, gain)
    peak = max(float(np.abs(narrow).max()), 1e-6)
    scaled = narrow / peak
    pressed = np.sign(scaled) * np.log1p(255 * np.abs(scaled)) / np.log(256)
    steps = np.round(pressed * 127) / 127
    back = np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255
    return np.asarray(
        back * peak + coloured_noise(len(pcm), rng) * _level(pcm) * 10 ** (-rng.uniform(25, 45) / 20), np.float32
    )


def far(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    """Some metres away in a room: more echo than voice, dull, quiet, with the room's noise."""
    seconds = rng.uniform(0.25, 0.7)
    n = int(RATE_HZ * seconds)
    tail = rng.standard_normal(n) * np.exp(-np.arange(n) / n * 6.9)
    tail *= rng.uniform(0.5, 1.6) / np.sqrt(np.sum(tail**2))
    tail[0] += 1.0
    size = 1 << (len(pcm) + n).bit_length()
    wet = np.fft.irfft(np.fft.rfft(pcm, size) * np.fft.rfft(tail, size), size)[: len(pcm)]
    hertz = np.linspace(0, RATE_HZ / 2, 129)
    dull = _filtered(np.asarray(wet, np.float32), 1 / (1 + (hertz / rng.uniform(2500, 6000)) ** 2) ** 0.5)
    noisy = dull + coloured_noise(len(dull), rng) * _level(dull) * 10 ** (-rng.uniform(12, 28) / 20)
    return np.asarray(noisy * 10 ** (-rng.uniform(6, 24) / 20), np.float32)


def among(pcm: Pcm, others: list[Pcm], snr_db: float) -> Pcm:
    """With other people talking `snr_db` below."""
    crowd = np.zeros(len(pcm), np.float32)
    for other in others:
        crowd += np.resize(other, len(pcm)) / np.float32(_level(other))
    return np.asarray(pcm + crowd * (_level(pcm) / _level(crowd) * 10 ** (-snr_db / 20)), np.float32)


def with_music(pcm: Pcm, rng: np.random.Generator, snr_db: float) -> Pcm:
    """With chords and a melody below the voice."""
    time_s = np.arange(len(pcm)) / RATE_HZ
    music = np.zeros(len(pcm))
    beat_s, root = rng.uniform(0.2, 0.6), rng.uniform(90, 260)
    for start in np.arange(0, time_s[-1] if len(time_s) else 0, beat_s):
        for step in rng.choice((0, 3, 4, 5, 7, 9, 12, 16), 3, replace=False):
            note = root * 2 ** (step / 12)
            sounding = np.clip(time_s - start, 0, None)
            shape = (time_s >= start) * np.exp(-sounding / beat_s * 1.5)
            music += shape * (np.sin(2 * np.pi * note * sounding) + 0.4 * np.sin(4 * np.pi * note * sounding))
    mixed = pcm + music * (_level(pcm) / _level(music.astype(np.float32)) * 10 ** (-snr_db / 20))
    return np.asarray(mixed, np.float32)


def overdriven(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    """Clipped: up to a tenth of the samples at the limit."""
    limit = np.float32(max(float(np.quantile(np.abs(pcm), 1 - rng.uniform(0.005, 0.1))), 1e-4))
    return np.asarray(np.clip(pcm, -limit, limit) / limit * rng.uniform(0.5, 1.0), np.float32)


def some(pcm: Pcm, rng: np.random.Generator, others: list[Pcm]) -> Pcm:
    """One of them."""
    kind = int(rng.integers(5))
    if kind == 0:
        return telephone(pcm, rng)
    if kind == 1:
        return far(pcm, rng)
    if kind == 2 and others:
        return among(pcm, others, float(rng.uniform(6, 20)))
    if kind == 3:
        return with_music(pcm, rng, float(rng.uniform(8, 22)))
    return overdriven(pcm, rng)
