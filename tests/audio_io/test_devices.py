"""Microphone and speaker on a real sound server: the spoken arrives, the played is heard, unplugging heals."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from audio_io.blocks import INSIDE_RATE_HZ, SPEECH_RATE_HZ, Block, Samples
from audio_io.devices import list_devices
from audio_io.echo import EchoCanceller
from audio_io.errors import PlayerFullError, PortAudioMissingError
from audio_io.events import (
    DeviceBack,
    DeviceLost,
    DeviceMissing,
    DeviceOpened,
    PlaybackFinished,
    PlaybackStarted,
    SpeechAudio,
    SpeechDropped,
    SpeechEnded,
    SpeechStarted,
)
from audio_io.host import SoundHost
from audio_io.listener import Listener
from audio_io.microphone import Microphone
from audio_io.player import Player
from audio_io.wav_file import read_wav, write_wav
from tests.audio_io.voices import spoken
from tests.sound_server import MICROPHONE, SPEAKER, SoundServer, sound_server, wait_until

pytestmark = pytest.mark.e2e
SENTENCE = "Is the red cup still on the table?"


class Log:
    """Collects events from any thread."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def __call__(self, event: Any) -> None:
        self.events.append(event)

    def of(self, kind: Any, /, **values: Any) -> list[Any]:
        return [
            e for e in list(self.events) if isinstance(e, kind) and all(getattr(e, k) == v for k, v in values.items())
        ]

    def wait(self, kind: Any, count: int = 1, /, **values: Any) -> Any:
        wait_until(lambda: len(self.of(kind, **values)) >= count, f"{count} x {kind.__name__}, got {self.notable()}")
        return self.of(kind, **values)[count - 1]

    def notable(self) -> list[str]:
        return [type(e).__name__ for e in self.events if type(e).__name__ not in ("SpeechAudio", "MicrophoneLevel")]


@pytest.fixture(scope="module")
def server() -> Iterator[SoundServer]:
    with sound_server() as running:
        yield running


@pytest.fixture(autouse=True)
def plugged_in(server: SoundServer) -> Iterator[None]:
    """A test that fails while something is unplugged does not fail the others."""
    yield
    for name, plug in (("speaker", server.plug_speaker), ("microphone", server.plug_microphone)):
        if name not in server.modules:
            plug()
    if "room" in server.modules:
        server.unload("room")


@pytest.fixture
def host() -> Iterator[SoundHost]:
    before = set(threading.enumerate())
    made = SoundHost()
    yield made
    made.close_watch()
    left = [t for t in threading.enumerate() if t not in before and not t.name.startswith("Dummy")]
    assert left == [], "threads were left behind"


@pytest.fixture
def player(server: SoundServer, host: SoundHost) -> Iterator[tuple[Player, Log]]:
    log = Log()
    made = Player(host, log)
    made.start()
    log.wait(DeviceOpened, kind="speaker")
    yield made, log
    made.stop()
    made.stop()  # twice is allowed


def likeness(heard: Samples, original: Samples) -> float:
    """Correlation with the original at the place where it fits best."""
    padded = np.concatenate((heard, np.zeros(len(original), np.float32)))
    n = len(padded) + len(original)
    product = np.fft.irfft(np.fft.rfft(padded, n) * np.conj(np.fft.rfft(original, n)), n)
    at = int(np.argmax(product[: len(padded) - len(original)]))
    return float(np.corrcoef(padded[at : at + len(original)], original)[0, 1])


def test_microphone_hears_what_is_spoken(server: SoundServer, host: SoundHost, tmp_path: Path) -> None:
    blocks: list[Block] = []
    log = Log()
    microphone = Microphone(host)
    microphone.start(blocks.append, log)
    log.wait(DeviceOpened, kind="microphone")
    write_wav(tmp_path / "question.wav", spoken(SENTENCE), INSIDE_RATE_HZ)
    question = read_wav(tmp_path / "question.wav", INSIDE_RATE_HZ)
    first = len(blocks)
    server.speak(tmp_path / "question.wav")
    n = len(blocks)
    wait_until(lambda: len(blocks) > n + 30, "the last of it arrives")
    assert likeness(np.concatenate([block.samples for block in blocks[first:]]), question) > 0.99
    microphone.stop()
    assert [block.number for block in blocks] == list(range(len(blocks)))
    stopped_at = len(blocks)
    microphone.stop()
    assert len(blocks) == stopped_at


def test_reply_is_played_whole_without_a_gap(server: SoundServer, player: tuple[Player, Log]) -> None:
    speaker, log = player
    reply = spoken(SENTENCE, rate_hz=SPEECH_RATE_HZ)

    with server.recording(SPEECH_RATE_HZ) as take:
        for start in range(0, len(reply), 1920):
            speaker.play("r", reply[start : start + 1920])
        speaker.finish("r")
        finished = log.wait(PlaybackFinished)
        n = len(take.samples)
        wait_until(lambda: len(take.samples) > n + 2400, "the recorder catches up")
        heard = take.samples
    assert finished.reply_id == "r"
    assert finished.heard_ms == len(reply) * 1000 // SPEECH_RATE_HZ
    assert finished.underruns == speaker.underruns == 0
    assert log.of(PlaybackStarted, reply_id="r")
    assert likeness(heard, reply) > 0.99


def tone(seconds: float) -> Samples:
    return (0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * SPEECH_RATE_HZ)) / SPEECH_RATE_HZ)).astype(
        np.float32
    )


def test_flush_is_silent_within_100_ms_and_tells_what_was_heard(
    server: SoundServer, player: tuple[Player, Log]
) -> None:
    speaker, log = player
    with server.recording(SPEECH_RATE_HZ) as take:
        speaker.play("a", tone(20))
        wait_until(lambda: speaker.heard_ms("a") > 500, "half a second is heard")
        recorded = len(take.samples)
        (heard,) = speaker.flush()
        wait_until(lambda: len(take.samples) > recorded + SPEECH_RATE_HZ, "a second more is recorded")
        loud = np.flatnonzero(np.abs(take.samples) > 0.01)
    assert heard.reply_id == "a"
    assert speaker.heard_ms("a") == heard.heard_ms
    assert loud[-1] - recorded < 0.1 * SPEECH_RATE_HZ
    assert abs(heard.heard_ms - 1000 * (loud[-1] - loud[0]) / SPEECH_RATE_HZ) < 30
    # Late sound of the flushed reply is recognised by its id, and the next reply is not harmed.
    speaker.play("a", tone(1))
    speaker.play("b", tone(0.3))
    speaker.finish("b")
    assert log.wait(PlaybackFinished).reply_id == "b"
    assert speaker.heard_ms("a") == heard.heard_ms


def test_pause_keeps_the_rest_and_resume_plays_it(server: SoundServer, player: tuple[Player, Log]) -> None:
    speaker, log = player
    reply = spoken("The red cup is on the left side of the table.", rate_hz=SPEECH_RATE_HZ)

    with server.recording(SPEECH_RATE_HZ) as take:
        speaker.play("p", reply)
        speaker.finish("p")
        wait_until(lambda: speaker.heard_ms("p") > 700, "some of it is heard")
        recorded = len(take.samples)
        speaker.pause()
        wait_until(lambda: len(take.samples) > recorded + SPEECH_RATE_HZ, "a second of the pause is recorded")
        quiet = take.samples[recorded + SPEECH_RATE_HZ // 8 : recorded + SPEECH_RATE_HZ]
        at_pause = speaker.heard_ms("p")
        assert speaker.heard_ms("p") == at_pause
        speaker.resume()
        finished = log.wait(PlaybackFinished)
        n = len(take.samples)
        wait_until(lambda: len(take.samples) > n + 2400, "the recorder catches up")
        sound = take.samples
    assert finished.heard_ms == len(reply) * 1000 // SPEECH_RATE_HZ
    assert likeness(sound, reply[(at_pause + 60) * SPEECH_RATE_HZ // 1000 :]) > 0.98
    assert float(np.abs(quiet).max()) < 1e-3


def test_running_dry_is_counted_and_reported(player: tuple[Player, Log]) -> None:
    speaker, log = player
    speaker.play("d", tone(0.3))
    wait_until(lambda: speaker.underruns == 1, "the speaker runs dry")
    speaker.play("d", tone(0.3))
    speaker.finish("d")
    assert log.wait(PlaybackFinished).underruns == 1


def test_volume_rate_and_earcons(server: SoundServer, player: tuple[Player, Log]) -> None:
    speaker, log = player
    speaker.set_volume(0.5)
    speaker.set_speech_rate(2.0)
    with server.recording(SPEECH_RATE_HZ) as take:
        speaker.play("fast", tone(2))
        speaker.finish("fast")
        assert log.wait(PlaybackFinished).heard_ms == 2000
        n = len(take.samples)
        wait_until(lambda: len(take.samples) > n + 2400, "the recorder catches up")
        sound = take.samples
        loud = np.flatnonzero(np.abs(sound) > 0.01)
        assert (loud[-1] - loud[0]) / SPEECH_RATE_HZ == pytest.approx(1.0, abs=0.05)
        assert np.abs(sound).max() == pytest.approx(0.15, abs=0.02)
        n = len(take.samples)
        speaker.pause()
        speaker.earcon("error")
        wait_until(lambda: np.abs(take.samples[n:]).max(initial=0) > 0.05, "the earcon is heard, even while paused")
    with pytest.raises(ValueError, match=r"0\.\.1"):
        speaker.set_volume(2)
    with pytest.raises(ValueError, match="rate of speech"):
        speaker.set_speech_rate(9)
    with pytest.raises(PlayerFullError):
        speaker.play("much", np.zeros(601 * SPEECH_RATE_HZ, np.float32))


def test_unplugged_microphone_ends_the_utterance_and_comes_back(
    server: SoundServer, host: SoundHost, tmp_path: Path
) -> None:
    log = Log()
    listener = Listener(Microphone(host), log)
    listener.start()
    log.wait(DeviceOpened, kind="microphone")
    write_wav(tmp_path / "long.wav", np.tile(spoken(SENTENCE), 3), INSIDE_RATE_HZ)
    speaking = server.speak(tmp_path / "long.wav", wait=False)
    log.wait(SpeechStarted)
    log.wait(SpeechAudio, 60)
    server.unload("microphone")
    lost = log.wait(DeviceLost, kind="microphone")
    assert "plugged in" in lost.message
    assert lost.remedy
    assert log.wait(SpeechEnded).reason == "device lost"
    speaking.wait(30)
    server.plug_microphone()
    log.wait(DeviceBack, kind="microphone")
    write_wav(tmp_path / "again.wav", spoken(SENTENCE), INSIDE_RATE_HZ)
    server.speak(tmp_path / "again.wav")
    assert log.wait(SpeechEnded, 2).reason == "silence"
    listener.stop()
    assert len(log.of(DeviceLost)) == len(log.of(DeviceBack)) == 1


def test_unplugged_speaker_plays_the_rest_when_it_is_back(server: SoundServer, host: SoundHost) -> None:
    log = Log()
    speaker = Player(host, log, device=f"pulse:{SPEAKER}")
    speaker.start()
    log.wait(DeviceOpened, kind="speaker")
    speaker.play("r", tone(3))
    speaker.finish("r")
    wait_until(lambda: speaker.heard_ms("r") > 500, "some of it is heard")
    server.unload("speaker")
    log.wait(DeviceLost, kind="speaker")
    before = speaker.heard_ms("r")
    assert 500 < before < 2500
    server.plug_speaker()
    log.wait(DeviceBack, kind="speaker")
    with server.recording(SPEECH_RATE_HZ):
        assert log.wait(PlaybackFinished).heard_ms == 3000
    speaker.stop()


def test_missing_devices_are_reported_and_found_later(server: SoundServer, host: SoundHost) -> None:
    server.unload("microphone")
    log = Log()
    microphone = Microphone(host)
    microphone.start(lambda block: None, log)
    missing = log.wait(DeviceMissing, kind="microphone")
    assert missing.remedy
    assert not missing.final
    server.plug_microphone()
    log.wait(DeviceBack, kind="microphone")
    microphone.stop()


def test_a_chosen_device_that_does_not_exist(server: SoundServer, host: SoundHost) -> None:
    log = Log()
    player = Player(host, log, device="pulse:nonesuch")
    player.start()
    assert "nonesuch" in log.wait(DeviceMissing).message
    player.switch(f"pulse:{SPEAKER}")
    log.wait(DeviceOpened, kind="speaker")
    player.stop()


def test_reply_without_a_speaker_does_not_wait_for_ever(server: SoundServer, host: SoundHost) -> None:
    log = Log()
    player = Player(host, log, device="no such speaker")
    player.start()
    player.play("r", tone(1))
    player.finish("r")
    log.wait(DeviceMissing, kind="speaker")
    assert log.wait(PlaybackFinished).heard_ms == 0
    player.stop()


def test_no_portaudio_is_said_once_with_the_package(server: SoundServer) -> None:
    def loader() -> Any:
        raise PortAudioMissingError("The PortAudio library cannot be loaded.", "sudo apt install libportaudio2")

    log = Log()
    microphone = Microphone(SoundHost(loader))
    microphone.start(lambda block: None, log)
    missing = log.wait(DeviceMissing)
    assert missing.final
    assert "libportaudio2" in missing.remedy
    microphone.stop()
    assert len(log.events) == 1


def test_devices_are_listed_with_the_servers_names(server: SoundServer) -> None:
    devices = list_devices()
    default = {device.kind: device.id for device in devices if device.is_default}
    assert default == {"microphone": f"pulse:{MICROPHONE}", "speaker": f"pulse:{SPEAKER}"}
    assert all(device.name for device in devices)


def test_the_reply_in_the_room_is_not_taken_for_the_user(server: SoundServer, host: SoundHost, tmp_path: Path) -> None:
    """The speaker is heard by the microphone 80 ms later; the user then speaks into the reply, and is found."""
    write_wav(tmp_path / "barge.wav", spoken("Wait, stop, what is on the chair?"), INSIDE_RATE_HZ)
    server.load("room", "module-loopback", f"source={SPEAKER}.monitor", "sink=micpipe", "latency_msec=80")
    log = Log()
    player = Player(host, log)
    listener = Listener(Microphone(host), log, canceller=EchoCanceller(), reference=player.reference)
    player.start()
    listener.start()
    log.wait(DeviceOpened, kind="speaker")
    log.wait(DeviceOpened, kind="microphone")
    reply = spoken("In front of you there is a table with a cup. Behind it I see a window.", "rms", SPEECH_RATE_HZ)

    player.play("r", np.tile(reply, 4))
    wait_until(lambda: player.heard_ms("r") > 5000, "five seconds of reply are heard")
    assert log.of(SpeechStarted) == []
    server.speak(tmp_path / "barge.wav")
    assert log.of(SpeechStarted)
    player.flush()
    log.wait(SpeechEnded, len(log.of(SpeechStarted)) - len(log.of(SpeechDropped)))
    listener.stop()
    player.stop()


def test_killed_sound_server_and_its_return(host: SoundHost) -> None:
    log = Log()
    with sound_server() as first:
        player = Player(host, log)
        player.start()
        log.wait(DeviceOpened, kind="speaker")
        first.kill()
        log.wait(DeviceLost, kind="speaker")
        first.start()
        first.plug_in()
        log.wait(DeviceBack, kind="speaker")
        player.stop()
