"""The decode step of a CPU against the same rows read together, which the reference tests hold to transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch
import torch.nn.functional as F

from model.flash import Flash
from model.network import cpu_step
from model.network.cache import KVCache
from model.network.cpu_step import CpuStep
from model.network.cpu_storage import ColumnStorage
from model.network.decoder import Decoder
from model.network.layers import Rope
from model.network.moe import Experts

TOLERANCE = 1e-5


@contextmanager
def forked(cache: KVCache, at: int | None) -> Iterator[None]:
    if at is None:
        yield
    else:
        with cache.fork(at):
            yield


def decoders(flash: Flash) -> list[tuple[Decoder, Rope, KVCache]]:
    assert flash.talker is not None
    assert flash.code_predictor is not None
    config = flash.code_predictor.config
    return [
        (flash.thinker.model, flash.thinker_rope, flash.new_thinker_cache(64)),
        (flash.talker.model, flash.talker_rope, flash.new_talker_cache(64)),
        (
            flash.code_predictor.model,
            Rope(config, flash.device),
            KVCache(config, device=flash.device, dtype=flash.dtype),
        ),
    ]


@pytest.mark.parametrize("variant", ["plain", "odd", "dense"])
@pytest.mark.parametrize("fork_at", [None, 3])
@pytest.mark.parametrize("short", [0, cpu_step.SHORT_CACHE])
@torch.inference_mode()
def test_step_equals_rows_read_together(
    variant: str, fork_at: int | None, short: int, flash_of: Callable[[str], Flash], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Output, every captured hidden state, and what is left in the cache; with hidden rows when it is forked."""
    monkeypatch.setattr(cpu_step, "SHORT_CACHE", short)
    for decoder, rope, cache in decoders(flash_of(variant)):
        size = decoder.norm.weight.shape[0]
        x = torch.randn(9, size, generator=torch.Generator().manual_seed(3))
        decoder(x[:6], rope.text(0, 6), cache)
        start = 6 if fork_at is None else fork_at
        for capture in range(len(decoder.layers) + 1):
            with forked(cache, fork_at):
                together, captured = decoder(x[6:], rope.text(start, 3), cache, capture=capture)
                kept = [keys[:, 6:9].clone() for keys in cache.keys]
                cache.truncate(6)
                for row in range(3):
                    piece = x[6 + row : 7 + row]
                    assert CpuStep.suits(piece)
                    out, seen = decoder(piece, rope.text(start + row, 1), cache, capture=capture)
                    torch.testing.assert_close(out, together[row : row + 1], atol=TOLERANCE, rtol=0)
                    assert seen is not None
                    assert captured is not None
                    torch.testing.assert_close(seen, captured[row : row + 1], atol=TOLERANCE, rtol=0)
                for keys, expected in zip(cache.keys, kept, strict=True):
                    torch.testing.assert_close(keys[:, 6:9], expected, atol=TOLERANCE, rtol=0)
            cache.truncate(6)


@pytest.mark.parametrize("n_rows", [1, 7])
@torch.inference_mode()
def test_columns_equal_the_published_layout(n_rows: int) -> None:
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"talker.{expert}.{part}": torch.randn(shape, generator=generator).bfloat16()
        for expert in range(5)
        for part, shape in (("gate", (12, 20)), ("up", (12, 20)), ("down", (20, 12)))
    }
    x = torch.randn(n_rows, 20, generator=generator)
    bias = torch.randn(24, generator=generator)
    names = ["talker.0.gate", "talker.0.up"]
    storage = ColumnStorage()
    fused = torch.cat([tensors[name].float() for name in names])
    for given in (None, bias):
        linear = storage.linear(names, tensors.__getitem__, given)
        assert linear is not None
        torch.testing.assert_close(linear(x), F.linear(x, fused, given))
    plain = Experts(5, 20, 12)
    for expert in range(5):
        gate, up, down = (tensors[f"talker.{expert}.{part}"].float() for part in ("gate", "up", "down"))
        plain.gate_up[expert] = torch.cat((gate, up))
        plain.down[expert] = down
    gate_up = [(f"talker.{expert}.gate", f"talker.{expert}.up") for expert in range(5)]
    columns = storage.experts(gate_up, [f"talker.{expert}.down" for expert in range(5)], tensors.__getitem__)
    assert columns is not None
    chosen = torch.stack([torch.randperm(5, generator=generator)[:3] for _ in range(n_rows)])
    gates = torch.rand(n_rows, 3, generator=generator)
    torch.testing.assert_close(columns(x, chosen, gates), plain(x, chosen, gates))
    assert storage.linear(["thinker.visual.merger.mlp.0.weight"], tensors.__getitem__, None) is None
