"""How a command fails: a message for people and an exit code, never a traceback for what the user can mend."""

from __future__ import annotations

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_ENGINE = 3
EXIT_NO_SPEECH = 4
EXIT_OUTPUT = 5
EXIT_INTERRUPTED = 130


def sound_exit(error: Exception) -> int:
    """The exit code for a sound file that cannot be used: 4 where it is one, but nothing in it can be heard."""
    from audio_io.errors import UnhearableFileError

    return EXIT_NO_SPEECH if isinstance(error, UnhearableFileError) else EXIT_USAGE


class CommandError(Exception):
    """What happened and what to do, for stderr; `code` is the process's exit code."""

    def __init__(self, code: int, message: str, remedy: str = "") -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.code = code
        self.message = message
        self.remedy = remedy
