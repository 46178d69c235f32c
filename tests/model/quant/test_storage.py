"""Packed modules behind the loader: quantised while loading and read back from disk give the same model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from model.bench.random_checkpoint import write_sized
from model.checkpoint.config import load_config
from model.checkpoint.files import Checkpoint
from model.checkpoint.tensors import expected_tensors
from model.errors import CheckpointError
from model.network.filling import Filler
from model.network.layers import DecoderLayer
from model.quant.convert import quantize_checkpoint
from model.quant.formats import PackQuantized, stored_format
from model.quant.packing import QuantSpec
from model.quant.parts import Component, Policy, default_policy
from model.quant.storage import Backend, PackedExperts, PackedLinear, quantising_storage, stored_storage, stored_tensors

PREFIX = "thinker.model.layers.1."
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("source")
    write_sized(directory, "tiny")
    return directory


def filled_layer(directory: Path, **storage: object) -> DecoderLayer:
    with torch.device("meta"):
        layer = DecoderLayer(load_config(directory).thinker.text, 1)
    Filler(Checkpoint(directory), device=CPU, dtype=torch.float32, **storage).fill(layer, PREFIX)  # type: ignore[arg-type]
    return layer


def plain_backend() -> Backend:
    return Backend(kernels=False)


def test_on_load_and_from_disk_are_the_same_weights(checkpoint: Path, tmp_path: Path) -> None:
    policy = default_policy(4, 32)
    on_load = filled_layer(
        checkpoint,
        storage=quantising_storage(policy, device=CPU, dtype=torch.bfloat16, backend=plain_backend()),
    )
    quantize_checkpoint(checkpoint, tmp_path, policy)
    form = stored_format(json.loads((tmp_path / "config.json").read_text()))
    assert form is not None
    expected, present = expected_tensors(load_config(tmp_path)), Checkpoint(tmp_path).file_of
    stored, packed = stored_tensors(form, expected, present)
    assert stored.keys() == present.keys()
    assert f"{PREFIX}self_attn.o_proj.weight_packed" in packed
    from_disk = filled_layer(
        tmp_path,
        storage=stored_storage(form, expected, present, device=CPU, dtype=torch.bfloat16, backend=plain_backend()),
    )
    plain = filled_layer(checkpoint)
    x = torch.randn(3, plain.input_layernorm.weight.shape[0], generator=torch.Generator().manual_seed(0))
    for module in ("self_attn.qkv", "self_attn.o_proj", "mlp"):
        a, b, c = (layer.get_submodule(module)(x) for layer in (on_load, from_disk, plain))
        assert torch.allclose(a, b, atol=0.02)  # what stays plain was rounded to bfloat16 on disk
        assert (a - c).norm() < 0.3 * c.norm()
        assert not torch.equal(a, c)
    assert isinstance(on_load.self_attn.qkv, PackedLinear)
    assert isinstance(from_disk.self_attn.qkv, PackedLinear)
    assert torch.equal(on_load.self_attn.qkv.weight.words, from_disk.self_attn.qkv.weight.words)
    assert torch.equal(on_load.self_attn.qkv.weight.scale, from_disk.self_attn.qkv.weight.scale)
    assert isinstance(on_load.mlp.get_submodule("experts"), PackedExperts)


def test_parts_that_the_policy_leaves_out_stay_plain(checkpoint: Path) -> None:
    policy = Policy({Component.THINKER_EXPERTS: QuantSpec(8, 0)})
    layer = filled_layer(
        checkpoint, storage=quantising_storage(policy, device=CPU, dtype=torch.float32, backend=plain_backend())
    )
    assert not isinstance(layer.self_attn.qkv, PackedLinear)
    assert isinstance(layer.mlp.get_submodule("experts"), PackedExperts)


def test_a_half_quantised_product_is_refused() -> None:
    form = PackQuantized(((None, QuantSpec(4, 32)),))
    expected = {"a.q_proj.weight": (8, 64), "a.k_proj.weight": (8, 64)}
    storage = stored_storage(
        form, expected, {"a.q_proj.weight"}, device=CPU, dtype=torch.float32, backend=plain_backend()
    )
    stored = {
        "a.k_proj.weight_packed": torch.zeros(8, 8, dtype=torch.int32),
        "a.k_proj.weight_scale": torch.ones(8, 2),
        "a.k_proj.weight_shape": torch.tensor([8, 64]),
        "a.k_proj.weight_zero_point": torch.zeros(1, 2, dtype=torch.int32),
    }
    form = PackQuantized(((None, QuantSpec(4, 32)),))
    with pytest.raises(CheckpointError, match="not all are quantised alike"):
        storage.linear(list(expected), stored.__getitem__, None)
