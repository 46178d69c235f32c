"""A private PulseAudio server with a virtual microphone and speaker, for tests that need real sound devices.

    with sound_server(tmp_path) as server:      # sets the environment that PortAudio's clients read
        server.speak("question.wav")            # a person speaks into the microphone
        with server.recording() as take: ...    # a person listens at the speaker
        samples = take.samples                  # float32 [n] at take.rate_hz

Nothing here sleeps: every wait is for a condition, with a time limit.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import tempfile
import time
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SPEAKER, MICROPHONE, MICROPHONE_PIPE = "speaker", "microphone", "micpipe"
LIMIT_S = 15.0


class Recording:
    """What the speaker plays: float32 mono; bytes are collected by a `parec` process into a file."""

    def __init__(self, server: SoundServer, rate_hz: int, sink: str = SPEAKER) -> None:
        self.rate_hz = rate_hz
        self.path = server.directory / f"take-{time.monotonic_ns()}.raw"
        self._file = self.path.open("wb")
        self._process = subprocess.Popen(
            [
                "parec", "-d", f"{sink}.monitor", f"--rate={rate_hz}", "--channels=1", "--format=float32le",
                "--latency-msec=10", "--raw",
            ],
            stdout=self._file,
            env=server.environment,
        )  # fmt: skip
        server.wait_until(lambda: self.path.stat().st_size > 0, "parec records")

    @property
    def samples(self) -> NDArray[np.float32]:
        """Everything recorded so far."""
        data = self.path.read_bytes()
        return np.frombuffer(data[: len(data) // 4 * 4], dtype="<f4")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(LIMIT_S)
        self._file.close()


class SoundServer:
    """One running server. `environment` is what its clients need."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        runtime = directory / "run"
        runtime.mkdir(mode=0o700)
        self.environment = dict(os.environ) | {
            "HOME": str(directory),
            "XDG_RUNTIME_DIR": str(runtime),
            "PULSE_RUNTIME_PATH": str(runtime / "pulse"),
            "PULSE_COOKIE": str(directory / "cookie"),
        }
        # Everything a desktop session might have set that would lead the clients to another server.
        for name in ("PULSE_SERVER", "PULSE_SINK", "PULSE_SOURCE", "DBUS_SESSION_BUS_ADDRESS"):
            self.environment.pop(name, None)
        self.log = directory / "pulseaudio.log"
        self.modules: dict[str, str] = {}
        self._speaking: list[subprocess.Popen[bytes]] = []
        self._room: Path | None = None
        self.start()

    def start(self) -> None:
        """Starts the server; after `kill` a new one, without modules (`plug_in`)."""
        self.modules.clear()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit=true",
                    "--use-pid-file=no", "-L", "module-native-protocol-unix",
                ],
                stdout=log, stderr=log, env=self.environment,
            )  # fmt: skip

    def plug_in(self) -> None:
        """Loads the virtual speaker and microphone and makes them the defaults."""
        self.wait_until(lambda: self._pactl_ok("info"), "PulseAudio answers")
        self.plug_speaker()
        self.plug_microphone()

    def plug_speaker(self) -> None:
        self.load("speaker", "module-null-sink", f"sink_name={SPEAKER}", "rate=48000")
        self.pactl("set-default-sink", SPEAKER)

    def plug_microphone(self) -> None:
        if "micpipe" not in self.modules:
            self.load("micpipe", "module-null-sink", f"sink_name={MICROPHONE_PIPE}", "rate=48000")
            if self._room is not None:  # what was heard in it ended with the one before
                self._hear_room(self._room)
        self.load("microphone", "module-remap-source", f"master={MICROPHONE_PIPE}.monitor", f"source_name={MICROPHONE}")
        self.pactl("set-default-source", MICROPHONE)

    def load(self, name: str, module: str, *arguments: str) -> None:
        """Loads a module under a name of ours (`unload` takes it)."""
        self.modules[name] = self.pactl("load-module", module, *arguments).strip()

    def unload(self, name: str) -> None:
        self.pactl("unload-module", self.modules.pop(name))

    def pactl(self, *arguments: str) -> str:
        done = subprocess.run(
            ["pactl", *arguments], env=self.environment, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"pactl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _pactl_ok(self, *arguments: str) -> bool:
        if self._process.poll() is not None:
            raise RuntimeError(f"PulseAudio ended: {self.log.read_text(errors='replace')[-2000:]}")
        try:
            self.pactl(*arguments)
        except RuntimeError:
            return False
        return True

    def speak(self, wav: Path | str, *, wait: bool = True) -> subprocess.Popen[bytes]:
        """Plays a WAV file into the virtual microphone; with `wait` until it is spoken."""
        process = subprocess.Popen(["paplay", "-d", MICROPHONE_PIPE, str(wav)], env=self.environment)
        self._speaking.append(process)
        if wait and process.wait(120) != 0:
            raise RuntimeError(f"paplay {wav} failed")
        return process

    def begin_room(self) -> None:
        """From now on the virtual microphone gives the faint noise of a room, as real ones do: -60 dB, until the end.

        One that gives nothing at all is a fault, which the app tells after a few seconds.
        """
        path = self.directory / "room.wav"
        noise = np.random.default_rng(0).normal(0, 10**-3 * 32768, 60 * 16_000).astype("<i2")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16_000, len(noise), "NONE", ""))
            file.writeframes(noise.tobytes())
        self._room = path
        self._hear_room(path)

    def _hear_room(self, path: Path) -> None:
        loop = f"while paplay -d {MICROPHONE_PIPE} {path}; do :; done"  # ends with the microphone, or the server
        self._speaking.append(subprocess.Popen(["sh", "-c", loop], env=self.environment, stderr=subprocess.DEVNULL))

    @contextlib.contextmanager
    def recording(self, rate_hz: int = 48_000, sink: str = SPEAKER) -> Iterator[Recording]:
        take = Recording(self, rate_hz, sink)
        try:
            yield take
        finally:
            take.stop()

    def wait_until(self, condition: object, what: str, limit_s: float = LIMIT_S) -> None:
        wait_until(condition, what, limit_s)

    def kill(self) -> None:
        """Ends the server as a crash would, and who still speaks; may be called twice."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait(LIMIT_S)
        while self._speaking:
            speaking = self._speaking.pop()
            speaking.kill()
            speaking.wait(LIMIT_S)


def wait_until(condition: object, what: str, limit_s: float = LIMIT_S) -> None:
    """Returns as soon as `condition()` is true; AssertionError with `what` after `limit_s`."""
    assert callable(condition)
    deadline_s = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"waited {limit_s:g} s in vain until: {what}")
        select.select([], [], [], 0.005)  # gives the processor away between two looks; no fixed wait


@contextlib.contextmanager
def sound_server(directory: Path | None = None) -> Iterator[SoundServer]:
    """A running server whose environment is also this process's, until the end of the block."""
    with contextlib.ExitStack() as stack:
        # A short path: a Unix socket's may have 107 bytes, which pytest's directories easily exceed.
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="snd", ignore_cleanup_errors=True)))
        server = SoundServer(directory or home)
        stack.callback(server.kill)
        changed = {name: os.environ.get(name) for name in server.environment.keys() ^ os.environ.keys()} | {
            name: os.environ.get(name) for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_COOKIE")
        }
        stack.callback(_restore, changed)
        for name in changed:
            value = server.environment.get(name)
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        server.plug_in()
        yield server


def _restore(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
