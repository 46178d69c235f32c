"""Choosing packed storage when a checkpoint is loaded."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path

import torch

from model.checkpoint.json_file import read_section
from model.errors import InputError
from model.memory import Memory
from model.network.filling import Storage
from model.quant.formats import StoredFormat, stored_format
from model.quant.packing import QuantSpec
from model.quant.parts import default_policy
from model.quant.placement import PlacedStorage
from model.quant.storage import Backend, PackedStorage, backend_for, quantising_storage, stored_storage, stored_tensors

GROUP = 128
BITS_OF = {"int8": 8, "int4": 4}
CPU = torch.device("cpu")
Shape = tuple[int, ...]


@dataclass(frozen=True)
class StoredWeights:
    """A quantised checkpoint: what its files must hold, and which of that is packed."""

    form: StoredFormat
    expected: dict[str, Shape]
    present: Container[str]
    tensors: dict[str, Shape]
    packed: frozenset[str]

    def storage(self, device: torch.device, dtype: torch.dtype, backend: Backend | None = None) -> PackedStorage:
        """The storage that reads it onto a device; `backend`: what multiplies there, by default the fastest."""
        backend = backend_for(device) if backend is None else backend
        return stored_storage(self.form, self.expected, self.present, device=device, dtype=dtype, backend=backend)

    def spec_of(self, name: str, shape: Shape) -> QuantSpec | None:
        """How a weight is stored; None: unquantised."""
        if not name.endswith(".weight") or self.form.tensors_of(name, shape, self.present) is None:
            return None
        return self.form.spec_of(name)


def check_choice(quantize: str | None) -> None:
    """Raises InputError for a storage that there is not."""
    if quantize is not None and quantize not in BITS_OF:
        raise InputError(f"quantize is {quantize!r}; expected None, 'int8' or 'int4'")


def storage_for(
    quantize: str, device: torch.device, dtype: torch.dtype, backend: Backend | None = None
) -> PackedStorage:
    """Storage that quantises while loading: "int8" or "int4" in groups of 128, encoders in int8."""
    check_choice(quantize)
    policy = default_policy(BITS_OF[quantize], GROUP)
    backend = backend_for(device) if backend is None else backend
    return quantising_storage(policy, device=device, dtype=dtype, backend=backend)


def stored_weights(directory: Path, expected: dict[str, Shape], present: Container[str]) -> StoredWeights | None:
    """The quantised checkpoint in ``directory``; None when its config.json names no quantisation."""
    form = stored_format(read_section(directory / "config.json").data, directory)
    if form is None:
        return None
    return StoredWeights(form, expected, present, *stored_tensors(form, expected, present))


def placed(
    inner: Storage | None,
    stored: StoredWeights | None,
    quantize: str | None,
    memory: Memory,
    device: torch.device,
    dtype: torch.dtype,
) -> Storage | None:
    """``inner`` with what ``memory`` wants in host memory kept there."""
    if not (memory.embedding_on_host or memory.host_expert_layers):
        return inner
    plain = Backend()  # what stays on the host for a card keeps the layout that the card reads
    if stored is not None:
        on_host: PackedStorage | None = stored.storage(CPU, dtype, plain)
    else:
        on_host = storage_for(quantize, CPU, dtype, plain) if quantize is not None else None
    return PlacedStorage(inner, on_host, memory, device=device, dtype=dtype, backend=backend_for(device))
