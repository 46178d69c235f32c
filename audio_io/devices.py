"""Lists sound devices, for the pickers and `doctor`. `python -m audio_io.devices` prints them as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

from audio_io.errors import SoundError
from audio_io.events import DeviceKind
from audio_io.library import load_portaudio
from audio_io.pulse import PulseWatch, ServerDevices

CHILD_TIMEOUT_S: Final = 10.0
SERVER_TIMEOUT_S: Final = 2.0
SERVER_PREFIX: Final = "pulse:"
"""Begins the id of a device of the sound server; the rest is the server's name for it."""
SERVER_DEVICES: Final = ("pulse", "default")
"""PortAudio's names for "wherever the sound server leads", best first."""


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One device in one direction (a headset is two)."""

    kind: DeviceKind
    id: str
    """What `Microphone(device=...)`, `Player(device=...)` and the settings take."""
    name: str
    """For people."""
    host_api: str
    rate_hz: int
    """The device's own rate; 0 where the sound server chooses it."""
    is_default: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def portaudio_devices(library: Any) -> list[SoundDevice]:
    """What this process's PortAudio lists: as it was when PortAudio started."""
    host_apis = library.query_hostapis()
    found = []
    directions: tuple[tuple[DeviceKind, str, int], ...] = (("microphone", "input", 0), ("speaker", "output", 1))
    for info in library.query_devices():
        host_api = str(host_apis[info["hostapi"]]["name"])
        for kind, direction, place in directions:
            if info[f"max_{direction}_channels"] < 1:
                continue
            found.append(
                SoundDevice(
                    kind=kind,
                    id=f"{info['name']}, {host_api}",
                    name=str(info["name"]),
                    host_api=host_api,
                    rate_hz=int(info["default_samplerate"]),
                    is_default=info["index"] == library.default.device[place],
                )
            )
    return found


def merge(portaudio: Iterable[SoundDevice], server: ServerDevices | None) -> list[SoundDevice]:
    """The server's devices in the place of PortAudio's entries for the server, where there is one."""
    portaudio = list(portaudio)
    if server is None or not any(device.name in SERVER_DEVICES for device in portaudio):
        return portaudio
    kinds: tuple[tuple[DeviceKind, Any, str], ...] = (
        ("microphone", server.microphones, server.default_microphone),
        ("speaker", server.speakers, server.default_speaker),
    )
    found = [
        SoundDevice(kind, SERVER_PREFIX + device.name, device.description, "PulseAudio", 0, device.name == default)
        for kind, devices, default in kinds
        for device in devices
    ]
    return found + [
        SoundDevice(d.kind, d.id, d.name, d.host_api, d.rate_hz, False)
        for d in portaudio
        if d.name not in SERVER_DEVICES
    ]


def read_devices() -> tuple[list[SoundDevice], list[SoundDevice]]:
    """PortAudio's list and the merged one, of this process. Raises PortAudioMissingError."""
    portaudio = portaudio_devices(load_portaudio())
    watch = PulseWatch()
    watch.start()
    watch.settled.wait(SERVER_TIMEOUT_S)
    server = watch.devices
    watch.stop()
    return portaudio, merge(portaudio, server)


def list_devices() -> list[SoundDevice]:
    """The devices there are now, for people to choose from.

    Read by a child process, because PortAudio's list is frozen in this one. Takes about half a second: call it away
    from the Qt thread. Raises SoundError (no PortAudio, or the child failed).
    """
    return FreshDevices().read("devices")


class FreshDevices:
    """One look at the devices as they are now, by a child process. `cancel` may be called from another thread."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._child: subprocess.Popen[str] | None = None
        self._cancelled = False

    def read(self, which: Literal["devices", "portaudio"]) -> list[SoundDevice]:
        """The merged list, or PortAudio's own. Raises SoundError, also when it was cancelled."""
        try:
            with self._guard:
                if self._cancelled:
                    raise SoundError("The look at the sound devices was cancelled.", "")
                child = self._child = subprocess.Popen(
                    [sys.executable, "-m", "audio_io.devices"],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    text=True,
                    cwd=Path(__file__).resolve().parents[1],
                    creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
                    start_new_session=sys.platform != "win32",  # Ctrl+C in a terminal is for the app alone
                )
            with child:
                try:
                    answer = json.loads(child.communicate(timeout=CHILD_TIMEOUT_S)[0])
                finally:
                    child.kill()
        except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
            raise SoundError(f"The list of sound devices cannot be read ({error}).", "Try again.") from error
        if "error" in answer:
            raise SoundError(answer["error"], answer["remedy"])
        return [SoundDevice(**device) for device in answer[which]]

    def cancel(self) -> None:
        with self._guard:
            self._cancelled = True
            if self._child is not None and self._child.poll() is None:
                self._child.kill()


def main() -> int:
    """Prints {"devices": [...], "portaudio": [...]} or {"error": ..., "remedy": ...}."""
    try:
        portaudio, devices = read_devices()
    except SoundError as error:
        sys.stdout.write(json.dumps({"error": error.message, "remedy": error.remedy}) + "\n")
        return 1
    answer = {"devices": [d.as_json() for d in devices], "portaudio": [d.as_json() for d in portaudio]}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
