"""A session that says what it was told to, and writes down what it holds: for the protocol's own tests only.

What a conversation sounds like is tested against the real model in `test_engine.py`; here the question is in which
order the protocol layer calls the model, and whether what was taken back leaves a trace.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from model.conversation.calls import CallFinder, Prose
from model.conversation.events import CallMade, ReplyDone, ReplyStats, SpeechDelta, TextDelta
from model.errors import InputError

SPEECH_SAMPLES = 1920  # 80 ms at 24 kHz


@dataclass(frozen=True)
class Options:
    instructions: str
    voice: str


class Stream:
    """The events of a scripted reply."""

    def __init__(self, session: ScriptedSession, events: Iterator[Any], item: int, words: tuple[str, ...]) -> None:
        self._session = session
        self._events = events
        self._words = words
        self.item = item

    def letters_heard(self, heard_ms: float) -> int:
        return len("".join(self._words[: -(-int(heard_ms) // 80)]))

    def __next__(self) -> Any:
        return next(self._events)

    def close(self) -> None:
        self._session.replying = False


class ScriptedWords:
    """A transcription that takes two steps."""

    def __init__(self, words: str) -> None:
        self._words = words
        self._asked = False

    def step(self, n_tokens: int) -> str | None:
        asked, self._asked = self._asked, True
        return self._words if asked else None

    def close(self) -> None:
        pass


@dataclass
class ScriptedSession:
    """`ledger` is the conversation: what the model would hold, in order, as (kind, value, handle)."""

    options: Options
    words: tuple[str, ...]
    gate: Callable[[], None] | None = None
    called: tuple[str, ...] = ()
    """What it says where tools are offered; without it, `words`."""
    heard: list[str] = field(default_factory=list)
    """The words of the next transcriptions."""
    ledger: list[tuple[str, Any, int]] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    spoken: list[str] = field(default_factory=list)
    """The texts that it was given to say."""
    transcribed: int = 0
    threads: set[int] = field(default_factory=set)
    replying: bool = False
    _committed: int = 0
    _reply: int | None = None  # where the newest reply begins
    _sound: int | None = None
    _n_handles: int = 0

    @property
    def held(self) -> list[tuple[str, Any]]:
        """The ledger without the handles, sound in one piece; "opened" where a reply was begun and nothing said."""
        held: list[tuple[str, Any]] = []
        for kind, value, _ in self.ledger:
            if held and held[-1][0] == "opened" and kind == "said":
                held.pop()
            if kind == "sound" and held and held[-1][0] == "sound":
                held[-1] = ("sound", round(held[-1][1] + value, 3))
            else:
                held.append((kind, value))
        return held

    @property
    def n_positions(self) -> int:
        return len(self.ledger)

    def _call(self, name: str) -> None:
        if self.replying:
            raise AssertionError(f"{name} while a reply is being made")
        self.threads.add(threading.get_ident())
        self.calls.append(name)

    def _add(self, kind: str, value: Any, handle: int | None = None) -> int:
        if handle is None:
            self._n_handles += 1
            handle = self._n_handles
        self.ledger.append((kind, value, handle))
        return handle

    def hear(self, pcm: np.ndarray, rate_hz: int = 16_000) -> int:
        self._call("hear")
        assert pcm.dtype == np.float32
        assert pcm.ndim == 1
        self._sound = self._add("sound", round(len(pcm) / rate_hz, 3), self._sound)
        return self._sound

    def see(self, rgb: np.ndarray, at_s: float = 0.0) -> int:
        self._call("see")
        assert rgb.dtype == np.uint8
        assert rgb.shape[2] == 3
        return self._add("picture", at_s)

    def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> int:
        self._call("read")
        assert role in ("user", "assistant")
        if goes_on and role == "assistant":
            kind, value, handle = self.ledger.pop()
            assert kind == "assistant"
            self.ledger.append((kind, value + text, handle))
        else:
            handle = self._add(role, text)
        self._commit()
        return handle

    def _commit(self) -> None:
        self._committed = len(self.ledger)
        self._sound = None

    def commit(self) -> None:
        self._call("commit")
        self._commit()

    def clear(self) -> None:
        self._call("clear")
        del self.ledger[self._committed :]
        self._sound = None

    def reply(
        self,
        *,
        max_tokens: int | None = None,
        speech: bool = True,
        unasked: bool = False,
        tools: bool = False,
        opening: str = "",
    ) -> Stream:
        self._call("reply")
        assert len(self.ledger) == self._committed, "uncommitted input would have become part of the turn"
        nothing_new = not self.ledger or self.ledger[-1][0] in ("said", "assistant", "opened")
        if nothing_new and not unasked:
            raise InputError("there is nothing to reply to")
        words = self.words if max_tokens is None else self.words[:max_tokens]
        if tools:
            words = (opening, *(self.called or self.words)) if opening else self.called or words
        return self._open(words, speech, tools)

    def say(self, text: str, *, speech: bool = True) -> Stream:
        self._call("say")
        self.spoken.append(text)
        assert len(self.ledger) == self._committed
        return self._open(tuple(re.findall(r"\S+\s*", text)), speech, False)

    def _open(self, words: tuple[str, ...], speech: bool, tools: bool) -> Stream:
        self.replying = True
        self._reply = len(self.ledger)
        handle = self._add("opened", None)
        self._commit()
        return Stream(self, self._make(words, speech, handle, CallFinder() if tools else None), handle, words)

    def _make(self, words: tuple[str, ...], speech: bool, handle: int, finder: CallFinder | None) -> Iterator[Any]:
        for number, word in enumerate(words):
            if self.gate is not None:
                self.gate()
            self.ledger.append(("said", word, handle))
            self._committed = len(self.ledger)
            parts = [Prose(word)] if finder is None else finder.push(word)
            for part in parts:
                if isinstance(part, Prose):
                    yield TextDelta(part.text, number)
                    if speech:
                        yield SpeechDelta(np.full(SPEECH_SAMPLES, 0.25, np.float32), number)
                else:
                    yield CallMade(part.name, part.arguments)
        for part in finder.finish() if finder is not None else ():
            yield TextDelta(part.text, 0) if isinstance(part, Prose) else CallMade(part.name, part.arguments)
        stop = (
            "length" if finder is None and words == self.words[: len(words)] and len(words) < len(self.words) else "end"
        )
        stats = ReplyStats(len(words), len(words), 0, None, None, 0.0, 0.0, 0.0, 0.0, stop, "end" if speech else "none")
        yield ReplyDone(handle, "".join(words), stats)

    def interrupt(self, heard_ms: float) -> str:
        self._call(f"interrupt({heard_ms:.0f})")
        if self._reply is None:
            raise InputError("there is no reply to interrupt")
        assert len(self.ledger) == self._committed, "what is not committed must be taken back first"
        said = [number for number, entry in enumerate(self.ledger) if number >= self._reply and entry[0] == "said"]
        n_heard = -(-int(heard_ms) // 80)
        text = "".join(self.ledger[number][1] for number in said[:n_heard])
        for number in reversed(said[n_heard:]):
            del self.ledger[number]
        self._commit()
        if not text:
            assert self.ledger[self._reply][0] == "opened"
            del self.ledger[self._reply]
            self._commit()
            self._reply = None
        return text

    def shorten(self, item: int, n_letters: int) -> str:
        self._call("shorten")
        kept, text = [], ""
        for entry in self.ledger:
            if entry[2] == item and entry[0] in ("said", "assistant"):
                if len(text) + len(entry[1]) > n_letters:
                    continue
                text += entry[1]
            kept.append(entry)
        self._committed -= len(self.ledger) - len(kept)
        self.ledger = kept
        return text

    def transcription(self, *, max_tokens: int = 256) -> ScriptedWords:
        self._call("transcribe")
        self.transcribed += 1
        return ScriptedWords(self.heard.pop(0) if self.heard else f"words {self.transcribed}")

    def forget(self, item: int) -> None:
        self._call("forget")
        kept = [entry for entry in self.ledger if entry[2] != item]
        if len(kept) == len(self.ledger):
            raise InputError(f"there is no item {item}")
        before = [entry for entry in self.ledger[: self._committed] if entry[2] != item]
        if self._reply is not None:
            self._reply -= sum(entry[2] == item for entry in self.ledger[: self._reply])
        self._committed = len(before)
        self.ledger = kept


@dataclass
class ScriptedFlash:
    voices: tuple[str, ...] = ("ethan", "chelsie")
    sessions: list[ScriptedSession] = field(default_factory=list)
    words: tuple[str, ...] = ("One ", "two ", "three ", "four.")
    gate: Callable[[], None] | None = None
    called: tuple[str, ...] = ()
    knows_tools: bool = True
    knows_read_text: bool = True

    def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
        made = ScriptedSession(Options(instructions or "", voice or ""), self.words, self.gate, self.called)
        self.sessions.append(made)
        return made

    @property
    def newest(self) -> ScriptedSession:
        return self.sessions[-1]
