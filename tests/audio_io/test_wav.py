"""WAV files in the devices' place, the player's bookkeeping, and speech at another rate."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audio_io.blocks import BLOCK_SAMPLES, INSIDE_RATE_HZ, SPEECH_RATE_HZ, Block
from audio_io.earcons import EARCONS, load_earcons
from audio_io.errors import PlayerFullError, WavFileError
from audio_io.events import PlaybackFinished, PlaybackStarted, SourceFinished, SpeechEnded
from audio_io.interfaces import Heard
from audio_io.listener import Listener
from audio_io.replies import QueuedReply, ReplyQueue
from audio_io.stretch import Stretch
from audio_io.wav_file import read_wav, write_wav
from audio_io.wav_player import WavPlayer
from audio_io.wav_source import AFTER_S, BEFORE_S, WavSource
from tests.audio_io.voices import spoken
from tests.sound_server import wait_until


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 2), (22_050, 1), (44_100, 2), (48_000, 6)])
def test_wav_of_any_rate_and_channels_is_said_at_the_right_speed(tmp_path: Path, rate_hz: int, channels: int) -> None:
    t = np.arange(rate_hz) / rate_hz
    tone = np.repeat(np.sin(2 * np.pi * 500 * t)[:, None] / 2, channels, axis=1)
    soundfile.write(tmp_path / "tone.wav", tone, rate_hz)
    blocks: list[Block] = []
    done = threading.Event()
    source = WavSource()
    source.say(tmp_path / "tone.wav")
    source.start(blocks.append, lambda event: done.set())
    assert done.wait(10)
    source.stop()
    sound = np.concatenate([block.samples for block in blocks])
    assert len(sound) == round((BEFORE_S + 1 + AFTER_S) * INSIDE_RATE_HZ)
    middle = sound[round((BEFORE_S + 0.2) * INSIDE_RATE_HZ) :][: INSIDE_RATE_HZ // 2]
    expected = np.sin(2 * np.pi * 500 * (np.arange(len(middle)) / INSIDE_RATE_HZ + 0.2)) / 2
    assert np.abs(middle - expected).max() < 0.01


def test_two_files_are_two_utterances_and_the_source_ends_cleanly(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", spoken("What do you see in front of me?", rate_hz=24_000), 24_000)
    events: list[Any] = []
    source = WavSource()
    listener = Listener(source, events.append)
    source.say(tmp_path / "a.wav")
    source.say(spoken("Where is the cup?", "rms"), name="second")
    listener.start()
    wait_until(lambda: sum(isinstance(e, SourceFinished) for e in events) == 2, "both are said")
    names = [e.name for e in events if isinstance(e, SourceFinished)]
    assert names == [str(tmp_path / "a.wav"), "second"]
    kinds = [type(e) for e in events if isinstance(e, SpeechEnded | SourceFinished)]
    assert kinds == [SpeechEnded, SourceFinished, SpeechEnded, SourceFinished]
    listener.stop()
    listener.stop()
    assert not any(thread.name == "wav-source" for thread in threading.enumerate())


@pytest.mark.slow
def test_realtime_source_keeps_the_pace_of_speech() -> None:
    blocks: list[Block] = []
    finished = threading.Event()
    source = WavSource(realtime=True)
    source.start(blocks.append, lambda event: finished.set())
    wait_until(lambda: len(blocks) >= 20, "silence flows before anything is said")
    source.say(np.full(1600, 0.5, np.float32))
    assert finished.wait(10)
    source.stop()
    assert [block.number for block in blocks] == list(range(len(blocks)))
    assert sum(float(np.abs(block.samples).max()) > 0.4 for block in blocks) == 10


@pytest.mark.parametrize("case", ["missing", "text", "empty", "folder"])
def test_files_that_are_no_sound_are_refused_with_a_reason(tmp_path: Path, case: str) -> None:
    path = tmp_path / "x.wav"
    if case == "text":
        path.write_text("not sound at all")
    elif case == "empty":
        soundfile.write(path, np.zeros((0, 1)), 16_000)
    elif case == "folder":
        path.mkdir()
    with pytest.raises(WavFileError, match=r"x\.wav"):
        WavSource().say(path)
    with pytest.raises(WavFileError, match="folder"):
        write_wav(tmp_path / "no" / "such" / "y.wav", np.zeros(10, np.float32), 16_000)


NO_ROOM = """
import resource, sys
import numpy as np
from audio_io.errors import WavFileError
from audio_io.wav_file import write_wav
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_wav(sys.argv[1], np.zeros(24_000, np.float32), 24_000)
except WavFileError as error:
    print(error.message)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="the limit on file sizes is POSIX's")
def test_a_file_that_finds_no_room_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM, str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    assert "File too large" in done.stdout
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"of an earlier day")
    subprocess.run([sys.executable, "-c", NO_ROOM, str(path)], capture_output=True, timeout=60, check=True)
    assert path.read_bytes() == b"of an earlier day"
    assert list(tmp_path.iterdir()) == [path]


NO_ENTRY = """
import errno, sys
from pathlib import Path
import numpy as np
from audio_io.errors import WavFileError
from audio_io.wav_file import write_wav
def audit(event, arguments):  # as a folder that may not be written to is met, whoever runs the tests
    if event == "os.remove" or event == "open" and str(arguments[0]).endswith((".wav", ".part")):
        raise PermissionError(errno.EACCES, "Permission denied", arguments[0])
sys.addaudithook(audit)
try:
    write_wav(sys.argv[1], np.zeros(240, np.float32), 24_000)
except WavFileError as error:
    print(error.message)
"""


def test_a_folder_that_may_not_be_written_to_is_a_message_and_keeps_its_files(tmp_path: Path) -> None:
    path = tmp_path / "reply.wav"
    path.write_bytes(b"of an earlier day")
    done = subprocess.run([sys.executable, "-c", NO_ENTRY, str(path)], capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert "Permission denied" in done.stdout
    assert path.read_bytes() == b"of an earlier day"


def test_wav_player_with_a_virtual_clock_knows_what_was_heard(tmp_path: Path) -> None:
    now_s = [0.0]
    events: list[Any] = []
    player = WavPlayer(events.append, clock=lambda: now_s[0])
    player.start()
    reply = spoken("The red cup is on the table.", rate_hz=SPEECH_RATE_HZ)
    player.play("r", reply)
    now_s[0] = 0.5
    player.poll()
    assert player.heard_ms("r") == 500
    player.pause()
    now_s[0] = 3.0
    assert player.heard_ms("r") == 500
    player.resume()
    now_s[0] = 3.25
    assert player.flush() == (Heard("r", 750),)
    assert player.heard_ms("r") == 750
    player.play("r", reply)  # late sound of a flushed reply
    player.play("s", reply)
    player.finish("s")
    now_s[0] = 10.0
    player.poll()
    assert [type(e) for e in events] == [PlaybackStarted, PlaybackStarted, PlaybackFinished]
    assert np.array_equal(player.heard_samples("r"), reply[: round(0.75 * SPEECH_RATE_HZ)])
    player.save("s", tmp_path / "reply.wav")
    assert np.abs(read_wav(tmp_path / "reply.wav", SPEECH_RATE_HZ) - reply).max() < 1e-4
    player.stop()


def test_wav_player_without_a_clock_hears_at_once() -> None:
    events: list[Any] = []
    player = WavPlayer(events.append)
    player.play("r", np.zeros(2400, np.float32))
    assert player.heard_ms("r") == 100
    player.finish("r")
    player.finish("empty")
    assert events[-2:] == [PlaybackFinished("r", 100, 0), PlaybackFinished("empty", 0, 0)]


@given(
    chunks=st.lists(st.integers(0, 500), max_size=12),
    takes=st.lists(st.integers(1, 400), max_size=40),
    delay=st.integers(0, 300),
)
@settings(max_examples=100, deadline=None)
def test_reply_gives_every_sample_once_and_heard_only_grows(chunks: list[int], takes: list[int], delay: int) -> None:
    reply = QueuedReply("r")
    whole = np.arange(sum(chunks), dtype=np.float32)
    at = 0
    for n in chunks:
        reply.chunks.append(whole[at : at + n])
        reply.queued += n
        at += n
    reply.mark(0, 0)
    out: list[np.ndarray] = []
    position = 0
    for n in takes:
        piece = reply.take(n)
        out.append(piece)
        position += 2 * len(piece)  # the speaker runs at twice the rate
        reply.mark(position, reply.fed)
        before = reply.heard
        reply.follow(max(0, position - delay))
        assert before <= reply.heard <= reply.fed
        assert abs(reply.heard - max(0, position - delay) / 2) <= 1 or reply.heard == before
    assert np.array_equal(np.concatenate([*out, np.empty(0)]), whole[: sum(len(piece) for piece in out)])
    reply.rewind()
    rest = reply.take(10**6)
    assert np.array_equal(rest, whole[reply.heard :])


def test_queue_refuses_nonsense() -> None:
    queue = ReplyQueue()
    with pytest.raises(ValueError, match="mono"):
        queue.add("r", np.zeros((10, 2), np.float32))
    with pytest.raises(PlayerFullError, match="600 s"):
        queue.add("r", np.zeros(601 * SPEECH_RATE_HZ, np.float32))
    queue.add("r", np.zeros(10, np.float32))
    queue.finish("r")
    with pytest.raises(ValueError, match="after its finish"):
        queue.add("r", np.zeros(10, np.float32))


@pytest.mark.parametrize("rate", [0.5, 0.8, 1.25, 1.5, 2.0, 3.0])
def test_rate_of_speech_changes_the_length_and_not_the_pitch(rate: float) -> None:
    t = np.arange(2 * SPEECH_RATE_HZ) / SPEECH_RATE_HZ
    voiced = (0.2 * sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12))).astype(np.float32)
    stretch = Stretch(rate)
    pieces = [stretch.push(voiced[i : i + 1920]) for i in range(0, len(voiced), 1920)]
    out = np.concatenate([*pieces, stretch.push(np.empty(0, np.float32), last=True)])
    assert len(out) == pytest.approx(len(voiced) / rate, abs=0.08 * SPEECH_RATE_HZ)
    spectrum = np.abs(np.fft.rfft(out[2000:-2000] * np.hanning(len(out) - 4000)))
    lowest = np.fft.rfftfreq(len(out) - 4000, 1 / SPEECH_RATE_HZ)[np.argmax(spectrum)]
    assert lowest == pytest.approx(130, abs=3)
    assert stretch.position == len(voiced)


def test_rate_one_is_exact_and_changing_it_loses_nothing() -> None:
    speech = spoken("In front of you there is a table.", rate_hz=SPEECH_RATE_HZ)
    assert np.array_equal(Stretch().push(speech), speech)
    stretch = Stretch()
    half = len(speech) // 2
    out = [stretch.push(speech[:half])]
    stretch.rate = 2.0
    out.append(stretch.push(speech[half:]))
    stretch.rate = 1.0
    out.append(stretch.push(np.empty(0, np.float32), last=True))
    assert stretch.position == len(speech)
    assert np.abs(np.diff(np.concatenate(out))).max() < 1.5 * np.abs(np.diff(speech)).max()  # no clicks at the seams


def test_earcons_are_there_short_and_different() -> None:
    sounds = load_earcons()
    assert set(sounds) == set(EARCONS)
    for sound in sounds.values():
        assert 0.05 < len(sound) / SPEECH_RATE_HZ < 0.5
        assert 0.03 < np.abs(sound).max() < 0.6
        assert np.abs(sound[-5:]).max() < 0.01
    assert len({len(sound) for sound in sounds.values()}) == len(sounds)


def test_blocks_of_the_source_have_the_inside_shape() -> None:
    blocks: list[Block] = []
    done = threading.Event()
    source = WavSource()
    source.say(np.zeros(333, np.float32))
    source.start(blocks.append, lambda event: done.set())
    assert done.wait(5)
    source.stop()
    assert all(block.samples.shape == (BLOCK_SAMPLES,) for block in blocks)
    assert blocks[3].at_s == pytest.approx(0.03)
