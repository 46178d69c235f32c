"""The codec's analysis side: a mel autoencoder with a residual quantiser, 12.5 frames a second.

    python -m training.codec [--runs DIR] [--steps N]

Trains on every part of `training.voice_data`, then writes `codec/PART.codes.npy` (int16 [frames, groups]) for each.
The first quantiser also has to tell the phone of its frame: codes that follow the phones are codes the Talker can
predict from text. Only the codes go on: the published model has no encoder for speech output, and Code2Wav
(`training.code2wav`) learns to turn codes into sound. About 6 minutes on one core.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from training import config
from training.voice_data import PHONES, VoicePart, load_part
from training.voice_loop import Store, learning_rate, options, require, seed_all, set_rate

MEL_BINS = 80
FFT = 1024
HOP = 240  # 100 mel frames a second, 8 a codec frame
MELS_PER_FRAME = config.SAMPLES_PER_CODEC_FRAME // HOP
LATENT = 64
WIDTH = 320
CROP_FRAMES = 32


@cache
def mel_filters(n_fft: int = FFT, bins: int = MEL_BINS, top_hz: float = 8000.0) -> torch.Tensor:
    """Triangular mel filters, float32 [n_fft / 2 + 1, bins]."""
    mel = np.linspace(0, 2595 * np.log10(1 + top_hz / 700), bins + 2)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    hz = np.linspace(0, config.SAMPLE_RATE_HZ / 2, n_fft // 2 + 1)[:, None]
    rise = (hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    fall = (edges_hz[2:] - hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.from_numpy(np.maximum(0, np.minimum(rise, fall)).astype(np.float32))


def log_mel(pcm: torch.Tensor) -> torch.Tensor:
    """Log mel spectrum of [B, samples] at 24 kHz (samples a multiple of HOP): [B, samples / HOP, MEL_BINS]."""
    padded = F.pad(pcm, ((FFT - HOP) // 2, (FFT - HOP) // 2))
    window = torch.hann_window(FFT, device=pcm.device)
    spectrum = torch.stft(padded, FFT, HOP, window=window, center=False, return_complex=True).abs()  # [B, bins, T]
    return torch.log(spectrum.transpose(1, 2) @ mel_filters().to(pcm.device) + 1e-2)


class _Block(nn.Module):
    """Residual convolution over codec frames, not causal: the encoder runs on whole utterances."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.mix = nn.Conv1d(width, width, 3, padding=1)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # [B, T, width]
        h = self.mix(self.norm(x).transpose(1, 2)).transpose(1, 2)
        out: torch.Tensor = x + self.out(F.gelu(h))
        return out


class ResidualQuantiser(nn.Module):
    """Residual vector quantiser; codebooks follow their vectors by moving averages, unused entries are reseeded."""

    def __init__(self, groups: int, size: int, dim: int) -> None:
        super().__init__()
        self.register_buffer("books", torch.randn(groups, size, dim) * 0.1)
        self.register_buffer("counts", torch.ones(groups, size))
        self.register_buffer("sums", torch.randn(groups, size, dim) * 0.1)
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self.books: torch.Tensor
        self.counts: torch.Tensor
        self.sums: torch.Tensor
        self.ready: torch.Tensor

    @staticmethod
    def _nearest(x: torch.Tensor, book: torch.Tensor) -> torch.Tensor:
        return (book.pow(2).sum(1) - 2 * x @ book.T).argmin(1)

    def encode(self, z: torch.Tensor) -> torch.Tensor:
        """Codes of [N, dim]: [N, groups]."""
        codes = []
        residual = z
        for book in self.books:
            index = self._nearest(residual, book)
            codes.append(index)
            residual = residual - book[index]
        return torch.stack(codes, 1)

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Sum of the entries of [N, groups]: [N, dim]."""
        return torch.stack([book[codes[:, g]] for g, book in enumerate(self.books)]).sum(0)

    @torch.no_grad()
    def _follow(self, group: int, x: torch.Tensor, index: torch.Tensor, decay: float = 0.98) -> None:
        size = self.books.shape[1]
        one_hot = F.one_hot(index, size).to(x.dtype)  # [N, size]
        self.counts[group].mul_(decay).add_(one_hot.sum(0), alpha=1 - decay)
        self.sums[group].mul_(decay).add_(one_hot.T @ x, alpha=1 - decay)
        self.books[group] = self.sums[group] / self.counts[group].clamp_min(1e-3)[:, None]
        dead = (self.counts[group] < 0.02).nonzero().flatten()
        if len(dead):
            pick = x[torch.randint(len(x), (len(dead),), device=x.device)]
            self.books[group, dead] = pick
            self.sums[group, dead] = pick
            self.counts[group, dead] = 1.0

    def forward(self, z: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantise [N, dim] while training: straight-through value, first quantiser's value, commitment loss."""
        residual, total = z, torch.zeros_like(z)
        first = z
        for group in range(len(self.books)):
            x = residual.detach()
            if not bool(self.ready):
                self.books[group] = x[torch.randint(len(x), (self.books.shape[1],), device=x.device)]
                self.sums[group] = self.books[group]
            index = self._nearest(x, self.books[group])
            value = self.books[group][index]
            if self.training:
                self._follow(group, x, index)
            total = total + value
            residual = residual - value
            if group == 0:
                first = z + (value - z).detach()
        self.ready.fill_(True)
        commit = F.mse_loss(z, total.detach()) + 0.5 * F.mse_loss(z, first.detach())
        return z + (total - z).detach(), first, commit


class Codec(nn.Module):
    """Mel frames -> latent -> codes -> mel frames, and the phone of each frame from the first code."""

    def __init__(self) -> None:
        super().__init__()
        mels = MELS_PER_FRAME * MEL_BINS
        self.encoder = nn.Sequential(nn.Linear(mels, WIDTH), _Block(WIDTH), _Block(WIDTH), nn.LayerNorm(WIDTH))
        self.to_latent = nn.Linear(WIDTH, LATENT)
        self.quantiser = ResidualQuantiser(config.CODE_GROUPS, config.CODEBOOK_SIZE, LATENT)
        self.decoder = nn.Sequential(nn.Linear(LATENT, WIDTH), _Block(WIDTH), _Block(WIDTH), nn.LayerNorm(WIDTH))
        self.to_mel = nn.Linear(WIDTH, mels)
        self.to_phone = nn.Linear(LATENT, len(PHONES))

    def latent(self, mel: torch.Tensor) -> torch.Tensor:
        """[B, T * 8, bins] -> [B, T, LATENT]."""
        stacked = mel.reshape(mel.shape[0], -1, MELS_PER_FRAME * MEL_BINS)  # [B, T, 8 x 80]
        out: torch.Tensor = self.to_latent(self.encoder(stacked))
        return out

    def mel_of(self, latent: torch.Tensor) -> torch.Tensor:
        """[B, T, LATENT] -> [B, T * 8, bins]."""
        out: torch.Tensor = self.to_mel(self.decoder(latent))
        return out.reshape(latent.shape[0], -1, MEL_BINS)

    @torch.no_grad()
    def codes(self, pcm: torch.Tensor) -> torch.Tensor:
        """Codes of one utterance [samples]: int64 [frames, groups]."""
        return self.quantiser.encode(self.latent(log_mel(pcm[None]))[0])


def training_parts(runs: Path) -> dict[str, VoicePart]:
    """Every part of voice_data that training may use, by name."""
    names = sorted(p.stem for p in (runs / "voice").glob("*.json") if not p.stem.startswith("test"))
    if not names:
        raise FileNotFoundError(f"no speech in {runs / 'voice'}; run first: python -m training.voice_data")
    return {name: load_part(runs, name) for name in names}


def mels_of(runs: Path, name: str, part: VoicePart) -> npt.NDArray[np.float16]:
    """Log mels of every codec frame of a part, float16 [frames, 8 x 80]; made once and kept."""
    path = runs / "codec" / f"{name}.mel.npy"
    n_frames = sum(record.n_frames for record in part.records)
    if path.exists():
        kept: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
        if len(kept) == n_frames:
            return kept
    mels = np.zeros((n_frames, MELS_PER_FRAME * MEL_BINS), np.float16)
    for record in part.records:
        mel = log_mel(torch.from_numpy(part.samples(record))[None])
        mels[record.first_frame : record.first_frame + record.n_frames] = mel.reshape(record.n_frames, -1).numpy()
    np.save(path, mels)
    return mels


def _crops(
    parts: list[tuple[VoicePart, npt.NDArray[np.float16]]], batch: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Random pieces of utterances: log mels [B, CROP_FRAMES, 8 x 80] and phones [B, CROP_FRAMES]."""
    mels = np.full((batch, CROP_FRAMES, MELS_PER_FRAME * MEL_BINS), np.log(1e-2), np.float32)
    phones = np.zeros((batch, CROP_FRAMES), np.int64)
    for row in range(batch):
        part, part_mels = parts[rng.integers(len(parts))]
        record = part.records[rng.integers(len(part.records))]
        start = int(rng.integers(max(1, record.n_frames - CROP_FRAMES + 1)))
        n = min(CROP_FRAMES, record.n_frames - start)
        low = record.first_frame + start
        mels[row, :n] = part_mels[low : low + n]
        phones[row, :n] = record.phones[start : start + n]
    return torch.from_numpy(mels), torch.from_numpy(phones)


def load_codec(runs: Path) -> Codec:
    """The trained codec, ready to encode."""
    path = require(runs / "codec" / "state.pt", "python -m training.codec")
    model = Codec()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["model"])
    return model.eval()


def codes_of(runs: Path, name: str) -> npt.NDArray[np.int16]:
    """Codes of every frame of a part, int16 [frames, groups]."""
    path = require(runs / "codec" / f"{name}.codes.npy", "python -m training.codec")
    codes: npt.NDArray[np.int16] = np.load(path)
    return codes


def write_codes(runs: Path, name: str, part: VoicePart, model: Codec) -> None:
    """Encode every utterance of a part."""
    out = np.zeros((sum(r.n_frames for r in part.records), config.CODE_GROUPS), np.int16)
    mels = mels_of(runs, name, part)
    for record in part.records:
        span = slice(record.first_frame, record.first_frame + record.n_frames)
        mel = torch.from_numpy(mels[span].astype(np.float32))
        with torch.no_grad():
            out[span] = model.quantiser.encode(model.latent(mel[None])[0]).numpy()
    np.save(runs / "codec" / f"{name}.codes.npy", out)


def train(runs: Path, steps: int, batch: int, seed: int, rate: float) -> Codec:
    """Train up to `steps`, resuming from the last checkpoint."""
    seed_all(seed)
    (runs / "codec").mkdir(parents=True, exist_ok=True)
    parts = [(part, mels_of(runs, name, part)) for name, part in training_parts(runs).items()]
    model = Codec()
    optimiser = torch.optim.AdamW(model.parameters(), lr=rate, betas=(0.9, 0.98), weight_decay=1e-4)
    store = Store(runs, "codec")
    step = 0
    if (state := store.load()) is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
    rng = np.random.default_rng([seed, step])
    while step < steps:
        set_rate(optimiser, learning_rate(step, step / steps, rate))
        mel, phones = _crops(parts, batch, rng)
        z = model.latent(mel)
        value, first, commit = model.quantiser(z.reshape(-1, LATENT))
        rebuilt = model.mel_of(value.reshape(z.shape))
        mel_loss = F.l1_loss(rebuilt.reshape(mel.shape), mel)
        phone_loss = F.cross_entropy(model.to_phone(first), phones.flatten())
        loss = mel_loss + 0.1 * phone_loss + 0.25 * commit
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        step += 1
        if step % 50 == 0:
            used = float((model.quantiser.counts > 0.05).float().mean())
            accuracy = float((model.to_phone(first).argmax(1) == phones.flatten()).float().mean())
            store.log(
                step,
                mel=mel_loss.item(),
                phone=phone_loss.item(),
                phone_right=accuracy,
                commit=commit.item(),
                used=used,
            )
        if store.due() or step == steps:
            store.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step})
    return model.eval()


def main() -> None:
    """Train, then write the codes of every part."""
    chosen = options(__doc__ or "", steps=2000, batch=16, rate=1e-3)
    model = train(chosen.runs, chosen.steps, chosen.batch, chosen.seed, chosen.rate)
    for path in sorted((chosen.runs / "voice").glob("*.json")):
        write_codes(chosen.runs, path.stem, load_part(chosen.runs, path.stem), model)
        print(f"codes of {path.stem} written", flush=True)


if __name__ == "__main__":
    main()
