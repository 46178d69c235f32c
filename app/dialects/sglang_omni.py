"""sglang-omni's session protocol: every message strictly as its schema has it, with an id and a number.

The model or its server decides when to answer; where a deployment grants it, a commit ends the turn.
"""

from __future__ import annotations

from itertools import count
from typing import Any

from app.dialects.abilities import Abilities
from app.dialects.base import APP_RATE_HZ, Dialect, Json, found
from app.engine.target import Target


class SglangOmni(Dialect):
    key = "sglang-omni"
    name = "sglang-omni"
    input_rate_hz = 16_000
    abilities = Abilities(judges=False, tools=False)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.server_turns = True
        self._ids = count(1)
        self._pieces = count(0)
        self._n_samples = 0
        self._granted: dict[str, Any] = {}

    def say_it(self, message: Json) -> Json:
        return {**message, "event_id": message.get("event_id") or f"sightline-{next(self._ids)}"}

    def session(self, update: Json) -> list[Json]:
        asked = update["session"]
        session: Json = {
            "type": "realtime",
            "output_modalities": asked.get("output_modalities", ["audio"]),
            "audio": {"input": {"format": {"type": "audio/pcm", "rate": self.input_rate_hz}}},
        }
        for name in ("instructions",):
            if asked.get(name):
                session[name] = asked[name]
        if self.target.model:
            session["model"] = self.target.model
        return [self.say_it({"type": "session.update", "session": session})]

    def sound(self, pcm: bytes) -> list[Json]:
        appends = [{**append, "sglang": {"seq": next(self._pieces)}} for append in super().sound(pcm)]
        self._n_samples += len(pcm) // 2
        return [self.say_it(append) for append in appends]

    def picture(self, jpeg: str) -> list[Json]:
        modalities = self._granted.get("input_modalities")
        if isinstance(modalities, list) and "image" not in modalities:
            return self.cannot("sees no pictures with the model that it runs")
        at_ms = self._n_samples * 1000 / APP_RATE_HZ
        return [self.say_it({"type": "sglang.input_image.append", "image": jpeg, "sglang": {"t_ms": at_ms}})]

    def end_of_turn(self) -> list[Json]:
        if self._granted.get("client_commit") is True:
            return [self.say_it({"type": "input_audio_buffer.commit"})]
        return super().end_of_turn()

    def clear(self) -> list[Json]:
        return [self.say_it({"type": "input_audio_buffer.clear"})]

    def item(self, create: Json) -> list[Json]:
        return self.cannot("takes speech only: what is typed, and an earlier conversation, cannot be given to it")

    def ask(self, create: Json) -> list[Json]:
        return self.refuse(create, f"this engine ({self.name}) takes speech only, no typed text.")

    def truncate(self, truncate: Json) -> list[Json]:
        if self._granted.get("supports_truncate") is not True:
            return self.cannot("remembers its answers whole, also what you did not hear because you interrupted")
        return [self.say_it(truncate)]

    def cancel(self, cancel: Json) -> list[Json]:
        return [self.say_it({"type": "response.cancel"})]

    def other(self, message: Json) -> list[Json]:
        return []

    def closing(self) -> list[Json]:
        return [self.say_it({"type": "session.close"})]

    def hear(self, event: Json) -> list[Json]:
        granted = found(event, "session", "sglang", "granted")
        if event["type"] == "session.updated" and isinstance(granted, dict):
            self._granted = granted
        heard = super().hear(event)
        self.server_turns = True
        return heard
