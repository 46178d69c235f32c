"""Ring buffers, clocks and the resampler: whatever the sizes of the pieces, the same samples come out."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.clocks import SampleClock
from audio_io.resample import Resampler, resample
from audio_io.ring import SampleRing, StampRing

RATES = (8_000, 11_025, 16_000, 24_000, 44_100, 48_000)


@given(
    capacity=st.integers(1, 50),
    channels=st.integers(1, 2),
    steps=st.lists(st.tuples(st.sampled_from(["write", "read", "skip"]), st.integers(0, 60)), max_size=60),
)
@settings(max_examples=150, deadline=None)
def test_ring_is_a_bounded_queue(capacity: int, channels: int, steps: list[tuple[str, int]]) -> None:
    ring = SampleRing(capacity, channels)
    model: list[float] = []
    refused = 0
    value = 0
    for what, n in steps:
        if what == "write":
            samples = np.repeat(np.arange(value, value + n, dtype=np.float32)[:, None], channels, axis=1)
            value += n
            taken = ring.write(samples)
            assert taken == min(n, capacity - len(model))
            model += samples[:taken, 0].tolist()
            refused += n - taken
        elif what == "read":
            out = np.full((n, channels), -1.0, dtype=np.float32)
            k = ring.read_into(out)
            assert out[:k, -1].tolist() == model[:k]
            assert k == min(n, len(model))
            assert (out[k:] == -1).all()
            del model[:k]
        else:
            ring.skip_to(ring.read_count + n)
            del model[:n]
        assert len(ring) == len(model)
        assert ring.overflow_samples == refused
    assert ring.read()[:, 0].tolist() == model


def test_ring_between_two_threads() -> None:
    before_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # the interpreter changes threads in the middle of everything
    try:
        exchange()
    finally:
        sys.setswitchinterval(before_s)


def exchange() -> None:
    ring = SampleRing(97)
    total = 20_000
    received: list[np.ndarray] = []

    def produce() -> None:
        sent = 0
        while sent < total:
            sent += ring.write(np.arange(sent, min(total, sent + 31), dtype=np.float32)[:, None])

    thread = threading.Thread(target=produce)
    thread.start()
    n = 0
    while n < total:
        received.append(ring.read())
        n += len(received[-1])
    thread.join(10)
    assert np.array_equal(np.concatenate(received)[:, 0], np.arange(total, dtype=np.float32))


def test_ring_refuses_nonsense() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        SampleRing(0)


def test_stamps_hand_out_what_is_still_there() -> None:
    stamps = StampRing(8)
    for i in range(20):
        stamps.write(i, i / 10)
    assert stamps.since(18)[:, 0].tolist() == [18, 19]
    assert stamps.since(0)[:, 0].tolist() == list(range(13, 20))


def test_clock_settles_on_jittering_stamps_and_follows_drift() -> None:
    rng = np.random.default_rng(0)
    clock = SampleClock(48_000)
    true_rate = 48_000 * (1 + 100e-6)
    positions = np.arange(6000) * 480.0  # a minute
    times = 5.0 + positions / true_rate + rng.uniform(0, 0.01, len(positions))
    times[:20] -= 0.4  # the first stamps of a sound server are far off
    clock.add(np.stack([positions, times], axis=1))
    assert clock.time_of(positions[-1]) == pytest.approx(5.005 + positions[-1] / true_rate, abs=0.002)
    assert clock.position_at(clock.time_of(1234.0)) == pytest.approx(1234.0)


@pytest.mark.parametrize("from_hz", RATES)
@pytest.mark.parametrize("to_hz", [16_000, 24_000, 44_100, 48_000])
def test_resampler_agrees_with_soxr(from_hz: int, to_hz: int) -> None:
    # Three tones inside both bands, so that the filters' different edges do not matter.
    t = np.arange(from_hz) / from_hz
    signal = sum(np.sin(2 * np.pi * f * t) for f in (200.0, 1_000.0, 0.4 * min(from_hz, to_hz))) / 4
    signal = signal.astype(np.float32)
    ours = resample(signal, from_hz, to_hz)
    theirs = soxr.resample(signal, from_hz, to_hz, "VHQ")
    assert len(ours) == -(-len(signal) * to_hz // from_hz)
    inside = slice(to_hz // 10, to_hz * 9 // 10)
    assert np.abs(ours[inside] - theirs[inside]).max() < 2e-3


@given(
    from_hz=st.sampled_from(RATES),
    to_hz=st.sampled_from([16_000, 24_000, 48_000]),
    cuts=st.lists(st.integers(0, 700), max_size=12),
)
@settings(max_examples=60, deadline=None)
def test_resampler_does_not_depend_on_the_pieces(from_hz: int, to_hz: int, cuts: list[int]) -> None:
    rng = np.random.default_rng(1)
    signal = rng.uniform(-1, 1, 2_000).astype(np.float32)
    resampler = Resampler(from_hz, to_hz)
    out, at = [], 0
    for n in cuts:
        out.append(resampler.push(signal[at : at + n]))
        at += n
    out.append(resampler.push(signal[at:], last=True))
    assert np.allclose(np.concatenate(out), resample(signal, from_hz, to_hz), atol=1e-6)


def test_resampler_lets_nothing_alias_and_is_quick() -> None:
    t = np.arange(48_000) / 48_000
    above = np.sin(2 * np.pi * 8_400 * t).astype(np.float32)
    assert np.abs(resample(above, 48_000, 16_000)[200:-200]).max() < 1e-3
    assert Resampler(48_000, 16_000).delay_s < 0.003
    assert Resampler(24_000, 44_100).delay_s < 0.003
