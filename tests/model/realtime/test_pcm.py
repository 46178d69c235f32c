"""Samples on the wire: the onset of a reply."""

from __future__ import annotations

import base64

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from model.realtime.config import SPEECH_RATE_HZ
from model.realtime.pcm import ONSET, from_pcm16, without_tick
from tests.model.realtime.harness import Harness


@given(st.lists(st.integers(1, 300), min_size=1, max_size=6))
def test_any_pieces_are_faded_in_like_the_whole(sizes: list[int]) -> None:
    speech = np.random.default_rng(0).normal(0, 0.3, sum(sizes)).astype(np.float32)
    pieces, n_before = [], 0
    for size in sizes:
        pieces.append(without_tick(speech[n_before : n_before + size], n_before))
        n_before += size
    np.testing.assert_array_equal(np.concatenate(pieces), without_tick(speech, 0))
    np.testing.assert_array_equal(np.concatenate(pieces)[len(ONSET) :], speech[len(ONSET) :])


def test_a_reply_begins_without_a_tick() -> None:
    client = Harness()
    client.hear()
    client.reply()
    deltas = [event["delta"] for event in client.events if event["type"] == "response.output_audio.delta"]
    speech = from_pcm16(b"".join(map(base64.b64decode, deltas)))
    assert not speech[: SPEECH_RATE_HZ // 200].any()
    assert np.all(np.diff(speech[: len(ONSET)]) >= 0)
    assert speech[len(ONSET) :].min() > 0.24  # all the rest as the model made it
