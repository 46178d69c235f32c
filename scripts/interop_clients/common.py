"""What the clients of `scripts/interop` share: the questions, the engine's address, and what is reported.

Runs in each client's own environment, so it needs nothing but Python. A client prints one line a capability:
`{"capability": ..., "ok": true | false, "detail": ...}`.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import wave
from collections.abc import Awaitable, Callable
from pathlib import Path

URL = os.environ["ENGINE_URL"]  # ws://HOST:PORT/v1/realtime
TOOL_URL = os.environ["TOOL_ENGINE_URL"]
TOKEN = os.environ["ENGINE_TOKEN"]
SOUNDS = Path(os.environ["INTEROP_SOUNDS"])
PICTURE = Path(os.environ["INTEROP_PICTURE"])

TURNS = (("monday", "tuesday"), ("cow", "moo"))
"""Questions, and the word that the answer must have."""
TOOL_QUESTION, TOOL_WORD = "time", "twelve"
TOOL = {"type": "function", "name": "get_time", "description": "The time.", "parameters": {"type": "object"}}
PICTURE_QUESTION, PICTURE_WORD = "cup", "red"
LEAST_SPEECH_S = 0.4
PATIENCE_S = 40.0


def sound(name: str, rate_hz: int, silence_s: float = 1.2) -> bytes:
    """A spoken question as 16-bit samples, with the silence of somebody who waits for the answer."""
    with wave.open(str(SOUNDS / f"{name}-{rate_hz}.wav")) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (rate_hz, 1, 2)
        return file.readframes(file.getnframes()) + bytes(2 * round(silence_s * rate_hz))


def pieces(data: bytes, n_bytes: int) -> list[bytes]:
    return [data[start : start + n_bytes] for start in range(0, len(data), n_bytes)]


def report(capability: str, ok: bool, detail: str = "") -> None:
    sys.stdout.write(json.dumps({"capability": capability, "ok": ok, "detail": detail[:300]}) + "\n")
    sys.stdout.flush()


def judge(capability: str, text: str, word: str, n_bytes: int, rate_hz: int = 24_000) -> None:
    """The right word, and sound for it."""
    seconds = n_bytes / 2 / rate_hz
    report(capability, word in text.lower() and seconds >= LEAST_SPEECH_S, f"{seconds:.1f} s: {text}")


async def attempt(capability: str, test: Callable[[], Awaitable[None]]) -> None:
    """One capability; whatever goes wrong in it is its own failure."""
    try:
        await test()
    except BaseException as error:  # noqa: BLE001  (the clients' own exceptions have no common base)
        traceback.print_exc()
        report(capability, False, f"{type(error).__name__}: {error}")
