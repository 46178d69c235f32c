"""The processor's packed products beside their plain twins: every format, ragged sizes, every way to multiply."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model.checkpoint.config import DecoderConfig
from model.flash import Flash, load
from model.network.cache import KVCache
from model.network.decoder import Decoder
from model.network.int8_cache import Int8KVCache
from model.network.layers import Rope
from model.quant import packing
from model.quant.fit import quantize
from model.quant.packing import PackedWeight, QuantSpec
from model.quant.parts import Component, Policy
from model.quant.storage import Backend, backend_for, quantising_storage

pytest.importorskip("numba", reason="the processor's products are compiled by numba")

from model.quant.processor import products, vector
from model.quant.processor.decoder import DecoderStep
from model.quant.processor.interleaving import interleave
from model.quant.processor.layout import LANES
from model.quant.processor.storage import InterleavedExperts, InterleavedLinear
from model.quant.processor.team import Team

CPU = torch.device("cpu")
# 14 bits of an activation: each is off by at most 1 / 16254 of its group's largest, so a sum by about a ten-thousandth.
CLOSE = 4e-4


def relative(found: Tensor, exact: Tensor) -> float:
    return float((found.float() - exact.float()).norm() / exact.float().norm())


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def team() -> Team:
    return Team(2)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("group", [128, 32, 0])
def test_linear_equals_its_plain_twin(bits: int, symmetric: bool, group: int, team: Team) -> None:
    """Outputs and inputs that fill no block, no step and no group; any number of rows; with and without a bias."""
    for n_outputs, n_inputs in ((48, 256), (37, 200), (16, 8), (130, 328), (5, 44)):
        for dtype in (torch.float32, torch.bfloat16):
            weight = quantize(drawn(n_outputs, n_inputs), QuantSpec(bits, group, symmetric), scale_dtype=dtype)
            bias = drawn(n_outputs, seed=1) if dtype == torch.float32 else None
            module = InterleavedLinear(interleave(weight), bias, team)
            for n_rows in (1, 2, 3, 4, 5, 9, 33):
                x = drawn(n_rows, n_inputs, seed=n_rows)
                exact = packing.linear(x, weight, bias)
                assert relative(module(x), exact) < CLOSE
    assert module(x[0]).shape == (n_outputs,)
    assert module(x.bfloat16()).dtype == torch.bfloat16
    assert module(x[:0]).shape == (0, n_outputs)


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("group", [128, 32])
def test_experts_equal_their_plain_twin(bits: int, group: int, team: Team) -> None:
    n_experts, hidden, inner = 16, 200, 72
    gate_up = quantize(drawn(n_experts, 2 * inner, hidden) / 16, QuantSpec(bits, group))
    down = quantize(drawn(n_experts, hidden, inner, seed=1) / 10, QuantSpec(bits, group))
    module = InterleavedExperts(interleave(gate_up), interleave(down), team)
    generator = torch.Generator().manual_seed(2)
    for n_rows in (1, 2, 7, 40):
        x = drawn(n_rows, hidden, seed=3)
        chosen = torch.stack([torch.randperm(n_experts, generator=generator)[:4] for _ in range(n_rows)])
        gates = torch.rand(n_rows, 4, generator=generator)
        assert relative(module(x, chosen, gates), packing.expert_mlp(x, chosen, gates, gate_up, down)) < CLOSE


def test_the_layout_keeps_every_number() -> None:
    """Levels, scales and zero points are found again where `layout` says they are."""
    weight = quantize(drawn(3, 21, 72), QuantSpec(4, 32), scale_dtype=torch.bfloat16)
    packed = interleave(weight)
    steps = packed.words.view(3, 2, 9, LANES, 4)
    levels = torch.stack((steps & 15, steps >> 4), dim=-2)  # [E, blocks, steps, 16, 2, 4]
    levels = levels.permute(0, 1, 3, 2, 4, 5).reshape(3, 32, 72)
    assert torch.equal(levels[:, :21], packing.unpack_levels(weight.words, 4, 72))
    assert not levels[:, 21:].any()
    assert torch.equal(packed.scale.transpose(2, 3).reshape(3, 32, 3)[:, :21], weight.scale)
    assert weight.zero is not None
    assert torch.equal(packed.zero.transpose(2, 3).reshape(3, 32, 3)[:, :21], weight.zero)
    assert packed.scale.dtype == torch.bfloat16
    odd = PackedWeight(weight.words, weight.scale.float() * 1.001, weight.zero, 72, weight.spec)
    assert interleave(odd).scale.dtype == torch.float32  # rounding it would not be exact


def tile_sums(tile: Callable[..., None], weight: PackedWeight, x: Tensor, n_rows: int) -> np.ndarray:
    """All outputs of a weight by one tile function."""
    from numba import njit

    @njit
    def call(words, scale, zero, n_groups, steps, last, rows, padded, out, stride):  # type: ignore[no-untyped-def]
        tile(words, scale, zero, n_groups, steps, last, rows, padded, out, stride)

    packed = interleave(weight)
    matrix = np.array(products.describe(packed), np.int64)
    size = products.row_bytes(packed)
    rows = np.zeros((n_rows, size + 64), np.uint8)
    at = np.array([row.ctypes.data for row in rows], np.int64)
    for row, address in zip(x.numpy(), at, strict=True):
        products.quantise(row, address, matrix)
    out = np.zeros((n_rows, LANES * packed.n_blocks), np.float32)
    for block in range(packed.n_blocks):
        where = products.block_of(matrix, block)
        call(
            *where, packed.n_groups, packed.steps_per_group, packed.last_steps, at.ctypes.data, packed.padded_inputs,
            out.ctypes.data + 4 * LANES * block, out.strides[0],
        )  # fmt: skip
    return out


def has(kind: str) -> bool:
    features = vector.llvm.get_host_cpu_features()
    needed = {"avx512vnni": "avx512vnni", "avxvnni": "avxvnni", "avx2": "avx2"}
    return kind == "plain" or bool(features.get(needed[kind]))


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("kind", [kind for kind in vector.KINDS if has(kind)])
def test_every_way_to_multiply_gives_the_same_numbers(kind: str, bits: int) -> None:
    """Whole numbers below, one float32 order above: a machine without the instructions says the same, to the bit."""
    weight = quantize(drawn(32, 300), QuantSpec(bits, 64))
    x = drawn(2, 300, seed=5)
    x[1, 7] = 300.0  # one input far above the others of its group
    found = tile_sums(vector.make_tile(bits, 2, 16, kind), weight, x, 2)
    plain = tile_sums(vector.make_tile(bits, 2, 16, "plain"), weight, x, 2)
    assert np.array_equal(found, plain)
    assert relative(torch.from_numpy(found), packing.linear(x, weight)) < CLOSE


def test_the_best_way_is_chosen_by_what_the_processor_has() -> None:
    assert vector.processor_kind({"avx512vnni": True, "avx512bw": True, "avx2": True}) == "avx512vnni"
    assert vector.processor_kind({"avxvnni": True, "avx2": True}) == "avxvnni"
    assert vector.processor_kind({"avx2": True}) == "avx2"
    assert vector.processor_kind({}) == "plain"


def test_a_helper_that_comes_late_is_not_waited_for() -> None:
    """The work is done by who is there; a helper that wakes up after the end touches nothing."""
    team = Team(2)
    weight = quantize(drawn(512, 1024), QuantSpec(4, 128))
    module = InterleavedLinear(interleave(weight), None, team)
    (inbox,) = team._helpers()
    held, go = threading.Event(), threading.Event()

    def hold(_sync: int) -> None:
        held.set()
        go.wait()

    team._counters[2 * 16] = 77  # the call that the helper is to think open
    inbox.put((hold, 77, ()))
    held.wait()
    answer = []
    caller = threading.Thread(target=lambda: answer.append(team))
    caller.start()
    caller.join()
    go.set()
    x = drawn(1, 1024)
    for _ in range(20):
        assert relative(module(x), packing.linear(x, weight)) < CLOSE


@pytest.fixture(scope="module")
def packed_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str, int, bool], Flash]:
    """A tiny checkpoint with all its decoders packed; by compiled products or by plain twins."""

    def make(variant: str, bits: int, compiled: bool) -> Flash:
        parts = (
            Component.THINKER_EXPERTS, Component.THINKER_ATTENTION, Component.THINKER_DENSE, Component.THINKER_HEAD,
            Component.TALKER_EXPERTS, Component.TALKER_ATTENTION, Component.TALKER_SHARED, Component.CODE_PREDICTOR,
        )  # fmt: skip
        policy = Policy(dict.fromkeys(parts, QuantSpec(bits, 32)))
        backend = backend_for(CPU) if compiled else Backend()
        storage = quantising_storage(policy, device=CPU, dtype=torch.float32, backend=backend)
        return load(checkpoint_of(variant), device="cpu", dtype="float32", storage=storage)

    return make


def decoders(flash: Flash) -> Iterator[tuple[Decoder, Rope, DecoderConfig]]:
    assert flash.talker is not None
    assert flash.code_predictor is not None
    yield flash.thinker.model, flash.thinker_rope, flash.thinker.config
    yield flash.talker.model, flash.talker_rope, flash.talker.config.text
    config = flash.code_predictor.config
    yield flash.code_predictor.model, Rope(config, CPU), config


def row_of(cache: KVCache, name: str, layer: int, row: int) -> Tensor:
    """A row of "keys" or "values", all heads."""
    rows: Tensor = getattr(cache, name)[layer][:, row].float()
    if isinstance(cache, Int8KVCache):
        rows = rows * getattr(cache, f"{name[:-1]}_scales")[layer][:, row].float()
    return rows


def copy_rows(of: KVCache, to: KVCache) -> None:
    to.reserve(of.length)
    for ours, theirs in zip(to.buffers(), of.buffers(), strict=True):
        for buffer, rows in zip(ours, theirs, strict=True):
            buffer[:, : of.length] = rows[:, : of.length]
    to.length = of.length


@contextmanager
def forked(cache: KVCache, at: int | None) -> Iterator[None]:
    if at is None:
        yield
    else:
        with cache.fork(at):
            yield


@pytest.mark.slow
@pytest.mark.parametrize("variant", ["plain", "odd", "dense"])
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("fork_at", [None, 3])
@torch.inference_mode()
def test_a_step_equals_the_plain_decoder(
    variant: str, bits: int, fork_at: int | None, packed_of: Callable[[str, int, bool], Flash]
) -> None:
    """Output, every hidden state that can be asked for, and what is left in each kind of cache."""
    compiled, plain = packed_of(variant, bits, True), packed_of(variant, bits, False)
    for (ours, rope, config), (twin, _, _) in zip(decoders(compiled), decoders(plain), strict=True):
        assert twin.step is None
        if variant == "dense" and ours is not compiled.thinker.model:
            continue  # its Talker has shared experts of size 0, which stay plain
        assert isinstance(ours.step, DecoderStep)
        x = drawn(7, config.hidden_size)
        for kind, dtype in ((KVCache, torch.float32), (KVCache, torch.bfloat16), (Int8KVCache, torch.float32)):
            cache = kind(config, device=CPU, dtype=dtype, capacity=4)
            exact_cache = kind(config, device=CPU, dtype=torch.float32, capacity=4)
            twin(x[:6], rope.text(0, 6), exact_cache)
            copy_rows(exact_cache, cache)
            for capture in range(len(ours.layers) + 1):
                start = 6 if fork_at is None else fork_at
                with forked(cache, fork_at), forked(exact_cache, fork_at):
                    found = ours(x[6:], rope.text(start, 1), cache, capture=capture)
                    exact = twin(x[6:], rope.text(start, 1), exact_cache, capture=capture)
                    assert cache.length == 7
                for ours_made, twin_made in zip(found, exact, strict=True):
                    assert ours_made.shape == twin_made.shape
                    assert relative(ours_made, twin_made) < (2e-2 if dtype == torch.bfloat16 else 4e-3)
                for layer in range(len(ours.layers)):
                    for name in ("keys", "values"):
                        rows = [row_of(each, name, layer, 6) for each in (cache, exact_cache)]
                        assert relative(*rows) < (2e-2 if kind is Int8KVCache or dtype == torch.bfloat16 else 4e-3)
                for each in (cache, exact_cache):
                    each.truncate(6)
