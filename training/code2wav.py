"""Code2Wav on the frozen codes of `training.codec`: codes in, 24 kHz sound out.

    python -m training.code2wav [--runs DIR] [--steps N]

The module is the reference's own (`transformers`), so its weights are the published format's. Losses are spectral
(three window lengths and log mels); no discriminator. The default initialisation is too small to start from, so it is
redone. Resumable; about 1 s a step on one core without AMX.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from training import config, muon
from training.codec import codes_of, log_mel, mel_filters, training_parts
from training.voice_data import VoicePart
from training.voice_loop import Progress, Store, learning_rate, options, require, seed_all

CROP_FRAMES = 22
WARM_FRAMES = 4  # at the start of a crop the past is missing, so these are not judged
_WINDOWS = ((256, 64), (640, 160), (1536, 384))


def new_code2wav() -> Any:
    """The reference's Code2Wav in our sizes, initialised so that it starts to learn at once."""
    from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeCode2WavConfig
    from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeCode2Wav

    model = Qwen3OmniMoeCode2Wav(Qwen3OmniMoeCode2WavConfig(**config.code2wav_config()))
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.Conv1d | nn.ConvTranspose1d | nn.Linear):
                module.reset_parameters()
        for name, parameter in model.named_parameters():
            if name.endswith(("layer_scale.scale", "self_attn_layer_scale.scale", "mlp_layer_scale.scale", "gamma")):
                parameter.fill_(0.3)
        model.code_embedding.weight.normal_(0, 1.0)
    return model


class _Snake(torch.autograd.Function):
    """x + sin(a x)^2 / b for [B, C, T] with few passes over memory; the reference's expression takes twenty."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, log_a: torch.Tensor, log_b: torch.Tensor) -> torch.Tensor:
        a, inverse_b = log_a.exp()[:, None], (1 / (log_b.exp() + 1e-9))[:, None]
        ctx.save_for_backward(x, a, inverse_b)
        sine = (x * a).sin_()
        return torch.addcmul(x, sine.mul(sine), inverse_b)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        (grad,) = grads
        x, a, inverse_b = ctx.saved_tensors
        angle = x * a
        sine2 = (angle * 2).sin_()
        through = grad * sine2  # d/dx of sin(ax)^2 is a sin(2ax)
        grad_a = (through * angle).sum((0, 2)) * inverse_b[:, 0]
        square = angle.sin_().square_()
        grad_b = -(square.mul_(grad)).sum((0, 2)) * inverse_b[:, 0]
        return torch.addcmul(grad, through, a * inverse_b), grad_a, grad_b


def _fast_snakes(model: nn.Module) -> None:
    """Let the activations of `model` compute through `_Snake`; their parameters stay where they are."""
    activate: Any = _Snake.apply
    for module in model.modules():
        if type(module).__name__ == "Qwen3OmniMoeSnakeBeta":
            snake: Any = module
            snake.forward = lambda x, snake=snake: activate(x, snake.alpha, snake.beta)


def decode_function(model: Any, compiled: bool) -> Callable[[torch.Tensor], torch.Tensor]:
    """codes [B, groups, T] -> sound [B, T * 1920 - 555], the convolutions compiled if asked for."""

    def convolve(hidden: torch.Tensor) -> torch.Tensor:
        for blocks in model.upsample:
            for block in blocks:
                hidden = block(hidden)
        for block in model.decoder:
            hidden = block(hidden)
        return hidden[:, 0]

    fast = torch.compile(convolve) if compiled else convolve

    def decode(codes: torch.Tensor) -> torch.Tensor:
        hidden = model.code_embedding(codes + model.code_offset).mean(1)
        hidden = model.pre_transformer(inputs_embeds=hidden).last_hidden_state
        sound: torch.Tensor = fast(hidden.permute(0, 2, 1).contiguous())
        return sound

    return decode


def _magnitude(pcm: torch.Tensor, n_fft: int, hop: int) -> torch.Tensor:
    window = torch.hann_window(n_fft, device=pcm.device)
    spectrum = torch.stft(pcm, n_fft, hop, window=window, center=False, return_complex=True)
    return (spectrum.real.square() + spectrum.imag.square() + 1e-7).sqrt()  # [B, bins, T]


def spectral_loss(made: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean over three window lengths of log-magnitude and relative magnitude error, plus log mels."""
    loss = made.new_zeros(())
    for n_fft, hop in _WINDOWS:
        a, b = _magnitude(made, n_fft, hop), _magnitude(real, n_fft, hop)
        top = n_fft // 3  # flite has nothing above 8 kHz
        floor = 0.01 * n_fft / 256
        a_low, b_low = a[:, :top], b[:, :top]
        loss = loss + F.l1_loss(torch.log(a_low + floor), torch.log(b_low + floor))
        loss = loss + 0.5 * (a_low - b_low).norm() / b_low.norm().clamp_min(1e-3)
        loss = loss + 0.1 * F.l1_loss(torch.log(a[:, top:] + floor), torch.log(b[:, top:] + floor))
        filters = mel_filters(n_fft, 40 if n_fft < 1000 else 80).to(made.device)
        mels = [torch.log(x.transpose(1, 2) @ filters + floor) for x in (a, b)]
        loss = loss + F.l1_loss(mels[0], mels[1])
    return loss / len(_WINDOWS)


def _crops(
    data: list[tuple[VoicePart, npt.NDArray[np.int16]]], batch: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [B, groups, CROP_FRAMES] and sound [B, CROP_FRAMES * 1920]."""
    samples = config.SAMPLES_PER_CODEC_FRAME
    codes = np.zeros((batch, config.CODE_GROUPS, CROP_FRAMES), np.int64)
    sound = np.zeros((batch, CROP_FRAMES * samples), np.float32)
    for row in range(batch):
        part, part_codes = data[rng.integers(len(data))]
        long = False
        while not long:
            record = part.records[rng.integers(len(part.records))]
            long = record.n_frames >= CROP_FRAMES
        start = record.first_frame + int(rng.integers(record.n_frames - CROP_FRAMES + 1))
        codes[row] = part_codes[start : start + CROP_FRAMES].T
        sound[row] = part.pcm[start * samples : (start + CROP_FRAMES) * samples].astype(np.float32) / 32767
    return torch.from_numpy(codes), torch.from_numpy(sound)


def load_code2wav(runs: Path) -> Any:
    """The trained Code2Wav."""
    path = require(runs / "code2wav" / "state.pt", "python -m training.code2wav")
    model = new_code2wav()
    model.load_state_dict(torch.load(path, map_location="cpu", weights_only=True)["model"])
    return model.eval()


def main() -> None:
    """Train Code2Wav up to --steps."""
    chosen = options(__doc__ or "", steps=4000, batch=4, rate=1.5e-3, compile=0, minutes=0.0)
    seed_all(chosen.seed)
    data = [(part, codes_of(chosen.runs, name)) for name, part in training_parts(chosen.runs).items()]
    model = new_code2wav().to(chosen.device)
    # Depthwise kernels mix no channels, and the last layer has one.
    matrices = muon.hidden_matrices(model, without=("code_embedding", "dwconv", "decoder.6"))
    rest = [{"params": muon.others(model.parameters(), matrices)}]
    optimiser = muon.Mixed(matrices, rest, lr=chosen.rate, weight_decay=1e-3, kernels=True)
    store = Store(chosen.runs, "code2wav")
    step = 0
    if (state := store.load(chosen.device)) is not None:
        model.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
        step = int(state["step"])
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, from step {step}", flush=True)
    _fast_snakes(model)
    decode = decode_function(model, bool(chosen.compile))
    rng = np.random.default_rng([chosen.seed, step])
    first = WARM_FRAMES * config.SAMPLES_PER_CODEC_FRAME
    total = 0.0
    progress = Progress(step, chosen.steps, chosen.minutes)
    while (done := progress.at(step)) < 1:
        optimiser.set_rate(learning_rate(step, done, chosen.rate))
        codes, real = _crops(data, chosen.batch, rng)
        made = decode(codes.to(chosen.device))
        loss = spectral_loss(made[:, first:], real.to(chosen.device)[:, first : made.shape[1]])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        total += loss.item()
        step += 1
        if step % 50 == 0:
            mel = F.l1_loss(log_mel(made[:, :38400]), log_mel(real[:, :38400].to(chosen.device))).item()
            store.log(step, loss=total / 50, mel=mel)
            total = 0.0
        if store.due() or progress.at(step) >= 1:
            store.save({"model": model.state_dict(), "optimiser": optimiser.state_dict(), "step": step})


if __name__ == "__main__":
    main()
