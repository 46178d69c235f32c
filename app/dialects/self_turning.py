"""Servers that find the user's turns and answer by themselves, whatever they are asked: they are followed.

The app still finds the turn's end with its own segmenter and then sends the silence in which the server finds it.
"""

from __future__ import annotations

from typing import Any

from app.dialects.abilities import Abilities
from app.dialects.base import Dialect, Json
from app.engine.target import Target


class SelfTurning(Dialect):
    abilities = Abilities(judges=False)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.server_turns = True

    def _look_at_session(self, event: Json) -> None:
        super()._look_at_session(event)
        self.server_turns = True  # it may say otherwise, and still does


class SpeechToSpeech(SelfTurning):
    """Hugging Face's speech-to-speech: it repeats `turn_detection` null and listens all the same."""

    key = "speech-to-speech"
    name = "speech-to-speech"

    def truncate(self, truncate: Json) -> list[Json]:
        self.cannot("remembers its answers whole, also what you did not hear because you interrupted")
        return [truncate]


class LlamaCpp(SelfTurning):
    """llama.cpp's `llama serve`. By its pages a GA server with its own turns; not tried here."""

    key = "llama.cpp"
    name = "llama.cpp"

    def hear(self, event: Json) -> list[Json]:
        if event["type"] == "session.created":
            self.note("llama.cpp's engine was not tried with Sightline: what it cannot do will show as errors.")
        return super().hear(event)

    def session(self, update: Json) -> list[Json]:
        (update,) = super().session(update)
        session: dict[str, Any] = update["session"]
        # Left to itself: a server that has to find the turns must not be told that nobody does.
        session["audio"]["input"].pop("turn_detection", None)
        return [update]
