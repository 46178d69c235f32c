"""What the servers of `scripts/interop` share: where they listen, and what is answered.

Runs in each server's own environment, so it needs nothing but the web server that they all use. A server prints one
line, `{"url": ...}`, and ends when its stdin closes.
"""

from __future__ import annotations

import array
import json
import math
import socket
import sys
import threading
from typing import Any

import uvicorn

WORD_S = 0.08
"""Of speech for each word of an answer."""
PACE_S = 0.05
"""Between two words, so that an answer can be interrupted while it is made."""
LOUD = 300
"""Mean of 16-bit samples without their signs: the question is far above, the silence around it far below."""
BLOCK_S = 0.02
FILLING = ("and so on " * 10).split()


def serve(app: Any, path: str = "/v1/realtime", query: str = "") -> None:
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws_max_size=32 * 2**20))

    def watch() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=watch, daemon=True).start()
    port = listening.getsockname()[1]
    sys.stdout.write(json.dumps({"url": f"ws://127.0.0.1:{port}{path}{query}"}) + "\n")
    sys.stdout.flush()
    server.run(sockets=[listening])


def answer(seconds: float, n_pictures: int, text: str, n_before: int) -> list[str]:
    """Words that tell what the server was given: its sound, pictures or text, and what it knows from before."""
    what = f"You wrote {text.strip()!r}" if text else f"I heard {seconds:.1f} seconds"
    words = f"{what} and saw {n_pictures} pictures after {n_before} messages".split()
    return [f"{word} " for word in [*words, *FILLING]]


def loud_s(pcm: bytes, rate_hz: int) -> float:
    """How much of this sound (16-bit samples) is somebody speaking, so that a wrong rate is noticed."""
    samples, n = array.array("h", pcm[: len(pcm) // 2 * 2]), round(BLOCK_S * rate_hz)
    blocks = (samples[start : start + n] for start in range(0, len(samples), n))
    return BLOCK_S * sum(sum(map(abs, block)) > LOUD * len(block) for block in blocks)


def tone(rate_hz: int) -> bytes:
    """The speech of one word: 16-bit samples."""
    n = round(WORD_S * rate_hz)
    return array.array("h", (round(4000 * math.sin(2 * math.pi * 440 * i / rate_hz)) for i in range(n))).tobytes()
