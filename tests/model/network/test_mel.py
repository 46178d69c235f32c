"""Log-mel features and resampling: against the reference, and any chunking equals the whole."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import WhisperFeatureExtractor

from model.errors import ConfigError, InputError
from model.network.mel import RATE_HZ, LogMelStream, check_settings, mel_filters, n_mel_frames
from model.network.resample import Resampler

REFERENCE = WhisperFeatureExtractor(feature_size=128)


def reference_mel(pcm: np.ndarray) -> torch.Tensor:
    features = REFERENCE(
        pcm, sampling_rate=RATE_HZ, padding=True, truncation=False, return_attention_mask=True, return_tensors="pt"
    )
    n_frames = int(features["attention_mask"].sum())
    return features["input_features"][0, :, :n_frames]


def sound(n_samples: int, seed: int = 0, *, swell: bool = False) -> np.ndarray:
    """Noise and tones; with `swell` it starts at -100 dB and gains 20 dB each second, so that the floor rises."""
    rng = np.random.default_rng(seed)
    at_s = np.arange(n_samples) / RATE_HZ
    pcm = 0.3 * np.sin(2 * np.pi * 440 * at_s) + 0.05 * rng.standard_normal(n_samples)
    if swell:
        pcm *= 10 ** np.minimum(-5 + np.floor(at_s), 0)
    return pcm.astype(np.float32)


def chunks(pcm: np.ndarray, cuts: list[int]) -> list[np.ndarray]:
    edges = sorted([0, *(min(cut, len(pcm)) for cut in cuts), len(pcm)])
    return [pcm[start:end] for start, end in pairwise(edges)]


def run(stream: LogMelStream, parts: list[np.ndarray]) -> list[torch.Tensor]:
    windows = [window for part in parts for window in stream.feed(part)]
    last = stream.finish()
    return windows if last is None else [*windows, last]


def test_filters_are_the_references():
    assert np.abs(mel_filters(128).numpy().T - REFERENCE.mel_filters).max() < 1e-6
    other = WhisperFeatureExtractor(feature_size=80)
    assert np.abs(mel_filters(80).numpy().T - other.mel_filters).max() < 1e-6


@pytest.mark.parametrize("n_samples", [201, 320, 16000, 31999, 32000, 32001, 32039, 32040, 48077, 80123])
def test_windows_together_are_the_references_features(n_samples):
    pcm = sound(n_samples, n_samples)
    features = torch.cat(run(LogMelStream(128, 200), [pcm]), dim=1)
    expected = reference_mel(pcm)
    assert features.shape == expected.shape == (128, n_mel_frames(n_samples))
    assert (features - expected).abs().max() < 1e-4


def test_the_floor_of_a_window_is_that_of_the_sound_so_far():
    pcm = sound(5 * RATE_HZ, swell=True)
    windows = run(LogMelStream(128, 100), [pcm])
    whole = reference_mel(pcm)
    assert (windows[0] - whole[:, :100]).abs().max() > 0.1  # the reference's floor came later
    for number, window in enumerate(windows):
        # The reference on the sound so far; its last frame sees a reflection where ours sees the true samples.
        so_far = reference_mel(pcm[: (number + 1) * RATE_HZ])[:, number * 100 :]
        assert (window[:, :-1] - so_far[:, :-1]).abs().max() < 1e-4
    assert (windows[-1] - whole[:, 400:]).abs().max() < 1e-4


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50_000), st.lists(st.integers(0, 50_000), max_size=8), st.booleans(), st.sampled_from([100, 200]))
def test_any_chunking_gives_the_same_features(n_samples, cuts, swell, n_frames):
    pcm = sound(n_samples, 1, swell=swell)
    whole = run(LogMelStream(128, n_frames), [pcm])
    parts = run(LogMelStream(128, n_frames), chunks(pcm, cuts))
    assert [part.shape for part in parts] == [part.shape for part in whole]
    assert all(torch.equal(part, window) for part, window in zip(parts, whole, strict=True))


def test_a_finished_stream_is_new_and_holds_one_window_at_most():
    stream = LogMelStream(128, 100)
    pcm = sound(3 * RATE_HZ + 777)
    first = run(stream, [pcm])
    again = run(stream, chunks(pcm, list(range(0, len(pcm), 160))))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    for _ in range(50):
        stream.feed(pcm[:1600])
        assert len(stream._samples) + sum(map(len, stream._pieces)) <= RATE_HZ + 1000


def test_features_of_another_kind_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds neither"):
        check_settings(tmp_path, 128)
    file = tmp_path / "preprocessor_config.json"
    file.write_text('{"sampling_rate": 16000, "n_fft": 400, "hop_length": 160, "feature_size": 128, "dither": 0.0}')
    check_settings(tmp_path, 128)
    with pytest.raises(ConfigError, match="feature_size is 128"):
        check_settings(tmp_path, 80)
    file.write_text('{"hop_length": 320}')
    with pytest.raises(ConfigError, match="hop_length is 320"):
        check_settings(tmp_path, 128)


def test_sounds_too_short_for_the_reference():
    stream = LogMelStream(128, 200)
    assert run(stream, [sound(159)]) == []
    assert [window.shape for window in run(stream, [sound(200)])] == [(128, 1)]
    assert run(stream, []) == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros(10), np.zeros((10, 1), np.float32), np.array([0, np.nan], np.float32), np.array([np.inf], np.float32)],
)
def test_other_than_finite_float32_is_refused(wrong):
    with pytest.raises(InputError):
        LogMelStream(128, 200).feed(wrong)
    with pytest.raises(InputError):
        Resampler(48_000).feed(wrong)


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 24_000, 32_000, 44_100, 48_000])
def test_resampling_keeps_pitch_level_time_and_length(rate_hz):
    at_s = np.arange(rate_hz) / rate_hz
    pcm = np.sin(2 * np.pi * 1000 * at_s).astype(np.float32)
    resampler = Resampler(rate_hz)
    out = np.concatenate((resampler.feed(pcm), resampler.finish()))
    assert len(out) == RATE_HZ
    expected = np.sin(2 * np.pi * 1000 * np.arange(RATE_HZ) / RATE_HZ)
    assert np.abs(out - expected)[200:-200].max() < 1e-3


@pytest.mark.parametrize("rate_hz", [24_000, 44_100, 48_000])
def test_resampling_removes_what_16_khz_cannot_hold(rate_hz):
    pcm = np.sin(2 * np.pi * 9_500 * np.arange(rate_hz) / rate_hz).astype(np.float32)
    resampler = Resampler(rate_hz)
    out = np.concatenate((resampler.feed(pcm), resampler.finish()))
    assert np.abs(out[200:-200]).max() < 1e-3


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([8_000, 16_000, 22_050, 24_000, 44_100, 48_000]),
    st.integers(0, 20_000),
    st.lists(st.integers(0, 20_000), max_size=8),
)
def test_any_chunking_resamples_to_the_same_samples(rate_hz, n_samples, cuts):
    pcm = sound(n_samples)
    resampler = Resampler(rate_hz)
    whole = np.concatenate((resampler.feed(pcm), resampler.finish()))
    parts = np.concatenate([*(resampler.feed(part) for part in chunks(pcm, cuts)), resampler.finish()])
    assert len(whole) == -(-n_samples * 16_000 // rate_hz)
    np.testing.assert_array_equal(parts, whole)


@pytest.mark.parametrize("rate_hz", [0, -1, 3_999, 200_000])
def test_absurd_rates_are_refused(rate_hz):
    with pytest.raises(InputError, match="expected 4000 to 192000"):
        Resampler(rate_hz)
