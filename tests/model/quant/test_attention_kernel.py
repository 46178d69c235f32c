"""Decode attention against its plain twin, on the card or under Triton's interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from model.graphs.attention_kernel import ROWS, DecodeAttention
from model.graphs.decoder import masked_attention
from model.network.int8_cache import from_levels, to_levels

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
LENGTHS = (0, 1, 31, 32, ROWS - 1, ROWS, ROWS + 1, 2 * ROWS + 5, 299)


SHAPES = [(length, 2, 4, 32) for length in LENGTHS] + [(length, 1, 3, 24) for length in LENGTHS]


@pytest.mark.slow
# The published shape takes long under the interpreter.
@pytest.mark.parametrize(("length", "n_heads", "groups", "dim"), [*SHAPES, (0, 4, 8, 128), (299, 4, 8, 128)])
@pytest.mark.parametrize("is_int8", [False, True])
def test_it_equals_its_twin(length: int, n_heads: int, groups: int, dim: int, is_int8: bool) -> None:
    generator = torch.Generator().manual_seed(length)
    q, keys, values = (torch.randn(n_heads, n, dim, generator=generator).to(DEVICE) for n in (groups, 300, 300))
    place = torch.tensor([length], device=DEVICE)
    scales = None
    mask = torch.arange(300, device=DEVICE) <= place
    expected = masked_attention(q, keys, values, mask)
    if is_int8:
        (key_levels, key_scale), (value_levels, value_scale) = to_levels(keys), to_levels(values)
        seen = from_levels(key_levels, key_scale, q.dtype), from_levels(value_levels, value_scale, q.dtype)
        expected = masked_attention(q, *seen, mask)
        keys, values, scales = key_levels, value_levels, (key_scale, value_scale)
    keys[:, length + 1 :] = 99  # what lies behind must not matter
    ours = DecodeAttention(keys, n_heads * groups)(q, keys, values, place, scales)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_a_window_on_a_larger_cache() -> None:
    keys, values = torch.randn(2, 2, 500, 16, device=DEVICE)
    q = torch.randn(2, 2, 16, device=DEVICE)
    place = torch.tensor([150], device=DEVICE)
    ours = DecodeAttention(keys[:, :200], 4)(q, keys[:, :200], values[:, :200], place, None)
    expected = masked_attention(q, keys, values, torch.arange(500, device=DEVICE) <= 150)
    assert torch.allclose(ours, expected, atol=1e-5)


def test_half_precision() -> None:
    keys, values = torch.randn(2, 2, 200, 64, device=DEVICE).half()
    q = torch.randn(2, 4, 64, device=DEVICE).half()
    ours = DecodeAttention(keys, 8)(q, keys, values, torch.tensor([180], device=DEVICE), None)
    mask = torch.arange(200, device=DEVICE) <= 180
    expected = masked_attention(q.float(), keys.float(), values.float(), mask)
    assert ours.dtype == torch.float16
    assert torch.allclose(ours.float(), expected, atol=4e-3)


@pytest.mark.slow
def test_steps_with_the_kernel_reply_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A whole reply with the kernel in its steps, under the interpreter where there is no card."""
    from model.bench.random_checkpoint import write_sized
    from model.flash import load
    from model.graphs import decoder, speaking, writing
    from tests.model.talk import greedy_session, noise, say

    directory = write_sized(tmp_path, "tiny")
    said = []
    for with_kernel in (False, True):
        for module in (decoder, speaking, writing):
            monkeypatch.setattr(module, "has_kernel", lambda device, answer=with_kernel: answer)
        flash = load(directory, device=DEVICE, dtype="float32", graphs="static")
        session = greedy_session(flash, max_positions=300)
        session.hear(noise(0.6))
        said.append(say(session, max_tokens=3, max_frames=2))
    assert said[0].tokens == said[1].tokens
    assert abs(said[0].samples - said[1].samples).max() < 1e-4
