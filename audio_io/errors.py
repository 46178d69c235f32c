"""The errors of this package. Every one carries what to do about it."""

from __future__ import annotations


class SoundError(Exception):
    """Something about sound failed; `message` says what, `remedy` what the user can do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy


class PortAudioMissingError(SoundError):
    """The PortAudio library (or its Python wrapper) is not installed."""


class DeviceUnavailableError(SoundError):
    """No such device, or it cannot be opened now (taken, unplugged, wrong format)."""


class PackageMissingError(SoundError):
    """A Python package that voice detection or echo cancellation needs is not installed."""


class WavFileError(SoundError):
    """A sound file is missing, unreadable or empty."""


class UnhearableFileError(WavFileError):
    """It is a sound file, but there is nothing in it to hear: no samples, no numbers, a header of nonsense."""


class PlayerFullError(SoundError):
    """More speech was queued than the player holds; the reply's producer must wait or be stopped."""
