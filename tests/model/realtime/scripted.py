"""A session that says what it was told to, and writes down what it holds: for the protocol's own tests only.

What a conversation sounds like is tested against the real model in `test_engine.py`; here the question is in which
order the protocol layer calls the model, and whether what was taken back leaves a trace.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SPEECH_SAMPLES = 1920  # 80 ms at 24 kHz


@dataclass(frozen=True)
class TextDelta:
    text: str


@dataclass(frozen=True)
class SpeechDelta:
    pcm: np.ndarray


@dataclass(frozen=True)
class ReplyDone:
    stats: Any = None


@dataclass
class ScriptedSession:
    """`ledger` is the conversation: what the model would hold, in order."""

    words: tuple[str, ...] = ("One ", "two ", "three ", "four.")
    instructions: str = ""
    voice: str = ""
    ledger: list[Any] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    fails_with: Exception | None = None
    gate: Callable[[], None] | None = None
    transcribed: int = 0
    _open: int | None = None  # where the uncommitted input begins in the ledger
    _reply: int | None = None  # where the newest reply begins
    _turn_end: int = 0
    threads: set[int] = field(default_factory=set)
    replying: bool = False
    _n_handles: int = 0

    def _call(self, name: str) -> None:
        assert not self.replying, f"{name} while a reply is being made"
        self.threads.add(threading.get_ident())
        self.calls.append(name)
        if self.fails_with is not None:
            error, self.fails_with = self.fails_with, None
            raise error

    def _begin(self) -> None:
        if self._open is None:
            self._open = len(self.ledger)

    def hear(self, pcm: np.ndarray, rate_hz: int = 16_000) -> None:
        self._call("hear")
        assert pcm.dtype == np.float32
        assert pcm.ndim == 1
        self._begin()
        self.ledger.append(("sound", len(pcm) / rate_hz))

    def see(self, rgb: np.ndarray, at_s: float = 0.0) -> None:
        self._call("see")
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3
        self._begin()
        self.ledger.append(("picture", at_s))

    def read(self, text: str, role: str = "user") -> None:
        self._call("read")
        self._begin()
        self.ledger.append((role, text))

    def commit(self) -> int:
        self._call("commit")
        assert self._open is not None
        part = self.ledger[self._open :]
        del self.ledger[self._open :]
        self._open = None
        self._n_handles += 1
        self.ledger.append((self._n_handles, tuple(part)))
        return self._n_handles

    def clear(self) -> None:
        self._call("clear")
        if self._open is not None:
            del self.ledger[self._open :]
            self._open = None

    def reply(self, max_tokens: int = 10**6, speech: bool = True) -> Generator[Any, None, None]:
        self._call("reply")
        assert self._open is None, "uncommitted input would have become part of the turn"
        return self._generate(max_tokens, speech)

    def _generate(self, max_tokens: int, speech: bool) -> Generator[Any, None, None]:
        self.replying = True
        self._reply = len(self.ledger)
        try:
            for word in self.words[:max_tokens]:
                if self.gate is not None:
                    self.gate()
                self.ledger.append(("said", word))
                yield TextDelta(word)
                if speech:
                    yield SpeechDelta(np.full(SPEECH_SAMPLES, 0.25, np.float32))
            yield ReplyDone()
        finally:
            self.replying = False

    def interrupt(self, heard_ms: float) -> None:
        self._call(f"interrupt({heard_ms:.0f})")
        assert self._open is None
        assert self._reply is not None
        assert all(entry[0] == "said" for entry in self.ledger[self._reply :]), "input after the reply"
        del self.ledger[self._reply + -(-int(heard_ms) // 80) :]
        if heard_ms == 0:
            self._reply = None

    def transcribe_user(self) -> str:
        self._call("transcribe")
        self.transcribed += 1
        return f"words {self.transcribed}"

    def forget(self, item: int) -> None:
        self._call("forget")
        self.ledger = [entry for entry in self.ledger if entry[0] != item]


@dataclass
class ScriptedFlash:
    voices: tuple[str, ...] = ("ethan", "chelsie")
    sessions: list[ScriptedSession] = field(default_factory=list)
    words: tuple[str, ...] = ("One ", "two ", "three ", "four.")
    gate: Callable[[], None] | None = None

    def session(self, *, instructions: str, voice: str) -> ScriptedSession:
        made = ScriptedSession(self.words, instructions, voice, gate=self.gate)
        self.sessions.append(made)
        return made

    @property
    def newest(self) -> ScriptedSession:
        return self.sessions[-1]
