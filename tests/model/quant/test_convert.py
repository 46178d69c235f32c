"""Quantising a checkpoint on disk: what is written, resuming after a kill, and refusals."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from commands.models.planning import main
from model.bench.random_checkpoint import write_sized
from model.checkpoint.config import load_config
from model.checkpoint.files import INDEX_FILE
from model.checkpoint.tensors import expected_tensors
from model.errors import CheckpointError
from model.quant.convert import Progress, quantize_checkpoint
from model.quant.formats import PackQuantized, stored_format
from model.quant.parts import Component, default_policy

SMALL_SHARD = 300_000


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("source")
    write_sized(directory, "tiny")
    return directory


def test_every_weight_is_written_and_close(checkpoint: Path, tmp_path: Path) -> None:
    policy = default_policy(4, 32)
    errors = quantize_checkpoint(checkpoint, tmp_path, policy, shard_bytes=SMALL_SHARD)
    assert 0 < errors[Component.THINKER_EXPERTS].root_mean_square < 0.12
    assert 0 < errors[Component.AUDIO_ENCODER].root_mean_square < 0.01
    shapes = expected_tensors(load_config(tmp_path))
    index = json.loads((tmp_path / INDEX_FILE).read_text())["weight_map"]
    assert len(set(index.values())) > 3
    source = {}
    for file in checkpoint.glob("*.safetensors"):
        source |= load_file(file)
    form = stored_format(json.loads((tmp_path / "config.json").read_text()))
    assert isinstance(form, PackQuantized)
    left = set(index)

    def get(name: str) -> torch.Tensor:
        left.discard(name)
        with safe_open(tmp_path / index[name], framework="pt") as file:
            return file.get_tensor(name)

    for name, shape in shapes.items():
        stored = form.tensors_of(name, shape, index)
        if stored is None:
            assert policy.spec_of(name, shape) is None
            assert torch.equal(get(name), source[name].to(torch.bfloat16))
        else:
            assert form.spec_of(name) == policy.spec_of(name, shape)
            back = form.read(name, shape, get).dequantize(torch.float32)
            assert (back - source[name].float()).norm() < 0.2 * source[name].float().norm()
    assert left == set()
    assert (tmp_path / "tokenizer.json").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_and_equals_an_unbroken_one(checkpoint: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    policy = default_policy(4, 32)
    quantize_checkpoint(checkpoint, whole, policy, shard_bytes=SMALL_SHARD)
    # The run ends itself, as hard as kill -9, once three shards are done.
    program = (
        "import os, sys; from pathlib import Path; from model.quant.convert import quantize_checkpoint as q;"
        "from model.quant.parts import default_policy as p;"
        f"q(Path(sys.argv[1]), Path(sys.argv[2]), p(4, 32), shard_bytes={SMALL_SHARD},"
        "  on_progress=lambda s: s.n_shards_done < 3 or os._exit(9))"
    )
    died = subprocess.run([sys.executable, "-c", program, str(checkpoint), str(broken)], timeout=120, check=False)
    assert died.returncode == 9
    assert len(list(broken.glob("*.safetensors"))) == 3
    (broken / "model-00004-of-00099.safetensors.partial").write_bytes(b"half a file")
    seen: list[Progress] = []
    quantize_checkpoint(checkpoint, broken, policy, shard_bytes=SMALL_SHARD, on_progress=seen.append)
    assert seen[-1].resumed_shards == 3
    assert seen[-1].bytes_in == seen[-1].bytes_in_total
    for file in whole.glob("*.safetensors"):
        assert file.read_bytes() == (broken / file.name).read_bytes()


def test_refusals_name_the_file(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = tmp_path / "done"
    assert main(["quantize", str(checkpoint), str(done), "--group", "32"]) == 0
    assert "Thinker experts" in capsys.readouterr().out
    assert main(["quantize", str(done), str(tmp_path / "again")]) == 1
    assert "quantised already" in capsys.readouterr().err
    assert main(["quantize", str(checkpoint), str(done), "--bits", "8"]) == 1
    assert "other settings" in capsys.readouterr().err
    assert main(["quantize", str(tmp_path / "none"), str(done)]) == 1
    assert main(["quantize", str(checkpoint), str(tmp_path / "x"), "--group", "20"]) == 1
    assert "group is 20" in capsys.readouterr().err


def test_a_truncated_source_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "config.json").write_bytes((checkpoint / "config.json").read_bytes())
    weights = next(checkpoint.glob("*.safetensors")).read_bytes()
    (source / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    with pytest.raises(CheckpointError, match="is truncated"):
        quantize_checkpoint(source, tmp_path / "out", default_policy(4, 32))
    (source / "model.safetensors").unlink()
    save_file({"lonely.weight": torch.zeros(2)}, source / "model.safetensors")
    with pytest.raises(CheckpointError, match="missing"):
        quantize_checkpoint(source, tmp_path / "out", default_policy(4, 32))
