"""The vision encoder: patches of pictures to Thinker embeddings, with DeepStack features from its middle layers.

Source: `Qwen3OmniMoeVisionEncoder` of the reference. Patches come in blocks of merge x merge, so that the merger only
has to look at neighbours. Attention stays inside one temporal patch of one picture. The learnt positions are a square
grid that is resampled bilinearly (corners aligned) to the picture's grid; rows and columns also turn queries and keys.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from model.checkpoint.config import VisionConfig
from model.errors import ConfigError, InputError
from model.network.images import Grid, Picture
from model.network.weights import Embedding, Linear

_EPS = 1e-6


@dataclass(frozen=True)
class VisionFeatures:
    """What the Thinker gets of one picture: embeddings [n, D] and DeepStack features [levels, n, D]."""

    embeddings: torch.Tensor
    deepstack: torch.Tensor


class PatchEmbed(nn.Module):
    """Linear projection of patches; the checkpoint keeps it as a three-dimensional convolution."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        kernel = (config.temporal_patch_size, config.patch_size, config.patch_size)
        self.proj = nn.Conv3d(config.in_channels, config.hidden_size, kernel, stride=kernel)

    def forward(self, patches: torch.Tensor) -> torch.Tensor:
        """[N, C * t * p * p] -> [N, hidden]"""
        weight = self.proj.weight
        return F.linear(patches.to(device=weight.device, dtype=weight.dtype), weight.flatten(1), self.proj.bias)


class VisionAttention(nn.Module):
    """Bidirectional attention of one temporal patch."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.n_heads = config.num_heads
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size)
        self.proj = Linear(config.hidden_size, config.hidden_size)

    def forward(
        self, x: torch.Tensor, rope: tuple[torch.Tensor, torch.Tensor], segments: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """[N, D] -> [N, D]; `segments` are runs of (count, length) of patches that see each other."""
        cos, sin = rope
        qkv = self.qkv(x).view(len(x), 3, self.n_heads, -1)
        query, key, value = _rotate(qkv[:, 0], cos, sin), _rotate(qkv[:, 1], cos, sin), qkv[:, 2]  # [N, H, D / H]
        parts, start = [], 0
        for count, length in segments:
            run = slice(start, start + count * length)
            start = run.stop
            q, k, v = (part[run].unflatten(0, (count, length)).transpose(1, 2) for part in (query, key, value))
            parts.append(
                F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(0, 1)
            )  # [count * length, H, D/H]
        y = parts[0] if len(parts) == 1 else torch.cat(parts)
        return cast(torch.Tensor, self.proj(y.flatten(1)))


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary positions on [N, H, D] in float32, halves convention; cos and sin [N, 1, D / 2]."""
    first, second = x.float().chunk(2, dim=-1)
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1).to(x.dtype)


class VisionMlp(nn.Module):
    """MLP with the tanh form of GELU."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.linear_fc1 = Linear(config.hidden_size, config.intermediate_size)
        self.linear_fc2 = Linear(config.intermediate_size, config.hidden_size)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, D] -> [N, D]"""
        return cast(torch.Tensor, self.linear_fc2(F.gelu(self.linear_fc1(x), approximate="tanh")))


class VisionBlock(nn.Module):
    """Pre-norm attention and MLP."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.hidden_size, eps=_EPS)
        self.norm2 = nn.LayerNorm(config.hidden_size, eps=_EPS)
        self.attn = VisionAttention(config)
        self.mlp = VisionMlp(config)

    def forward(
        self, x: torch.Tensor, rope: tuple[torch.Tensor, torch.Tensor], segments: Sequence[tuple[int, int]]
    ) -> torch.Tensor:
        """[N, D] -> [N, D]"""
        x = x + self.attn(self.norm1(x), rope, segments)
        return x + cast(torch.Tensor, self.mlp(self.norm2(x)))


class PatchMerger(nn.Module):
    """merge x merge patches -> one Thinker embedding; the main one normalises before merging, DeepStack's after."""

    def __init__(self, config: VisionConfig, *, norm_after: bool) -> None:
        super().__init__()
        self.merged_size = config.hidden_size * config.spatial_merge_size**2
        self.norm_after = norm_after
        self.ln_q = nn.LayerNorm(self.merged_size if norm_after else config.hidden_size, eps=_EPS)
        self.mlp = nn.ModuleList(
            [Linear(self.merged_size, self.merged_size), nn.GELU(), Linear(self.merged_size, config.out_hidden_size)]
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[N, hidden] -> [N / merge², out_hidden]"""
        x = self.ln_q(x.view(-1, self.merged_size)) if self.norm_after else self.ln_q(x).view(-1, self.merged_size)
        for layer in self.mlp:
            x = layer(x)
        return x


class VisionEncoder(nn.Module):
    """The checkpoint's `thinker.visual.` part; parameter names are the published ones."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.grid_side = round(config.num_position_embeddings**0.5)
        head_dim, rest = divmod(config.hidden_size, config.num_heads)
        if rest or head_dim % 4:
            raise ConfigError(
                f"vision_config: hidden_size {config.hidden_size} over {config.num_heads} heads gives heads of "
                f"{config.hidden_size / config.num_heads:g}; rows and columns need a multiple of four"
            )
        if self.grid_side**2 != config.num_position_embeddings:
            raise ConfigError(f"vision_config: {config.num_position_embeddings} positions are no square grid")
        self.config = config
        self.patch_embed = PatchEmbed(config)
        self.pos_embed = Embedding(config.num_position_embeddings, config.hidden_size)
        self.blocks = nn.ModuleList([VisionBlock(config) for _ in range(config.depth)])
        self.merger = PatchMerger(config, norm_after=False)
        self.merger_list = nn.ModuleList(
            [PatchMerger(config, norm_after=True) for _ in config.deepstack_visual_indexes]
        )

    @torch.inference_mode()
    def forward(self, pictures: Sequence[Picture]) -> list[VisionFeatures]:
        """Encodes pictures together; each one's features are those it would have alone.

        Raises InputError when patches and grid of a picture do not match.
        """
        if not pictures:
            return []
        grids = [self._checked(picture).grid for picture in pictures]
        x = self.patch_embed(torch.cat([picture.patches for picture in pictures]))  # [N, hidden]
        x = x + torch.cat([self._positions(grid) for grid in grids]).to(x.dtype)
        rope = self._rope(grids, x.device)
        segments = _segments(grids)
        levels: list[torch.Tensor] = []  # in the order of the layers, as the Thinker adds them
        for number, block in enumerate(self.blocks):
            x = block(x, rope, segments)
            if number in self.config.deepstack_visual_indexes:
                levels.append(self.merger_list[self.config.deepstack_visual_indexes.index(number)](x))
        embeddings = self.merger(x)
        deepstack = torch.stack(levels) if levels else embeddings.new_zeros((0, *embeddings.shape))
        sizes = [grid.n_tokens(self.config.spatial_merge_size) for grid in grids]
        return [
            VisionFeatures(own, own_deepstack)
            for own, own_deepstack in zip(embeddings.split(sizes), deepstack.split(sizes, dim=1), strict=True)
        ]

    def _checked(self, picture: Picture) -> Picture:
        grid, config = picture.grid, self.config
        patch_size = config.in_channels * config.temporal_patch_size * config.patch_size**2
        merge = config.spatial_merge_size
        if picture.patches.shape != (grid.t * grid.h * grid.w, patch_size) or grid.h % merge or grid.w % merge:
            raise InputError(
                f"patches {tuple(picture.patches.shape)} do not match {grid}; expected [t * h * w, {patch_size}] "
                f"with h and w multiples of {merge}"
            )
        return picture

    def _positions(self, grid: Grid) -> torch.Tensor:
        """Learnt positions resampled to `grid`: float32 [t * h * w, hidden]."""
        indices, weights = _corners(grid.h, grid.w, self.grid_side, self.config.spatial_merge_size)
        corners = self.pos_embed(indices.to(self.patch_embed.proj.weight.device))  # [h * w, 4, hidden]
        own = (corners * weights.to(corners.device).unsqueeze(-1)).sum(1)
        return cast(torch.Tensor, own.repeat(grid.t, 1))

    def _rope(self, grids: Sequence[Grid], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin [N, 1, D / 2] of rows (first half of the frequencies) and columns."""
        head_dim = self.config.hidden_size // self.config.num_heads
        exponents = torch.arange(0, head_dim // 2, 2, dtype=torch.float32, device=device) / (head_dim // 2)
        frequencies = 1.0 / self.config.rope_theta**exponents  # [D / 4]
        places = [_places(grid.h, grid.w, self.config.spatial_merge_size).repeat(grid.t, 1) for grid in grids]
        angles = torch.cat(places).to(device=device, dtype=torch.float32)[..., None] * frequencies  # [N, 2, D / 4]
        angles = angles.flatten(1).unsqueeze(1)
        return angles.cos(), angles.sin()


def _segments(grids: Sequence[Grid]) -> list[tuple[int, int]]:
    """Runs of equally long temporal patches: (count, patches each)."""
    runs: list[tuple[int, int]] = []
    for grid in grids:
        length = grid.h * grid.w
        if runs and runs[-1][1] == length:
            runs[-1] = (runs[-1][0] + grid.t, length)
        else:
            runs.append((grid.t, length))
    return runs


@lru_cache(maxsize=32)
def _places(height: int, width: int, merge: int) -> torch.Tensor:
    """Row and column of each patch in the encoder's order: long [h * w, 2]."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    places = torch.stack((rows, columns), dim=-1).view(height // merge, merge, width // merge, merge, 2)
    return places.transpose(1, 2).reshape(-1, 2)


@lru_cache(maxsize=32)
def _corners(height: int, width: int, side: int, merge: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Bilinear resampling of the side x side grid: long indices and float32 weights, each [h * w, 4]."""
    places = _places(height, width, merge).float()
    at = places * (side - 1) / torch.tensor([max(height - 1, 1), max(width - 1, 1)])  # corner on corner
    low = at.floor()
    share = at - low  # [h * w, 2]: of the upper neighbour
    low_index = low.long()
    high_index = (low_index + 1).clamp(max=side - 1)
    taps = torch.stack((low_index, high_index), dim=-1)  # [h * w, 2 axes, 2]
    shares = torch.stack((1 - share, share), dim=-1)
    indices = taps[:, 0, :, None] * side + taps[:, 1, None, :]
    weights = shares[:, 0, :, None] * shares[:, 1, None, :]
    return indices.flatten(1), weights.flatten(1)
