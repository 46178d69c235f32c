"""The segmenter on real synthesised speech in noise, and as a state machine whatever it is fed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, Samples
from audio_io.errors import PackageMissingError
from audio_io.events import (
    SpeechAudio,
    SpeechDropped,
    SpeechEnded,
    SpeechEvent,
    SpeechPaused,
    SpeechResumed,
    SpeechStarted,
)
from audio_io.segmenter import Segmenter
from audio_io.segmenter_config import SegmenterConfig
from tests.audio_io.scripted_detectors import MeanJudge, ScriptedNeural, ScriptedQuick
from tests.audio_io.voices import noise, scene, silence, spoken

VOICES = ("slt", "rms", "awb", "kal")
SENTENCES = (
    "What do you see in front of me?",
    "Is the red cup still on the table?",
    "Please read the title of the book.",
)


def run(sound: Samples, segmenter: Segmenter | None = None) -> list[SpeechEvent]:
    return (segmenter or Segmenter()).feed(sound)


def of(events: Sequence[SpeechEvent], kind: Any) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def utterances(events: Sequence[SpeechEvent]) -> list[tuple[float, Samples]]:
    """Start and samples of every utterance that ended as one."""
    found: list[tuple[float, Samples]] = []
    at_s, pieces = 0.0, []
    for event in events:
        if isinstance(event, SpeechStarted):
            at_s, pieces = event.at_s, [event.samples]
        elif isinstance(event, SpeechAudio):
            pieces.append(event.samples)
        elif isinstance(event, SpeechEnded):
            found.append((at_s, np.concatenate(pieces)))
    return found


def conversation(snr_db: float, kind: str, seed: int) -> tuple[Samples, list[tuple[float, float]]]:
    """Twelve sentences by four voices, 1.2 s apart, in noise; and when each is spoken."""
    parts, times, at_s = [], [], 1.5
    for i in range(12):
        voice = spoken(SENTENCES[i % 3], VOICES[i % 4])
        parts.append((at_s, voice))
        times.append((at_s, at_s + len(voice) / INSIDE_RATE_HZ))
        at_s = times[-1][1] + 1.2
    line = scene(*parts, length_s=at_s + 1)
    return line + 0.1 * 10 ** (-snr_db / 20) * noise(kind, len(line), seed), times


@pytest.mark.parametrize(("kind", "snr_db", "least"), [("white", 20, 12), ("fan", 10, 12), ("white", 10, 11)])
def test_finds_every_sentence_apart_in_noise(kind: str, snr_db: float, least: int) -> None:
    sound, times = conversation(snr_db, kind, seed=3)
    events = run(sound)
    found = utterances(events)
    assert len(found) <= len(times)  # nothing but speech, nothing twice
    whole = 0
    for start_s, end_s in times:
        match = [
            (at_s, samples)
            for at_s, samples in found
            if at_s < start_s + 0.15 and at_s + len(samples) / INSIDE_RATE_HZ > end_s - 0.1 and at_s > start_s - 0.6
        ]
        whole += len(match) == 1
    assert whole >= least


def test_start_is_reported_soon_and_end_after_the_hang() -> None:
    sound, times = conversation(30, "white", seed=1)
    segmenter = Segmenter()
    starts, ends = [], []
    for i in range(0, len(sound), BLOCK_SAMPLES):
        for event in segmenter.feed(sound[i : i + BLOCK_SAMPLES]):
            if isinstance(event, SpeechStarted):
                starts.append(segmenter.now_s)
            if isinstance(event, SpeechEnded):
                ends.append(segmenter.now_s)
    assert len(starts) == len(ends) == len(times)
    delays = np.array(starts) - [start_s for start_s, _ in times]
    assert np.median(delays) < 0.2
    assert delays.max() < 0.35
    waits = np.array(ends) - [end_s for _, end_s in times]
    assert np.median(waits) < 0.75
    assert waits.max() < 1.0


@pytest.mark.parametrize("kind", ["white", "fan", "keys", "music"])
def test_noise_alone_is_no_speech(kind: str) -> None:
    events = run(0.05 * noise(kind, 30 * INSIDE_RATE_HZ, seed=5))
    assert of(events, SpeechEnded) == []
    assert len(of(events, SpeechStarted)) <= 1  # taken back at once by SpeechDropped


@pytest.mark.parametrize("voice", VOICES)
@pytest.mark.parametrize("word", ["Yes.", "No.", "Stop."])
def test_a_short_word_is_heard_whole(word: str, voice: str) -> None:
    sound = scene((1.0, spoken(word, voice)), length_s=3.5)
    sound = sound + 0.002 * noise("white", len(sound))
    events = run(sound)
    (found,) = utterances(events)
    assert of(events, SpeechDropped) == []
    word_s = len(spoken(word, voice)) / INSIDE_RATE_HZ
    assert found[0] <= 1.0 + 0.02
    assert found[0] + len(found[1]) / INSIDE_RATE_HZ >= 1.0 + word_s


def test_a_pause_to_think_is_a_guess_and_not_the_end() -> None:
    first, second = spoken("I would like to know"), spoken("where the red cup is.")
    gap_s = 0.45
    at_s = 1.0 + len(first) / INSIDE_RATE_HZ + gap_s
    events = run(scene((1.0, first), (at_s, second), length_s=at_s + 3))
    assert [type(e) for e in events if not isinstance(e, SpeechAudio)] == [
        SpeechStarted,
        SpeechPaused,
        SpeechResumed,
        SpeechPaused,
        SpeechEnded,
    ]


def test_patience_grows_with_the_speakers_own_pauses() -> None:
    """Who has paused for 0.5 s is not cut off by a pause of 0.7 s, which would end anybody else's sentence."""
    a, b, c = spoken("I would like to know"), spoken("where is the cup"), spoken("that was on the table?")
    b_at = 1.0 + len(a) / INSIDE_RATE_HZ + 0.5
    c_at = b_at + len(b) / INSIDE_RATE_HZ + 0.7
    assert len(utterances(run(scene((1.0, a), (b_at, b), (c_at, c), length_s=c_at + 4)))) == 1
    c_at = 1.0 + len(b) / INSIDE_RATE_HZ + 0.7
    assert len(utterances(run(scene((1.0, b), (c_at, c), length_s=c_at + 4)))) == 2


def test_push_to_talk_takes_all_sound_and_only_that() -> None:
    segmenter = Segmenter()
    quiet = 0.001 * noise("white", INSIDE_RATE_HZ)
    assert segmenter.feed(quiet) == []
    events = segmenter.force_start() + segmenter.feed(quiet) + segmenter.feed(quiet) + segmenter.force_end()
    assert [type(e) for e in events if not isinstance(e, SpeechAudio)] == [SpeechStarted, SpeechEnded]
    assert events[0].forced
    assert events[-1].reason == "forced"
    ((_, samples),) = utterances(events)
    assert len(samples) == 2 * len(quiet) + round(segmenter.config.pre_roll_s * INSIDE_RATE_HZ)
    assert segmenter.force_end() == []


def test_muting_mid_word_ends_the_utterance_and_hides_what_follows() -> None:
    segmenter = Segmenter()
    sentence = spoken(SENTENCES[0])
    events = segmenter.feed(np.concatenate((silence(1), sentence[: len(sentence) // 2])))
    events += segmenter.mute()
    assert of(events, SpeechEnded)[0].reason == "muted"
    assert segmenter.feed(np.concatenate((sentence, silence(1)))) == []
    segmenter.unmute()
    after = segmenter.feed(silence(1))
    assert after == []
    # Nothing from the muted time is in the pre-roll.
    (started,) = segmenter.force_start()
    assert isinstance(started, SpeechStarted)
    assert np.abs(started.samples).max() == 0


def test_push_to_talk_while_muted_is_heard() -> None:
    segmenter = Segmenter()
    segmenter.mute()
    events = segmenter.force_start() + segmenter.feed(silence(0.5)) + segmenter.force_end()
    ((_, samples),) = utterances(events)
    assert len(samples) == INSIDE_RATE_HZ // 2
    assert segmenter.feed(spoken(SENTENCES[0])) == []


def test_an_endless_utterance_is_cut_and_goes_on_without_loss() -> None:
    config = SegmenterConfig(longest_s=3.0)
    sound = scene((1.0, np.tile(spoken(SENTENCES[1]), 4)), length_s=12)
    events = run(sound, Segmenter(config))
    ends = of(events, SpeechEnded)
    assert ends[0].reason == "too long"
    assert len(ends) >= 2
    assert all(len(samples) <= 3.02 * INSIDE_RATE_HZ for _, samples in utterances(events))


def test_too_little_voice_is_dropped() -> None:
    events = run(scene((1.0, spoken("Yes.")), length_s=3), Segmenter(SegmenterConfig(shortest_voiced_s=2.0)))
    assert of(events, SpeechEnded) == []
    (dropped,) = of(events, SpeechDropped)
    assert dropped.reason == "too short"


def test_a_lost_source_ends_the_utterance() -> None:
    segmenter = Segmenter()
    segmenter.feed(np.concatenate((silence(1), spoken(SENTENCES[0]))))
    (ended,) = segmenter.cut("device lost")
    assert isinstance(ended, SpeechEnded)
    assert ended.reason == "device lost"
    assert segmenter.cut("device lost") == []


def comparable(events: Sequence[SpeechEvent]) -> list[Any]:
    return [(type(e), e.at_s, e.samples.tobytes()) if isinstance(e, SpeechStarted | SpeechAudio) else e for e in events]


def test_any_partition_gives_the_same_events() -> None:
    sound = scene((0.5, spoken("Yes.")), (1.9, spoken("Stop.", "rms")), length_s=3.2)
    sound = sound + 0.003 * noise("white", len(sound))
    whole = comparable(run(sound))

    @given(cuts=st.lists(st.integers(0, 3000), max_size=20))
    @settings(max_examples=15, deadline=None)
    def check(cuts: list[int]) -> None:
        segmenter = Segmenter()
        events: list[SpeechEvent] = []
        at = 0
        for n in cuts:
            events += segmenter.feed(sound[at : at + n])
            at += n
        events += segmenter.feed(sound[at:])
        assert comparable(events) == whole

    check()


@given(
    steps=st.lists(
        st.one_of(
            st.tuples(st.floats(0, 1, width=32), st.integers(1, 120)),
            st.sampled_from(["press", "release", "mute", "unmute", "lost"]),
        ),
        max_size=40,
    ),
    judge=st.sampled_from([None, MeanJudge()]),
)
@settings(max_examples=200, deadline=None)
def test_events_are_well_formed_whatever_happens(steps: list[tuple[float, int] | str], judge: MeanJudge | None) -> None:
    config = SegmenterConfig(longest_s=3.0)
    segmenter = Segmenter(config, ScriptedQuick, ScriptedNeural, judge)
    events: list[SpeechEvent] = []
    for step in steps:
        if isinstance(step, tuple):
            events += segmenter.feed(np.full(step[1] * BLOCK_SAMPLES, step[0], dtype=np.float32))
        elif step == "press":
            events += segmenter.force_start()
        elif step == "release":
            events += segmenter.force_end()
        elif step == "mute":
            events += segmenter.mute()
        elif step == "unmute":
            segmenter.unmute()
        else:
            events += segmenter.cut("device lost")
    inside = paused = False
    next_s = 0.0  # sound handed on ends here: it must never come twice or go back
    for event in events:
        if isinstance(event, SpeechStarted):
            assert not inside
            inside, paused = True, False
            assert event.at_s >= next_s - 1e-9
            next_s = event.at_s + len(event.samples) / INSIDE_RATE_HZ
            assert len(event.samples) <= round(config.pre_roll_s * INSIDE_RATE_HZ)
            continue
        assert inside
        if isinstance(event, SpeechAudio):
            assert event.at_s == pytest.approx(next_s)
            next_s += BLOCK_SAMPLES / INSIDE_RATE_HZ
        elif isinstance(event, SpeechPaused):
            assert not paused
            paused = True
        elif isinstance(event, SpeechResumed):
            assert paused
            paused = False
        else:
            inside = False
    assert inside == segmenter.in_speech


@pytest.mark.parametrize(
    "values",
    [{"go_on_probability": 0.9}, {"hang_s": 0.1}, {"hang_most_s": 0.3}, {"longest_s": 1.0}, {"start_probability": 1.5}],
)
def test_nonsense_settings_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"expected|must be"):
        SegmenterConfig(**values)


@pytest.mark.parametrize(("module", "package"), [("webrtcvad", "webrtcvad-wheels"), ("onnxruntime", "onnxruntime")])
def test_a_missing_detector_is_an_error_with_its_package(
    module: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, module, None)
    with pytest.raises(PackageMissingError, match=f"pip install {package}"):
        Segmenter()


@pytest.mark.parametrize(("probability", "begins"), [(0.48, False), (0.52, True)])
def test_an_utterance_begins_where_speech_is_more_likely_than_not(probability: float, begins: bool) -> None:
    segmenter = Segmenter(SegmenterConfig(), ScriptedQuick, ScriptedNeural)
    events = segmenter.feed(np.full(INSIDE_RATE_HZ, probability, np.float32))
    assert bool(of(events, SpeechStarted)) is begins


@pytest.mark.parametrize(("pause_s", "n_utterances"), [(0.56, 1), (0.61, 2)])
def test_six_tenths_of_a_second_of_silence_end_an_utterance(pause_s: float, n_utterances: int) -> None:
    """No judge of what was said: silence alone decides. A chunk of silero's is 32 ms."""
    voice, pause = np.full(INSIDE_RATE_HZ, 0.9, np.float32), np.zeros(round(pause_s * INSIDE_RATE_HZ), np.float32)
    segmenter = Segmenter(SegmenterConfig(), ScriptedQuick, ScriptedNeural)
    events = segmenter.feed(np.concatenate((voice, pause, voice, np.zeros(2 * INSIDE_RATE_HZ, np.float32))))
    assert len(of(events, SpeechEnded)) == n_utterances
