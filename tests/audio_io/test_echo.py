"""Echo cancellation in simulated rooms, with real synthesised voices; the figures are asserted with a margin."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audio_io import bench
from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ
from audio_io.echo import EchoCanceller, KalmanFilter, WebRtcCanceller
from audio_io.errors import PackageMissingError
from audio_io.reference import LEAD_S, EchoReference
from tests.audio_io.voices import noise, spoken


def test_auto_mode_keeps_the_user_and_removes_the_reply(tmp_path: Path) -> None:
    scenes = [bench.make_scene(0, tmp_path)]
    result = bench.measure("auto", scenes)
    assert result.erle_first_db > 25
    assert result.erle_db > 30
    assert result.near_kept > 0.75
    assert result.missed == 0
    assert result.false_starts == 0
    assert max(result.barge_in_s) < 0.6
    _, missed, false_starts = bench.detections(scenes[0].echo + scenes[0].near, scenes[0])
    assert missed + false_starts > 0  # the scene is hard without a canceller


def test_linear_filter_learns_a_room() -> None:
    rng = np.random.default_rng(0)
    far = (0.1 * rng.normal(size=4 * INSIDE_RATE_HZ)).astype(np.float32)
    echo = bench.convolve(far, bench.room(rng, 0.05, 0.2))
    kalman = KalmanFilter(0.3)
    out = np.concatenate(
        [kalman.process(echo[i : i + BLOCK_SAMPLES], far[i : i + BLOCK_SAMPLES]) for i in range(0, len(far), 160)]
    )
    last = slice(-INSIDE_RATE_HZ, None)
    assert 10 * np.log10(np.mean(echo[last] ** 2) / np.mean(out[last] ** 2)) > 20


def test_without_far_end_sound_the_voice_passes_the_linear_filter_unchanged() -> None:
    canceller = EchoCanceller("linear")
    voice = spoken("Where is the cup?")
    silence = np.zeros(BLOCK_SAMPLES, np.float32)
    for i in range(0, len(voice) - BLOCK_SAMPLES, BLOCK_SAMPLES):
        block = voice[i : i + BLOCK_SAMPLES]
        assert np.array_equal(canceller.process(block, silence), block)


def test_noise_suppression_lowers_steady_noise() -> None:
    canceller = WebRtcCanceller(echo=False)
    sound = 0.02 * noise("white", 4 * INSIDE_RATE_HZ)
    silence = np.zeros(BLOCK_SAMPLES, np.float32)
    out = [canceller.process(sound[i : i + 160], silence) for i in range(0, len(sound), 160)]
    tail = np.concatenate(out[-100:])
    assert 20 * np.log10(np.sqrt(np.mean(tail**2)) / 0.02) < -6


def test_missing_livekit_is_an_error_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "livekit.rtc", None)
    with pytest.raises(PackageMissingError, match="pip install livekit"):
        EchoCanceller()


@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_reference_is_what_was_audible_when_the_block_was_captured(rate_hz: int) -> None:
    """The speaker's clock runs 100 ppm fast and every stamp jitters; still the blocks fit, without repeated slips."""
    rng = np.random.default_rng(1)
    reference = EchoReference()
    playback = reference.open(rate_hz)
    piece, n_blocks, length_s, t0_s = rate_hz // 100, 1500, 16.0, 1000.0
    true_rate_hz = rate_hz * (1 + 100e-6)
    # A ramp: the value of a sample tells when it is played.
    ramp = (np.arange(round(length_s * rate_hz)) / (length_s * rate_hz)).astype(np.float32)
    written = 0
    errors_s = []
    for number in range(n_blocks):
        captured_at_s = t0_s + number * BLOCK_S
        while t0_s + written / true_rate_hz < captured_at_s + 0.1:  # the device takes sound 100 ms before it is heard
            at_s = t0_s + written / true_rate_hz + rng.uniform(-0.004, 0.004)
            playback.write(ramp[written : written + piece, None], at_s)
            written += piece
        block = reference.block_for(captured_at_s)
        if number > 300:
            audible_s = float(block[0]) * length_s * rate_hz / true_rate_hz
            errors_s.append(audible_s - (captured_at_s + LEAD_S - t0_s))
    assert np.abs(errors_s).max() < 0.017  # within the slip limit and the jitter of the clock's estimate
    assert reference.slips <= 1
    reference.close()
    assert np.abs(reference.block_for(t0_s + 20)).max() == 0


def test_bench_prints_a_table_and_writes_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--scenes", "1", "--modes", "off", "--json", str(tmp_path / "out.json")]) == 0
    assert "barge-in" in capsys.readouterr().out
    (result,) = json.loads((tmp_path / "out.json").read_text())
    assert result["mode"] == "off"
    assert abs(result["erle_db"]) < 0.1
