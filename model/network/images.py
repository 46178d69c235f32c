"""Pictures as the vision encoder reads them: size, resampling, normalisation and patches.

Equal to the reference's Qwen2-VL image processor on its PIL backend (`Qwen2VLImageProcessorPil`, the one that
`Qwen3OmniMoeProcessor` takes where torchvision is absent), without Pillow: the resampling is Pillow's fixed-point
bicubic filter bit for bit, columns first, then rows. (Pillow 13 takes the rows first for some shapes that lose height;
Pillow 11 and 12 and torchvision never do. torch's own uint8 antialiased bicubic is one level off on 1 % of pixels.)
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from model.checkpoint.config import VisionConfig
from model.checkpoint.processor import picture_section
from model.errors import ConfigError, InputError

MOST_PIXELS = 1 << 28
MAX_ASPECT_RATIO = 200  # the reference refuses longer pictures

_BICUBIC_A = -0.5  # Pillow's cubic (Catmull-Rom)
_BICUBIC_SUPPORT = 2.0
_PRECISION_BITS = 32 - 8 - 2  # Pillow's: 8 bits of pixel, 2 bits of headroom for the negative lobes


@dataclass(frozen=True)
class Grid:
    """Patches of one picture: temporal patches, rows, columns (before the spatial merge)."""

    t: int
    h: int
    w: int

    def n_tokens(self, merge_size: int) -> int:
        """Thinker positions of the picture."""
        return self.t * self.h * self.w // merge_size**2


@dataclass(frozen=True)
class Picture:
    """A preprocessed picture.

    patches: float32 [t*h*w, channels * temporal_patch * patch * patch], in blocks of merge x merge patches.
    """

    patches: torch.Tensor
    grid: Grid


@dataclass(frozen=True)
class ImageSettings:
    """Geometry from config.json; pixel limits and normalisation from the checkpoint's processor file."""

    patch_size: int
    merge_size: int
    temporal_patch_size: int
    min_pixels: int = 56 * 56
    max_pixels: int = 28 * 28 * 1280
    mean: tuple[float, float, float] = (0.48145466, 0.4578275, 0.40821073)
    std: tuple[float, float, float] = (0.26862954, 0.26130258, 0.27577711)

    @classmethod
    def load(cls, directory: Path | str, config: VisionConfig) -> ImageSettings:
        """Settings of the checkpoint in `directory`.

        Raises ConfigError when it does not say how pictures are normalised, or contradicts config.json or what
        this module does.
        """
        section = picture_section(directory)
        geometry = {
            "patch_size": config.patch_size,
            "merge_size": config.spatial_merge_size,
            "temporal_patch_size": config.temporal_patch_size,
        }
        for key, expected in geometry.items():
            found = section.integer(key, expected)
            if found != expected:
                raise ConfigError(
                    f"{section.where}: {key} is {found}, but config.json says {expected}; the files do not match"
                )
        for step in ("do_resize", "do_rescale", "do_normalize"):
            section.expect(step, True, (True,))
        scale = section.number("rescale_factor", 1 / 255)
        if abs(scale * 255 - 1) > 1e-3:
            raise ConfigError(f"{section.where}: rescale_factor is {scale}; this runtime has only 1/255")
        size = section.optional("size").without_nulls()
        smallest = size.integer("shortest_edge", cls.min_pixels, least=1, most=MOST_PIXELS)
        largest = size.integer("longest_edge", cls.max_pixels, least=1, most=MOST_PIXELS)
        smallest = section.integer("min_pixels", smallest, least=1, most=MOST_PIXELS)
        largest = section.integer("max_pixels", largest, least=1, most=MOST_PIXELS)
        patch = (config.patch_size * config.spatial_merge_size) ** 2
        if largest < max(smallest, patch):
            raise ConfigError(
                f"{section.where}: pictures have {smallest} to {largest} pixels; expected at least {patch}, one token"
            )
        mean, std = section.numbers("image_mean", 3), section.numbers("image_std", 3)
        if min(std) <= 0:
            raise ConfigError(f"{section.where}: image_std is {std}, expected numbers above zero")
        return cls(
            **geometry,
            min_pixels=smallest,
            max_pixels=largest,
            mean=(mean[0], mean[1], mean[2]),
            std=(std[0], std[1], std[2]),
        )


def smart_size(height: int, width: int, *, factor: int, min_pixels: int, max_pixels: int) -> tuple[int, int]:
    """Height and width to resample to: multiples of `factor`, area within the limits, aspect ratio nearly kept.

    Source: `smart_resize` of the reference. Raises InputError for an empty or extremely long picture.
    """
    if min(height, width) < 1:
        raise InputError(f"the picture is {height} x {width} pixels; it must have at least one pixel")
    if max(height, width) / min(height, width) > MAX_ASPECT_RATIO:
        raise InputError(
            f"the picture is {height} x {width} pixels; its sides differ by over {MAX_ASPECT_RATIO} times; crop it"
        )
    new_height = round(height / factor) * factor
    new_width = round(width / factor) * factor
    if new_height * new_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        new_height = max(factor, math.floor(height / shrink / factor) * factor)
        new_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif new_height * new_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        new_height = math.ceil(height * grow / factor) * factor
        new_width = math.ceil(width * grow / factor) * factor
    return new_height, new_width


def preprocess(
    rgb: npt.NDArray[np.uint8], settings: ImageSettings, *, min_pixels: int | None = None, max_pixels: int | None = None
) -> Picture:
    """One picture [H, W, 3] uint8 -> patches and grid (t = 1, the picture fills the temporal patch).

    `min_pixels` and `max_pixels` override the checkpoint's limits. Raises InputError for anything but uint8 [H, W, 3].
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise InputError(f"the picture is {rgb.dtype} {rgb.shape}; expected uint8 [height, width, 3] in RGB")
    height, width = smart_size(
        rgb.shape[0],
        rgb.shape[1],
        factor=settings.patch_size * settings.merge_size,
        min_pixels=settings.min_pixels if min_pixels is None else min_pixels,
        max_pixels=settings.max_pixels if max_pixels is None else max_pixels,
    )
    return patchify([resize(rgb, height, width)], settings)


def patchify(frames: list[npt.NDArray[np.uint8]], settings: ImageSettings) -> Picture:
    """Frames of one size, already a multiple of patch x merge -> patches in the reference's order.

    Frames fill temporal patches in turn; the last one is repeated where they do not come out even.
    """
    temporal, patch, merge = settings.temporal_patch_size, settings.patch_size, settings.merge_size
    frames = frames + [frames[-1]] * (-len(frames) % temporal)
    pixels = torch.from_numpy(np.stack(frames)).float() / 255  # [F, H, W, C]
    pixels = (pixels - torch.tensor(settings.mean)) / torch.tensor(settings.std)
    n_frames, height, width, channels = pixels.shape
    grid = Grid(n_frames // temporal, height // patch, width // patch)
    blocks = pixels.view(grid.t, temporal, grid.h // merge, merge, patch, grid.w // merge, merge, patch, channels)
    # [t, tp, H', mh, ph, W', mw, pw, C] -> [t, H', W', mh, mw, C, tp, ph, pw]
    blocks = blocks.permute(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return Picture(blocks.reshape(grid.t * grid.h * grid.w, channels * temporal * patch * patch), grid)


def resize(rgb: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Pillow's antialiased bicubic resampling of uint8 [H, W, C], bit for bit: columns first, then rows."""
    pixels = torch.from_numpy(np.require(rgb, requirements=["C", "W"]))  # torch takes no read-only memory
    if width != rgb.shape[1]:
        pixels = _resample_rows(pixels.transpose(0, 1), width).transpose(0, 1)
    if height != rgb.shape[0]:
        pixels = _resample_rows(pixels, height)
    return np.ascontiguousarray(pixels.numpy())


def _resample_rows(pixels: torch.Tensor, size: int) -> torch.Tensor:
    """uint8 [rows, B, C] -> uint8 [size, B, C] in 32-bit fixed point; the sums stay below 2**31 as in Pillow."""
    rows = pixels.reshape(pixels.shape[0], -1).to(torch.int32)  # [rows, B * C]
    sources, weights = _taps(pixels.shape[0], size)  # [n_taps, size] each
    total = torch.full((size, rows.shape[1]), 1 << (_PRECISION_BITS - 1), dtype=torch.int32)
    for source, weight in zip(sources, weights, strict=True):
        total.addcmul_(rows.index_select(0, source), weight.unsqueeze(1))
    total = total.bitwise_right_shift_(_PRECISION_BITS).clamp_(0, 255).to(torch.uint8)
    return total.view(size, *pixels.shape[1:])


@lru_cache(maxsize=32)
def _taps(in_size: int, out_size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Source rows and fixed-point weights of each output row: two int tensors [n_taps, out_size].

    Source: Pillow's `precompute_coeffs` and `normalize_coeffs_8bpc` (src/libImaging/Resample.c), here in numpy.
    """
    scale = in_size / out_size
    filter_scale = max(scale, 1.0)  # antialiasing: the filter widens when the picture shrinks
    support = _BICUBIC_SUPPORT * filter_scale
    centers = (np.arange(out_size) + 0.5) * scale
    first = np.maximum((centers - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centers + support + 0.5).astype(np.int64), in_size)
    offsets = np.arange(int((last - first).max()))[:, None]  # [n_taps, 1]
    distance = np.abs((offsets + first - centers + 0.5) / filter_scale)
    a = _BICUBIC_A
    near = ((a + 2.0) * distance - (a + 3.0)) * distance * distance + 1
    far = (((distance - 5) * distance + 8) * distance - 4) * a
    weights = np.where(distance < 1.0, near, np.where(distance < 2.0, far, 0.0))
    weights = np.where(offsets < last - first, weights, 0.0)
    weights /= weights.sum(axis=0)
    fixed = np.trunc(weights * (1 << _PRECISION_BITS) + np.where(weights < 0, -0.5, 0.5)).astype(np.int32)
    sources = np.minimum(first + offsets, in_size - 1)
    return torch.from_numpy(sources), torch.from_numpy(fixed)
