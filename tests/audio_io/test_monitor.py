"""A screen reader in the same loudspeakers is no user: real server and devices, the room a loop between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from audio_io.blocks import BLOCK_S, BLOCK_SAMPLES, INSIDE_RATE_HZ
from audio_io.echo import EchoCanceller
from audio_io.events import ListenerEvent, SpeechStarted
from audio_io.host import SoundHost
from audio_io.listener import Listener
from audio_io.microphone import Microphone
from audio_io.monitor import AllThatPlays, Arrival, OutputMonitor
from audio_io.reference import EchoReference
from audio_io.segmenter import Segmenter
from tests.sound_server import MICROPHONE_PIPE, SPEAKER, SoundServer, sound_server

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="PulseAudio's monitor is Linux's")
SENTENCES = (
    "Listening.",
    "You said: what do you see",
    "Microphone check box checked",
    "Settings dialog. Answers page tab. Voice combo box",
    "The microphone was unplugged. Plug it in again or choose another one.",
)


@dataclass
class Heard:
    """What the listener reports."""

    events: list[ListenerEvent] = field(default_factory=list)

    @property
    def starts(self) -> int:
        return sum(isinstance(event, SpeechStarted) for event in self.events)


@contextmanager
def listening(server: SoundServer, loop_db: float, *, with_monitor: bool = True) -> Iterator[Heard]:
    """The microphone as the app has it, in a room in which the speaker is heard at `loop_db`."""
    add_room(server, loop_db)
    heard, host = Heard(), SoundHost()
    monitor, own = OutputMonitor(lambda: host.speaker_name(None)), EchoReference()
    reference = AllThatPlays(monitor, own) if with_monitor else own
    listener = Listener(Microphone(host), heard.events.append, Segmenter(), EchoCanceller(), reference)
    if with_monitor:
        monitor.start()
    listener.start()
    try:
        server.wait_until(lambda: monitor.runs or not with_monitor, "the monitor runs")
        server.wait_until(lambda: len(heard.events) > 10, "the microphone runs")
        yield heard
    finally:
        listener.stop()
        monitor.stop()
        host.close_watch()


def add_room(server: SoundServer, loop_db: float) -> None:
    arguments = (f"source={SPEAKER}.monitor", f"sink={MICROPHONE_PIPE}", "latency_msec=30")
    server.load("room", "module-loopback", *arguments)
    index = server.pactl("list", "short", "sink-inputs").split()[0]
    server.pactl("set-sink-input-volume", index, f"{loop_db}dB")


def reader(server: SoundServer, text: str) -> None:
    """A screen reader's voice in the speaker."""
    path = server.directory / "reader.wav"
    subprocess.run(["espeak-ng", "-v", "en-us", "-s", "220", "-w", str(path), text], check=True, timeout=30)
    subprocess.run(["paplay", "-d", SPEAKER, str(path)], env=server.environment, check=True, timeout=60)


@linux
@pytest.mark.e2e
@pytest.mark.parametrize("loop_db", [-18.0, -12.0])
def test_a_screen_reader_is_not_heard_and_the_user_is(loop_db: float, tmp_path: Path) -> None:
    question = tmp_path / "question.wav"
    subprocess.run(["flite", "-voice", "slt", "-t", "Wait, what is on the chair?", "-o", str(question)], check=True)
    with sound_server() as server, listening(server, loop_db) as heard:
        for sentence in SENTENCES:
            reader(server, sentence)
        assert heard.starts == 0
        server.speak(question)
        server.wait_until(lambda: heard.starts == 1, "the user is heard")


@linux
@pytest.mark.e2e
def test_without_the_monitor_it_would_be(tmp_path: Path) -> None:
    """The reason for it all; the test above could not fail otherwise."""
    with sound_server() as server, listening(server, -12.0, with_monitor=False) as heard:
        for sentence in SENTENCES[1:]:
            reader(server, sentence)
        server.wait_until(lambda: heard.starts > 0, "the reader is taken for the user")


@pytest.mark.slow
@linux
def test_the_monitor_survives_a_server_that_ends_and_follows_another_output() -> None:
    with sound_server() as server:
        sink = ""
        monitor = OutputMonitor(lambda: sink)
        monitor.start()
        server.wait_until(lambda: monitor.runs, "the monitor runs")
        server.kill()
        server.wait_until(lambda: not monitor.runs, "it has stopped")
        server.start()
        server.plug_in()
        server.wait_until(lambda: monitor.runs, "it is back")
        server.load("other", "module-null-sink", "sink_name=other", "rate=48000")
        sink = "other"
        tone = server.directory / "tone.wav"
        subprocess.run(["espeak-ng", "-w", str(tone), "One two three four five six."], check=True, timeout=30)
        server.wait_until(lambda: "other.monitor" in _recorded(server), "the other output is recorded")
        monitor.stop()
        monitor.stop()


@linux
@pytest.mark.e2e
def test_a_microphone_that_was_unplugged_and_is_back_does_not_stay_the_monitor() -> None:
    """Without one the monitor is the default source, and the server moves recordings from default to default."""
    with sound_server() as server:
        monitor = OutputMonitor(lambda: SPEAKER)
        monitor.start()
        server.wait_until(lambda: monitor.runs, "the monitor runs")
        server.unload("microphone")
        server.unload("micpipe")
        server.wait_until(lambda: f"Default Source: {SPEAKER}.monitor" in server.pactl("info"), "the default moves")
        server.plug_microphone()
        server.wait_until(lambda: "microphone" in _recorded(server).split(), "the recording is moved")
        monitor.record_anew()
        server.wait_until(lambda: f"{SPEAKER}.monitor" in _recorded(server).split(), "the speaker is recorded again")
        server.wait_until(lambda: monitor.runs, "the monitor runs")
        monitor.stop()


def _recorded(server: SoundServer) -> str:
    indices = {line.split()[0]: line.split()[1] for line in server.pactl("list", "short", "sources").splitlines()}
    outputs = server.pactl("list", "short", "source-outputs").splitlines()
    return " ".join(indices.get(line.split()[1], "") for line in outputs)


def test_without_a_sound_server_the_own_sound_is_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("audio_io.monitor.load_simple", lambda: None)
    monitor, own = OutputMonitor(), EchoReference()
    monitor.start()
    monitor.stop()
    assert not monitor.runs
    playback = own.open(INSIDE_RATE_HZ)
    for number in range(100):
        playback.write(np.full((BLOCK_SAMPLES, 1), 0.5, np.float32), 10.0 + number * BLOCK_S)
    reference = AllThatPlays(monitor, own)
    assert reference.covers(10.5)
    assert np.allclose(reference.block_for(10.5), 0.5)


def test_a_block_is_waited_for_until_what_was_played_is_known() -> None:
    reference = EchoReference(0.0)
    assert reference.covers(1.0)  # nothing plays: nothing to wait for
    playback = reference.open(INSIDE_RATE_HZ)
    for number in range(10):
        playback.write(np.full((BLOCK_SAMPLES, 1), 0.25, np.float32), 10.0 + number * BLOCK_S)
    assert reference.covers(10.0 + 8 * BLOCK_S)
    assert not reference.covers(10.0 + 10 * BLOCK_S)
    playback.write(np.full((BLOCK_SAMPLES, 1), 0.75, np.float32), 10.0 + 10 * BLOCK_S)
    assert reference.covers(10.0 + 10 * BLOCK_S)
    assert np.allclose(reference.block_for(10.0 + 10 * BLOCK_S), 0.75)


def test_reading_late_does_not_move_the_time_line_and_the_server_moving_its_buffers_does() -> None:
    arrival = Arrival()
    times = [arrival.take(100.0 + (n + 1) * BLOCK_S) for n in range(100)]
    assert times[0] == (pytest.approx(100.0), False)
    assert times[99][0] == pytest.approx(100.99, abs=0.001)
    # The thread was held up for 200 ms, then reads all that has come in one go.
    late = [arrival.take(101.0 + 0.2 + 0.0001 * n) for n in range(20)]
    assert [moved for _, moved in late] == [False] * 20
    assert late[19][0] == pytest.approx(101.19, abs=0.001)
    # From here on everything is 280 ms later: after some blocks the time line follows, once.
    after = [arrival.take(101.2 + 0.28 + (n + 1) * BLOCK_S) for n in range(50)]
    assert sum(moved for _, moved in after) == 1
    assert after[49][0] == pytest.approx(101.2 + 0.28 + 0.49, abs=0.002)


def test_a_block_whose_reference_is_not_known_begins_no_utterance(monkeypatch: pytest.MonkeyPatch) -> None:
    monitor = OutputMonitor()
    monkeypatch.setattr(OutputMonitor, "runs", True)
    reference = AllThatPlays(monitor, EchoReference())
    playback = monitor.reference.open(INSIDE_RATE_HZ)
    for number in range(100):
        playback.write(np.zeros((BLOCK_SAMPLES, 1), np.float32), 10.0 + number * BLOCK_S)
    voice = np.full(BLOCK_SAMPLES, 0.1, np.float32)
    reference.block_for(10.5)
    assert not reference.is_echo(voice)
    reference.block_for(12.0)
    assert reference.is_echo(voice)
    reference.block_for(5.0)
    assert reference.is_echo(voice)
