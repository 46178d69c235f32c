"""Published int4 formats, packed by the libraries that publish them, read by us."""

from __future__ import annotations

import pytest
import torch
from auto_round_extension.torch import qlinear_torch, qlinear_torch_zp
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

from model.errors import CheckpointError, ConfigError
from model.quant.fit import quantize
from model.quant.formats import GptqPacked, PackQuantized, stored_format
from model.quant.packing import QuantSpec


def compressed_tensors_config(bits: int, group: int, symmetric: bool) -> dict[str, object]:
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "strategy": "group", "group_size": group}
    groups = {"group_0": {"targets": ["Linear"], "weights": weights}}
    return {
        "quantization_config": {
            "quant_method": "compressed-tensors",
            "format": "pack-quantized",
            "config_groups": groups,
        }
    }


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("bits", [4, 8])
def test_compressed_tensors_pack_quantized(bits: int, symmetric: bool) -> None:
    torch.manual_seed(0)
    n_out, n_in, group = 24, 96, 32
    half = 1 << (bits - 1)
    levels = torch.randint(-half, half, (n_out, n_in), dtype=torch.int16).to(torch.int8)
    scale = torch.rand(n_out, n_in // group).to(torch.bfloat16)
    zero = torch.randint(-half, half, (n_out, n_in // group), dtype=torch.int16).to(torch.int8)
    stored = {
        "m.weight_packed": pack_to_int32(levels, bits),
        "m.weight_scale": scale,
        "m.weight_shape": torch.tensor([n_out, n_in]),
    }
    if not symmetric:
        stored["m.weight_zero_point"] = pack_to_int32(zero, bits, packed_dim=0)
    form = stored_format(compressed_tensors_config(bits, group, symmetric))
    assert isinstance(form, PackQuantized)
    expected_shapes = form.tensors_of("m.weight", (n_out, n_in), stored)
    assert expected_shapes == {name: tuple(t.shape) for name, t in stored.items()}
    offset = 0 if symmetric else zero.float().repeat_interleave(group, 1)
    expected = (levels.float() - offset) * scale.float().repeat_interleave(group, 1)
    packed = form.read("m.weight", (n_out, n_in), stored.__getitem__)
    assert torch.equal(packed.dequantize(torch.float32), expected)


@pytest.mark.parametrize("symmetric", [True, False])
def test_written_tensors_are_read_back(symmetric: bool) -> None:
    spec = QuantSpec(4, 64, symmetric)
    form = PackQuantized(((r"m$", spec), (r"other\.", QuantSpec(8, 0))))
    packed = quantize(torch.randn(20, 130, generator=torch.Generator().manual_seed(0)), spec)
    stored = form.write("m.weight", packed)
    assert form.tensors_of("m.weight", (20, 130), stored) == {name: tuple(t.shape) for name, t in stored.items()}
    back = form.read("m.weight", (20, 130), stored.__getitem__)
    assert torch.equal(back.dequantize(torch.float32), packed.dequantize(torch.float32))
    assert stored_format({"quantization_config": form.to_config()}) == form


@pytest.mark.parametrize(
    ("packing", "layer"), [("auto_round:auto_gptq", qlinear_torch_zp), ("auto_round", qlinear_torch)]
)
@pytest.mark.parametrize("symmetric", [True, False])
def test_auto_round_packing(packing: str, layer: object, symmetric: bool) -> None:
    torch.manual_seed(0)
    n_out, n_in, group, bits = 64, 256, 128, 4
    levels = torch.randint(0, 16, (n_out, n_in)).float()
    scale = (torch.rand(n_out, n_in // group) * 0.1 + 0.01).half().float()
    zero = (
        torch.full((n_out, n_in // group), 8.0) if symmetric else torch.randint(1, 16, (n_out, n_in // group)).float()
    )
    linear = torch.nn.Linear(n_in, n_out, bias=False)
    exact = (levels - zero.repeat_interleave(group, 1)) * scale.repeat_interleave(group, 1)
    linear.weight.data = exact.clone()
    theirs = layer.QuantLinear(bits, group, n_in, n_out, bias=False)  # type: ignore[attr-defined]
    theirs.device = "cpu"
    theirs.pack(linear, scale, zero, None, device="cpu")
    stored = {f"m.{name}": getattr(theirs, name) for name in ("qweight", "qzeros", "scales")}
    form = stored_format(
        {"quantization_config": {"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": packing}}
    )
    assert isinstance(form, GptqPacked)
    assert form.tensors_of("m.weight", (n_out, n_in), stored) == {name: tuple(t.shape) for name, t in stored.items()}
    assert torch.allclose(form.read("m.weight", (n_out, n_in), stored.__getitem__).dequantize(torch.float32), exact)


def test_unquantised_weights_are_left_alone() -> None:
    form = PackQuantized(((None, QuantSpec()),))
    assert form.tensors_of("m.weight", (8, 8), {"m.weight"}) is None
    assert form.tensors_of("norm.weight", (8,), set()) is None
    assert stored_format({}) is None


def test_activation_order_is_refused() -> None:
    form = GptqPacked(QuantSpec(4, 32), zero_is_less_one=True)
    form.check_order("m.weight", torch.arange(64) // 32)
    with pytest.raises(CheckpointError, match="act-order"):
        form.check_order("m.weight", torch.arange(64).flip(0) // 32)


@pytest.mark.parametrize(
    "section",
    [
        {"quant_method": "bitsandbytes"},
        {"quant_method": "compressed-tensors", "format": "float-quantized"},
        {"quant_method": "gptq", "bits": 3},
        {"quant_method": "auto-round", "bits": 4, "packing_format": "auto_round:auto_awq"},
    ],
)
def test_formats_we_cannot_read_are_named(section: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"config\.json"):
        stored_format({"quantization_config": section})
