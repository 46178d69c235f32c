"""``models quantize``: a checkpoint of any size to weight-only storage.

The output shards are planned from shapes alone, so a run that was killed goes on with the first shard that is not
there: shards appear under their final name only when they are complete.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from model.checkpoint.config import parse_config
from model.checkpoint.files import INDEX_FILE, open_checkpoint
from model.checkpoint.json_file import read_json
from model.checkpoint.place import checkpoint_folder
from model.checkpoint.safetensors_file import SafetensorsFile
from model.checkpoint.tensors import Shape, expected_tensors
from model.errors import CheckpointError
from model.quant.formats import PackQuantized
from model.quant.parts import Component, Policy
from model.quant.sections import KEY, quantization_section
from model.quant.writing import PartError, storage_groups, stored_tensors, write_file

SHARD_BYTES = 512 * 2**20
SMALL_SUFFIXES = (".json", ".txt", ".jinja")


@dataclass(frozen=True)
class Shard:
    """One output file and the weights that go into it."""

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
    Raises ConfigError and CheckpointError when the source does not hold what its config says, or the target holds
    something else.
    """
    source = checkpoint_folder(source)
    where = source / "config.json"
    raw_config = read_json(where)
    config = parse_config(raw_config, str(where))
    if quantization_section(raw_config, source) is not None:
        raise CheckpointError(f"{where}: quantised already; start from the 16-bit checkpoint")
    checkpoint, config = open_checkpoint(source, config)
    shapes = expected_tensors(config)
    checkpoint.verify(shapes)
    shards = plan_shards(shapes, policy, shard_bytes)
    _prepare_target(target, quantised_config(raw_config, shapes, policy))
    bytes_of = {name: prod(shape) * checkpoint.pieces[name].dtype.itemsize for name, shape in shapes.items()}
    bytes_total, bytes_done, n_resumed = sum(bytes_of.values()), 0, 0
    errors: dict[Component, PartError] = {}
    for number, shard in enumerate(shards):
        path = target / shard.name
        weights = {name: shapes[name] for name in shard.weights}
        if path.exists() and _holds(path, weights, policy):
            n_resumed += 1
        else:
            made = write_file(path, weights, checkpoint, policy, method=method, n_threads=n_threads)
            for part, error in made.items():
                errors.setdefault(part, PartError()).join(error)
        bytes_done += sum(bytes_of[name] for name in shard.weights)
        on_progress(Progress(number + 1, len(shards), bytes_done, bytes_total, n_resumed))
    write_index(target, [shard.name for shard in shards])
    copy_small_files(source, target)
    return errors


def plan_shards(shapes: Mapping[str, Shape], policy: Policy, shard_bytes: int) -> list[Shard]:
    """Output shards of about ``shard_bytes``, in checkpoint order."""
    groups: list[list[str]] = [[]]
    filled = 0
    for name, shape in shapes.items():
        n_bytes = sum(item.n_bytes for item in stored_tensors(name, shape, policy))
        if filled and filled + n_bytes > shard_bytes:
            groups.append([])
            filled = 0
        groups[-1].append(name)
        filled += n_bytes
    count = len(groups)
    return [Shard(f"model-{i + 1:05d}-of-{count:05d}.safetensors", tuple(names)) for i, names in enumerate(groups)]


def quantised_config(config: dict[str, Any], shapes: Mapping[str, Shape], policy: Policy) -> dict[str, Any]:
    """The config.json of what is stored so."""
    return config | {KEY: PackQuantized(storage_groups(shapes, policy)).to_config()}


def write_index(target: Path, files: list[str]) -> frozenset[str]:
    """Writes the index of ``files``; returns its tensors' names. Raises CheckpointError for one in two files."""
    weight_map: dict[str, str] = {}
    total = 0
    for name in files:
        for tensor, entry in SafetensorsFile(target / name).entries.items():
            if tensor in weight_map:
                raise CheckpointError(f"{tensor!r} is in {weight_map[tensor]} and again in {name}; keep one")
            weight_map[tensor] = name
            total += entry.end - entry.start
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (target / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return frozenset(weight_map)


def copy_small_files(source: Path, target: Path) -> None:
    """The JSON and text files beside the weights: tokenizer, preprocessor, template."""
    for file in sorted(source.iterdir()):
        if file.suffix in SMALL_SUFFIXES and file.name not in ("config.json", INDEX_FILE):
            shutil.copyfile(file, target / file.name)


def _holds(path: Path, weights: Mapping[str, Shape], policy: Policy) -> bool:
    """Whether a finished shard holds exactly what it should; another run's leftovers are written again."""
    expected = {
        item.name: (item.dtype, item.shape)
        for name, shape in weights.items()
        for item in stored_tensors(name, shape, policy)
    }
    try:
        found = SafetensorsFile(path).entries
    except CheckpointError:
        return False
    return {name: (entry.dtype, entry.shape) for name, entry in found.items()} == expected


def _prepare_target(target: Path, config: dict[str, Any]) -> None:
    target.mkdir(parents=True, exist_ok=True)
    path = target / "config.json"
    if path.exists() and read_json(path) != config:
        raise CheckpointError(f"{target}: holds a checkpoint with other settings; give an empty directory")
    path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
