"""Choosing packed storage when a checkpoint is loaded."""

from __future__ import annotations

import json
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import torch

from model.errors import InputError
from model.quant.formats import stored_format
from model.quant.parts import default_policy
from model.quant.storage import PackedStorage, backend_for, quantising_storage, stored_storage, stored_tensors

GROUP = 128
BITS_OF = {"int8": 8, "int4": 4}
Shape = tuple[int, ...]


@dataclass(frozen=True)
class StoredWeights:
    """A quantised checkpoint: what its files must hold, which of that is packed, and the storage that reads it."""

    tensors: dict[str, Shape]
    packed: frozenset[str]
    storage: PackedStorage


def storage_for(quantize: str, device: torch.device, dtype: torch.dtype) -> PackedStorage:
    """Storage that quantises while loading: "int8" or "int4" in groups of 128, encoders in int8."""
    if quantize not in BITS_OF:
        raise InputError(f"quantize is {quantize!r}; expected None, 'int8' or 'int4'")
    policy = default_policy(BITS_OF[quantize], GROUP)
    return quantising_storage(policy, device=device, dtype=dtype, backend=backend_for(device))


def stored_weights(
    directory: Path, expected: dict[str, Shape], present: Container[str], device: torch.device, dtype: torch.dtype
) -> StoredWeights | None:
    """How to read the quantised checkpoint in ``directory``; None when its config.json names no quantisation."""
    form = stored_format(json.loads((directory / "config.json").read_text(encoding="utf-8")))
    if form is None:
        return None
    tensors, packed = stored_tensors(form, expected, present)
    storage = stored_storage(form, expected, present, device=device, dtype=dtype, backend=backend_for(device))
    return StoredWeights(tensors, packed, storage)
