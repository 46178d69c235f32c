"""Keeps one stream open for as long as its part runs: opens it, notices its loss, and brings it back.

The keeper has no thread and no clock of its own. The part's worker calls `tick` at least ten times a second.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from audio_io.devices import FreshDevices, SoundDevice
from audio_io.errors import PortAudioMissingError, SoundError
from audio_io.events import DeviceBack, DeviceEvent, DeviceKind, DeviceLost, DeviceMissing, DeviceOpened
from audio_io.host import OpenStream, SoundHost

SETTLE_S = 6.0
"""A new stream may be silent for so long: a sound server fills its buffer with the first callbacks and then needs 0.5
to 1.8 s before the next, Bluetooth some more."""
STALL_LIMIT_S = 1.0
"""A stream older than that is lost after so long without a callback."""
LOOK_LIMIT_S = 1.0
"""The end of a part waits for so long until a look at the device list has been broken off."""
RETRY_FIRST_S, RETRY_MOST_S = 0.25, 5.0
"""Waits between attempts to open: doubled from the first to the longest."""

Opener = Callable[[str | int | None, Callable[[], None]], OpenStream]


class DeviceKeeper:
    """Owned by the worker thread of its part.

    open_stream(device, finished): opens; `finished` may be called from the device's thread when the stream ends.
    """

    def __init__(
        self,
        host: SoundHost,
        kind: DeviceKind,
        device: str | int | None,
        open_stream: Opener,
        emit: Callable[[DeviceEvent], None],
    ) -> None:
        self._host = host
        self._kind: DeviceKind = kind
        self._device = device
        self._open_stream = open_stream
        self._emit = emit
        self.stream: OpenStream | None = None
        self._ended = False
        self._opened_at_s = 0.0
        self._progress = 0
        self._progress_at_s = 0.0
        self._announced = False  # DeviceOpened or DeviceBack sent for this stream
        self._missing_since_open = False  # a loss or absence has been reported and not yet taken back
        self._retry_at_s = 0.0
        self._retry_s = RETRY_FIRST_S
        self._final = False
        self._stalled: str | None = None  # the device whose stream was given up for a new one without a word
        self._absent = False  # the sound server says that there is no such device
        self._look: threading.Thread | None = None
        self._fresh: FreshDevices | None = None

    def tick(self, now_s: float, progress: int, may_close: bool) -> None:
        """`progress`: callbacks so far; `may_close`: a gap of a second would not be noticed now."""
        if self.stream is None:
            if self._absent and self._host.absence(self._kind, self._device) is None:
                self._absent = False  # the sound server has it again: no need to wait for the next attempt
                self._retry_at_s = now_s
            if not self._final and now_s >= self._retry_at_s:
                self._try_open(now_s, progress)
            return
        absence = self._host.absence(self._kind, self._device)
        if absence is not None:
            self._lose(now_s, absence)
            return
        if progress != self._progress:
            self._progress, self._progress_at_s = progress, now_s
            if not self._announced:
                self._announce()
        elif self._ended:
            self._lose(now_s, f"The {self._kind} {self.stream.name!r} has stopped: unplugged, or taken by a program.")
        elif now_s - self._progress_at_s > self._stall_limit_s():
            self._stall(now_s)
        if self.stream is not None and self._host.restart_wanted and may_close:
            self.close()
            self._retry_at_s = now_s

    def switch(self, device: str | int | None, now_s: float) -> None:
        """Uses another device from now on."""
        self.close()
        self._device = device
        self._final = False
        self._missing_since_open = False
        self._retry_at_s = now_s
        self._retry_s = RETRY_FIRST_S

    def close(self) -> None:
        if self.stream is not None:
            self._host.close(self.stream)
            self.stream = None

    def join(self, timeout_s: float) -> None:
        """Closes, and ends the look at the device list if one is under way."""
        self.close()
        if self._look is not None and self._fresh is not None:
            self._fresh.cancel()
            self._look.join(timeout_s)

    def _try_open(self, now_s: float, progress: int) -> None:
        self._ended = False
        try:
            stream = self._open_stream(self._device, self._on_finished)
        except PortAudioMissingError as error:
            self._final = True
            self._emit(DeviceMissing(self._kind, self._name(), error.message, error.remedy, final=True))
            return
        except SoundError as error:
            if not self._missing_since_open:
                self._missing_since_open = True
                make = DeviceMissing if self._stalled is None else DeviceLost
                self._emit(make(self._kind, self._stalled or self._name(), error.message, error.remedy))
            self._retry_at_s = now_s + self._retry_s
            self._retry_s = min(RETRY_MOST_S, 2 * self._retry_s)
            self._absent = self._host.absence(self._kind, self._device) is not None
            if not self._absent:
                self._look_for_change()
            return
        self.stream = stream
        self._opened_at_s = now_s
        self._announced = False
        self._progress, self._progress_at_s = progress, now_s

    def _on_finished(self) -> None:
        self._ended = True

    def _announce(self) -> None:
        assert self.stream is not None
        make = DeviceBack if self._missing_since_open else DeviceOpened
        if self._stalled != self.stream.name or self._missing_since_open:
            self._emit(make(self._kind, self.stream.name, self.stream.rate_hz))
        self._stalled = None
        self._announced = True
        self._missing_since_open = False
        self._retry_s = RETRY_FIRST_S

    def _lose(self, now_s: float, message: str) -> None:
        assert self.stream is not None
        name = self.stream.name
        self.close()
        if not self._missing_since_open:
            self._missing_since_open = True
            remedy = f"Plug the {self._kind} in again or choose another one; it is used as soon as it is there."
            self._emit(DeviceLost(self._kind, name, message, remedy))
        self._absent = self._host.absence(self._kind, self._device) is not None
        self._retry_at_s = now_s + self._retry_s
        self._retry_s = min(RETRY_MOST_S, 2 * self._retry_s)

    def _stall_limit_s(self) -> float:
        settled = self._announced and self._progress_at_s - self._opened_at_s > SETTLE_S
        return STALL_LIMIT_S if settled else SETTLE_S

    def _stall(self, now_s: float) -> None:
        """No callback for a while: a busy computer does that as well. It is opened again without a word first."""
        assert self.stream is not None
        if not self._announced:
            self._lose(now_s, f"The {self._kind} {self.stream.name!r} is open, but no sound passes through it.")
            return
        self._stalled = self.stream.name
        self.close()
        self._retry_at_s = now_s

    def _look_for_change(self) -> None:
        """Asks for a restart of PortAudio if the devices have changed since it started; does not block."""
        if self._look is not None and self._look.is_alive():
            return
        self._fresh = fresh = FreshDevices()
        self._look = threading.Thread(
            target=self._look_once, args=(fresh,), name=f"{self._kind}-device-list", daemon=True
        )
        self._look.start()

    def _look_once(self, fresh: FreshDevices) -> None:
        try:
            if _names(fresh.read("portaudio")) != _names(self._host.portaudio_devices()):
                self._host.want_restart()
        except SoundError:
            return  # the next failed attempt looks again; the absence itself has been reported

    def _name(self) -> str:
        return "default" if self._device is None else str(self._device)


def _names(devices: list[SoundDevice]) -> set[tuple[str, str, str, bool]]:
    return {(device.kind, device.host_api, device.name, device.is_default) for device in devices}
