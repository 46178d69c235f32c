"""The process's one PortAudio: loads it, opens streams, and starts it anew when its device list is out of date.

PortAudio reads the list of devices once, when it starts (python-sounddevice #125, #427), and can start anew only while
no stream is open. So a part that misses its device asks for a restart (`want_restart`); every other part closes its
stream at a moment that suits it (`restart_wanted`), the last one out restarts, and all open again.
Whether a restart is worth it is found out first by a short-lived child process, whose PortAudio reads the list afresh
(`devices.FreshDevices`), so that sound that works is never interrupted in vain.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from audio_io.devices import SERVER_DEVICES, SERVER_PREFIX, SoundDevice, portaudio_devices
from audio_io.errors import DeviceUnavailableError
from audio_io.events import DeviceKind
from audio_io.library import load_portaudio
from audio_io.pulse import PulseWatch

Callback = Callable[[Any, int, Any, Any], None]


@dataclass(eq=False)
class OpenStream:
    """A running stream; to be closed by `SoundHost.close`, by the thread that opened it."""

    stream: Any
    kind: DeviceKind
    name: str
    rate_hz: int
    channels: int
    latency_s: float


WATCH_LIMIT_S = 1.0
"""The first stream waits for the sound server's list for so long; without a server there is nothing to wait for."""


@contextlib.contextmanager
def _server_device(kind: DeviceKind, device: str | int | None) -> Iterator[None]:
    """Makes the sound server lead the stream opened inside to its device `device`.

    libpulse reads these two variables when it connects, and PortAudio has no other way to say it.
    """
    if not isinstance(device, str) or not device.startswith(SERVER_PREFIX):
        yield
        return
    variable = "PULSE_SOURCE" if kind == "microphone" else "PULSE_SINK"
    before = os.environ.get(variable)
    os.environ[variable] = device.removeprefix(SERVER_PREFIX)
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _server_entry(library: Any) -> int | None:
    """Index of PortAudio's entry for the sound server; None for its default, which leads there too if anything does."""
    names = [str(info["name"]) for info in library.query_devices()]
    return next((names.index(name) for name in SERVER_DEVICES if name in names), None)


class SoundHost:
    """Shared by the microphone and the speaker; its methods may be called from any thread."""

    def __init__(self, loader: Callable[[], ModuleType] = load_portaudio) -> None:
        self._loader = loader
        self._lock = threading.Lock()
        self._open_count = 0
        self._restart_wanted = False
        self._watch = PulseWatch()
        self._watching = False

    def open(
        self,
        kind: DeviceKind,
        device: str | int | None,
        callback: Callback,
        finished: Callable[[], None],
        latency_s: float,
        prepare: Callable[[int, int], None],
    ) -> OpenStream:
        """Opens and starts a float32 stream at the device's own rate, with one channel of a speaker and two
        of a microphone or, failing that, the other number.

        `device`: PortAudio's index, a part of its name, or None for the default. `callback` gets sounddevice's
        arguments (samples [n, channels]); `prepare(rate_hz, channels)` is called before it can be.
        Raises PortAudioMissingError or DeviceUnavailableError.
        """
        library = self._loader()
        with self._lock:
            if not self._watching:
                self._watching = True
                self._watch.start()
                self._watch.settled.wait(WATCH_LIMIT_S)
            absence = self.absence(kind, device)
            if absence is not None:
                raise DeviceUnavailableError(absence, f"Plug in a {kind} or choose another one.")
            if self._restart_wanted and self._open_count == 0:
                self._restart(library)
            with _server_device(kind, device):
                opened = self._open(library, kind, device, callback, finished, latency_s, prepare)
            self._open_count += 1
            return opened

    def _open(
        self,
        library: Any,
        kind: DeviceKind,
        device: str | int | None,
        callback: Callback,
        finished: Callable[[], None],
        latency_s: float,
        prepare: Callable[[int, int], None],
    ) -> OpenStream:
        direction = "input" if kind == "microphone" else "output"
        make = library.InputStream if kind == "microphone" else library.OutputStream
        wanted = "default" if device is None else str(device)
        if isinstance(device, str) and device.startswith(SERVER_PREFIX):
            device = _server_entry(library)
        try:
            info = library.query_devices(device, direction)
            most_channels = int(info[f"max_{direction}_channels"])
            rate_hz = int(info["default_samplerate"])
        except (library.PortAudioError, ValueError) as error:
            raise DeviceUnavailableError(
                f"There is no {kind} {wanted!r} ({error}).", f"Plug in a {kind} or choose another one."
            ) from error
        problem: Exception | None = None
        # Two of a microphone where it has them: a server's mean of channels in opposite phase would be silence.
        wanted_channels = (2, 1) if kind == "microphone" and most_channels > 1 else (1, 2)[: max(1, most_channels)]
        for channels in wanted_channels:
            stream: Any = None
            prepare(rate_hz, channels)
            try:
                stream = make(
                    samplerate=rate_hz,
                    device=info["index"],
                    channels=channels,
                    dtype="float32",
                    latency=latency_s,
                    callback=callback,
                    finished_callback=finished,
                )
                stream.start()
            except (library.PortAudioError, ValueError) as error:
                problem = error
                if stream is not None:
                    stream.close(ignore_errors=True)
                continue
            return OpenStream(stream, kind, str(info["name"]), rate_hz, channels, float(stream.latency))
        raise DeviceUnavailableError(
            f"The {kind} {info['name']!r} cannot be opened ({problem}).",
            f"Plug the {kind} in again, close other programs that use it, allow this app to use it, "
            "or choose another one.",
        ) from problem

    def close(self, opened: OpenStream) -> None:
        """Closes the stream at once (what the device has buffered is lost)."""
        with self._lock:
            opened.stream.abort(ignore_errors=True)
            opened.stream.close(ignore_errors=True)
            self._open_count -= 1

    @property
    def restart_wanted(self) -> bool:
        """True while some part waits for PortAudio to start anew: close your stream as soon as it suits you."""
        return self._restart_wanted

    def want_restart(self) -> None:
        self._restart_wanted = True

    def _restart(self, library: Any) -> None:
        # sounddevice has no public name for it; these two have been there, unchanged, since 0.3.
        library._terminate()
        library._initialize()
        self._restart_wanted = False

    def portaudio_devices(self) -> list[SoundDevice]:
        """PortAudio's list as this process knows it."""
        library = self._loader()
        with self._lock:
            return portaudio_devices(library)

    def speaker_name(self, device: str | int | None) -> str:
        """The sound server's name of the output that a stream for `device` goes to; "" where it is not known."""
        if isinstance(device, str) and device.startswith(SERVER_PREFIX):
            return device.removeprefix(SERVER_PREFIX)
        known = self._watch.devices
        return known.default_speaker if known is not None else ""

    def absence(self, kind: DeviceKind, device: str | int | None) -> str | None:
        """Why the sound server would lead a stream for this device elsewhere; None where it would not, or who knows."""
        known = self._watch.devices
        if known is None:
            return None
        there = known.microphones if kind == "microphone" else known.speakers
        if isinstance(device, str) and device.startswith(SERVER_PREFIX):
            name = device.removeprefix(SERVER_PREFIX)
            return None if any(one.name == name for one in there) else f"The {kind} {name!r} is not plugged in."
        if device is None or device in SERVER_DEVICES:
            return None if there else f"No {kind} is plugged in."
        return None

    def close_watch(self) -> None:
        """Ends the watch of the sound server. Call it after the parts have stopped; may be called twice."""
        self._watch.stop()
