"""Loads libraries when they are needed, or says what is missing."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

from audio_io.errors import PackageMissingError, PortAudioMissingError


def load_portaudio() -> ModuleType:
    """Imports sounddevice. Raises PortAudioMissingError with the package to install."""
    try:
        return importlib.import_module("sounddevice")
    except ModuleNotFoundError as error:
        raise PortAudioMissingError(
            "The Python package sounddevice is not installed, so there is no microphone or speaker.",
            "Install it: pip install sounddevice",
        ) from error
    except OSError as error:
        remedy = {
            "linux": "Install it: sudo apt install libportaudio2 (Fedora: sudo dnf install portaudio)",
            "darwin": "Install it: brew install portaudio",
        }.get(sys.platform, "Reinstall it: pip install --force-reinstall sounddevice")
        raise PortAudioMissingError(f"The PortAudio library cannot be loaded ({error}).", remedy) from error


def import_package(module: str, package: str, what: str) -> ModuleType:
    """Raises PackageMissingError, saying `what` does not work without the package."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise PackageMissingError(
            f"The Python package {package} is not installed ({error}), so {what}.", f"Install it: pip install {package}"
        ) from error
