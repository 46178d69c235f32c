"""The audio encoder against the reference, whole and as it streams."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.models.qwen3_omni_moe.configuration_qwen3_omni_moe import Qwen3OmniMoeAudioEncoderConfig
from transformers.models.qwen3_omni_moe.modeling_qwen3_omni_moe import (
    Qwen3OmniMoeAudioEncoder,
    _get_feat_extract_output_lengths,
)

from model.bench.random_checkpoint import random_tensor
from model.checkpoint.config import Section, _audio
from model.errors import ConfigError, InputError
from model.network.audio_encoder import AudioEncoder, tokens_of_frames
from tests.model.network.test_mel import chunks, reference_mel, sound

CONFIGS = [
    {},
    {"d_model": 48, "encoder_attention_heads": 3, "encoder_layers": 1, "num_mel_bins": 80, "n_window_infer": 800},
    {"downsample_hidden_size": 5, "encoder_ffn_dim": 33, "output_dim": 40, "conv_chunksize": 2},
]


def make(changes: dict) -> tuple[Qwen3OmniMoeAudioEncoder, AudioEncoder]:
    """The reference and ours with the same random weights."""
    values = {
        "num_mel_bins": 128, "d_model": 32, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64,
        "n_window": 50, "n_window_infer": 200, "downsample_hidden_size": 8, "output_dim": 24,
    }  # fmt: skip
    config = Qwen3OmniMoeAudioEncoderConfig(**{**values, **changes})
    reference = Qwen3OmniMoeAudioEncoder(config).eval()
    generator = torch.Generator().manual_seed(0)
    weights = {name: random_tensor(name, value.shape, generator) for name, value in reference.state_dict().items()}
    reference.load_state_dict(weights)
    ours = AudioEncoder(_audio(Section(config.to_dict(), "audio_config")))
    ours.load_state_dict(weights)
    return reference, ours


def run_reference(reference: Qwen3OmniMoeAudioEncoder, mel: torch.Tensor, window_frames: int) -> torch.Tensor:
    reference.n_window_infer = window_frames
    with torch.no_grad():
        return reference(mel, feature_lens=torch.tensor([mel.shape[1]])).last_hidden_state


def mel_of(n_frames: int, n_bins: int) -> torch.Tensor:
    return torch.randn(n_bins, n_frames, generator=torch.Generator().manual_seed(n_frames))


@pytest.mark.parametrize("changes", CONFIGS)
@pytest.mark.parametrize("n_frames", [1, 7, 50, 99, 100, 101, 163, 200, 299, 400, 433, 1001])
def test_a_whole_sound_equals_the_reference(changes, n_frames):
    reference, ours = make(changes)
    mel = mel_of(n_frames, ours.config.num_mel_bins)
    expected = run_reference(reference, mel, ours.config.n_window_infer)
    embeddings = ours(mel)
    assert embeddings.shape == expected.shape
    assert (embeddings - expected).abs().max() < 1e-4
    assert len(embeddings) == tokens_of_frames(n_frames, 100)


@given(st.integers(0, 3000))
def test_token_counts_are_the_references(n_frames):
    assert tokens_of_frames(n_frames, 100) == _get_feat_extract_output_lengths(n_frames)


@pytest.fixture(scope="module")
def pair_of_models():
    return make({})


@pytest.mark.parametrize("window_s", [1, 2, 5, 8])
@pytest.mark.parametrize("n_samples", [5_000, 31_999, 32_030, 77_777])
def test_a_stream_equals_the_reference_on_the_whole_sound(pair_of_models, window_s, n_samples):
    reference, ours = pair_of_models
    pcm = sound(n_samples, 3)
    stream = ours.stream(window_s)
    parts = [window for start in range(0, n_samples, 160) for window in stream.feed(pcm[start : start + 160])]
    assert all(len(part) == stream.tokens_per_window for part in parts)
    last = stream.finish()
    embeddings = torch.cat(parts if last is None else [*parts, last])
    expected = run_reference(reference, reference_mel(pcm), window_s * 100)
    assert embeddings.shape == expected.shape
    assert (embeddings - expected).abs().max() < 1e-4


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 60_000), st.lists(st.integers(0, 60_000), max_size=6))
def test_any_chunking_gives_identical_embeddings(pair_of_models, n_samples, cuts):
    _, ours = pair_of_models
    pcm = sound(n_samples, 5, swell=True)
    results = []
    for parts in ([pcm], chunks(pcm, cuts)):
        stream = ours.stream(1.0)
        windows = [window for part in parts for window in stream.feed(part)]
        last = stream.finish()
        results.append(windows if last is None else [*windows, last])
    assert len(results[0]) == len(results[1])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_a_window_is_final_when_its_sound_was_heard(pair_of_models):
    _, ours = pair_of_models
    stream = ours.stream(2.0)
    pcm = sound(3 * 32_000)
    assert stream.feed(pcm[:32_000]) == []  # the last mel frame reaches 40 samples further
    (early,) = stream.feed(pcm[32_000:32_040])
    other = pcm.copy()
    other[32_040:] = 0
    whole = ours.stream(2.0).feed(other)
    assert torch.equal(early, whole[0])


def test_a_finished_stream_is_new(pair_of_models):
    _, ours = pair_of_models
    stream = ours.stream(1.0)
    stream.feed(sound(40_000))
    stream.finish()
    assert stream.finish() is None
    stream.feed(sound(5_000))
    again = ours.stream(1.0)
    again.feed(sound(5_000))
    assert torch.equal(stream.finish(), again.finish())


def test_wrong_windows_and_configs_are_refused(pair_of_models):
    _, ours = pair_of_models
    for window_s in (0.5, 9, float("nan")):
        with pytest.raises(InputError, match="expected 1 to 8 s"):
            ours.stream(window_s)
    with pytest.raises(InputError, match="multiple of 100 frames"):
        ours.stream(1.5)
    with pytest.raises(InputError, match="multiple of 100 frames"):
        ours(mel_of(10, 128), window_frames=150)
    assert ours(mel_of(0, 128)).shape == (0, 24)
    with pytest.raises(InputError):
        ours.stream().feed(np.zeros(3))
    with pytest.raises(ConfigError, match="divisible by 3"):
        AudioEncoder(replace(ours.config, encoder_attention_heads=3))


def test_bfloat16_stays_near(pair_of_models):
    reference, _ = pair_of_models
    _, ours = make({})
    mel = mel_of(250, 128)
    expected = run_reference(reference, mel, 200)
    error = (ours.to(torch.bfloat16)(mel).float() - expected).abs().mean()
    assert error < 0.05 * expected.abs().mean()
