"""A checkpoint to int4 or int8 one source file at a time, so that a download can be converted as it comes.

Each source file becomes one result file of the same name. What is stored equals what `convert.quantize_checkpoint`
stores.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from torch import Tensor

from model.checkpoint.config import parse_config
from model.checkpoint.files import INDEX_FILE, index_names
from model.checkpoint.json_file import read_json
from model.checkpoint.layouts import QUANTISED_ENDS, VOICE_PREFIXES, fused_name, published_name, published_pieces
from model.checkpoint.safetensors_file import SafetensorsFile
from model.checkpoint.tensors import Shape, expected_tensors
from model.errors import CheckpointError
from model.quant.convert import copy_small_files, quantised_config, write_index
from model.quant.parts import Policy
from model.quant.sections import quantization_section
from model.quant.writing import stored_tensors, write_file

AS_IT_IS = "get it as it is: --bits none"


class ShardQuantizer:
    """Converts the files of one checkpoint. Owned by one thread; it uses `n_threads` of its own."""

    def __init__(
        self, source: Path, target: Path, policy: Policy, *, method: str = "least_squares", n_threads: int = 1
    ):
        """`source` holds config.json and the other small files. Raises ConfigError and CheckpointError."""
        self._source, self._target, self._policy = source, target, policy
        self._method, self._n_threads = method, n_threads
        where = source / "config.json"
        self._raw_config: dict[str, Any] = read_json(where)
        self._config = parse_config(self._raw_config, str(where))
        if quantization_section(self._raw_config, source) is not None:
            raise CheckpointError(f"{where}: this model is quantised already; {AS_IT_IS}")
        self._shapes = expected_tensors(self._config)
        if (source / INDEX_FILE).exists():
            self._check_index({published_name(name) for name in index_names(source)})

    @property
    def shapes(self) -> dict[str, Shape]:
        """Every tensor that the checkpoint must hold."""
        return self._shapes

    def n_bytes(self) -> int:
        """What all results take together."""
        return sum(
            item.n_bytes for name, shape in self._shapes.items() for item in stored_tensors(name, shape, self._policy)
        )

    def is_done(self, shard: str) -> bool:
        return (self._target / shard).exists()

    def convert(self, shard: Path) -> None:
        """Writes the result of one source file. Raises CheckpointError."""
        file = _File(shard)
        weights: dict[str, Shape] = {}
        for name, piece in file.pieces.items():
            if self._config.talker is None and name.startswith(VOICE_PREFIXES):
                continue  # not asked for
            if name.endswith(QUANTISED_ENDS):
                raise CheckpointError(f"{shard.name}: {name!r} is quantised already; {AS_IT_IS}")
            if name not in self._shapes:
                raise CheckpointError(f"{shard.name} holds {name!r}, which config.json does not name; {AS_IT_IS}")
            if piece.shape != self._shapes[name]:
                raise CheckpointError(f"{shard.name}: {name!r} is {piece.shape}; config.json says {self._shapes[name]}")
            if not piece.dtype.is_floating_point:
                raise CheckpointError(f"{shard.name}: {name!r} is {piece.dtype}, expected floats; {AS_IT_IS}")
            weights[name] = piece.shape
        target = self._target / shard.name
        write_file(target, weights, file, self._policy, method=self._method, n_threads=self._n_threads)

    def finish(self) -> None:
        """Checks that nothing is missing, then writes the index and the small files; raises CheckpointError."""
        found = write_index(self._target, sorted(path.name for path in self._target.glob("*.safetensors")))
        shapes = self._suited(found)
        missing = [
            item.name
            for weight, shape in shapes.items()
            for item in stored_tensors(weight, shape, self._policy)
            if item.name not in found
        ]
        if missing:
            raise CheckpointError(f"{len(missing)} tensors are not in any file, first {missing[0]!r}")
        copy_small_files(self._source, self._target)
        content = quantised_config(self._raw_config, shapes, self._policy)
        (self._target / "config.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")

    def _suited(self, names: Iterable[str]) -> dict[str, Shape]:
        """The tensors that there have to be: those of the voice only where there is any of them."""
        has_voice = any(name.startswith(VOICE_PREFIXES) for name in names)
        return self._shapes if has_voice else expected_tensors(self._config.without_voice)

    def _check_index(self, names: set[str]) -> None:
        """Before the weights come: the index names them all, and none that is quantised already."""
        quantised = next((name for name in sorted(names) if name.endswith(QUANTISED_ENDS)), None)
        if quantised is not None:
            raise CheckpointError(f"{INDEX_FILE}: {quantised!r} is quantised already; {AS_IT_IS}")
        self._shapes = self._suited(names)
        missing = [name for name in self._shapes if name not in names and fused_name(name) not in names]
        if missing:
            raise CheckpointError(
                f"{INDEX_FILE} lacks {len(missing)} tensors that config.json names, first {missing[0]!r}; "
                "get it from another publisher"
            )


class _File:
    """The weights of one source file under their published names."""

    def __init__(self, path: Path) -> None:
        self._file = SafetensorsFile(path)
        self.pieces = published_pieces(self._file.entries)

    def tensor(self, name: str) -> Tensor:
        piece = self.pieces[name]
        return piece.of(self._file.tensor(piece.stored))

    def release(self, names: Iterable[str]) -> None:
        for name in names:
            self._file.release(self.pieces[name].stored)
