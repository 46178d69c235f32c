"""When a turn is over: the judge's features and file, and what the segmenter makes of its judgement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from transformers import WhisperFeatureExtractor

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
from audio_io.errors import PackageMissingError
from audio_io.events import SpeechEnded, SpeechEvent, SpeechPaused, SpeechResumed
from audio_io.segmenter import Segmenter
from audio_io.segmenter_config import SegmenterConfig
from audio_io.turn_end import SmartTurn, open_judge, smart_turn_path
from audio_io.turn_features import HEARD_SAMPLES, features
from tests.audio_io.scripted_detectors import ScriptedNeural, ScriptedQuick
from tests.audio_io.voices import scene, spoken


@pytest.mark.parametrize("n_samples", [HEARD_SAMPLES, 50_000, HEARD_SAMPLES + 20_000, 1])
def test_features_are_those_of_the_reference(n_samples: int) -> None:
    rng = np.random.default_rng(1)
    sound = (0.1 * rng.standard_normal(n_samples) * np.abs(np.sin(np.arange(n_samples) / 3000))).astype(np.float32)
    whole = np.pad(sound[-HEARD_SAMPLES:], (max(0, HEARD_SAMPLES - n_samples), 0))
    reference = WhisperFeatureExtractor(chunk_length=8)
    expected = reference(whole, sampling_rate=INSIDE_RATE_HZ, return_tensors="np", do_normalize=True).input_features
    got = features(sound)
    assert got.shape == (1, 80, 800)
    assert np.abs(got - expected).max() < 1e-4


def test_silence_has_features_too() -> None:
    assert np.isfinite(features(np.zeros(0, np.float32))).all()


def test_a_missing_model_says_what_it_costs_and_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(PackageMissingError, match="silence alone") as raised:
        SmartTurn(tmp_path / "none.onnx")
    assert "take_smart_turn" in raised.value.remedy
    assert open_judge(tmp_path / "none.onnx") is None


@pytest.mark.skipif(not smart_turn_path().is_file(), reason="set-up could not take the model (offline)")
def test_the_model_tells_a_finished_question_from_half_of_one() -> None:
    judge = SmartTurn()
    sound = spoken("What is the colour of the cup that stands on the table?")
    after = np.zeros(INSIDE_RATE_HZ // 6, np.float32)
    assert judge.completeness(np.concatenate((sound, after))) > 0.5
    assert judge.completeness(np.concatenate((sound[: len(sound) // 2], after))) < 0.5


class ScriptedJudge:
    """Gives the next of its answers, and remembers how much it was given to hear."""

    def __init__(self, *answers: float) -> None:
        self.answers = list(answers)
        self.heard: list[int] = []

    def completeness(self, samples: Samples) -> float:
        self.heard.append(len(samples))
        return self.answers.pop(0)


CONFIG = SegmenterConfig(patience=((0.1, 2.0), (0.9, 0.25)), trust=1.0)


def level(value: float, seconds: float) -> Samples:
    return np.full(round(seconds * INSIDE_RATE_HZ), value, np.float32)


def voice_and_silence(judge: ScriptedJudge, *spans: tuple[float, float]) -> list[tuple[str, float]]:
    """Spans of (voice, silence) in seconds -> (kind, silence in s since the last voice) of what was reported."""
    segmenter = Segmenter(CONFIG, ScriptedQuick, ScriptedNeural, judge)
    segmenter.feed(level(0.0, 1.0))
    reported: list[tuple[str, float]] = []
    for voice_s, silence_s in spans:
        report(segmenter.feed(level(1.0, voice_s)), 0.0, reported)
        began_s = segmenter.now_s
        for _ in range(round(silence_s * 100)):
            events = segmenter.feed(np.zeros(BLOCK_SAMPLES, np.float32))
            report(events, segmenter.now_s - began_s, reported)
    return reported


def report(events: list[SpeechEvent], silent_s: float, reported: list[tuple[str, float]]) -> None:
    kinds = (SpeechPaused, SpeechResumed, SpeechEnded)
    reported += [(type(event).__name__, round(silent_s, 2)) for event in events if isinstance(event, kinds)]


def test_what_sounds_complete_ends_at_once() -> None:
    judge = ScriptedJudge(0.99)
    (paused, ended) = voice_and_silence(judge, (1.0, 3.0))
    assert paused[0] == "SpeechPaused"
    assert ended[0] == "SpeechEnded"
    assert paused[1] == pytest.approx(CONFIG.judge_s, abs=0.04)  # silero's chunks are 32 ms
    assert ended[1] == pytest.approx(CONFIG.patience[-1][1], abs=0.04)


def test_what_sounds_unfinished_is_waited_for_but_not_for_ever() -> None:
    judge = ScriptedJudge(0.02)
    (paused, ended) = voice_and_silence(judge, (1.0, 3.0))
    assert ended[1] == pytest.approx(2.0, abs=0.04)
    assert paused[1] == pytest.approx(2.0 - CONFIG.ahead_s, abs=0.04)


def test_between_the_two_the_wait_falls_with_the_probability() -> None:
    waits = [voice_and_silence(ScriptedJudge(p), (1.0, 3.0))[-1][1] for p in (0.0, 0.2, 0.5, 0.8, 0.9, 1.0)]
    assert waits == sorted(waits, reverse=True)
    assert waits[2] == pytest.approx(1.125, abs=0.04)


def test_every_pause_is_judged_anew_with_all_that_was_said() -> None:
    judge = ScriptedJudge(0.05, 0.99)
    reported = voice_and_silence(judge, (1.0, 1.7), (0.5, 3.0))
    assert [kind for kind, _ in reported] == ["SpeechPaused", "SpeechResumed", "SpeechPaused", "SpeechEnded"]
    assert reported[-1][1] == pytest.approx(CONFIG.patience[-1][1], abs=0.04)
    assert judge.heard[1] - judge.heard[0] == pytest.approx(2.2 * INSIDE_RATE_HZ, abs=0.05 * INSIDE_RATE_HZ)


def test_the_judge_hears_the_last_eight_seconds_at_most() -> None:
    judge = ScriptedJudge(0.99)
    voice_and_silence(judge, (12.0, 3.0))
    assert judge.heard == [HEARD_SAMPLES]


def test_whoever_always_sounds_unfinished_is_waited_for_less_and_less() -> None:
    judge = ScriptedJudge(*[0.02] * 6)
    reported = voice_and_silence(judge, *[(1.0, 3.0)] * 4)
    waits = [silent_s for kind, silent_s in reported if kind == "SpeechEnded"]
    assert waits == pytest.approx([2.0, 1.3, 0.95, 0.775], abs=0.04)


def test_whoever_goes_on_after_a_pause_is_waited_for_again() -> None:
    judge = ScriptedJudge(*[0.02] * 6)
    reported = voice_and_silence(judge, (1.0, 3.0), (1.0, 3.0), (1.0, 0.8), (1.0, 3.0))
    waits = [silent_s for kind, silent_s in reported if kind == "SpeechEnded"]
    assert waits[:2] == pytest.approx([2.0, 1.3], abs=0.04)
    assert waits[2] == pytest.approx(0.6 + 0.75 * 1.4, abs=0.04)


def test_a_short_opening_is_waited_for_and_a_short_answer_is_not() -> None:
    waits = [voice_and_silence(ScriptedJudge(p), (0.4, 3.0))[-1][1] for p in (0.1, 0.3)]
    assert waits == pytest.approx([CONFIG.hang_most_s, CONFIG.hang_s], abs=0.04)


def test_short_answers_that_sound_unfinished_teach_no_impatience() -> None:
    judge = ScriptedJudge(*[0.3] * 3, 0.02)
    reported = voice_and_silence(judge, *[(0.4, 3.0)] * 3, (1.0, 3.0))
    assert reported[-1][1] == pytest.approx(2.0, abs=0.04)


def test_a_click_is_not_judged() -> None:
    judge = ScriptedJudge()
    assert voice_and_silence(judge, (0.05, 1.0)) == []


@pytest.mark.parametrize("patience", [((0.5, 0.3), (0.1, 2.0)), ((0.1, 0.3), (0.9, 2.0)), ((0.1, 2.0), (0.9, 0.05))])
def test_a_patience_that_grows_with_completeness_is_refused(patience: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(ValueError, match="patience"):
        SegmenterConfig(patience=patience)


@pytest.mark.skipif(not smart_turn_path().is_file(), reason="set-up could not take the model (offline)")
def test_a_real_question_is_over_sooner_than_by_silence_alone() -> None:
    sound = scene((0.5, spoken("How many keys are there?")), length_s=4.0)
    judged = Segmenter(judge=SmartTurn()).feed(sound)
    silent = Segmenter().feed(sound)
    ends = [[event.at_s for event in events if isinstance(event, SpeechEnded)] for events in (judged, silent)]
    assert len(ends[0]) == len(ends[1]) == 1
    assert ends[0][0] < ends[1][0] - 0.2
