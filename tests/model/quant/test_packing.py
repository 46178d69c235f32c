"""The packed layout against compressed-tensors' own packing, and the fit against round-to-nearest."""

from __future__ import annotations

import pytest
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32, unpack_from_int32
from hypothesis import given, settings
from hypothesis import strategies as st

from model.quant import packing
from model.quant.fit import quantize, relative_error
from model.quant.packing import PackedWeight, QuantSpec, pack_levels, unpack_levels


@settings(max_examples=40, deadline=None)
@given(bits=st.sampled_from([4, 8]), rows=st.integers(1, 5), n=st.integers(1, 70), seed=st.integers(0, 1000))
def test_packing_equals_compressed_tensors(bits: int, rows: int, n: int, seed: int) -> None:
    levels = torch.randint(0, 1 << bits, (rows, n), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    words = pack_levels(levels, bits)
    signed = (levels.to(torch.int16) - (1 << (bits - 1))).to(torch.int8)
    theirs = pack_to_int32(signed, bits)
    assert torch.equal(words, theirs)
    assert torch.equal(unpack_levels(words, bits, n), levels)
    assert torch.equal(unpack_from_int32(words, bits, torch.Size((rows, n))), signed)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize(("bits", "group"), [(4, 32), (4, 64), (4, 128), (4, 0), (8, 64), (8, 0)])
@pytest.mark.parametrize("n_inputs", [128, 200, 37])
def test_least_squares_beats_nearest(bits: int, group: int, symmetric: bool, n_inputs: int) -> None:
    torch.manual_seed(0)
    weight = torch.randn(48, n_inputs) * torch.rand(48, 1) * 0.1
    importance = torch.rand(n_inputs) ** 4 + 1e-3
    spec = QuantSpec(bits, group, symmetric)
    nearest = quantize(weight, spec, method="nearest")
    fitted = quantize(weight, spec, importance=importance)
    gain = relative_error(weight, nearest, importance) - relative_error(weight, fitted, importance)
    assert gain > 0 if bits == 4 else gain >= 0  # 256 levels leave next to nothing to gain
    unweighted = relative_error(weight, quantize(weight, spec))
    assert unweighted <= relative_error(weight, nearest)
    assert unweighted < (0.2 if bits == 4 else 0.02)


def test_levels_that_fit_exactly_come_back_exactly() -> None:
    spec = QuantSpec(4, 32)
    levels = torch.randint(0, 16, (16, 96), generator=torch.Generator().manual_seed(1))
    levels[:, ::32], levels[:, 1::32] = 0, 15  # every group uses its whole range
    weight = (levels - 7).float() * 0.25
    assert torch.equal(quantize(weight, spec).dequantize(torch.float32), weight)


def test_zero_groups_and_constant_groups_stay_finite() -> None:
    weight = torch.zeros(8, 64)
    weight[1] = 0.5
    weight[2] = -3e-9
    for symmetric in (True, False):
        back = quantize(weight, QuantSpec(4, 32, symmetric)).dequantize(torch.float32)
        assert torch.isfinite(back).all()
        assert torch.allclose(back, weight, atol=0.04)


def test_damaged_weight_is_refused() -> None:
    weight = torch.zeros(4, 32)
    weight[0, 0] = torch.nan
    with pytest.raises(ValueError, match="NaN"):
        quantize(weight, QuantSpec())


@pytest.mark.parametrize(("bits", "group"), [(3, 32), (4, 20), (8, 6), (4, -8)])
def test_impossible_storage_is_refused(bits: int, group: int) -> None:
    with pytest.raises(ValueError, match=r"bits|group"):
        QuantSpec(bits, group)


def test_wrong_shapes_are_refused() -> None:
    good = quantize(torch.randn(4, 64), QuantSpec(4, 32))
    with pytest.raises(ValueError, match="scale has shape"):
        PackedWeight(good.words, good.scale[:, :1], good.zero, 64, good.spec)
    with pytest.raises(ValueError, match="missing"):
        PackedWeight(good.words, good.scale, None, 64, good.spec)


def test_plain_twins_equal_products_with_the_dequantised_weight() -> None:
    torch.manual_seed(0)
    spec = QuantSpec(4, 32)
    table = torch.randn(50, 72)
    packed = quantize(table, spec)
    x = torch.randn(3, 72)
    assert torch.allclose(packing.linear(x, packed), x @ packed.dequantize(torch.float32).T, atol=1e-5)
    ids = torch.tensor([[3, 49], [0, 3]])
    assert torch.equal(packing.embedding(ids, packed, torch.float32), packed.dequantize(torch.float32)[ids])


def test_expert_twin_equals_the_sum_over_chosen_experts() -> None:
    torch.manual_seed(0)
    n_experts, width, inner, spec = 6, 72, 40, QuantSpec(4, 32)
    gate_up = quantize(torch.randn(n_experts, 2 * inner, width) * 0.1, spec)
    down = quantize(torch.randn(n_experts, width, inner) * 0.1, spec)
    x, experts = torch.randn(3, width), torch.tensor([[0, 5], [2, 3], [5, 0]])
    gates = torch.rand(3, 2)
    expected = torch.zeros(3, width)
    for t in range(3):
        for slot in range(2):
            e = int(experts[t, slot])
            gate, up = (gate_up[e].dequantize(torch.float32) @ x[t]).chunk(2)
            inner_x = torch.nn.functional.silu(gate) * up
            expected[t] += gates[t, slot] * (down[e].dequantize(torch.float32) @ inner_x)
    assert torch.allclose(packing.expert_mlp(x, experts, gates, gate_up, down), expected, atol=1e-5)
    assert gate_up.n_bytes == spec.n_bytes(
        (n_experts, 2 * inner, width)
    ) + n_experts * (  # zero points: bytes in memory
        2 * inner * 3 - -(-2 * inner // 8) * 3 * 4
    )
