"""Lists sound devices, for the pickers and `doctor`. `python -m audio_io.devices` prints them as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

from audio_io.errors import SoundError
from audio_io.library import load_portaudio

CHILD_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """One device in one direction (a headset is two)."""

    kind: str
    """"microphone" or "speaker"."""
    name: str
    host_api: str
    rate_hz: int
    channels: int
    is_default: bool

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def list_devices(library: Any = None) -> list[SoundDevice]:
    """The devices as this process's PortAudio knows them (see `fresh_devices`). Raises PortAudioMissingError."""
    library = library or load_portaudio()
    host_apis = library.query_hostapis()
    found = []
    for info in library.query_devices():
        host_api = host_apis[info["hostapi"]]
        for kind, direction in (("microphone", "input"), ("speaker", "output")):
            if info[f"max_{direction}_channels"] < 1:
                continue
            found.append(
                SoundDevice(
                    kind=kind,
                    name=str(info["name"]),
                    host_api=str(host_api["name"]),
                    rate_hz=int(info["default_samplerate"]),
                    channels=int(info[f"max_{direction}_channels"]),
                    is_default=info["index"] == library.default.device[0 if direction == "input" else 1],
                )
            )
    return found


def fresh_devices() -> list[SoundDevice]:
    """The devices as they are now, read by a child process, because PortAudio's list is frozen in this one.

    Takes about half a second; call it away from the Qt thread. Raises SoundError when the child fails.
    """
    flags = getattr(subprocess, "CREATE_NO_WINDOW", 0)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "audio_io.devices"],
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
            check=False,
            creationflags=flags,
        )
        answer = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError) as error:
        raise SoundError(f"The list of sound devices cannot be read ({error}).", "Try again.") from error
    if "error" in answer:
        raise SoundError(answer["error"], answer["remedy"])
    return [SoundDevice(**device) for device in answer["devices"]]


def main() -> int:
    """Prints {"devices": [...]} or {"error": ..., "remedy": ...}."""
    try:
        answer: dict[str, Any] = {"devices": [device.as_json() for device in list_devices()]}
    except SoundError as error:
        answer = {"error": error.message, "remedy": error.remedy}
    sys.stdout.write(json.dumps(answer) + "\n")
    return 1 if "error" in answer else 0


if __name__ == "__main__":
    raise SystemExit(main())
