"""Quiet speech is heard; loud speech is left as it is."""

from __future__ import annotations

import numpy as np
import pytest

from audio_io.blocks import BLOCK_SAMPLES
from audio_io.events import SpeechAudio, SpeechEnded, SpeechStarted
from audio_io.gain import LOUD, MOST, UtteranceGain, gain_for, loudness
from audio_io.segmenter import Segmenter
from tests.audio_io.voices import scene, spoken


def heard(level_dbfs: float) -> tuple[int, float]:
    """Utterances found of a sentence at so many dB below full scale, and how loud they were handed on."""
    voice = spoken("Is the red cup still on the table?") * np.float32(10 * 10 ** (level_dbfs / 20))
    sound = scene((1.0, voice), length_s=4.0)
    sound = sound + np.float32(10 ** ((level_dbfs - 25) / 20)) * np.random.default_rng(0).standard_normal(
        len(sound)
    ).astype(np.float32)
    events = Segmenter().feed(sound)
    pieces = [event.samples for event in events if isinstance(event, SpeechStarted | SpeechAudio)]
    n_found = sum(isinstance(event, SpeechEnded) for event in events)
    return n_found, loudness(np.concatenate(pieces)) if pieces else 0.0


@pytest.mark.parametrize("level_dbfs", [-25, -45, -55])
def test_speech_is_found_however_quiet(level_dbfs: float) -> None:
    n_found, level = heard(level_dbfs)
    assert n_found == 1
    least = level_dbfs + (18 if level_dbfs < -50 else 0) - 6  # the gain is that of the loudest sound in it
    assert 20 * np.log10(level) > least


def test_loud_speech_is_handed_on_as_it_is() -> None:
    loud = np.full(BLOCK_SAMPLES, 0.2, np.float32)
    assert UtteranceGain([loud]).apply(loud) is loud


def test_the_gain_of_an_utterance_only_falls_and_without_a_step() -> None:
    quiet, louder = np.full(BLOCK_SAMPLES, 0.002, np.float32), np.full(BLOCK_SAMPLES, 0.02, np.float32)
    gain = UtteranceGain([quiet])
    first = gain.apply(quiet)
    assert first[0] == pytest.approx(0.002 * gain_for(0.002))
    step = gain.apply(louder)
    assert step[0] == pytest.approx(0.02 * gain_for(0.002), rel=1e-4)
    assert step[-1] == pytest.approx(LOUD, rel=1e-4)
    assert gain.apply(quiet)[0] == pytest.approx(0.002 * LOUD / 0.02, rel=1e-4)


def test_the_gain_is_24_db_at_most() -> None:
    assert gain_for(0.0) == pytest.approx(MOST) == pytest.approx(10 ** (24 / 20))
