"""The audio encoder ("AuT"): mel features to Thinker embeddings, window by window.

Source: `Qwen3OmniMoeAudioEncoder` of the reference. Mel frames are cut into chunks (1 s); three convolutions of stride
2 make 13 tokens out of a chunk; sinusoidal positions restart in each chunk; attention is bidirectional inside windows
of whole chunks (`n_window_infer` mel frames) and never crosses them. So a window's embeddings are final as soon as its
sound has been heard.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from model.checkpoint.config import AudioConfig
from model.errors import ConfigError, InputError
from model.network.mel import FRAME_RATE_HZ, LogMelStream
from model.network.weights import Linear

MIN_WINDOW_S, MAX_WINDOW_S = 1.0, 8.0
_MAX_TIMESCALE = 10_000.0


def tokens_of_frames(n_frames: int, chunk_frames: int) -> int:
    """Tokens of a sound of `n_frames` mel frames (reference: `_get_feat_extract_output_lengths`)."""
    whole, rest = divmod(n_frames, chunk_frames)
    return whole * _conv_length(chunk_frames) + _conv_length(rest)


def _conv_length(n_frames: int) -> int:
    for _ in range(3):
        n_frames = (n_frames + 1) // 2
    return n_frames


class AudioAttention(nn.Module):
    """Bidirectional attention of one window."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.n_heads = config.encoder_attention_heads
        self.q_proj = Linear(config.d_model, config.d_model)
        self.k_proj = Linear(config.d_model, config.d_model)
        self.v_proj = Linear(config.d_model, config.d_model)
        self.out_proj = Linear(config.d_model, config.d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[W, T, D] -> [W, T, D]; windows do not see each other."""
        n_windows, n_tokens, _ = x.shape
        query, key, value = (
            projection(x).view(n_windows, n_tokens, self.n_heads, -1).transpose(1, 2)  # [W, H, T, D / H]
            for projection in (self.q_proj, self.k_proj, self.v_proj)
        )
        y = F.scaled_dot_product_attention(query, key, value)
        return cast(torch.Tensor, self.out_proj(y.transpose(1, 2).reshape(x.shape)))


class AudioLayer(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.self_attn = AudioAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model)
        self.fc1 = Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = Linear(config.encoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[W, T, D] -> [W, T, D]"""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + cast(torch.Tensor, self.fc2(F.gelu(self.fc1(self.final_layer_norm(x)))))


class AudioEncoder(nn.Module):
    """The checkpoint's `thinker.audio_tower.` part; parameter names are the published ones."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        if config.d_model % config.encoder_attention_heads or config.d_model % 2:
            raise ConfigError(
                f"audio_config: d_model {config.d_model} must be even and divisible by "
                f"{config.encoder_attention_heads} attention heads"
            )
        self.config = config
        self.chunk_frames = 2 * config.n_window
        channels = config.downsample_hidden_size
        self.conv2d1 = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.conv2d2 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv2d3 = nn.Conv2d(channels, channels, 3, stride=2, padding=1)
        self.conv_out = Linear(channels * _conv_length(config.num_mel_bins), config.d_model, bias=False)
        self.layers = nn.ModuleList([AudioLayer(config) for _ in range(config.encoder_layers)])
        self.ln_post = nn.LayerNorm(config.d_model)
        self.proj1 = Linear(config.d_model, config.d_model)
        self.proj2 = Linear(config.d_model, config.output_dim)

    @torch.inference_mode()
    def forward(self, mel: torch.Tensor, *, window_frames: int | None = None) -> torch.Tensor:
        """A whole sound: mel [n_bins, n_frames] -> embeddings [n_tokens, output_dim].

        `window_frames` overrides the checkpoint's `n_window_infer`. Raises InputError unless it is whole chunks.
        """
        window = self._check_window(self.config.n_window_infer if window_frames is None else window_frames)
        n_frames = mel.shape[1]
        if n_frames == 0:
            return self.proj2.weight.new_zeros((0, self.config.output_dim))
        n_whole = n_frames // window
        parts = []
        if n_whole:
            windows = mel[:, : n_whole * window].view(mel.shape[0], n_whole, window).transpose(0, 1)
            parts.append(self._windows(windows).flatten(0, 1))
        if n_frames % window:
            parts.append(self.last_window(mel[:, n_whole * window :], is_alone=n_whole == 0))
        return torch.cat(parts)

    @torch.inference_mode()
    def window(self, mel: torch.Tensor) -> torch.Tensor:
        """One window of whole chunks: mel [n_bins, n * chunk] -> [n_tokens, output_dim]."""
        return self._windows(mel[None])[0]

    @torch.inference_mode()
    def last_window(self, mel: torch.Tensor, *, is_alone: bool) -> torch.Tensor:
        """The end of a sound: mel [n_bins, n_frames] of at most one window -> [n_tokens, output_dim].

        The reference pads the last chunk with zeros to the length of the longest chunk, and the convolutions see
        that padding. So a sound shorter than one chunk (`is_alone`) is not padded, any other is.
        """
        n_frames = mel.shape[1]
        if not is_alone or n_frames > self.chunk_frames:
            mel = F.pad(mel, (0, -n_frames % self.chunk_frames))
        x = self._convolve(mel[None])[:, : tokens_of_frames(n_frames, self.chunk_frames)]
        return self._encode(x)[0]

    def _windows(self, mel: torch.Tensor) -> torch.Tensor:
        """Windows of whole chunks: [W, n_bins, n_frames] -> [W, n_tokens, output_dim]."""
        return self._encode(self._convolve(mel))

    def _convolve(self, mel: torch.Tensor) -> torch.Tensor:
        """[W, n_bins, n_frames], whole chunks or a part of one -> tokens [W, T, d_model] with their positions."""
        n_windows, n_bins, n_frames = mel.shape
        chunk = min(n_frames, self.chunk_frames)
        weight = self.conv2d1.weight
        x = mel.to(device=weight.device, dtype=weight.dtype)
        x = (
            x.view(n_windows, n_bins, -1, chunk).transpose(1, 2).reshape(-1, 1, n_bins, chunk)
        )  # [W * C, 1, bins, chunk]
        x = torch.cat([self._downsample(part) for part in x.split(self.config.conv_chunksize)])
        n_chunks, channels, bins, tokens = x.shape
        x = self.conv_out(x.permute(0, 3, 1, 2).reshape(n_chunks, tokens, channels * bins))  # [W * C, tokens, d_model]
        x = x + sinusoids(tokens, self.config.d_model).to(x)
        return cast(torch.Tensor, x.view(n_windows, -1, self.config.d_model))

    def _downsample(self, x: torch.Tensor) -> torch.Tensor:
        for conv in (self.conv2d1, self.conv2d2, self.conv2d3):
            x = F.gelu(conv(x))
        return x

    def _encode(self, x: torch.Tensor) -> torch.Tensor:
        """[W, T, d_model] -> [W, T, output_dim]"""
        for layer in self.layers:
            x = layer(x)
        return cast(torch.Tensor, self.proj2(F.gelu(self.proj1(self.ln_post(x)))))

    def _check_window(self, window_frames: int) -> int:
        if window_frames < self.chunk_frames or window_frames % self.chunk_frames:
            raise InputError(
                f"an audio window of {window_frames} mel frames was asked for; it must be a multiple of "
                f"{self.chunk_frames} frames ({self.chunk_frames / FRAME_RATE_HZ:g} s)"
            )
        return window_frames

    def stream(self, window_s: float = 2.0) -> AudioStream:
        """A new sound, to be heard piece by piece, in windows of 1 to 8 s. Raises InputError for another length."""
        if not MIN_WINDOW_S <= window_s <= MAX_WINDOW_S:
            raise InputError(f"the audio window is {window_s} s; expected {MIN_WINDOW_S:g} to {MAX_WINDOW_S:g} s")
        window_frames = round(window_s * FRAME_RATE_HZ)
        if not math.isclose(window_frames, window_s * FRAME_RATE_HZ):
            raise InputError(f"the audio window is {window_s} s; expected whole seconds")
        return AudioStream(self, self._check_window(window_frames))


class AudioStream:
    """One sound, incrementally: samples in, embeddings of finished windows out. Owned by one thread.

    Any chunking of the samples gives the same embeddings, bit for bit; see `model.network.mel` for how they relate to
    the reference's run on the whole sound with the same `n_window_infer`.
    """

    def __init__(self, encoder: AudioEncoder, window_frames: int) -> None:
        self._encoder = encoder
        self._mel = LogMelStream(encoder.config.num_mel_bins, window_frames)
        self._n_windows = 0
        self.window_frames = window_frames

    @property
    def tokens_per_window(self) -> int:
        """Thinker positions of a whole window."""
        return tokens_of_frames(self.window_frames, self._encoder.chunk_frames)

    def feed(self, pcm: npt.NDArray[np.float32]) -> list[torch.Tensor]:
        """Float32 samples [n] at 16 kHz -> embeddings [n_tokens, output_dim] of each window that is now complete."""
        windows = self._mel.feed(pcm)
        self._n_windows += len(windows)
        return [self._encoder.window(mel) for mel in windows]

    def finish(self) -> torch.Tensor | None:
        """Ends the sound: the embeddings of the last window, padded as the reference does; None if nothing is left.

        Then the stream is ready for a new sound.
        """
        mel = self._mel.finish()
        is_alone = self._n_windows == 0
        self._n_windows = 0
        return None if mel is None else self._encoder.last_window(mel, is_alone=is_alone)


def sinusoids(length: int, channels: int) -> torch.Tensor:
    """Whisper's sinusoidal positions, float32 [length, channels]: sines, then cosines."""
    step = math.log(_MAX_TIMESCALE) / (channels // 2 - 1)
    scales = torch.exp(-step * torch.arange(channels // 2, device="cpu").float())
    angles = torch.arange(length, device="cpu").float()[:, None] * scales
    return torch.cat((angles.sin(), angles.cos()), dim=1)
