"""Triton kernels against their plain twins: on the card where there is one, else under Triton's interpreter."""

from __future__ import annotations

import pytest
import torch

from model.quant import kernels, packing
from model.quant.fit import quantize
from model.quant.packing import QuantSpec

pytestmark = pytest.mark.slow

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
STORAGES = [QuantSpec(b, g, s) for b, g in [(4, 32), (4, 64), (4, 128), (4, 0), (8, 32), (8, 0)] for s in (True, False)]


@pytest.mark.parametrize("spec", STORAGES, ids=str)
@pytest.mark.parametrize(("n_outputs", "n_inputs"), [(48, 128), (17, 200), (5, 37)])
@pytest.mark.parametrize("n_tokens", [1, 3])
def test_matvec_equals_its_twin(spec: QuantSpec, n_outputs: int, n_inputs: int, n_tokens: int) -> None:
    torch.manual_seed(0)
    weight = quantize(torch.randn(n_outputs, n_inputs), spec, method="nearest").to(DEVICE)
    x, bias = torch.randn(n_tokens, n_inputs, device=DEVICE), torch.randn(n_outputs, device=DEVICE)
    assert torch.allclose(kernels.matvec(x, weight), packing.linear(x, weight), atol=1e-4)
    assert torch.allclose(kernels.matvec(x, weight, bias), packing.linear(x, weight, bias), atol=1e-4)


@pytest.mark.parametrize("spec", STORAGES, ids=str)
@pytest.mark.parametrize(("width", "inner"), [(64, 96), (72, 21)])
def test_expert_mlp_equals_its_twin(spec: QuantSpec, width: int, inner: int) -> None:
    torch.manual_seed(0)
    n_experts, n_chosen, n_tokens = 5, 3, 2
    gate_up = quantize(torch.randn(n_experts, 2 * inner, width) * 0.2, spec, method="nearest").to(DEVICE)
    down = quantize(torch.randn(n_experts, width, inner) * 0.2, spec, method="nearest").to(DEVICE)
    x = torch.randn(n_tokens, width, device=DEVICE)
    experts = torch.stack([torch.randperm(n_experts)[:n_chosen] for _ in range(n_tokens)]).to(DEVICE)
    gates = torch.rand(n_tokens, n_chosen, device=DEVICE)
    ours = kernels.expert_mlp(x, experts, gates, gate_up, down)
    assert torch.allclose(ours, packing.expert_mlp(x, experts, gates, gate_up, down), atol=1e-4)


def test_half_precision_input() -> None:
    weight = quantize(torch.randn(32, 256, generator=torch.Generator().manual_seed(0)), QuantSpec()).to(DEVICE)
    x = torch.randn(1, 256, device=DEVICE).half()
    ours = kernels.matvec(x, weight)
    assert ours.dtype == torch.float16
    assert torch.allclose(ours.float(), packing.linear(x.float(), weight), rtol=2e-3, atol=2e-2)


@pytest.mark.parametrize("spec", STORAGES, ids=str)
@pytest.mark.parametrize("width", [128, 200, 37])
def test_gather_rows_equals_its_twin(spec: QuantSpec, width: int) -> None:
    table = quantize(torch.randn(11, width, generator=torch.Generator().manual_seed(0)), spec, method="nearest")
    ids = torch.tensor([[3, 0, 10], [3, 7, 1]], device=DEVICE)
    ours = kernels.gather_rows(ids, table.to(DEVICE), torch.float32)
    assert torch.allclose(ours, packing.gather_rows(ids, table.to(DEVICE), torch.float32), atol=1e-6)


def test_gather_rows_of_a_plain_table() -> None:
    table = torch.randn(9, 300, device=DEVICE)
    ids = torch.tensor([8, 0, 8], device=DEVICE)
    assert torch.equal(kernels.gather_rows(ids, table, torch.float32), table[ids])


@pytest.mark.gpu
def test_gather_rows_of_a_table_on_the_host() -> None:
    table = quantize(torch.randn(1000, 256), QuantSpec()).pinned()
    ids = torch.tensor([5, 999, 0], device=DEVICE)
    ours = kernels.gather_rows(ids, table, torch.float32)
    assert torch.allclose(ours.cpu(), packing.gather_rows(ids.cpu(), table, torch.float32), atol=1e-6)


@pytest.mark.parametrize("spec", STORAGES, ids=str)
def test_gathered_experts_equal_the_twin_that_reads_the_choice_back(spec: QuantSpec) -> None:
    torch.manual_seed(0)
    gate_up = quantize(torch.randn(5, 42, 72) * 0.2, spec, method="nearest").to(DEVICE)
    down = quantize(torch.randn(5, 72, 21) * 0.2, spec, method="nearest").to(DEVICE)
    x, gates = torch.randn(2, 72, device=DEVICE), torch.rand(2, 3, device=DEVICE)
    experts = torch.stack([torch.randperm(5)[:3] for _ in range(2)]).to(DEVICE)
    ours = packing.gathered_expert_mlp(x, experts, gates, gate_up, down)
    assert torch.allclose(ours, packing.expert_mlp(x, experts, gates, gate_up, down), atol=1e-4)
