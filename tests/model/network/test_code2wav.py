"""Code2Wav: the stream against the reference's full forward."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeCode2WavConfig
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import Qwen3OmniMoeCode2Wav

from model.bench.random_checkpoint import random_tensor
from model.checkpoint.config import Code2WavConfig, Section, _code2wav
from model.errors import InputError
from model.network.code2wav import Code2Wav

CONFIGS = [
    {},
    {
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "sliding_window": 5,
        "upsample_rates": [2, 3],
        "upsampling_ratios": [2, 2],
    },
    {
        "upsampling_ratios": [3],
        "upsample_rates": [5, 2, 2],
        "num_quantizers": 2,
        "attention_bias": True,
        "decoder_dim": 24,
    },
    {"upsampling_ratios": [1, 1], "upsample_rates": [2, 3], "sliding_window": 1, "num_hidden_layers": 1},
]


def make(changes: dict, seed: int = 0) -> tuple[Qwen3OmniMoeCode2Wav, Code2Wav]:
    """The reference and ours with the same random weights."""
    values: dict = {
        "codebook_size": 16, "hidden_size": 16, "num_attention_heads": 2, "num_key_value_heads": 2,
        "intermediate_size": 24,
        "num_hidden_layers": 2, "num_quantizers": 4, "decoder_dim": 32, "sliding_window": 12,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    }  # fmt: skip
    config = Qwen3OmniMoeCode2WavConfig(**{**values, **changes})
    reference = Qwen3OmniMoeCode2Wav(config).eval()
    generator = torch.Generator().manual_seed(seed)
    weights = {name: random_tensor(name, value.shape, generator) for name, value in reference.state_dict().items()}
    reference.load_state_dict(weights)
    ours = Code2Wav(our_config(config))
    ours.load_state_dict(weights)
    return reference, ours


def our_config(config: Qwen3OmniMoeCode2WavConfig) -> Code2WavConfig:
    return _code2wav(Section(config.to_dict(), "code2wav_config"))


def full(reference: Qwen3OmniMoeCode2Wav, codes: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return reference(codes.t()[None])[0, 0]


def random_codes(n_frames: int, model: Code2Wav, seed: int = 0) -> torch.Tensor:
    shape = (n_frames, model.config.num_quantizers)
    return torch.randint(0, model.config.codebook_size, shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("changes", CONFIGS)
def test_frame_by_frame_equals_the_full_forward(changes):
    reference, ours = make(changes)
    codes = random_codes(40, ours)
    expected = full(reference, codes)
    stream = ours.stream()
    parts = [stream.push(frame[None]) for frame in codes]
    assert torch.cat(parts).shape == expected.shape
    assert expected.abs().max() > 0.01  # not silence
    assert (torch.cat(parts) - expected).abs().max() < 1e-4
    assert len(stream.flush()) == 0
    assert {len(part) for part in parts[3:]} == {ours.config.samples_per_frame}


def test_published_geometry_gives_1365_samples_then_1920():
    _, ours = make({})
    stream = ours.stream()
    codes = random_codes(3, ours)
    assert [len(stream.push(frame[None])) for frame in codes] == [1365, 1920, 1920]


@settings(max_examples=12, deadline=None)
@given(st.data())
def test_any_chunking_equals_the_full_forward(pair_of_models, data):
    reference, ours = pair_of_models
    codes = random_codes(data.draw(st.integers(1, 150)), ours, seed=data.draw(st.integers(0, 99)))
    cuts = data.draw(st.lists(st.integers(0, len(codes)), max_size=6))
    stream = ours.stream()
    edges = sorted([0, *cuts, len(codes)])
    samples = torch.cat([stream.push(codes[start:end]) for start, end in pairwise(edges)])
    expected = full(reference, codes)
    assert samples.shape == expected.shape
    assert (samples - expected).abs().max() < 1e-4


@pytest.fixture(scope="module")
def pair_of_models():
    return make({"upsample_rates": [4, 3], "upsampling_ratios": [2]}, seed=1)


def test_a_reset_stream_starts_anew_and_later_frames_never_change_earlier_samples(pair_of_models):
    _, ours = pair_of_models
    codes = random_codes(30, ours)
    stream = ours.stream()
    first = stream.push(codes)
    stream.reset()
    again = stream.push(codes[:20])
    assert stream.n_frames == 20
    assert (again - first[: len(again)]).abs().max() < 1e-6


def test_a_stream_may_start_in_inference_mode_and_go_on_outside(pair_of_models):
    _, ours = pair_of_models
    codes = random_codes(6, ours)
    with torch.inference_mode():
        stream = ours.stream()
        first = stream.push(codes)
    stream.reset()
    assert torch.equal(stream.push(codes), first)


def test_memory_does_not_grow(pair_of_models):
    _, ours = pair_of_models
    stream = ours.stream()
    state = stream._state
    tensors = [state.keys, state.values, *state.tails, *state.steps]
    addresses = [tensor.data_ptr() for tensor in tensors]
    stream.push(random_codes(100, ours))
    stream.push(random_codes(1, ours))
    assert [t.data_ptr() for t in (state.keys, state.values, *state.tails, *state.steps)] == addresses


def test_bfloat16_stays_near(pair_of_models):
    reference, _ = pair_of_models
    ours = Code2Wav(our_config(reference.config))
    ours.load_state_dict(reference.state_dict())
    codes = random_codes(25, ours)
    expected = full(reference, codes)
    samples = ours.to(torch.bfloat16).stream().push(codes)
    assert samples.dtype == torch.float32
    assert (samples - expected).abs().mean() < 0.1 * expected.abs().mean()


def test_wrong_shapes_are_refused(pair_of_models):
    _, ours = pair_of_models
    with pytest.raises(InputError, match=r"expected \[frames, 4\]"):
        ours.stream().push(torch.zeros(4, 3, dtype=torch.long))
    assert len(ours.stream().push(torch.zeros(0, 4, dtype=torch.long))) == 0
