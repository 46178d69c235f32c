"""silero over a stream: the same probabilities however the stream is cut, and nearly the same at another rate."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from audio_io.blocks import INSIDE_RATE_HZ, SPEECH_RATE_HZ
from audio_io.hops import HopDetector
from audio_io.vad import NEURAL_SAMPLES, NeuralDetector
from tests.audio_io.voices import spoken

SENTENCE = "Is the red cup still on the table?"


@pytest.mark.parametrize("lengths", [(512,), (160,), (1, 511, 513), (7777,), (100_000,)])
def test_every_hop_is_judged_once_in_order_however_the_stream_is_cut(lengths: tuple[int, ...]) -> None:
    sound = spoken(SENTENCE)
    detector = NeuralDetector()
    n_hops = len(sound) // NEURAL_SAMPLES
    expected = [detector.probability(hop) for hop in sound[: n_hops * NEURAL_SAMPLES].reshape(n_hops, NEURAL_SAMPLES)]
    hops, found, at = HopDetector(INSIDE_RATE_HZ), [], 0
    for length in itertools.cycle(lengths):
        if at >= len(sound):
            break
        found += hops.push(sound[at : at + length])
        at += length
    assert found == expected


def test_another_rate_is_turned_into_silero_s() -> None:
    inside = HopDetector(INSIDE_RATE_HZ).push(spoken(SENTENCE))
    outside = HopDetector(SPEECH_RATE_HZ).push(spoken(SENTENCE, rate_hz=SPEECH_RATE_HZ))
    assert abs(len(inside) - len(outside)) <= 1
    n = min(len(inside), len(outside))
    agree = np.mean((np.array(inside[:n]) > 0.5) == (np.array(outside[:n]) > 0.5))
    assert agree > 0.95
