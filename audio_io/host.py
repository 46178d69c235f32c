"""The process's one PortAudio: loads it, opens streams, and starts it anew when its device list is out of date.

PortAudio reads the list of devices once, when it starts (python-sounddevice #125, #427), and can start anew only while
no stream is open. So a part that misses its device asks for a restart (`want_restart`); every other part closes its
stream at a moment that suits it (`restart_wanted`), the last one out restarts, and all open again.
Whether a restart is worth it is found out first by a short-lived child process, whose PortAudio reads the list afresh
(`devices.fresh_devices`), so that sound that works is never interrupted in vain.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from audio_io.devices import SoundDevice, list_devices
from audio_io.errors import DeviceUnavailableError
from audio_io.events import DeviceKind
from audio_io.library import load_portaudio

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


class SoundHost:
    """Shared by the microphone and the speaker; its methods may be called from any thread."""

    def __init__(self, loader: Callable[[], ModuleType] = load_portaudio) -> None:
        self._loader = loader
        self._lock = threading.Lock()
        self._open_count = 0
        self._restart_wanted = False

    def open(
        self,
        kind: DeviceKind,
        device: str | int | None,
        callback: Callback,
        finished: Callable[[], None],
        latency_s: float,
        prepare: Callable[[int, int], None],
    ) -> OpenStream:
        """Opens and starts a float32 stream at the device's own rate, with one channel or, failing that, two.

        `device`: PortAudio's index, a part of its name, or None for the default. `callback` gets sounddevice's
        arguments (samples [n, channels]); `prepare(rate_hz, channels)` is called before it can be.
        Raises PortAudioMissingError or DeviceUnavailableError.
        """
        library = self._loader()
        with self._lock:
            if self._restart_wanted and self._open_count == 0:
                self._restart(library)
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
        try:
            info = library.query_devices(device, direction)
            most_channels = int(info[f"max_{direction}_channels"])
            rate_hz = int(info["default_samplerate"])
        except (library.PortAudioError, ValueError) as error:
            raise DeviceUnavailableError(
                f"There is no {kind} {wanted!r} ({error}).", f"Plug in a {kind} or choose another one."
            ) from error
        problem: Exception | None = None
        for channels in (1, 2)[: max(1, most_channels)]:
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

    def list_devices(self) -> list[SoundDevice]:
        """The devices as this process's PortAudio knows them."""
        library = self._loader()
        with self._lock:
            return list_devices(library)
