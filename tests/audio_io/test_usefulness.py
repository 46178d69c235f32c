"""A microphone that cannot be of use is said to be so, once, and the news that it works again too."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from audio_io.blocks import BLOCK_SAMPLES, Samples
from audio_io.channels import ChannelMixer
from audio_io.events import MicrophoneUseful, MicrophoneUseless
from audio_io.host import SoundHost
from audio_io.listener import Listener
from audio_io.microphone import Microphone
from audio_io.probe import listen
from audio_io.segmenter import Segmenter
from audio_io.usefulness import Usefulness, judge
from tests.audio_io.voices import spoken
from tests.sound_server import sound_server

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the virtual devices are Linux's")


def noise(dbfs: float, seconds: float, seed: int = 0) -> Samples:
    n = round(seconds * 16_000)
    return (np.random.default_rng(seed).normal(size=n) * 10 ** (dbfs / 20)).astype(np.float32)


def changes(sound: Samples, use: Usefulness | None = None) -> list[tuple[float, str]]:
    """Seconds and fault, for each change."""
    use = use or Usefulness()
    return [
        ((start + BLOCK_SAMPLES) / 16_000, use.fault)
        for start in range(0, len(sound) - BLOCK_SAMPLES + 1, BLOCK_SAMPLES)
        if use.feed(sound[start : start + BLOCK_SAMPLES])
    ]


def zeros(seconds: float) -> Samples:
    return np.zeros(round(seconds * 16_000), np.float32)


def test_silence_from_the_start_is_said_once_and_sound_ends_it() -> None:
    assert changes(np.concatenate((zeros(30), noise(-60, 1)))) == [(4.0, "silent"), (30.01, "")]
    assert changes(np.concatenate((zeros(8) + 0.01, noise(-60, 1))))[0] == (4.0, "silent")  # an offset is no sound


def test_a_pause_of_a_microphone_that_suppresses_noise_is_no_fault() -> None:
    pause = np.concatenate((noise(-40, 2), zeros(15), noise(-40, 1)))
    assert changes(pause) == []
    assert changes(np.concatenate((noise(-40, 2), zeros(25)))) == [(22.0, "silent")]


def test_far_too_quiet_is_said_and_a_quiet_room_is_not() -> None:
    assert changes(noise(-92, 30)) == [(15.0, "too quiet")]
    assert changes(noise(-70, 30)) == []
    # Speech at -62 dBFS (42 dB below a careful speaker) is within what automatic gain makes up for.
    assert changes(np.tile(spoken("What is on the table?") * np.float32(10 ** (-42 / 20)), 20)) == []


def test_another_microphone_is_judged_anew() -> None:
    use = Usefulness()
    changes(zeros(5), use)
    assert use.fault == "silent"
    use.restart()
    assert use.fault == ""
    assert changes(noise(-50, 5), use) == []


def test_a_recording_is_judged_by_the_same_rules() -> None:
    assert judge(zeros(2)) == "silent"
    assert judge(np.zeros(0, np.float32)) == "silent"
    assert judge(noise(-92, 2)) == "too quiet"
    assert judge(noise(-70, 2)) == ""
    assert judge(spoken("Hello.")) == ""


@pytest.mark.parametrize(
    ("left", "right", "opposed"),
    [(1.0, 1.0, False), (1.0, 0.5, False), (1.0, -1.0, True), (0.7, -1.0, True), (1.0, 0.0, True), (0.0, 0.0, False)],
)
def test_channels_that_cancel_each_other_out_or_are_dead_cost_nothing(left: float, right: float, opposed: bool) -> None:
    voice = spoken("What is on the table?")
    captured = np.stack((voice * np.float32(left), voice * np.float32(right)), axis=1)
    mixer = ChannelMixer(16_000)
    mixed = np.concatenate([mixer.mix(captured[start : start + 160]) for start in range(0, len(captured), 160)])
    assert mixer.opposed is opposed
    loudest = max(abs(left), abs(right))
    power = float(np.dot(mixed, mixed)) / float(np.dot(voice, voice))
    assert power >= 0.5 * loudest**2


def test_one_channel_is_handed_on_as_it_is() -> None:
    sound = noise(-20, 0.1)[:, None]
    assert np.array_equal(ChannelMixer(16_000).mix(sound), sound[:, 0])
    assert len(ChannelMixer(16_000).mix(np.zeros((0, 2), np.float32))) == 0


@pytest.mark.slow
@linux
def test_a_muted_microphone_is_said_and_works_again() -> None:
    with sound_server() as server:
        host, events = SoundHost(), []
        server.pactl("set-source-mute", "microphone", "1")
        listener = Listener(Microphone(host), events.append, Segmenter())
        listener.start()
        try:
            server.wait_until(lambda: any(isinstance(e, MicrophoneUseless) for e in events), "it is said")
            server.pactl("set-source-mute", "microphone", "0")
            server.speak(Path("assets/samples/question-1.wav"))
            server.wait_until(lambda: any(isinstance(e, MicrophoneUseful) for e in events), "it works again")
            assert sum(isinstance(e, MicrophoneUseless) for e in events) == 1
        finally:
            listener.stop()
            host.close_watch()


@pytest.mark.slow
@linux
def test_a_microphone_in_opposite_phase_is_heard() -> None:
    with sound_server() as server:
        voice = spoken("What is on the table?", rate_hz=48_000)
        raw = server.directory / "opposed.raw"
        raw.write_bytes(np.stack((voice, -voice), axis=1).astype("<f4").tobytes())
        host = SoundHost()
        pipe = f"paplay --raw --format=float32le --rate=48000 --channels=2 -d micpipe {raw}"
        import subprocess

        playing = subprocess.Popen(["sh", "-c", f"while {pipe}; do :; done"], env=server.environment)
        try:
            heard = listen(host, None, 3.0)
        finally:
            playing.terminate()
            playing.wait(10)
            host.close_watch()
        assert heard.opposed
        assert judge(heard.samples) == ""
        assert heard.loudest_dbfs > -30
