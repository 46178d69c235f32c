"""A GA server that is held strictly to the `openai` package's types: it refuses what they do not know, and says nothing
that they do not.

What it answers is decided by the last user item: "time" in its text calls the first tool; otherwise it speaks.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from openai.types.realtime import RealtimeClientEvent, RealtimeServerEvent
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection

CLIENT: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)
SERVER: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)
Json = dict[str, Any]
FRAME = base64.b64encode(b"\x10\x00" * 1920).decode()


@dataclass
class GaServer:
    """One connection after the other. `received`: every message; `refused`: those that the types do not allow."""

    expires_after: int = 0
    """The first connection's session expires after so many replies; 0: never."""
    announced_s: float = 0.0
    """The first connection's session will end in so many seconds, as its object says; 0: it says nothing."""
    thinks_s: float = 0.0
    """Between a reply's beginning and its first word."""
    metadata_back: bool = True
    limited: int = 0
    """So many replies fail by a rate limit."""
    received: list[Json] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    connections: int = 0
    items: list[Json] = field(default_factory=list)

    async def __call__(self, connection: ServerConnection) -> None:
        self.connections += 1
        self.items = []
        self.session: Json = {"type": "realtime", "model": "gpt-realtime", "audio": {"input": {}, "output": {}}}
        if self.announced_s and self.connections == 1:
            self.session["expires_at"] = int(time.time() + self.announced_s)
        self.sound = b""
        self.n = 0
        self.replies = 0
        self.speaking: asyncio.Task[None] | None = None
        await self.say(connection, {"type": "session.created", "session": self.session})
        async for message in connection:
            await self.take(connection, json.loads(message))

    async def say(self, connection: ServerConnection, event: Json) -> None:
        self.n += 1
        event = {"event_id": f"event_{self.n}", **event}
        SERVER.validate_python(event, strict=True)
        await connection.send(json.dumps(event))

    async def error(self, connection: ServerConnection, message: str, event_id: str | None, code: str = "bad") -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message, "event_id": event_id, "param": None}
        self.refused.append(message)
        await self.say(connection, {"type": "error", "error": error})

    async def take(self, connection: ServerConnection, event: Json) -> None:
        self.received.append(event)
        try:
            CLIENT.validate_python(event)
            unknown = sorted(_unknown(event, CLIENT.validate_python(event)))
        except ValidationError as error:
            await self.error(connection, f"{event.get('type')}: {error.errors()[0]}", event.get("event_id"))
            return
        if unknown:
            await self.error(connection, f"{event['type']}: unknown {unknown}", event.get("event_id"))
            return
        match event["type"]:
            case "session.update":
                self.session = {**self.session, **event["session"]}
                await self.say(connection, {"type": "session.updated", "session": self.session})
            case "input_audio_buffer.append":
                self.sound += base64.b64decode(event["audio"])
            case "input_audio_buffer.commit":
                await self.commit(connection)
            case "conversation.item.create":
                item = {"id": f"item_{len(self.items)}", **event["item"]}
                self.items.append(item)
                for kind in ("added", "done"):
                    await self.say(connection, {"type": f"conversation.item.{kind}", "item": item})
            case "conversation.item.truncate":
                await self.say(connection, {**event, "type": "conversation.item.truncated"})
            case "response.create":
                self.speaking = asyncio.create_task(self.reply(connection, event.get("response") or {}))
            case "response.cancel":
                if self.speaking is not None and not self.speaking.done():
                    self.speaking.cancel()

    async def commit(self, connection: ServerConnection) -> None:
        item = {
            "id": f"item_{len(self.items)}",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_audio"}],
        }
        seconds, self.sound = len(self.sound) / 48_000, b""
        self.items.append({**item, "seconds": seconds})
        await self.say(connection, {"type": "input_audio_buffer.committed", "item_id": item["id"]})
        usage = {"type": "tokens", "input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        kind = "conversation.item.input_audio_transcription.completed"
        words = {"item_id": item["id"], "content_index": 0, "transcript": f"sound of {seconds:.1f} s", "usage": usage}
        await self.say(connection, {"type": kind, **words})

    async def reply(self, connection: ServerConnection, asked: Json) -> None:
        response: Json = {"id": f"resp_{self.n}", "object": "realtime.response", "status": "in_progress", "output": []}
        if self.metadata_back and "metadata" in asked:
            response["metadata"] = asked["metadata"]
        await self.say(connection, {"type": "response.created", "response": response})
        if self.limited:
            self.limited -= 1
            error = {"type": "requests", "code": "rate_limit_exceeded", "message": "Please try again in 20ms."}
            details = {"type": "failed", "error": error}
            failed = {**response, "status": "failed", "status_details": details}
            await self.say(connection, {"type": "response.done", "response": failed})
            return
        await asyncio.sleep(self.thinks_s)
        status = "completed"
        output: list[Json] = []
        try:
            output += [item async for item in self.make(connection, response["id"])]
        except asyncio.CancelledError:
            status = "cancelled"
        done = {**response, "status": status, "output": output}
        await self.say(connection, {"type": "response.done", "response": done})
        self.replies += 1
        if self.connections == 1 and self.replies == self.expires_after:
            message = "Your session hit the maximum duration of 60 minutes."
            error = {"type": "invalid_request_error", "code": "session_expired", "message": message}
            await self.say(connection, {"type": "error", "error": error})
            await connection.close()

    async def make(self, connection: ServerConnection, response_id: str) -> AsyncIterator[Json]:
        last = self.items[-1] if self.items else {}
        ids = {"response_id": response_id, "output_index": 0}
        text = " ".join(part.get("text", "") for part in last.get("content", []))
        tools = self.session.get("tools") or []
        if "time" in text and tools:
            call: Json = {"type": "function_call", "id": f"call_item_{self.n}", "call_id": f"call_{self.n}"}
            call |= {"name": tools[0]["name"], "arguments": "{}", "status": "completed"}
            await self.say(connection, {"type": "response.output_item.added", **ids, "item": {**call, "arguments": ""}})
            await self.say(connection, {"type": "response.output_item.done", **ids, "item": call})
            self.items.append(call)
            yield call
            return
        item: Json = {"id": f"item_{len(self.items)}_a", "type": "message", "role": "assistant", "content": []}
        await self.say(connection, {"type": "response.output_item.added", **ids, "item": item})
        self.items.append(item)
        at = {**ids, "item_id": item["id"], "content_index": 0}
        words = ["Answer ", "to ", f"{len(self.items)} ", "items."] * (20 if "long" in text else 1)
        for word in words:
            await self.say(connection, {"type": "response.output_audio_transcript.delta", **at, "delta": word})
            await self.say(connection, {"type": "response.output_audio.delta", **at, "delta": FRAME})
            await asyncio.sleep(0.02 if "long" in text else 0)
        await self.say(connection, {"type": "response.output_item.done", **ids, "item": item})
        yield item


def _unknown(data: Any, read: Any, path: str = "") -> set[str]:
    """Fields that the package's types do not declare; they keep them as extras."""
    names: set[str] = set()
    extra = getattr(read, "model_extra", None) or {}
    for name in extra:
        names.add(f"{path}.{name}")
    for name in getattr(type(read), "model_fields", {}):
        names |= _unknown(data, getattr(read, name), f"{path}.{name}")
    if isinstance(read, list):
        for index, part in enumerate(read):
            names |= _unknown(data, part, f"{path}[{index}]")
    return names
