"""Sound for training: augmentation, log-mel features in batches, and the audio encoder over a batch.

Features are those of the runtime's stream (`model.network.mel`): the floor of a 2 s window is 80 dB below the loudest
cell so far. The encoder's forward here is the reference's (`Qwen3OmniMoeAudioEncoder`), but over a padded batch instead
of a packed one, which is several times faster on a CPU; a test holds the two equal.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from functools import cache
from typing import Any, cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from model.network.mel import HOP_LENGTH, N_FFT, mel_filters

Pcm = npt.NDArray[np.float32]
RATE_HZ = 16_000
SAMPLES_PER_MEL_FRAME = HOP_LENGTH  # samples of one mel frame
CHUNK_FRAMES = 100
TOKENS_PER_CHUNK = 13
WINDOW_CHUNKS = 2
_DYNAMIC_RANGE = 8.0
_NOISE_KINDS, _NOISE_SAMPLES = 12, 1 << 18


@dataclass(frozen=True)
class Heard:
    """An augmented sound, and how its time axis lies over the original's: new = old / speed + delay."""

    pcm: Pcm
    speed: float
    delay_s: float


def stretch(pcm: Pcm, speed: float) -> Pcm:
    """Speed and pitch together, by linear interpolation."""
    at = np.arange(int((len(pcm) - 1) / speed)) * speed
    before = at.astype(np.int64)
    share = (at - before).astype(np.float32)
    out: Pcm = pcm[before] * (1 - share) + pcm[before + 1] * share
    return out


@cache
def _noise_bank() -> Pcm:
    """Noises between white and brown, float32 [kinds, samples]: shaping one anew for each sound costs half a batch."""
    rng = np.random.default_rng(97)
    rows = []
    for slope in np.linspace(0, 1, _NOISE_KINDS):
        spectrum = np.fft.rfft(rng.standard_normal(_NOISE_SAMPLES).astype(np.float32))
        frequency = np.maximum(np.arange(len(spectrum)), _NOISE_SAMPLES / RATE_HZ * 20)  # flat below 20 Hz
        rows.append(np.fft.irfft(spectrum / frequency**slope, _NOISE_SAMPLES).astype(np.float32))
    return np.stack(rows)


def coloured_noise(n: int, rng: np.random.Generator) -> Pcm:
    """Noise between white and brown, of unit power."""
    kind, start = int(rng.integers(_NOISE_KINDS)), int(rng.integers(_NOISE_SAMPLES))
    noise = _noise_bank()[kind].take(np.arange(start, start + n), mode="wrap")
    out: Pcm = noise / np.float32(max(float(noise.std()), 1e-9))
    return out


def _reverberate(pcm: Pcm, rng: np.random.Generator) -> Pcm:
    n = int(RATE_HZ * rng.uniform(0.08, 0.4))
    tail = rng.standard_normal(n) * np.exp(-np.arange(n) / n * rng.uniform(4, 8))
    tail[0] = rng.uniform(2, 8)
    size = -(-(len(pcm) + n) // 4096) * 4096
    spectra = torch.fft.rfft(torch.from_numpy(pcm), size) * torch.fft.rfft(
        torch.from_numpy(tail.astype(np.float32)), size
    )
    wet = torch.fft.irfft(spectra, size)[: len(pcm)].numpy()
    return np.asarray(wet / max(float(np.abs(wet).max()), 1e-6) * 0.5, np.float32)


def augment(pcm: Pcm, rng: np.random.Generator, other: Pcm | None = None) -> Heard:
    """Speed and pitch, room, noise (also another voice, faint), loudness, and silence around the speech."""
    speed = float(np.exp(rng.uniform(math.log(0.85), math.log(1.35)))) if rng.random() < 0.8 else 1.0
    if speed != 1.0:
        pcm = stretch(pcm, speed)
    if rng.random() < 0.2:
        pcm = _reverberate(pcm, rng)
    before = int(RATE_HZ * rng.uniform(0, 0.45))
    after = int(RATE_HZ * rng.uniform(0, 0.7))
    pcm = np.pad(pcm, (before, after))
    level = float(np.sqrt(np.mean(pcm**2))) + 1e-6
    if rng.random() < 0.6:
        pcm = pcm + coloured_noise(len(pcm), rng) * np.float32(level * 10 ** (-rng.uniform(8, 35) / 20))
    if other is not None and rng.random() < 0.1:
        babble = np.resize(other, len(pcm))
        pcm = pcm + babble * level / (float(babble.std()) + 1e-6) * 10 ** (-rng.uniform(12, 25) / 20)
    return Heard((pcm * 10 ** (rng.uniform(-24, 3) / 20)).astype(np.float32), speed, before / RATE_HZ)


def plain(pcm: Pcm) -> Heard:
    """The sound as it is, with a little silence around it (for evaluation)."""
    return Heard(np.pad(pcm, (3200, 4800)).astype(np.float32), 1.0, 0.2)


def no_speech(rng: np.random.Generator) -> Pcm:
    """1 to 3 s without a word: noise, hum, clicks or a few tones."""
    n = int(RATE_HZ * rng.uniform(1.0, 3.0))
    time_s = np.arange(n) / RATE_HZ
    kind = rng.integers(4)
    sound: npt.NDArray[np.floating] = np.zeros(n)
    if kind == 0:
        sound = coloured_noise(n, rng)
    elif kind == 1:
        base_hz = rng.uniform(50, 300)
        for k in range(1, 6):
            sound = sound + np.sin(2 * np.pi * base_hz * k * time_s + rng.uniform(0, 6)) / k
    elif kind == 2:
        sound = coloured_noise(n, rng) * 0.05
        for _ in range(int(rng.integers(2, 10))):
            at = int(rng.integers(0, n - 400))
            sound[at : at + 400] += rng.standard_normal(400) * np.exp(-np.arange(400) / 60)
    else:
        for _ in range(int(rng.integers(2, 8))):
            at, length = int(rng.integers(0, n - 3200)), 3200
            tone = np.sin(2 * np.pi * rng.uniform(200, 2000) * np.arange(length) / RATE_HZ)
            sound[at : at + length] += tone * np.hanning(length)
    sound = np.asarray(sound + 0.002 * rng.standard_normal(n))
    return np.asarray(sound / np.abs(sound).max() * 10 ** (rng.uniform(-30, -3) / 20), np.float32)


@dataclass(frozen=True)
class SoundBatch:
    """Log-mel features [B, bins, chunks * 100] and the number of true mel frames of each sound [B]."""

    mel: torch.Tensor
    n_frames: torch.Tensor

    @property
    def n_tokens(self) -> list[int]:
        return [tokens_of_frames(int(n)) for n in self.n_frames]


def tokens_of_frames(n_frames: int) -> int:
    """Audio tokens of a sound; 13 for each whole second and what the convolutions leave of the rest."""
    whole, rest = divmod(n_frames, CHUNK_FRAMES)
    for _ in range(3):
        rest = (rest + 1) // 2
    return whole * TOKENS_PER_CHUNK + rest


def features(
    sounds: list[Pcm], n_bins: int, tilt: torch.Tensor | None = None, device: torch.device | None = None
) -> SoundBatch:
    """Samples at 16 kHz -> features. `tilt` [B, bins] is added to the log10 power (a microphone's colour)."""
    n_frames = torch.tensor([len(pcm) // HOP_LENGTH for pcm in sounds])
    window = CHUNK_FRAMES * WINDOW_CHUNKS
    n_windows = max(1, -(-int(n_frames.max()) // window))
    longest = n_windows * window * HOP_LENGTH
    padded = torch.zeros(len(sounds), longest)
    for row, pcm in enumerate(sounds):
        padded[row, : len(pcm)] = torch.from_numpy(pcm[:longest])
    padded = padded.to(device)
    spectrum = torch.stft(
        padded, N_FFT, HOP_LENGTH, window=torch.hann_window(N_FFT, device=device), return_complex=True
    )
    spectrum = spectrum[..., :-1]
    power = spectrum.real.square() + spectrum.imag.square()  # [B, freqs, frames]
    log_mel = (mel_filters(n_bins).to(device) @ power).clamp_(min=1e-10).log10()
    if tilt is not None:
        log_mel = log_mel + tilt.to(device)[:, :, None]
    valid = (torch.arange(log_mel.shape[2])[None] < n_frames[:, None]).to(device)
    masked = log_mel.masked_fill(~valid[:, None], -10.0)
    peaks = masked.view(len(sounds), n_bins, n_windows, window).amax((1, 3)).cummax(1).values  # [B, windows]
    floor = (peaks - _DYNAMIC_RANGE).repeat_interleave(window, 1)[:, None]
    mel = ((torch.maximum(log_mel, floor) + 4.0) / 4.0).masked_fill(~valid[:, None], 0.0)
    n_chunks = -(-int(n_frames.max()) // CHUNK_FRAMES)
    return SoundBatch(mel[:, :, : n_chunks * CHUNK_FRAMES].contiguous(), n_frames)


def random_tilt(count: int, n_bins: int, rng: random.Random) -> torch.Tensor:
    """Smooth random curves over the mel bins, up to about 10 dB, now and then without what is high: [count, bins]."""
    at = torch.linspace(0, 1, n_bins)
    rows = []
    for _ in range(count):
        curve = torch.zeros(n_bins)
        if rng.random() < 0.6:
            for k in range(3):
                curve += rng.gauss(0, 0.35) * torch.cos(math.pi * (k + 1) * at + rng.uniform(0, math.pi))
        if rng.random() < 0.12:
            curve[round(rng.uniform(0.6, 0.85) * n_bins) :] -= 3.0
        rows.append(curve)
    return torch.stack(rows) if rows else torch.zeros(0, n_bins)


def encode(tower: Any, batch: SoundBatch) -> torch.Tensor:
    """The audio encoder over a batch: [B, chunks * 13, output_dim]; tokens past a sound's end are to be left out."""
    n_sounds, n_bins, n_frames = batch.mel.shape
    n_chunks = n_frames // CHUNK_FRAMES
    x = batch.mel.view(n_sounds, n_bins, n_chunks, CHUNK_FRAMES).transpose(1, 2).reshape(-1, 1, n_bins, CHUNK_FRAMES)
    for convolution in (tower.conv2d1, tower.conv2d2, tower.conv2d3):
        x = F.gelu(convolution(x))
    x = tower.conv_out(x.permute(0, 3, 1, 2).flatten(2))  # [B * chunks, 13, D]
    x = x + tower.positional_embedding.positional_embedding[:TOKENS_PER_CHUNK].to(x.dtype)
    n_windows, width = -(-n_chunks // WINDOW_CHUNKS), WINDOW_CHUNKS * TOKENS_PER_CHUNK
    n_tokens = torch.tensor(batch.n_tokens)
    every = n_chunks * TOKENS_PER_CHUNK
    # Only true tokens go through the matrix products; they lie in windows for the attention alone.
    row, column = (torch.arange(every)[None] < n_tokens[:, None]).nonzero(as_tuple=True)
    places = (row * every + column).to(x.device)
    slots = (row * n_windows * width + column).to(x.device)
    left = n_tokens[:, None] - torch.arange(n_windows)[None] * width
    allowed = torch.arange(width)[None] < left.clamp(1, width).reshape(-1, 1)
    mask = torch.zeros(len(allowed), 1, 1, width).masked_fill(~allowed[:, None, None], float("-inf")).to(x)
    x = x.reshape(n_sounds * every, -1)[places]  # [true tokens, D]
    for layer in tower.layers:
        x = x + _attention(layer.self_attn, layer.self_attn_layer_norm(x), mask, slots)
        x = x + layer.fc2(layer.activation_fn(layer.fc1(layer.final_layer_norm(x))))
    x = cast(torch.Tensor, tower.proj2(tower.act(tower.proj1(tower.ln_post(x)))))
    return x.new_zeros(n_sounds * every, x.shape[1]).index_copy(0, places, x).view(n_sounds, every, -1)


def _attention(attention: Any, x: torch.Tensor, mask: torch.Tensor, slots: torch.Tensor) -> torch.Tensor:
    """Attention inside windows over the true tokens [N, D]; `slots` are their places in the padded windows."""
    n_windows, width = len(mask), mask.shape[-1]
    weight = torch.cat([p.weight for p in (attention.q_proj, attention.k_proj, attention.v_proj)])
    bias = torch.cat([p.bias for p in (attention.q_proj, attention.k_proj, attention.v_proj)])
    flat = F.linear(x, weight, bias)
    padded = flat.new_zeros(n_windows * width, flat.shape[1]).index_copy(0, slots, flat)
    query, key, value = padded.view(n_windows, width, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)
    y = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    out: torch.Tensor = attention.out_proj(y.transpose(1, 2).reshape(n_windows * width, -1)[slots])
    return out
