"""How many threads the engine computes with."""

from __future__ import annotations

import os

import torch

from model.flash import Flash

SMALL_WEIGHTS = 100_000_000
"""Below so many weights the operations of a step are so short that threads wait for each other longer than they work:
with flash-mini (25 million) two threads took two to three times as long as one."""


def use_fitting_threads(flash: Flash) -> None:
    """On a processor: one thread for a small model, unless OMP_NUM_THREADS is set. Call on the model's thread."""
    if flash.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ and is_small(flash):
        torch.set_num_threads(1)


def is_small(flash: Flash) -> bool:
    """Whether all its parts together have few weights."""
    parts = (flash.thinker, flash.audio_encoder, flash.vision_encoder, flash.talker, flash.code_predictor)
    return sum(_n_weights(part) for part in parts if part is not None) < SMALL_WEIGHTS


def _n_weights(module: torch.nn.Module) -> int:
    """Packed weights are buffers, two of four bits in a byte: near enough."""
    return sum(tensor.numel() for tensor in (*module.parameters(), *module.buffers()))
