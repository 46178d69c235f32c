"""What is not the user's voice starts nothing: thumps, and voices from much further away."""

from __future__ import annotations

import numpy as np
import pytest

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
from audio_io.events import SpeechDropped, SpeechEnded, SpeechStarted
from audio_io.meant import FAR_DB, Evidence, Nearness, decibels
from audio_io.segmenter import Segmenter
from audio_io.segmenter_config import SegmenterConfig
from tests.audio_io.scripted_detectors import ScriptedNeural, ScriptedQuick
from tests.audio_io.voices import scene, spoken


def level(value: float, seconds: float) -> Samples:
    return np.full(round(seconds * INSIDE_RATE_HZ), value, np.float32)


def scripted(*spans: tuple[float, float]) -> list[type]:
    """Spans of (probability, seconds), a second of silence around -> how the utterances ended."""
    sound = [level(0.0, 1.0)]
    for probability, seconds in spans:
        sound += [level(probability, seconds), level(0.0, 1.0)]
    events = Segmenter(SegmenterConfig(), ScriptedQuick, ScriptedNeural).feed(np.concatenate(sound))
    return [type(event) for event in events if isinstance(event, SpeechEnded | SpeechDropped)]


def test_a_short_sound_of_which_silero_is_never_sure_is_dropped() -> None:
    assert scripted((0.6, 0.4)) == [SpeechDropped]
    assert scripted((0.95, 0.4)) == [SpeechEnded]


def test_a_long_one_is_a_voice_in_noise() -> None:
    assert scripted((0.6, 1.5)) == [SpeechEnded]


@pytest.mark.parametrize("word", ["Yes.", "No.", "Stop.", "Wait.", "Yeah."])
@pytest.mark.parametrize("voice", ["slt", "rms", "awb", "kal"])
def test_short_words_are_all_heard(word: str, voice: str) -> None:
    sound = scene((1.0, spoken(word, voice)), length_s=3.0)
    sound = sound + np.float32(0.002) * np.random.default_rng(1).standard_normal(len(sound)).astype(np.float32)
    assert [type(e) for e in Segmenter().feed(sound) if isinstance(e, SpeechEnded | SpeechDropped)] == [SpeechEnded]


def thump(seed: int) -> Samples:
    """A door that falls shut in a room: a falling low tone and some noise, with echoes."""
    rng = np.random.default_rng(seed)
    t = np.arange(INSIDE_RATE_HZ) / INSIDE_RATE_HZ
    length_s = rng.uniform(0.05, 0.25)
    tone = np.sin(2 * np.pi * np.cumsum(rng.uniform(50, 160) * (1 + 0.5 * np.exp(-t / 0.03))) / INSIDE_RATE_HZ)
    dull = np.convolve(rng.standard_normal(len(t)), np.ones(8) / 8, "same")
    dry = tone * np.exp(-t / length_s) + dull * np.exp(-2 * t / length_s) * rng.uniform(0.5, 2)
    n_room = round(rng.uniform(0.2, 0.7) * INSIDE_RATE_HZ)
    room = rng.standard_normal(n_room) * np.exp(-6.9 * np.arange(n_room) / n_room)
    room[0] = 4
    wet = np.convolve(dry, room)
    return (0.5 * wet / np.abs(wet).max()).astype(np.float32)


def test_doors_that_fall_shut_are_no_utterances() -> None:
    ended = []
    for seed in range(20):
        sound = scene((1.0, thump(seed)), length_s=4.0)
        sound = sound + np.float32(0.0005) * np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
        ended += [event for event in Segmenter().feed(sound) if isinstance(event, SpeechEnded)]
    assert ended == []


def test_a_voice_from_the_next_room_is_not_taken_for_the_users() -> None:
    near, far = spoken("Is the red cup still on the table?"), spoken("And now the weather for tomorrow.", "rms")
    quiet = np.float32(10 ** (-25 / 20))
    events = Segmenter().feed(
        scene((1.0, near), (5.0, near), (9.0, far * quiet), (13.0, far * quiet), (17.0, near), length_s=21.0)
    )
    assert [round(event.at_s) for event in events if isinstance(event, SpeechStarted)] == [1, 5, 17]


def test_whoever_has_stepped_back_is_still_heard() -> None:
    voice = spoken("Is the red cup still on the table?")
    step = np.float32(10 ** (-9 / 20))
    events = Segmenter().feed(scene((1.0, voice), (5.0, voice), (9.0, voice * step), length_s=13.0))
    assert sum(isinstance(event, SpeechEnded) for event in events) == 3


def test_before_the_user_is_known_everybody_is_heard_and_with_time_again() -> None:
    nearness = Nearness()
    loud, quiet = level(0.1, 0.01), level(0.1 * 10 ** (-(FAR_DB + 3) / 20), 0.01)
    for _ in range(100):
        nearness.hear(quiet)
    assert nearness.is_near()
    for _ in range(2):
        nearness.learn(Evidence(levels=[0.1] * 10))
    for _ in range(30):
        nearness.hear(quiet)
    assert not nearness.is_near()
    nearness.hear(loud)
    assert nearness.is_near()
    for _ in range(4 * 60 * 100):
        nearness.hear(quiet)
    assert nearness.is_near()


def test_an_utterance_is_as_loud_as_its_loud_part() -> None:
    assert Evidence(levels=[0.001] * 50 + [0.1] * 50).level_db() == pytest.approx(decibels(0.1))
    assert Evidence().level_db() < -100
    assert len(level(0.1, 0.01)) == BLOCK_SAMPLES
