"""A tiny repository in 7 shards without a model in it: for the downloader, weights are bytes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.model_hub.hub_server import Hub, serve_hub

N_SHARDS = 7
SHARD_BYTES = 300_000


def write_repository(folder: Path, shard_bytes: int = SHARD_BYTES) -> Path:
    """Files as a published checkpoint has them, with some that are not wanted."""
    folder.mkdir()
    chance = random.Random(16)
    names = [f"model-{n + 1:05}-of-{N_SHARDS:05}.safetensors" for n in range(N_SHARDS)]
    for name in names:
        (folder / name).write_bytes(chance.randbytes(shard_bytes))
    weight_map = {f"tensor.{n}": name for n, name in enumerate(names)}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3_omni_moe"}))
    (folder / "tokenizer.json").write_text(json.dumps({"vocab": list(range(5000))}))
    (folder / "merges.txt").write_text("a b\n")
    (folder / "README.md").write_text("# not wanted\n")
    (folder / "pytorch_model.bin").write_bytes(b"PK\x03\x04 a pickle")
    (folder / "modeling_evil.py").write_text("raise SystemExit\n")
    return folder


WANTED = {f"model-{n + 1:05}-of-{N_SHARDS:05}.safetensors" for n in range(N_SHARDS)} | {
    "model.safetensors.index.json", "config.json", "tokenizer.json", "merges.txt",
}  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


@pytest.fixture
def hub(repository: Path) -> Iterator[Hub]:
    with serve_hub(repository) as served:
        yield served
