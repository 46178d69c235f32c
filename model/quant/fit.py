"""Choosing scales, zero points and levels for a weight.

``nearest`` is round-to-nearest between the extremes of a group: the baseline. ``least_squares`` does better: with the
levels held, the best scale and offset of a group are a weighted regression of the weights on their levels; with those
held, the best level of a weight is the nearest one. Starting from the best of several clipped ranges, alternating the
two lowers the error further. Weighting an input by its mean square activation makes the error that
of the layer's output (the diagonal of the Hessian in GPTQ, arXiv 2210.17323; the idea of activation-aware weights,
arXiv 2306.00978).
"""

from __future__ import annotations

import torch
from torch import Tensor

from model.quant.packing import PackedWeight, QuantSpec, pack_levels

CLIP_RATIOS = (1.0, 0.93, 0.86, 0.78)
N_ALTERNATIONS = 3
# Weights fitted at a time: a few float32 copies of a chunk stay in a processor's cache.
CHUNK_ELEMENTS = 1 << 19
SMALLEST_SCALE = 1e-8


def quantize(
    weight: Tensor,
    spec: QuantSpec,
    *,
    importance: Tensor | None = None,
    method: str = "least_squares",
    scale_dtype: torch.dtype = torch.bfloat16,
) -> PackedWeight:
    """Pack ``weight`` [..., outputs, inputs].

    ``importance`` [inputs]: mean square activation of each input, or None for equal weights. ``method``:
    ``least_squares`` or ``nearest``. Scales are rounded to ``scale_dtype`` before the final levels are chosen, so
    their rounding costs nothing twice. Raises ValueError for a weight with NaN or infinity.
    """
    if method not in ("least_squares", "nearest"):
        raise ValueError(f"method is {method!r}; expected 'least_squares' or 'nearest'")
    if not bool(torch.isfinite(weight).all()):
        raise ValueError("the weight holds NaN or infinity; the checkpoint is damaged")
    n_inputs = weight.shape[-1]
    lead = weight.shape[:-1]
    rows = weight.reshape(-1, n_inputs)
    importance = (
        torch.ones(n_inputs, device=weight.device) if importance is None else importance.to(weight.device).float()
    )
    rows_per_chunk = max(1, CHUNK_ELEMENTS // n_inputs)
    words, scales, zeros = [], [], []
    for chunk in torch.split(rows, rows_per_chunk):
        level, scale, zero = _fit_rows(chunk.float(), spec, importance, method, scale_dtype)
        words.append(pack_levels(level, spec.bits))
        scales.append(scale)
        zeros.append(zero)
    packed_zero = None if spec.symmetric else torch.cat(zeros).view(*lead, -1).to(torch.uint8)
    return PackedWeight(
        torch.cat(words).view(*lead, -1), torch.cat(scales).view(*lead, -1), packed_zero, n_inputs, spec
    )


def _fit_rows(
    rows: Tensor, spec: QuantSpec, importance: Tensor, method: str, scale_dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Levels [R, inputs], scale [R, groups] in ``scale_dtype``, zero [R, groups] of float32 rows [R, inputs]."""
    n_rows, n_inputs = rows.shape
    group, n_groups = spec.group_size(n_inputs), spec.n_groups(n_inputs)
    pad = n_groups * group - n_inputs
    w = torch.nn.functional.pad(rows, (0, pad)).view(n_rows, n_groups, group)  # [R, G, g]
    # The padding of a short last group has weight zero: it neither widens the range nor pulls the fit.
    h = torch.nn.functional.pad(importance, (0, pad)).view(1, n_groups, group)
    real = torch.nn.functional.pad(torch.ones(n_inputs, device=rows.device), (0, pad)).view(1, n_groups, group) > 0
    h = torch.where(real, h.clamp_min(1e-12 * float(importance.max().clamp_min(1e-30))), 0.0)

    low = torch.where(real, w, torch.inf).amin(-1, keepdim=True).clamp_max(0.0)
    high = torch.where(real, w, -torch.inf).amax(-1, keepdim=True).clamp_min(0.0)
    best = _Best(w, h, spec, scale_dtype)
    for ratio in CLIP_RATIOS if method == "least_squares" else (1.0,):
        best.offer(*_range_grid(low * ratio, high * ratio, spec))
    for _ in range(N_ALTERNATIONS if method == "least_squares" else 0):
        level = _nearest_level(w, best.scale, best.zero, spec)
        best.offer(*_regress(w, h, level, best.scale, best.zero, spec))
    level = _nearest_level(w, best.scale, best.zero, spec).view(n_rows, -1)[:, :n_inputs]
    return level.to(torch.uint8), best.scale.squeeze(-1).to(scale_dtype), best.zero.squeeze(-1)


class _Best:
    """Scale and zero point with the least error so far, group by group; scales are rounded as they will be stored."""

    def __init__(self, w: Tensor, h: Tensor, spec: QuantSpec, scale_dtype: torch.dtype) -> None:
        self._w, self._h, self._spec, self._dtype = w, h, spec, scale_dtype
        self._error = w.new_full((*w.shape[:-1], 1), torch.inf)
        self.scale, self.zero = torch.ones_like(self._error), torch.full_like(self._error, float(spec.middle))

    def offer(self, scale: Tensor, zero: Tensor) -> None:
        """Take this scale and zero point for the groups where they are better."""
        scale = scale.to(self._dtype).float()
        level = _nearest_level(self._w, scale, zero, self._spec)
        error = level.sub_(zero).mul_(scale).sub_(self._w).square_().mul_(self._h).sum(-1, keepdim=True)
        better = error < self._error
        self._error = torch.where(better, error, self._error)
        self.scale, self.zero = torch.where(better, scale, self.scale), torch.where(better, zero, self.zero)


def _range_grid(low: Tensor, high: Tensor, spec: QuantSpec) -> tuple[Tensor, Tensor]:
    """Scale and zero point that span ``low``..``high``."""
    if spec.symmetric:
        scale = torch.maximum(-low / spec.middle, high / (spec.middle - 1)).clamp_min(SMALLEST_SCALE)
        return scale, torch.full_like(scale, float(spec.middle))
    scale = ((high - low) / (spec.n_levels - 1)).clamp_min(SMALLEST_SCALE)
    return scale, (-low / scale).round().clamp(0, spec.n_levels - 1)


def _nearest_level(w: Tensor, scale: Tensor, zero: Tensor, spec: QuantSpec) -> Tensor:
    return (w / scale).add_(zero).round_().clamp_(0, spec.n_levels - 1)


def _regress(
    w: Tensor, h: Tensor, level: Tensor, scale: Tensor, zero: Tensor, spec: QuantSpec
) -> tuple[Tensor, Tensor]:
    """The scale and whole-numbered zero point that fit ``w`` best for given levels; the old ones where none is
    defined.
    """
    if not spec.symmetric:
        total = h.sum(-1, keepdim=True)
        mean_level, mean_w = (h * level).sum(-1, keepdim=True) / total, (h * w).sum(-1, keepdim=True) / total
        spread = (h * (level - mean_level).square()).sum(-1, keepdim=True)
        slope = (h * (level - mean_level) * (w - mean_w)).sum(-1, keepdim=True) / spread.clamp_min(1e-20)
        fitted = (mean_level - mean_w / slope.clamp_min(SMALLEST_SCALE)).round().clamp(0, spec.n_levels - 1)
        zero = torch.where((spread > 0) & (slope > SMALLEST_SCALE), fitted, zero)
    centred = level - zero
    energy = (h * centred.square()).sum(-1, keepdim=True)
    refit = (h * centred * w).sum(-1, keepdim=True) / energy.clamp_min(1e-20)
    return torch.where((energy > 0) & (refit > SMALLEST_SCALE), refit, scale), zero


def relative_error(weight: Tensor, packed: PackedWeight, importance: Tensor | None = None) -> float:
    """Root of (weighted squared error ÷ weighted squared weight) of the whole tensor."""
    h = torch.ones(weight.shape[-1]) if importance is None else importance.float()
    difference = weight.float() - packed.dequantize(torch.float32)
    return float(((h * difference.square()).sum() / (h * weight.float().square()).sum().clamp_min(1e-30)).sqrt())
