"""One file of a checkpoint in weight-only storage, written in blocks of rows.

Rows do not know of each other, so memory holds a few blocks whatever the size of a tensor or of the file, and blocks
are quantised side by side. A file appears under its name only when it is complete.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from model.checkpoint.files import Source
from model.checkpoint.tensors import Shape
from model.errors import CheckpointError
from model.quant.fit import quantize
from model.quant.formats import PackQuantized
from model.quant.packing import QuantSpec
from model.quant.parts import Component, Policy, part_of

BLOCK_ELEMENTS = 1 << 21
"""Weights of a block: 4 MB in bfloat16, and about ten times that while a thread fits it."""
ROWS_STEP = 32
"""Blocks begin at multiples of this: zero points are packed along the rows, 8 or 4 to a word."""
BLOCKS_AHEAD = 2
"""Blocks that wait for each thread."""
DTYPE_NAMES = {torch.int64: "I64", torch.int32: "I32", torch.bfloat16: "BF16"}


@dataclass
class PartError:
    """Relative error of one part's weights, weighted by their size."""

    n_weights: int = 0
    squared: float = 0.0
    worst: float = 0.0

    def add(self, error: float, n_weights: int) -> None:
        self.squared += error * error * n_weights
        self.n_weights += n_weights
        self.worst = max(self.worst, error)

    def join(self, other: PartError) -> None:
        self.squared += other.squared
        self.n_weights += other.n_weights
        self.worst = max(self.worst, other.worst)

    @property
    def root_mean_square(self) -> float:
        return float((self.squared / max(self.n_weights, 1)) ** 0.5)


Errors = dict[Component, PartError]


@dataclass(frozen=True)
class StoredTensor:
    """One tensor of a file."""

    name: str
    dtype: torch.dtype
    shape: Shape

    @property
    def n_bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def stored_tensors(name: str, shape: Shape, policy: Policy) -> list[StoredTensor]:
    """What stands for one weight."""
    spec = policy.spec_of(name, shape)
    if spec is None:
        return [StoredTensor(name, torch.bfloat16, shape)]
    stored = PackQuantized(((None, spec),)).tensors_of(name, shape, ()) or {}
    return [StoredTensor(key, _dtype_of(key), stored_shape) for key, stored_shape in stored.items()]


def storage_groups(shapes: Mapping[str, Shape], policy: Policy) -> tuple[tuple[str | None, QuantSpec], ...]:
    """One pattern per storage that names exactly the modules stored so."""
    by_spec: dict[QuantSpec, set[str]] = {}
    for name, shape in shapes.items():
        spec = policy.spec_of(name, shape)
        if spec is not None:
            module = re.escape(name.removesuffix(".weight"))
            by_spec.setdefault(spec, set()).add(re.sub(r"\d+", r"\\d+", module))
    return tuple((f"(?:{'|'.join(sorted(patterns))})$", spec) for spec, patterns in by_spec.items())


def write_file(
    path: Path,
    weights: Mapping[str, Shape],
    source: Source,
    policy: Policy,
    *,
    method: str = "least_squares",
    n_threads: int = 1,
) -> Errors:
    """Writes `weights` of `source` to `path`; returns the errors of what was quantised.

    Raises CheckpointError for a weight with NaN or infinity, OSError when it cannot be written.
    """
    header, places = _header([item for name, shape in weights.items() for item in stored_tensors(name, shape, policy)])
    partial = path.with_name(f"{path.name}.partial")
    errors: Errors = {}
    with partial.open("wb") as out:
        out.write(header)
        writer = _Writer(out, places)

        def end(weight: _Weight) -> None:
            source.release([weight.name])
            if weight.spec is not None:
                error = float((weight.squared_error / max(weight.squared, 1e-30)) ** 0.5)
                errors.setdefault(part_of(weight.name), PartError()).add(error, weight.tensor.numel())

        # One block per thread: torch's own threads wait for each other many times in a product this small.
        with ThreadPoolExecutor(n_threads) as pool:
            jobs: deque[tuple[_Weight, Future[None]]] = deque()
            try:
                for weight in _opened(weights, source, policy):
                    for rows in weight.blocks():
                        jobs.append((weight, pool.submit(_write_block, writer, weight, rows, method)))
                    while len(jobs) > BLOCKS_AHEAD * n_threads:
                        _take(jobs, end)
                while jobs:
                    _take(jobs, end)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        out.flush()
        os.fsync(out.fileno())
    partial.replace(path)
    return errors


@dataclass
class _Weight:
    """A weight in work. `left`: blocks that are not written yet; sums are guarded by `lock`."""

    name: str
    tensor: Tensor
    spec: QuantSpec | None
    left: int = 0
    squared_error: float = 0.0
    squared: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def blocks(self) -> list[slice]:
        shape = self.tensor.shape
        if not shape:
            found = [slice(0, 1)]
        else:
            per_row = max(shape.numel() // max(shape[0], 1), 1)
            step = max(BLOCK_ELEMENTS // per_row // ROWS_STEP, 1) * ROWS_STEP
            found = [slice(first, min(first + step, shape[0])) for first in range(0, max(shape[0], 1), step)]
        self.left = len(found)
        return found


def _opened(weights: Iterable[str], source: Source, policy: Policy) -> Iterator[_Weight]:
    for name in weights:
        tensor = source.tensor(name)
        yield _Weight(name, tensor, policy.spec_of(name, tuple(tensor.shape)))


def _take(jobs: deque[tuple[_Weight, Future[None]]], end: Callable[[_Weight], None]) -> None:
    weight, job = jobs.popleft()
    job.result()
    weight.left -= 1
    if not weight.left:
        end(weight)


def _write_block(writer: _Writer, weight: _Weight, rows: slice, method: str) -> None:
    block = weight.tensor[rows] if weight.tensor.ndim else weight.tensor
    if weight.spec is None:
        writer.put(weight.name, block.to(torch.bfloat16), rows.start)
        return
    try:
        packed = quantize(block, weight.spec, method=method)
    except ValueError as error:
        raise CheckpointError(f"{weight.name}: {error}") from error
    exact = block.float()
    with weight.lock:
        weight.squared += float(exact.square().sum())
        weight.squared_error += float((exact - packed.dequantize(torch.float32)).square().sum())
    for key, data in PackQuantized.write(weight.name, packed).items():
        if key.endswith(".weight_shape"):
            writer.put(key, torch.tensor(weight.tensor.shape, dtype=torch.int64), 0)
        else:
            writer.put(key, data, rows.start // _rows_per_stored(key, weight.spec))


@dataclass(frozen=True)
class _Place:
    """Where a tensor's bytes lie in the file."""

    start: int
    row_bytes: int


class _Writer:
    """Puts rows of tensors in their places; any thread may call it."""

    def __init__(self, out: BinaryIO, places: Mapping[str, _Place]) -> None:
        self._out, self._places = out, places
        self._lock = threading.Lock()

    def put(self, name: str, data: Tensor, first_row: int) -> None:
        place = self._places[name]
        content = data.contiguous().flatten().view(torch.uint8).numpy().data
        with self._lock:
            self._out.seek(place.start + first_row * place.row_bytes)
            self._out.write(content)


def _header(stored: list[StoredTensor]) -> tuple[bytes, dict[str, _Place]]:
    """The file's header, and where each tensor goes. Wide numbers first, so that all are aligned."""
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    starts: dict[str, int] = {}
    start = 0
    for item in sorted(stored, key=lambda item: -item.dtype.itemsize):
        starts[item.name] = start
        entries[item.name] = {
            "dtype": DTYPE_NAMES[item.dtype],
            "shape": item.shape,
            "data_offsets": [start, start + item.n_bytes],
        }
        start += item.n_bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = len(text).to_bytes(8, "little") + text
    return header, {
        item.name: _Place(len(header) + starts[item.name], item.n_bytes // max(item.shape[0], 1) if item.shape else 0)
        for item in stored
    }


def _dtype_of(key: str) -> torch.dtype:
    if key.endswith(".weight_scale"):
        return torch.bfloat16
    return torch.int64 if key.endswith(".weight_shape") else torch.int32


def _rows_per_stored(key: str, spec: QuantSpec) -> int:
    """Rows of the weight in one row of what is stored: zero points are packed along the rows."""
    return spec.levels_per_word if key.endswith(".weight_zero_point") else 1
