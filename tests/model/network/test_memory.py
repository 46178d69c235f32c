"""Memory settings: refused before loading when they cannot fit, and what each does to the outputs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.checkpoint.config import load_config
from model.checkpoint.files import Checkpoint
from model.checkpoint.tensors import expected_tensors
from model.conversation.context import Kind
from model.errors import InputError, OutOfMemoryError
from model.flash import Flash, load
from model.memory import Memory
from model.network.cache import KVCache
from model.network.filling import Filler
from model.network.int8_cache import Int8KVCache, from_levels, to_levels
from model.network.layers import Rope
from model.quant.convert import quantize_checkpoint
from model.quant.load import stored_weights
from model.quant.parts import default_policy
from model.quant.placement import HostEmbedding, HostExperts
from model.quant.plan import Settings, make_plan
from model.quant.storage import PackedExperts
from model.realtime.model_thread import EXIT_OUT_OF_MEMORY, _load_failure
from tests.model.talk import assert_same, greedy_session, noise, picture, say, snapshot

NEED = re.compile(r"needs ([\d.]+) GB")


def needed_bytes(directory: Path, memory: dict[str, int] | None = None, **options: str) -> int:
    """What the check says that a model needs."""
    with pytest.raises(OutOfMemoryError) as refused:
        load(directory, device="cpu", memory=Memory(limit_bytes=1, **(memory or {})), **options)  # type: ignore[arg-type]
    found = NEED.search(str(refused.value))
    assert found is not None
    return int(float(found[1]) * 1e9)


def test_what_cannot_fit_is_refused_and_the_settings_that_fit_are_named(checkpoint_of: Callable[[str], Path]) -> None:
    directory = checkpoint_of("plain")
    with pytest.raises(OutOfMemoryError, match="still needs"):
        load(directory, device="cpu", memory=Memory(limit_bytes=10**6))
    limit = needed_bytes(directory, {"positions": 60_000}) - 10**8
    with pytest.raises(OutOfMemoryError) as refused:
        load(directory, device="cpu", memory=Memory(positions=60_000, limit_bytes=limit))
    message = str(refused.value)
    assert "60000 positions" in message
    assert "Thinker cache" in message
    assert (
        "start `main.py engine` by itself with these and give its address" in message
    )  # the window has no such options
    named = message.split("model.load: ")[1].partition("). ")[0]
    arguments = eval(f"dict({named})", {"Memory": Memory})
    chosen: Memory = arguments.pop("memory")
    fitting = Memory(chosen.positions or 60_000, chosen.cache_bits, limit_bytes=limit)
    assert load(directory, device="cpu", memory=fitting, **arguments).default_positions() == fitting.positions
    assert "--cache-bits 8" in message
    assert f"--positions {chosen.positions}" in message


def test_the_check_can_be_left_out(checkpoint_of: Callable[[str], Path]) -> None:
    load(checkpoint_of("plain"), device="cpu", memory=Memory(limit_bytes=1, check=False))


def test_the_engine_ends_as_out_of_memory_and_says_what_fits(checkpoint_of: Callable[[str], Path]) -> None:
    with pytest.raises(OutOfMemoryError) as refused:
        load(checkpoint_of("plain"), device="cpu", memory=Memory(limit_bytes=1))
    failure = _load_failure(refused.value)
    assert failure.exit_code == EXIT_OUT_OF_MEMORY
    assert str(refused.value) in failure.message


@pytest.mark.parametrize(
    "wrong", [{"positions": 0}, {"cache_bits": 4}, {"host_expert_layers": -1}, {"limit_bytes": 0}], ids=str
)
def test_impossible_settings(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        Memory(**wrong)  # type: ignore[arg-type]


# ---- int8 caches -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def int8_of(checkpoint_of: Callable[[str], Path]) -> Callable[[str], Flash]:
    return lambda name: load(checkpoint_of(name), device="cpu", dtype="float32", memory=Memory(cache_bits=8))


@given(st.integers(0, 2**31), st.floats(1e-4, 1e4), st.sampled_from([1, 3, 64]))
@settings(deadline=None, max_examples=30)
def test_levels_are_within_half_a_step(seed: int, size: float, width: int) -> None:
    rows = torch.randn(3, 5, width, generator=torch.Generator().manual_seed(seed)) * size
    rows[0, 0] = 0.0
    levels, scale = to_levels(rows)
    back = from_levels(levels, scale, torch.float32)
    # Half a step, and what the 16-bit scale itself is rounded by: 2^-11 of 127 levels, or half its smallest value.
    assert ((back - rows).abs() <= scale.float() * (0.5 + 127 * 2**-11) + 4e-6).all()
    assert not back[0, 0].any()


def test_prefill_and_decode_read_the_same_int8_keys() -> None:
    """The attention kernel multiplies in float32; bfloat16 has too few digits for the scale."""
    rows = torch.randn(4, 50, 64, generator=torch.Generator().manual_seed(0)).bfloat16()
    levels, scale = to_levels(rows)
    assert torch.equal(from_levels(levels, scale, torch.bfloat16), (levels.float() * scale.float()).bfloat16())


def test_int8_caches_take_about_a_quarter_of_float32(int8_of: Callable[[str], Flash], flash: Flash) -> None:
    small, large = int8_of("plain").new_thinker_cache(256), flash.new_thinker_cache(256)
    assert isinstance(small, Int8KVCache)
    width = flash.config.thinker.text.head_dim
    assert small.n_bytes * 4 * width == large.n_bytes * (width + 2)


@given(n_events=st.integers(0, 12))
@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rollback_is_exact_with_int8_caches(int8_of: Callable[[str], Flash], n_events: int) -> None:
    flash = int8_of("plain")
    session, other = greedy_session(flash, "Be brief."), greedy_session(flash, "Be brief.")
    for talk in (session, other):
        talk.see(picture(64, 64), at_s=0.5)
        talk.hear(noise(1.5))
    other.commit()
    stream = session.reply(max_tokens=5, max_frames=5)
    for _, _ in zip(range(n_events), stream, strict=False):
        pass
    assert session.interrupt(heard_ms=0) == ""
    assert_same(snapshot(session), snapshot(other))
    session.transcribe_user(max_tokens=3)  # a fork
    assert_same(snapshot(session), snapshot(other))
    assert say(session).tokens == say(other).tokens


def test_chunks_do_not_matter_with_int8_caches(int8_of: Callable[[str], Flash]) -> None:
    flash = int8_of("plain")
    one, other = greedy_session(flash), greedy_session(flash)
    sound = noise(4.3)
    one.hear(sound)
    for part in range(0, len(sound), 1700):
        other.hear(sound[part : part + 1700])
    one.commit()
    other.commit()
    assert_same(snapshot(one), snapshot(other))


def test_moved_int8_keys_are_the_moved_keys(int8_of: Callable[[str], Flash]) -> None:
    """Compacting is exact; turning keys on rounds them once more, by at most a step."""
    flash = int8_of("plain")
    config = flash.config.thinker.text
    exact = KVCache(config, device=flash.device, dtype=torch.float32)
    small = Int8KVCache(config, device=flash.device, dtype=torch.float32)
    torch.manual_seed(0)
    for cache in (exact, small):
        torch.manual_seed(0)
        for layer in range(config.num_hidden_layers):
            k, v = torch.randn(2, 40, config.num_key_value_heads, config.head_dim)
            cache.append(layer, k, v)
        cache.advance(40)
        cache.keep(torch.tensor([*range(4), *range(9, 40)]))
        cache.shift(4, -5.0, Rope(config, flash.device).inv_freq)
    assert small.length == exact.length == 35
    for layer in range(config.num_hidden_layers):
        back = from_levels(small.keys[layer], small.key_scales[layer], torch.float32)[:, :35]
        step = small.key_scales[layer][:, :35].float()
        # Two roundings of half a step, the first one spread over two elements by the turn.
        assert ((back - exact.keys[layer][:, :35]).abs() <= 1.4 * step).all()


def test_eviction_with_int8_caches(int8_of: Callable[[str], Flash]) -> None:
    session = greedy_session(int8_of("plain"), "Be brief.", max_positions=200)
    for turn in range(6):
        session.see(picture(64, 64, seed=turn), at_s=0.5)
        session.hear(noise(2.0, seed=turn))
        say(session, max_tokens=4, max_frames=2)
    assert session.n_positions <= 200
    assert any(piece.kind is Kind.SOUND for piece in session.context.pieces)


# ---- in host memory --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantize", [None, "int4"])
def test_what_stays_on_the_host_gives_the_same_reply(
    checkpoint_of: Callable[[str], Path], quantize: str | None
) -> None:
    directory = checkpoint_of("plain")
    options = {"device": "cpu", "dtype": "float32", "quantize": quantize}
    whole = load(directory, **options)  # type: ignore[arg-type]
    split = load(directory, memory=Memory(embedding_on_host=True, host_expert_layers=2), **options)  # type: ignore[arg-type]
    assert isinstance(split.thinker.model.embed_tokens, HostEmbedding)
    there = [m for m in split.thinker.modules() if isinstance(m, HostExperts)]
    text = split.config.thinker.text
    assert len(there) == sum(text.is_sparse(layer) for layer in range(2))
    assert not any(isinstance(module, HostExperts) for module in split.talker.modules())  # type: ignore[union-attr]
    replies = []
    for flash in (whole, split):
        session = greedy_session(flash)
        session.hear(noise(1.0))
        replies.append(say(session))
    assert replies[0].tokens == replies[1].tokens
    assert abs(replies[0].samples - replies[1].samples).max() < 1e-4


def test_only_the_chosen_experts_move(checkpoint_of: Callable[[str], Path]) -> None:
    memory = Memory(host_expert_layers=4)
    flash = load(checkpoint_of("plain"), device="cpu", dtype="float32", quantize="int4", memory=memory)
    experts = next(m for m in flash.thinker.modules() if isinstance(m, HostExperts))
    n_experts = experts.gate_up.shape[0]
    x = torch.randn(1, flash.config.thinker.text.hidden_size)
    experts(x, torch.tensor([[1, 0]]), torch.tensor([[0.5, 0.5]]))
    all_bytes = experts.gate_up.n_bytes + experts.down.n_bytes  # type: ignore[union-attr]
    assert experts.moved_bytes == 2 * all_bytes // n_experts


# ---- checkpoints that are packed already -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def packed(checkpoint_of: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("packed")
    quantize_checkpoint(checkpoint_of("plain"), directory, default_policy(4, 32))
    return directory


def test_packed_weights_are_counted_as_they_are_stored(packed: Path) -> None:
    config = load_config(packed)
    stored = stored_weights(packed, expected_tensors(config), Checkpoint(packed).file_of)
    assert stored is not None
    plan = make_plan(config, Settings(bits=16, encoder_bits=16, float_bytes=4), 10**12, spec_of=stored.spec_of)
    planned = {row.name: row.card_bytes for row in plan.rows}
    flash = load(packed, device="cpu", dtype="float32", graphs="static")
    held = [module for module in flash.thinker.modules() if isinstance(module, PackedExperts)]
    assert planned["Thinker experts"] == sum(module.gate_up.n_bytes + module.down.n_bytes for module in held)
    assert planned["Thinker head"] == flash.thinker.lm_head.weight.n_bytes  # type: ignore[union-attr]
    compiled = load(packed, device="cpu", dtype="float32").thinker.lm_head.weight.n_bytes  # type: ignore[union-attr]
    assert compiled <= 1.1 * planned["Thinker head"]  # the layout of compiled products fills up the last block
    with pytest.raises(OutOfMemoryError) as refused:
        load(packed, device="cpu", memory=Memory(positions=60_000, limit_bytes=needed_bytes(packed)))
    assert "--cache-bits 8" in str(refused.value)
    assert "--quantize" not in str(refused.value)  # they are packed already


def test_packed_weights_on_the_host(packed: Path) -> None:
    replies = []
    for memory in (Memory(), Memory(embedding_on_host=True, host_expert_layers=1000)):
        session = greedy_session(load(packed, device="cpu", memory=memory))
        session.hear(noise(1.0))
        replies.append(say(session))
    assert replies[0].tokens == replies[1].tokens
    assert abs(replies[0].samples - replies[1].samples).max() < 1e-4


def test_graphs_need_packed_experts_on_the_host(
    checkpoint_of: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: object) -> None:
        raise AssertionError("weights were read first")

    monkeypatch.setattr(Filler, "fill", fill)
    with pytest.raises(InputError, match=r"--host-expert-layers.*--quantize int4"):
        load(checkpoint_of("plain"), device="cpu", memory=Memory(host_expert_layers=2), graphs="static")
