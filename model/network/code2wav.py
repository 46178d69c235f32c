"""Code2Wav: codec frames to samples, streaming and exact.

Source: `Qwen3OmniMoeCode2Wav` of the reference. The stream equals the reference's *full* forward sample for sample,
at constant memory and constant cost per frame (the reference's own `chunked_decode` does not: it loses samples at
every seam and its context is shorter than the attention window).

Everything runs time-major, [time, channels]: a causal convolution is then one matrix product per tap on a contiguous
slice, and a transposed convolution is two, without scattering. Batch is one.

How it streams. Embedding, attention (a ring of `sliding_window` keys and values), and causal convolutions (a tail of
their last inputs) answer at once. A decoder block's transposed convolution, kernel 2r and stride r, trimmed by r on
both ends, makes r samples out of a step *and the next one*: T steps give (T - 1) * r. So every block keeps its last
step, the first frame gives fewer samples than later ones (1,365 against 1,920 in the published geometry), and at
the end nothing is left over.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import nn

from model.checkpoint.config import Code2WavConfig
from model.errors import InputError
from model.network.code2wav_layers import (
    DILATIONS,
    KERNEL,
    Attention,
    CausalConv,
    Code2WavState,
    ConvNeXt,
    DecoderBlock,
    DepthwiseConv,
    GatedMlp,
    LookAheadUpsampler,
    Snake,
    Transformer,
    Upsampler,
)

# Frames decoded at once by push(): bounds memory for long batches; attention reads window + this many keys.
_MAX_BATCH = 64


class Code2Wav(nn.Module):
    """The checkpoint's `code2wav.` part; parameter names are the published ones.

    Use `stream()`. Weights are rearranged once by `pack()`, which the first `stream()` calls when the loader has not.
    """

    def __init__(self, config: Code2WavConfig) -> None:
        super().__init__()
        self.config = config
        hidden, width = config.hidden_size, config.decoder_dim
        self.pre_transformer = Transformer(config)
        self.code_embedding = nn.Embedding(config.codebook_size * config.num_quantizers, hidden)
        self.upsample = nn.ModuleList(
            nn.ModuleList([Upsampler(hidden, factor), ConvNeXt(hidden)]) for factor in config.upsampling_ratios
        )
        widths = [width >> n for n in range(len(config.upsample_rates) + 1)]
        self.decoder = nn.ModuleList(
            [
                CausalConv(hidden, width, KERNEL),
                *(DecoderBlock(widths[n], widths[n + 1], rate) for n, rate in enumerate(config.upsample_rates)),
                Snake(widths[-1]),
                CausalConv(widths[-1], 1, KERNEL),
            ]
        )
        self.offsets = torch.empty(0, dtype=torch.long)  # of each codebook in the table of embeddings
        self.is_packed = False

    def pack(self) -> None:
        """Lays the convolutions out for streaming and frees the checkpoint's layout. Call after loading, once."""
        if self.is_packed:
            return
        for module in list(self.modules()):
            if isinstance(module, CausalConv | Upsampler | LookAheadUpsampler | DepthwiseConv):
                module.pack()
                # Only the bias is still read; the weight now lives in the packed tensor.
                module.conv.weight = nn.Parameter(module.conv.weight.new_empty(0), requires_grad=False)
            elif isinstance(module, Snake | Attention | GatedMlp | Transformer):
                module.pack()
        config = self.config
        self.offsets = torch.arange(config.num_quantizers, device=self.code_embedding.weight.device)
        self.offsets *= config.codebook_size
        self.is_packed = True

    @torch.inference_mode()
    def new_state(self) -> Code2WavState:
        """A state before the first frame, on the device and in the dtype of the weights."""
        config = self.config
        like = self.code_embedding.weight.detach()
        ring = (config.num_hidden_layers, config.num_key_value_heads, config.sliding_window, config.head_dim)
        paddings = [(module.dwconv.padding, config.hidden_size) for _, module in self.stages()]
        paddings.append((KERNEL - 1, config.hidden_size))
        widths = [config.decoder_dim >> n for n in range(len(config.upsample_rates) + 1)]
        for channels in widths[1:]:
            paddings += [((KERNEL - 1) * dilation, channels) for dilation in DILATIONS]
        paddings.append((KERNEL - 1, widths[-1]))
        return Code2WavState(
            n_frames=0,
            keys=like.new_zeros(ring),
            values=like.new_zeros(ring),
            tails=[like.new_zeros(shape) for shape in paddings],
            steps=[like.new_zeros((1, channels)) for channels in widths[:-1]],
        )

    def stages(self) -> list[tuple[Upsampler, ConvNeXt]]:
        """The steps between transformer and decoder: each upsampling and what follows it."""
        return [
            (cast(Upsampler, stage[0]), cast(ConvNeXt, stage[1])) for stage in cast(list[nn.ModuleList], self.upsample)
        ]

    def stream(self) -> Code2WavStream:
        """A new stream of speech."""
        self.pack()
        return Code2WavStream(self)

    def forward(self, codes: torch.Tensor, state: Code2WavState) -> torch.Tensor:
        """The next frames: codes [n, num_quantizers] (n >= 1) -> samples [m] in -1..1. Moves `state` forward.

        Call it in inference mode, as `Code2WavStream` does.
        """
        tails = iter(state.tails)
        n_frames = codes.shape[0]
        x = self.code_embedding(codes + self.offsets).mean(1)  # [n, hidden]
        x = self.pre_transformer(x, state)
        state.n_frames += n_frames
        for upsampler, convnext in self.stages():
            x = convnext(upsampler(x), next(tails))
        x = self.decoder[0](x, next(tails))
        for number, (block, step) in enumerate(zip(self.decoder[1:-2], state.steps, strict=True)):
            if not len(x):  # the block before has only just got its first step
                return codes.new_zeros(0, dtype=state.keys.dtype)
            primed = number < state.n_blocks_primed
            x = block(x, step, primed, [next(tails) for _ in DILATIONS])
            state.n_blocks_primed = max(state.n_blocks_primed, number + 1)
        x = self.decoder[-1](self.decoder[-2](x), next(tails))  # [m, 1]
        return cast(torch.Tensor, x[:, 0].clamp_(-1, 1))


class Code2WavStream:
    """One stream of speech: frames in, samples out. Owned by one thread."""

    def __init__(self, model: Code2Wav) -> None:
        self._model = model
        self._state = model.new_state()

    @property
    def n_frames(self) -> int:
        """Frames pushed since the start."""
        return self._state.n_frames

    @torch.inference_mode()
    def push(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes [n, num_quantizers], integers -> float32 samples [m] on the model's device.

        Together the pushes give exactly the samples of the full forward of all frames. Raises InputError for a wrong
        shape.
        """
        n_quantizers = self._model.config.num_quantizers
        if codes.ndim != 2 or codes.shape[1] != n_quantizers:
            raise InputError(f"codes have shape {tuple(codes.shape)}, expected [frames, {n_quantizers}]")
        parts = [self._model(codes[at : at + _MAX_BATCH], self._state) for at in range(0, len(codes), _MAX_BATCH)]
        return torch.cat(parts).float() if parts else torch.zeros(0, device=codes.device)

    def flush(self) -> torch.Tensor:
        """What is left at the end: nothing, as in the full forward, which trims the end. Starts a new stream."""
        self.reset()
        return torch.zeros(0, device=self._state.keys.device)

    def reset(self) -> None:
        """Forgets all frames."""
        self._state.reset()
