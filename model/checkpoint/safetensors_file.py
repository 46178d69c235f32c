"""Reads one safetensors file by mapping it into memory, checking its header against its size first.

Own reader (the format is 8 bytes of length, a JSON header, then the data) because pages that were copied into a fused
weight must be given back while loading: that keeps the peak near the size of the weights.
"""

from __future__ import annotations

import json
import mmap
from dataclasses import dataclass
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from model.errors import CheckpointError

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
HEADER_LIMIT_BYTES = 100_000_000
PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies in the file."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    start: int  # bytes from the start of the file
    end: int


class SafetensorsFile:
    """The tensors of one file, as views of its mapping. The mapping lives as long as any of them."""

    def __init__(self, path: Path) -> None:
        """Raises CheckpointError when the file is missing, truncated, no safetensors file or inconsistent."""
        self.path = path
        try:
            size = path.stat().st_size
            file = path.open("rb")
        except OSError as error:
            remedy = (
                "look at who may read it" if isinstance(error, PermissionError) else "download the checkpoint again"
            )
            raise CheckpointError(f"{path} cannot be read ({error.strerror}); {remedy}") from error
        with file:
            start = file.read(8)
            if start.startswith(PICKLE_STARTS):
                raise CheckpointError(f"{path} is a pickle, not safetensors; pickles can run code and are never loaded")
            length = int.from_bytes(start, "little")
            if len(start) < 8 or length > min(size - 8, HEADER_LIMIT_BYTES):
                raise CheckpointError(f"{path} is truncated or no safetensors file; download it again")
            self.entries = _entries(path, file.read(length), 8 + length, size)
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)

    def tensor(self, name: str) -> Tensor:
        """The tensor as a view of the file (copied only if it is not aligned to its own item size)."""
        entry = self.entries[name]
        count = prod(entry.shape)
        if count == 0:
            return torch.empty(entry.shape, dtype=entry.dtype)
        if entry.start % entry.dtype.itemsize:
            data = bytearray(self._map[entry.start : entry.end])
            return torch.frombuffer(data, dtype=entry.dtype).view(entry.shape)
        return torch.frombuffer(self._map, dtype=entry.dtype, count=count, offset=entry.start).view(entry.shape)

    def release(self, name: str) -> None:
        """Gives the tensor's pages back to the system; they are read again from the file when touched."""
        entry = self.entries[name]
        if hasattr(mmap, "MADV_DONTNEED"):
            page = mmap.PAGESIZE
            start = -(-entry.start // page) * page  # whole pages inside the tensor only
            end = entry.end // page * page
            if end > start:
                self._map.madvise(mmap.MADV_DONTNEED, start, end - start)


def _entries(path: Path, header: bytes, data_start: int, size: int) -> dict[str, Entry]:
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: its header is not JSON ({error}); download it again") from error
    if not isinstance(parsed, dict):
        raise CheckpointError(f"{path}: its header is no JSON object; download it again")
    entries: dict[str, Entry] = {}
    for name, item in parsed.items():
        if name == "__metadata__":
            continue
        try:
            dtype, shape = DTYPES[item["dtype"]], tuple(int(length) for length in item["shape"])
            start, end = (int(offset) + data_start for offset in item["data_offsets"])
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: the header entry of {name!r} is malformed: {item!r}") from error
        if min(shape, default=0) < 0 or end - start != prod(shape) * dtype.itemsize or start < data_start:
            raise CheckpointError(f"{path}: {name!r} has shape {shape} but {end - start} bytes; download it again")
        if end > size:
            raise CheckpointError(
                f"{path} is truncated: {name!r} ends at byte {end}, the file has {size}; download it again"
            )
        entries[name] = Entry(dtype, shape, start, end)
    return entries
