"""A checkpoint to int4 or int8 one source file at a time, so that a download can be converted as it comes.

Each source file becomes one result file of the same name. A matrix is read, quantised and written in blocks of rows
(rows do not know of each other), so memory holds a few blocks whatever the size of a tensor; a result appears under its
name only when it is complete. What is stored equals what `convert.quantize_checkpoint` stores.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor

from model.checkpoint.config import parse_config
from model.checkpoint.files import INDEX_FILE
from model.checkpoint.safetensors_file import SafetensorsFile
from model.checkpoint.tensors import Shape, expected_tensors
from model.errors import CheckpointError
from model.quant.convert import storage_groups
from model.quant.fit import quantize
from model.quant.formats import PackQuantized
from model.quant.packing import QuantSpec
from model.quant.parts import Policy
from model.quant.sections import quantization_section

BLOCK_ELEMENTS = 1 << 23
"""Weights of a block: 16 MB in bfloat16."""
ROWS_STEP = 32
"""Blocks begin at multiples of this: zero points are packed along the rows, 8 or 4 to a word."""
DTYPE_NAMES = {torch.int64: "I64", torch.int32: "I32", torch.bfloat16: "BF16"}
SMALL_SUFFIXES = (".json", ".txt", ".jinja")


@dataclass(frozen=True)
class Piece:
    """One tensor of a result file and where its bytes lie."""

    dtype: torch.dtype
    shape: Shape
    start: int

    @property
    def n_bytes(self) -> int:
        return prod(self.shape) * self.dtype.itemsize

    @property
    def row_bytes(self) -> int:
        return self.n_bytes // self.shape[0] if self.shape and self.shape[0] else self.n_bytes


class ShardQuantizer:
    """Converts the files of one checkpoint. Owned by one thread; it uses `n_threads` of its own."""

    def __init__(
        self, source: Path, target: Path, policy: Policy, *, method: str = "least_squares", n_threads: int = 1
    ):
        """`source` holds config.json and the other small files. Raises ConfigError and CheckpointError."""
        self._source, self._target, self._policy = source, target, policy
        self._method, self._n_threads = method, n_threads
        self._config: dict[str, Any] = json.loads((source / "config.json").read_text(encoding="utf-8-sig"))
        if quantization_section(self._config, source) is not None:
            raise CheckpointError(
                f"{source / 'config.json'}: this model is quantised already; get it as it is: --bits none"
            )
        self._shapes = expected_tensors(parse_config(self._config, str(source / "config.json")))

    @property
    def shapes(self) -> dict[str, Shape]:
        """Every tensor that the checkpoint must hold."""
        return self._shapes

    def n_bytes(self) -> int:
        """What all results take together."""
        stored = (item for name, shape in self._shapes.items() for item in self._stored(name, shape))
        return sum(prod(shape) * dtype.itemsize for _, dtype, shape in stored)

    def is_done(self, shard: str) -> bool:
        return (self._target / shard).exists()

    def convert(self, shard: Path) -> None:
        """Writes the result of one source file. Raises CheckpointError."""
        file = SafetensorsFile(shard)
        for name, entry in file.entries.items():
            if name not in self._shapes:
                raise CheckpointError(
                    f"{shard.name} holds {name!r}, which config.json does not name; get it as it is: --bits none"
                )
            if entry.shape != self._shapes[name]:
                raise CheckpointError(f"{shard.name}: {name!r} is {entry.shape}; config.json says {self._shapes[name]}")
        plan, header = self._plan(list(file.entries))
        partial = self._target / f"{shard.name}.partial"
        with partial.open("wb") as out:
            out.write(header)
            writer = _Writer(out, len(header), plan)
            # One block per thread: torch's own threads wait for each other many times in a product this small.
            with ThreadPoolExecutor(self._n_threads) as pool:
                for name in file.entries:
                    tensor = file.tensor(name)
                    jobs = [pool.submit(self._block, writer, name, tensor, rows) for rows in _blocks(tensor.shape)]
                    for job in jobs:
                        job.result()
                    file.release(name)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(self._target / shard.name)

    def finish(self) -> None:
        """Checks that nothing is missing, then writes the index and the small files; raises CheckpointError."""
        weight_map: dict[str, str] = {}
        total = 0
        for path in sorted(self._target.glob("*.safetensors")):
            for name, entry in SafetensorsFile(path).entries.items():
                weight_map[name] = path.name
                total += entry.end - entry.start
        expected = [name for weight, shape in self._shapes.items() for name, _, _ in self._stored(weight, shape)]
        missing = [name for name in expected if name not in weight_map]
        if missing:
            raise CheckpointError(f"{len(missing)} tensors are not in any file, first {missing[0]!r}")
        for file in sorted(self._source.iterdir()):
            if file.suffix in SMALL_SUFFIXES and file.name not in ("config.json", INDEX_FILE):
                shutil.copyfile(file, self._target / file.name)
        section = PackQuantized(storage_groups(self._shapes, self._policy)).to_config()
        for name, content in (
            (INDEX_FILE, {"metadata": {"total_size": total}, "weight_map": weight_map}),
            ("config.json", self._config | {"quantization_config": section}),
        ):
            (self._target / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _plan(self, names: list[str]) -> tuple[dict[str, Piece], bytes]:
        """Where each tensor goes, and the file's header. Wide numbers first, so that all are aligned."""
        found = [item for name in names for item in self._stored(name, self._shapes[name])]
        found.sort(key=lambda item: -item[1].itemsize)
        plan: dict[str, Piece] = {}
        start = 0
        entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
        for name, dtype, shape in found:
            plan[name] = piece = Piece(dtype, shape, start)
            entries[name] = {
                "dtype": DTYPE_NAMES[dtype],
                "shape": shape,
                "data_offsets": [start, start + piece.n_bytes],
            }
            start += piece.n_bytes
        text = json.dumps(entries, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return plan, len(text).to_bytes(8, "little") + text

    def _stored(self, name: str, shape: Shape) -> list[tuple[str, torch.dtype, Shape]]:
        """Names, number types and shapes of what stands for one weight."""
        spec = self._policy.spec_of(name, shape)
        if spec is None:
            return [(name, torch.bfloat16, shape)]
        stored = PackQuantized(((None, spec),)).tensors_of(name, shape, ()) or {}
        return [(key, _dtype_of(key), stored_shape) for key, stored_shape in stored.items()]

    def _block(self, writer: _Writer, name: str, tensor: Tensor, rows: slice) -> None:
        spec = self._policy.spec_of(name, self._shapes[name])
        block = tensor[rows] if tensor.ndim else tensor
        if spec is None:
            writer.put(name, block.to(torch.bfloat16), rows.start)
            return
        try:
            packed = quantize(block, spec, method=self._method)
        except ValueError as error:
            raise CheckpointError(f"{name}: {error}") from error
        for key, data in PackQuantized.write(name, packed).items():
            if key.endswith(".weight_shape"):
                data = torch.tensor(tensor.shape, dtype=torch.int64)
                writer.put(key, data, 0)
            else:
                first = rows.start // _rows_per_stored(key, spec)
                writer.put(key, data, first)


class _Writer:
    """Puts rows of tensors in their places; any thread may call it."""

    def __init__(self, out: BinaryIO, data_start: int, plan: dict[str, Piece]) -> None:
        self._out, self._data_start, self._plan = out, data_start, plan
        self._lock = threading.Lock()

    def put(self, name: str, data: Tensor, first_row: int) -> None:
        piece = self._plan[name]
        content = data.contiguous().flatten().view(torch.uint8).numpy().data
        with self._lock:
            self._out.seek(self._data_start + piece.start + first_row * piece.row_bytes)
            self._out.write(content)


def _blocks(shape: torch.Size) -> list[slice]:
    if len(shape) < 1 or shape.numel() == 0:
        return [slice(0, 0)] if len(shape) else [slice(0, 1)]
    per_row = max(shape.numel() // shape[0], 1)
    step = max(BLOCK_ELEMENTS // per_row // ROWS_STEP, 1) * ROWS_STEP
    return [slice(first, min(first + step, shape[0])) for first in range(0, shape[0], step)]


def _dtype_of(key: str) -> torch.dtype:
    if key.endswith(".weight_scale"):
        return torch.bfloat16
    return torch.int64 if key.endswith(".weight_shape") else torch.int32


def _rows_per_stored(key: str, spec: QuantSpec) -> int:
    """Rows of the weight in one row of what is stored: zero points are packed along the rows."""
    return spec.levels_per_word if key.endswith(".weight_zero_point") else 1
