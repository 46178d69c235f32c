"""``models quantize``: a checkpoint of any size to weight-only storage, tensor by tensor.

The output shards are planned from shapes alone, so a run that was killed goes on with the first shard that is not
there: shards appear under their final name only when they are complete. Memory holds one output shard and the tensor
in work.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from model.checkpoint.config import parse_config
from model.checkpoint.tensors import expected_tensors
from model.errors import CheckpointError
from model.quant.fit import quantize, relative_error
from model.quant.formats import PackQuantized
from model.quant.packing import QuantSpec
from model.quant.parts import Component, Policy, part_of

SHARD_BYTES = 512 * 2**20
INDEX_NAME = "model.safetensors.index.json"
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Shard:
    """One output file and the source tensors that go into it."""

    name: str
    weights: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """What is done: shards and source bytes, of how many."""

    n_shards_done: int
    n_shards: int
    bytes_in: int
    bytes_in_total: int
    resumed_shards: int


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

    @property
    def root_mean_square(self) -> float:
        return float((self.squared / max(self.n_weights, 1)) ** 0.5)


def quantize_checkpoint(
    source: Path,
    target: Path,
    policy: Policy,
    *,
    method: str = "least_squares",
    shard_bytes: int = SHARD_BYTES,
    n_threads: int = 1,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> dict[Component, PartError]:
    """Write ``source`` (a published 16/32-bit checkpoint) into ``target`` with the policy's matrices quantised.

    Goes on where an earlier run with the same policy stopped. Returns the error per part of what this run quantised.
    Raises CheckpointError when the source does not hold what its config says, or the target holds something else.
    """
    raw_config = json.loads((source / "config.json").read_text())
    if "quantization_config" in raw_config:
        raise CheckpointError(f"{source / 'config.json'}: quantised already; start from the 16-bit checkpoint")
    shapes = expected_tensors(parse_config(raw_config, str(source / "config.json")))
    reader = SourceReader(source, shapes)
    shards = plan_shards(shapes, policy, shard_bytes)
    section = PackQuantized(storage_groups(shapes, policy)).to_config()
    _prepare_target(target, raw_config | {"quantization_config": section})
    bytes_of = {name: reader.n_bytes(name) for name in shapes}
    bytes_total, bytes_done, n_resumed = sum(bytes_of.values()), 0, 0
    errors: dict[Component, PartError] = {}
    for number, shard in enumerate(shards):
        path = target / shard.name
        if path.exists() and _holds(path, shard, shapes, policy):
            n_resumed += 1
        else:
            tensors: dict[str, Tensor] = {}
            # One tensor per thread: torch's own threads wait for each other many times in a matrix this small.
            with ThreadPoolExecutor(n_threads) as pool:
                for name, done in zip(
                    shard.weights,
                    pool.map(lambda n: _convert(n, reader.read(n), policy, method), shard.weights),
                    strict=True,
                ):
                    tensors |= done.tensors
                    if done.error is not None:
                        errors.setdefault(part_of(name), PartError()).add(done.error, done.n_weights)
            partial = path.with_suffix(".partial")
            save_file(tensors, partial, metadata={"format": "pt"})
            partial.replace(path)
        bytes_done += sum(bytes_of[name] for name in shard.weights)
        on_progress(Progress(number + 1, len(shards), bytes_done, bytes_total, n_resumed))
    _finish(source, target, shards)
    return errors


class SourceReader:
    """Tensors of a checkpoint directory by name; checks that every expected one is there with its shape."""

    def __init__(self, directory: Path, shapes: dict[str, Shape]) -> None:
        files = sorted(directory.glob("*.safetensors"))
        if not files:
            raise CheckpointError(f"{directory}: no .safetensors file; give a checkpoint in the published format")
        self._file_of: dict[str, Path] = {}
        self._n_bytes: dict[str, int] = {}
        for file in files:
            for name, shape, n_bytes in _header(file):
                if name in shapes and shape != shapes[name]:
                    raise CheckpointError(f"{file.name}: {name} has shape {shape}, the config says {shapes[name]}")
                self._file_of[name], self._n_bytes[name] = file, n_bytes
        missing = [name for name in shapes if name not in self._file_of]
        extra = [name for name in self._file_of if name not in shapes]
        if missing or extra:
            raise CheckpointError(
                f"{directory}: {len(missing)} tensors missing (first: {missing[:1]}), {len(extra)} not of this model "
                f"(first: {extra[:1]}); download the checkpoint again"
            )

    def n_bytes(self, name: str) -> int:
        return self._n_bytes[name]

    def read(self, name: str) -> Tensor:
        # Opened for each tensor: a mapping that stays open keeps every page it has touched in this process's memory.
        with safe_open(self._file_of[name], framework="pt") as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor.clone()


def plan_shards(shapes: dict[str, Shape], policy: Policy, shard_bytes: int) -> list[Shard]:
    """Output shards of about ``shard_bytes``, in checkpoint order."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        spec = policy.spec_of(name, shape)
        n_bytes = 2 * int(torch.Size(shape).numel()) if spec is None else spec.n_bytes(shape)
        if filled and filled + n_bytes > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += n_bytes
    count = len(groups)
    return [Shard(f"model-{i + 1:05d}-of-{count:05d}.safetensors", tuple(names)) for i, names in enumerate(groups)]


def storage_groups(shapes: dict[str, Shape], policy: Policy) -> tuple[tuple[str | None, QuantSpec], ...]:
    """One pattern per storage that names exactly the modules stored so."""
    by_spec: dict[QuantSpec, set[str]] = {}
    for name, shape in shapes.items():
        spec = policy.spec_of(name, shape)
        if spec is not None:
            module = re.escape(name.removesuffix(".weight"))
            by_spec.setdefault(spec, set()).add(re.sub(r"\d+", r"\\d+", module))
    return tuple((f"(?:{'|'.join(sorted(patterns))})$", spec) for spec, patterns in by_spec.items())


@dataclass(frozen=True)
class Converted:
    """What stands for one source tensor; ``error`` is None where nothing was quantised."""

    tensors: dict[str, Tensor]
    error: float | None
    n_weights: int


def _convert(name: str, tensor: Tensor, policy: Policy, method: str) -> Converted:
    spec = policy.spec_of(name, tuple(tensor.shape))
    if spec is None:
        return Converted({name: tensor.to(torch.bfloat16)}, None, 0)
    try:
        packed = quantize(tensor, spec, method=method)
    except ValueError as error:
        raise CheckpointError(f"{name}: {error}") from error
    return Converted(PackQuantized.write(name, packed), relative_error(tensor, packed), tensor.numel())


def _header(path: Path) -> Iterator[tuple[str, Shape, int]]:
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header: dict[str, Any] = json.loads(file.read(length))
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{path}: not a complete safetensors file ({error}); download it again") from error
    size = path.stat().st_size - 8 - length
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            if end > size:
                raise CheckpointError(f"{path}: truncated inside {name}; download it again")
            yield name, tuple(entry["shape"]), end - begin


def _holds(path: Path, shard: Shard, shapes: dict[str, Shape], policy: Policy) -> bool:
    """Whether a finished shard holds exactly what it should; another run's leftovers are written again."""
    expected: dict[str, Shape] = {}
    for name in shard.weights:
        spec = policy.spec_of(name, shapes[name])
        stored = PackQuantized(((None, spec),)).tensors_of(name, shapes[name], ()) if spec else None
        expected |= stored or {name: shapes[name]}
    try:
        return {name: shape for name, shape, _ in _header(path)} == expected
    except CheckpointError:
        return False


def _prepare_target(target: Path, config: dict[str, Any]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    path = target / "config.json"
    if path.exists() and json.loads(path.read_text()) != config:
        raise CheckpointError(f"{target}: holds a checkpoint with other settings; give an empty directory")
    path.write_text(json.dumps(config, indent=2) + "\n")


def _finish(source: Path, target: Path, shards: list[Shard]) -> None:
    """Write the index and copy the JSON and text files beside the weights (tokenizer, preprocessor, template)."""
    weight_map: dict[str, str] = {}
    total = 0
    for shard in shards:
        for name, _, n_bytes in _header(target / shard.name):
            weight_map[name] = shard.name
            total += n_bytes
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (target / INDEX_NAME).write_text(json.dumps(index, indent=2) + "\n")
    for file in source.iterdir():
        if file.suffix in (".json", ".txt", ".jinja", ".md") and file.name not in ("config.json", INDEX_NAME):
            shutil.copy2(file, target / file.name)
