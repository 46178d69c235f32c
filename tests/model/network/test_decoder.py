"""Thinker, Talker and code predictor against the reference's modules: activations within 1e-4, in any chunking."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.flash import Flash
from model.network.cache import KVCache
from model.network.decoder import DeepStack
from model.network.layers import Rope
from model.network.moe import Experts
from model.network.sampling import GREEDY, Sampler
from tests.model.oracle import Reference

TOLERANCE = 1e-4
VARIANTS = ["plain", "odd", "dense"]


@pytest.fixture(scope="module")
def reference_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], Reference]:
    return cache(lambda variant: Reference(checkpoint_of(variant)))


def random_positions(count: int) -> torch.Tensor:
    """Multimodal positions [3, n], fractional times among them."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(3, count, generator=generator).mul(40).mul(2).round().div(2)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_thinker_logits_and_hidden_states(
    variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]
) -> None:
    """Prefill in two pieces with DeepStack, then decode."""
    flash, model = flash_of(variant), reference_of(variant).model.thinker
    config = flash.config.thinker
    n_levels, n_rows = len(config.vision.deepstack_visual_indexes), 5
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(24, config.text.hidden_size, generator=generator)
    levels = torch.randn(n_levels, n_rows, config.text.hidden_size, generator=generator)
    positions = random_positions(24)
    visual = torch.zeros(1, 24, dtype=torch.bool)
    visual[0, 3 : 3 + n_rows] = True
    out = model.model.language_model(
        inputs_embeds=x[None],
        position_ids=positions[:, None],
        visual_pos_masks=visual,
        deepstack_visual_embeds=list(levels),
        output_hidden_states=True,
    )
    caches = flash.new_thinker_cache(64)
    hidden, accepted = [], []
    for start, end in ((0, 14), (14, 22), (22, 23), (23, 24)):
        deepstack = DeepStack(torch.arange(3, 3 + n_rows), levels) if start == 0 else None
        rope = flash.thinker_rope.multimodal(positions[:, start:end])
        got = flash.thinker(x[start:end], rope, caches, deepstack)
        hidden.append(got.hidden)
        accepted.append(got.accepted)
    logits = flash.thinker.logits(torch.cat(hidden))
    torch.testing.assert_close(logits, model.lm_head(out.last_hidden_state)[0], atol=TOLERANCE, rtol=0)
    layer = flash.thinker.accept_hidden_layer
    torch.testing.assert_close(torch.cat(accepted), out.hidden_states[layer][0], atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("variant", VARIANTS)
@torch.inference_mode()
def test_talker_and_code_predictor(
    variant: str, flash_of: Callable[[str], Flash], reference_of: Callable[[str], Reference]
) -> None:
    flash, reference = flash_of(variant), reference_of(variant).model.talker
    talker, predictor, config = flash.talker, flash.code_predictor, flash.config.talker
    assert talker is not None
    assert predictor is not None
    assert config is not None
    x = torch.randn(17, config.text.hidden_size, generator=torch.Generator().manual_seed(0))
    positions = random_positions(17)
    expected = reference.model(inputs_embeds=x[None], position_ids=positions[:, None]).last_hidden_state
    caches = flash.new_talker_cache(64)
    parts = [
        talker(x[start:end], flash.talker_rope.multimodal(positions[:, start:end]), caches)
        for start, end in ((0, 9), (9, 16), (16, 17))
    ]
    hidden = torch.cat(parts)
    torch.testing.assert_close(hidden, expected[0], atol=TOLERANCE, rtol=0)
    torch.testing.assert_close(talker.logits(hidden), reference.codec_head(expected)[0], atol=TOLERANCE, rtol=0)
    thinker_rows = torch.randn(4, config.thinker_hidden_size, generator=torch.Generator().manual_seed(1))
    for ours, theirs in (
        (talker.text_projection, reference.text_projection),
        (talker.hidden_projection, reference.hidden_projection),
    ):
        torch.testing.assert_close(ours(thinker_rows), theirs(thinker_rows), atol=TOLERANCE, rtol=0)
    code = torch.tensor([7])
    embedding = talker.embed_code(code)
    work = flash.new_workspace()
    sampler = Sampler(GREEDY, config.code_predictor.vocab_size, torch.Generator())
    for row in (5, 16):  # twice: nothing is left over from the frame before
        codes, total = predictor(hidden[row : row + 1], code, embedding, sampler, work)
        theirs = reference.code_predictor.generate(
            inputs_embeds=torch.cat((expected[:, row : row + 1], embedding[None]), dim=1),
            max_new_tokens=config.num_code_groups - 1,
            do_sample=False,
        )
        assert codes.tolist() == [7, *theirs[0].tolist()]
        tables = reference.code_predictor.model.codec_embedding
        summed = embedding + sum(table(number) for table, number in zip(tables, theirs[0], strict=True))
        torch.testing.assert_close(total, summed, atol=TOLERANCE, rtol=0)


@given(cuts=st.lists(st.integers(1, 19), max_size=4))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@torch.inference_mode()
def test_prefill_in_any_pieces(flash: Flash, cuts: list[int]) -> None:
    x = torch.randn(20, flash.config.thinker.text.hidden_size, generator=torch.Generator().manual_seed(0))
    whole = flash.thinker(x, flash.thinker_rope.text(5.0, 20), flash.new_thinker_cache(32)).hidden
    caches = flash.new_thinker_cache(32)
    edges = [0, *sorted(set(cuts)), 20]
    pieces = [
        flash.thinker(x[start:end], flash.thinker_rope.text(5.0 + start, end - start), caches).hidden
        for start, end in pairwise(edges)
    ]
    torch.testing.assert_close(torch.cat(pieces), whole, atol=TOLERANCE, rtol=0)


@torch.inference_mode()
def test_later_input_never_changes_earlier_output(flash: Flash) -> None:
    x = torch.randn(12, flash.config.thinker.text.hidden_size, generator=torch.Generator().manual_seed(0))
    changed = x.clone()
    changed[8:] += 1.0
    outs = [
        flash.thinker(rows, flash.thinker_rope.text(0.0, 12), flash.new_thinker_cache(32)).hidden
        for rows in (x, changed)
    ]
    # Experts see other neighbours in their batches, so the last bits may differ.
    torch.testing.assert_close(outs[0][:8], outs[1][:8], atol=1e-5, rtol=0)
    assert not torch.allclose(outs[0][8:], outs[1][8:])


@given(count=st.integers(1, 9), top_k=st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_experts_equal_the_sum_over_all(count: int, top_k: int) -> None:
    """Touching only the chosen experts gives the gated sum that the definition asks for."""
    generator = torch.Generator().manual_seed(count)
    experts = Experts(5, 8, 6)
    for parameter in experts.parameters():
        parameter.data.normal_(generator=generator)
    x = torch.randn(count, 8, generator=generator)
    chosen = torch.stack([torch.randperm(5, generator=generator)[:top_k] for _ in range(count)])
    gates = torch.rand(count, top_k, generator=generator)
    expected = torch.zeros_like(x)
    for row in range(count):
        for expert, weight in zip(chosen[row], gates[row], strict=True):
            gate, up = (experts.gate_up[expert] @ x[row]).chunk(2)
            expected[row] += weight * (experts.down[expert] @ (torch.nn.functional.silu(gate) * up))
    torch.testing.assert_close(experts(x, chosen, gates), expected, atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_cache_grows_forks_and_keeps(flash: Flash) -> None:
    config = flash.config.thinker.text
    rope = Rope(config, flash.device)
    x = torch.randn(30, config.hidden_size, generator=torch.Generator().manual_seed(0))
    small = KVCache(config, device=flash.device, dtype=torch.float32, capacity=4)
    large = KVCache(config, device=flash.device, dtype=torch.float32, capacity=64)
    for caches in (small, large):
        for start in range(0, 30, 3):
            out = flash.thinker(x[start : start + 3], rope.text(start, 3), caches).hidden
    assert small.capacity == 32
    for mine, theirs in zip(small.keys, large.keys, strict=True):
        assert torch.equal(mine[:, :30], theirs[:, :30])
    with small.fork(at=12):  # beside the conversation: as if rows 12.. were not there
        forked = flash.thinker(x[:2], rope.text(12, 2), small).hidden
        forked_step = flash.thinker(x[2:3], rope.text(14, 1), small).hidden
    assert small.length == 30
    large.truncate(12)
    plain = flash.thinker(x[:2], rope.text(12, 2), large).hidden
    plain_step = flash.thinker(x[2:3], rope.text(14, 1), large).hidden
    torch.testing.assert_close(forked, plain, atol=1e-5, rtol=0)
    torch.testing.assert_close(forked_step, plain_step, atol=1e-5, rtol=0)
    assert out.shape == (3, config.hidden_size)
    with pytest.raises(ValueError, match="truncate"):
        small.truncate(31)
