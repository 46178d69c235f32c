"""The vision encoder over a batch of pictures of one size, with the reference's module and weights.

The reference packs pictures of any size and embeds patches with a Conv3d, which is slow on a CPU; here a batch has one
grid and the patch embedding is the equal matrix product. A test holds the two equal. Every picture fills its temporal
patch (it is repeated), as in the runtime.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

PATCH, MERGE = 16, 2
MEAN = STD = 0.5  # of the pixels in 0..1, as in the published preprocessor_config.json


def patches(pictures: list[npt.NDArray[np.uint8]]) -> torch.Tensor:
    """Pictures [H, W, 3] of one size -> normalised patches in merge order: float32 [B, patches, 3 * 16 * 16]."""
    pixels = (torch.from_numpy(np.stack(pictures)).float() / 255 - MEAN) / STD
    count, height, width, _ = pixels.shape
    rows, columns = height // (PATCH * MERGE), width // (PATCH * MERGE)
    blocks = pixels.view(count, rows, MERGE, PATCH, columns, MERGE, PATCH, 3)
    return blocks.permute(0, 1, 4, 2, 5, 7, 3, 6).reshape(count, rows * columns * MERGE * MERGE, 3 * PATCH * PATCH)


def n_tokens(height: int, width: int) -> int:
    """Thinker positions of a picture."""
    return (height // (PATCH * MERGE)) * (width // (PATCH * MERGE))


@cache
def _geometry(rows: int, columns: int, side: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Places in the learned position grid, their weights, and row and column of every patch, in merge order."""
    from transformers.vision_utils import get_vision_interpolation_indices_and_weights, get_vision_position_ids

    grid = torch.tensor([[1, rows, columns]])
    indices, weights = get_vision_interpolation_indices_and_weights(
        grid, num_grid_per_side=side, mode="bilinear", align_corners=True, spatial_merge_size=MERGE
    )
    return indices, weights, get_vision_position_ids(grid, MERGE)


def encode(
    tower: Any, pictures: torch.Tensor, height: int, width: int, *, levels: bool = True
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Patches of pictures of one size -> Thinker embeddings [B, tokens, out] and the DeepStack ones, one a level.

    Without `levels` the second is empty (pretraining does not need it).
    """
    count, n_patches, _ = pictures.shape
    weight = tower.patch_embed.proj.weight  # [D, 3, 2, 16, 16]; both temporal halves see the same picture
    x = F.linear(pictures, weight.sum(2).flatten(1), tower.patch_embed.proj.bias)
    geometry = _geometry(height // PATCH, width // PATCH, tower.num_grid_per_side)
    indices, weights, places = (part.to(x.device) for part in geometry)
    x = x + (tower.pos_embed(indices) * weights[:, :, None]).sum(1)
    cos, sin = tower.rotary_pos_emb(x, places)  # [patches, head_dim]
    deep = []
    for number, block in enumerate(tower.blocks):
        x = x + _attention(block.attn, block.norm1(x), cos, sin)
        x = x + block.mlp(block.norm2(x))
        if levels and number in tower.deepstack_visual_indexes:
            merger = tower.merger_list[tower.deepstack_visual_indexes.index(number)]
            deep.append(merger(x.reshape(count * n_patches, -1)).view(count, n_patches // MERGE**2, -1))
    merged = tower.merger(x.reshape(count * n_patches, -1)).view(count, n_patches // MERGE**2, -1)
    return merged, deep


def _attention(attention: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    count, n_patches, _ = x.shape
    query, key, value = attention.qkv(x).view(count, n_patches, 3, attention.num_heads, -1).permute(2, 0, 3, 1, 4)

    def rotate(y: torch.Tensor) -> torch.Tensor:
        first, second = y.chunk(2, -1)
        return y * cos + torch.cat((-second, first), -1) * sin

    y = F.scaled_dot_product_attention(rotate(query), rotate(key), value)
    out: torch.Tensor = attention.proj(y.transpose(1, 2).reshape(x.shape))
    return out


def make_tower() -> Any:
    """A new vision encoder with the reference's class. Its patch embedding starts as a whitened cosine transform."""
    from transformers.models.qwen3_omni_moe import modeling_qwen3_omni_moe as reference
    from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeVisionEncoderConfig

    from training import config

    settings = {key: value for key, value in config.vision_config().items() if key != "model_type"}
    tower = reference.Qwen3OmniMoeVisionEncoder(Qwen3OmniMoeVisionEncoderConfig(**settings))
    for name, parameter in tower.named_parameters():
        if parameter.ndim == 2 and "pos_embed" not in name:
            torch.nn.init.normal_(parameter, std=(0.5 if name.endswith(("proj.weight", "fc2.weight")) else 0.8)
                                  / math.sqrt(parameter.shape[1]))  # fmt: skip
    with torch.no_grad():
        tower.patch_embed.proj.weight.copy_(_cosine_patches(tower.patch_embed.proj.weight.shape[0]))
        bias = tower.patch_embed.proj.bias
        assert bias is not None
        bias.zero_()
        tower.pos_embed.weight.normal_(std=0.1)
        for block, (offsets, sharpness) in zip(tower.blocks, _NEIGHBOURS, strict=True):
            _look_at_neighbours(block.attn, offsets, sharpness)
        merger: Any
        for merger in tower.merger_list:  # DeepStack starts without a say; it learns with the Thinker
            torch.nn.init.zeros_(merger.mlp[-1].weight)
            torch.nn.init.zeros_(merger.mlp[-1].bias)
    return tower


# Where each head looks at first, in patches (down, right), and how narrowly; a layer each.
_NEIGHBOURS = (
    (((-1.0, 0.0), (1.0, 0.0), (0.0, -1.0), (0.0, 1.0)), 23.0),
    (((-1.5, -1.5), (-1.5, 1.5), (1.5, -1.5), (1.5, 1.5)), 12.0),
    (((-2.5, 0.0), (2.5, 0.0), (0.0, -2.5), (0.0, 2.5)), 6.0),
)
_LOCAL_WAVES = 5  # the fastest waves of the rotary positions tell neighbours apart


def _look_at_neighbours(attention: Any, offsets: tuple[tuple[float, float], ...], sharpness: float) -> None:
    """Start each head as one arm of a convolution: constant query and key whose rotary product peaks at its offset.

    Attention that starts anywhere needs many thousand pictures to find out that what is near matters.
    """
    width = attention.qkv.weight.shape[1]
    head_dim, amplitude = width // len(offsets), math.sqrt(sharpness)
    waves = head_dim // 4  # for each axis
    attention.qkv.weight[: 2 * width] *= 0.3
    bias = attention.qkv.bias.view(3, len(offsets), head_dim)
    bias.zero_()
    for head, offset in enumerate(offsets):
        for axis, distance in enumerate(offset):
            for wave in range(_LOCAL_WAVES):
                place, angle = axis * waves + wave, distance * 10_000 ** (-wave / waves)
                bias[1, head, place] = amplitude
                bias[0, head, place] = amplitude * math.cos(angle)
                bias[0, head, place + head_dim // 2] = amplitude * math.sin(angle)


def _cosine_patches(n_outputs: int) -> torch.Tensor:
    """The lowest cosines of a patch for brightness and two colour axes, amplified with frequency: [D, 3, 2, 16, 16]."""
    at = (torch.arange(PATCH) + 0.5) * math.pi / PATCH
    waves = torch.cos(torch.arange(PATCH)[:, None] * at[None]) * math.sqrt(2 / PATCH)
    waves[0] /= math.sqrt(2)
    order = sorted(((i, j) for i in range(PATCH) for j in range(PATCH)), key=lambda ij: ij[0] ** 2 + ij[1] ** 2)
    n_colour = n_outputs // 4
    axes = (((0.6, 0.6, 0.6), n_outputs - 2 * n_colour), ((1.2, -1.2, 0), n_colour), ((0.7, 0.7, -1.4), n_colour))
    rows = []
    for mix, count in axes:
        for i, j in order[:count]:
            wave = waves[i][:, None] * waves[j][None] * (0.11 + 0.22 * math.hypot(i, j))
            rows.append(torch.tensor(mix)[:, None, None, None] * wave[None, None].expand(1, 2, PATCH, PATCH) / 2)
    return torch.stack(rows)
