"""Driving a LiveSession without sockets, and holding every event to OpenAI's own types."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
from openai.types.realtime import realtime_server_event
from pydantic import BaseModel

from model.realtime.client_events import parse_client_event
from model.realtime.config import Abilities
from model.realtime.dialects import GA, Dialect
from model.realtime.live_session import LiveSession
from model.realtime.server_events import ServerEvent
from tests.model.realtime.scripted import ScriptedFlash

OWN_FIELDS = {
    ("response.output_audio_transcript.delta", "audio_ms"),
    ("conversation.item.truncated", "transcript"),
    ("session.created", "voices"),
    ("session.updated", "voices"),
    ("session.created", "knows_tools"),
    ("session.updated", "knows_tools"),
    ("session.created", "knows_read_text"),
    ("session.updated", "knows_read_text"),
    ("session.created", "sample_rate"),
    ("session.updated", "sample_rate"),
    # GA sends these two; the `openai` package reads them into its response type only.
    ("session.created", "id"),
    ("session.updated", "id"),
    ("session.created", "object"),
    ("session.updated", "object"),
}


def _event_types() -> dict[str, type[BaseModel]]:
    union = realtime_server_event.RealtimeServerEvent.__args__[0]  # type: ignore[attr-defined]
    return {cls.model_fields["type"].annotation.__args__[0]: cls for cls in union.__args__}


GA_TYPES = _event_types()


def validate(event: dict[str, Any]) -> None:
    """Strictly against the `openai` package's type of that name; no unknown field but ours."""
    cls = GA_TYPES[event["type"]]
    extra = list(_unknown_fields(cls.model_validate(event, strict=True)))
    unknown = [name for name in extra if (event["type"], name) not in OWN_FIELDS]
    assert not unknown, f"{event['type']} has fields that GA does not know: {unknown}"
    assert event["event_id"].startswith("event_")


def _unknown_fields(value: Any) -> Any:
    if isinstance(value, BaseModel):
        yield from (value.model_extra or {})
        for name in type(value).model_fields:
            yield from _unknown_fields(getattr(value, name))
    elif isinstance(value, list):
        for part in value:
            yield from _unknown_fields(part)


def pcm16(seconds: float, rate_hz: int = 24_000, level: float = 0.3) -> str:
    """base64 of a tone."""
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return base64.b64encode((level * 32767 * np.sin(2 * np.pi * 220 * t)).astype("<i2").tobytes()).decode()


def jpeg(width: int = 64, height: int = 48, shade: int = 128) -> bytes:
    import cv2

    ok, data = cv2.imencode(".jpg", np.full((height, width, 3), shade, np.uint8))
    assert ok
    return bytes(data)


def jpeg64(width: int = 64, height: int = 48, shade: int = 128) -> str:
    return base64.b64encode(jpeg(width, height, shade)).decode()


class Harness:
    """One client over a scripted model; it is the session's `Peer`. What GA does not know is held to no types."""

    def __init__(
        self, flash: ScriptedFlash | None = None, make_detector: Any = None, dialect: Dialect = GA, **session: Any
    ) -> None:
        self.flash = flash or ScriptedFlash()
        self.dialect = dialect
        self.events: list[dict[str, Any]] = []
        self.dropped: list[str] = []
        self.is_finished = False
        has_detector, flash = make_detector is not None, self.flash
        abilities = Abilities("scripted", flash.voices, has_detector, flash.knows_tools, flash.knows_read_text)
        self.live = LiveSession(self.flash, abilities, self, make_detector, "sess_1")
        if session:
            self.say("session.update", session=session)
            self.events.clear()

    def send(self, event: ServerEvent) -> None:
        message = self.dialect.write(event)
        if message is None:
            return
        data = json.loads(message)
        data["event_id"] = f"event_{len(self.events) + 1}"
        if not self.dialect.is_flat and data["type"] in GA_TYPES:
            validate(data)
        self.events.append(data)

    def drop_speech(self, response_id: str) -> None:
        self.dropped.append(response_id)

    def finish(self) -> None:
        self.is_finished = True

    @property
    def session(self) -> Any:
        return self.flash.newest

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    def say(self, type_name: str, **fields: Any) -> list[dict[str, Any]]:
        """Sends one client event; returns what came back at once."""
        n_before = len(self.events)
        event = parse_client_event(json.dumps({"type": type_name, **fields}))
        if event is not None:
            self.live.handle(event)
        return self.events[n_before:]

    def work(self, n_pieces: int = 10_000, quiet_s: float = 1.0) -> list[dict[str, Any]]:
        """Up to `n_pieces` of work; returns what came of it."""
        n_before = len(self.events)
        for _ in range(n_pieces):
            if not self.live.work(True, quiet_s, 0.0):
                break
        return self.events[n_before:]

    def last(self, type_name: str) -> dict[str, Any]:
        return next(event for event in reversed(self.events) if event["type"] == type_name)

    def hear(self, seconds: float = 1.0) -> str:
        """A spoken turn; returns its item id."""
        self.say("input_audio_buffer.append", audio=pcm16(seconds))
        self.say("input_audio_buffer.commit")
        return str(self.last("input_audio_buffer.committed")["item_id"])

    def reply(self, **asked: Any) -> dict[str, Any]:
        """A whole reply, with `asked` as `response.create`'s object; returns its response."""
        self.say("response.create", **({"response": asked} if asked else {}))
        self.work()
        return dict(self.last("response.done")["response"])
