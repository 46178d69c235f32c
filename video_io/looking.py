"""Looks closely at single pictures, one after the other, on a thread of its own: text, codes, colour, light.

The thread begins with the first question, and the reading models are loaded with the first one about text. Questions
that wait are few: a new one about the same thing replaces one that has not begun.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from video_io.frames import Rgb
from video_io.reading.page import Page
from video_io.reading.reader import Reader
from video_io.reading.recogniser import ReadingUnavailableError


@dataclass(frozen=True, slots=True)
class Failed:
    """A look that could not be taken; for people, with what to do."""

    message: str


Answer = Page | str | Failed


def in_words(answer: Answer) -> str:
    """An answer for the ear."""
    if isinstance(answer, Page):
        return answer.text or answer.advice or "There is no text in the picture."
    return answer.message if isinstance(answer, Failed) else answer


Work = Callable[[Rgb], Answer]


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    what: str
    rgb: Rgb
    work: Work
    answered: Callable[[Answer], None]


class Looker:
    """`text` and `ask` may be called from any thread and return at once; answers come from the looker's thread."""

    def __init__(self, make_reader: Callable[[], Reader] = Reader) -> None:
        self._make_reader = make_reader
        self._reader: Reader | None = None  # belongs to the thread
        self._changed = threading.Condition()
        self._waiting: list[_Question] = []
        self._stopping = False
        self._thread: threading.Thread | None = None

    def text(self, rgb: Rgb, answered: Callable[[Answer], None], *, what: str = "text") -> None:
        """Reads a picture. `what` keeps readings for different ends apart; see the module's text."""
        self.ask(what, rgb, self._read, answered)

    def ask(self, what: str, rgb: Rgb, work: Work, answered: Callable[[Answer], None]) -> None:
        with self._changed:
            if self._stopping:
                return
            self._waiting = [question for question in self._waiting if question.what != what]
            self._waiting.append(_Question(what, rgb, work, answered))
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="looking", daemon=True)
                self._thread.start()
            self._changed.notify()

    def stop(self, timeout_s: float = 2.0) -> None:
        """Drops what waits; a look under way ends unheard. May be called twice."""
        with self._changed:
            self._stopping = True
            self._waiting.clear()
            self._changed.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _read(self, rgb: Rgb) -> Answer:
        if self._reader is None:
            try:
                self._reader = self._make_reader()
            except ReadingUnavailableError as error:
                return Failed(str(error))
        return self._reader.read(rgb)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopping or self._waiting)
                if self._stopping:
                    return
                question = self._waiting.pop(0)
            try:
                answer = question.work(question.rgb)
            except Exception as error:  # noqa: BLE001  # whatever a picture did to a library is an answer, not a silence
                answer = Failed(f"This picture could not be looked at: {error}")
            with self._changed:
                if self._stopping:
                    return
            question.answered(answer)
