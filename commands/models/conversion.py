"""Between the downloader, which knows no torch, and the model's own checks and converter."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from model_hub.errors import UnsuitableError
from model_hub.files import RemoteFile

if TYPE_CHECKING:
    from model.quant.shardwise import ShardQuantizer

GROUP = 128
MOST_THREADS = 16
"""Each takes about 30 MB, and a download is rarely faster than so many."""


class ShardConversion:
    """`model_hub.download.Converter` by `model.quant.shardwise`."""

    def __init__(self, bits: int) -> None:
        self._bits = bits
        self._quantizer: ShardQuantizer | None = None
        self._result = Path()

    def begin(self, source: Path, result: Path) -> None:
        import torch

        from model.errors import ModelError
        from model.quant.parts import default_policy
        from model.quant.shardwise import ShardQuantizer

        torch.set_num_threads(1)
        self._result = result
        try:
            self._quantizer = ShardQuantizer(
                source, result, default_policy(self._bits, GROUP), n_threads=min(os.cpu_count() or 1, MOST_THREADS)
            )
        except ModelError as error:
            raise UnsuitableError(f"{error}") from error

    def result_bytes(self, weights: tuple[RemoteFile, ...]) -> int:
        assert self._quantizer is not None
        return self._quantizer.n_bytes()

    def is_done(self, shard: str) -> bool:
        return (self._result / shard).exists()

    def convert(self, shard: Path) -> None:
        from model.errors import ModelError

        assert self._quantizer is not None
        try:
            self._quantizer.convert(shard)
        except ModelError as error:
            raise UnsuitableError(f"{error}") from error

    def finish(self) -> None:
        from model.errors import ModelError

        assert self._quantizer is not None
        try:
            self._quantizer.finish()
        except ModelError as error:
            raise UnsuitableError(f"{error}") from error


def check_small_files(folder: Path) -> None:
    """Before the weights come: the files beside them are of a model that runs here. Raises UnsuitableError."""
    from model.errors import ModelError
    from model.flash import read_small_files

    try:
        read_small_files(folder)
    except ModelError as error:
        raise UnsuitableError(f"{error}") from error
