"""Code2Wav for a fixed number of frames with the place in its ring on the device.

The stream's first frames are made by the plain path: there every block makes fewer samples, because it waits for one
step. From then on each call of n frames gives n x 1,920 samples (published geometry).
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.network.code2wav import Code2Wav
from model.network.code2wav_layers import DILATIONS, Attention, Code2WavState, TransformerLayer, rotate


class WaveBuffers:
    """What the steps of all batch sizes share: the plain stream's state, and how many frames it has had."""

    def __init__(self, model: Code2Wav, codes: Tensor) -> None:
        """`codes` [room, Q]: where the frames are written."""
        model.pack()
        device = codes.device
        self.state: Code2WavState = model.new_state()
        self.codes = codes
        self.count = torch.zeros(1, dtype=torch.long, device=device)

    @property
    def is_primed(self) -> bool:
        """Whether every block has its waiting step, so that calls have fixed shapes."""
        return self.state.n_blocks_primed == len(self.state.steps)

    def reset(self) -> None:
        self.state.reset()
        self.count.zero_()


class WaveStep:
    """`n_frames` frames from `codes[count:]` -> `samples` [n_frames * samples per frame]."""

    def __init__(self, model: Code2Wav, buffers: WaveBuffers, n_frames: int) -> None:
        self._model, self._buffers = model, buffers
        device = buffers.codes.device
        self.new = torch.arange(n_frames, device=device)
        self.slots = torch.arange(model.config.sliding_window, device=device)
        n_samples = n_frames * model.config.samples_per_frame
        self.samples = torch.zeros(n_samples, device=device)
        self.generators: tuple[torch.Generator, ...] = ()

    def state(self) -> list[Tensor]:
        state = self._buffers.state
        return [self._buffers.count, state.keys, state.values, *state.tails, *state.steps]

    @torch.inference_mode()
    def run(self) -> None:
        model, work = self._model, self._buffers
        state, tails = work.state, iter(work.state.tails)
        rows = (work.count + self.new).clamp_(max=work.codes.shape[0] - 1)
        x = model.code_embedding(work.codes.index_select(0, rows) + model.offsets).mean(1)
        x = self._transform(x)
        for upsampler, convnext in model.stages():
            x = convnext(upsampler(x), next(tails))
        x = model.decoder[0](x, next(tails))
        for block, step in zip(model.decoder[1:-2], state.steps, strict=True):
            x = block(x, step, True, [next(tails) for _ in DILATIONS])
        x = model.decoder[-1](model.decoder[-2](x), next(tails))
        self.samples.copy_(x[:, 0].clamp(-1, 1))
        work.count.add_(len(self.new))

    def _transform(self, x: Tensor) -> Tensor:
        """[n, hidden] -> [n, hidden]: the layers before the upsampling."""
        part, work = self._model.pre_transformer, self._buffers
        window = len(self.slots)
        position = work.count + self.new  # [n]
        angles = position.float().unsqueeze(1) * cast(Tensor, part.frequencies)
        rope = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        # A slot holds the newest frame before this call that belongs there.
        held = work.count - 1 - (work.count - 1 - self.slots) % window  # [window]
        age = position.unsqueeze(1) - torch.cat((held, position))  # [n, window + n]
        mask = (age >= 0) & (age < window) & (torch.cat((held, position)) >= 0)
        targets = position % window
        for number, layer in enumerate(part.layers):
            keys, values = work.state.keys[number], work.state.values[number]
            x = self._layer(cast(TransformerLayer, layer), x, rope, keys, values, mask, targets)
        return cast(Tensor, part.norm(x))

    @staticmethod
    def _layer(
        layer: TransformerLayer,
        x: Tensor,
        rope: tuple[Tensor, Tensor],
        keys: Tensor,
        values: Tensor,
        mask: Tensor,
        targets: Tensor,
    ) -> Tensor:
        part: Attention = layer.self_attn
        n_new = x.shape[0]
        qkv = cast(nn.Linear, part.qkv)(layer.input_layernorm(x)).view(n_new, -1, part.head_dim).transpose(0, 1)
        turned = rotate(qkv[: part.n_heads + part.n_kv_heads], rope)
        query, key, value = turned[: part.n_heads], turned[part.n_heads :], qkv[-part.n_kv_heads :]
        seen_keys, seen_values = torch.cat((keys, key), dim=1), torch.cat((values, value), dim=1)
        keys.index_copy_(1, targets, key)
        values.index_copy_(1, targets, value)
        y = F.scaled_dot_product_attention(
            query[None], seen_keys[None], seen_values[None], mask, enable_gqa=part.n_heads != part.n_kv_heads
        )
        y = part.o_proj(y[0].transpose(0, 1).reshape(n_new, -1))
        x = torch.addcmul(x, y, layer.self_attn_layer_scale.scale)
        return torch.addcmul(x, layer.mlp(layer.post_attention_layernorm(x)), layer.mlp_layer_scale.scale)
