"""vLLM-Omni's duplex endpoint: its WebSocket handler, commands and events, with an engine of ours behind them.

From its wheel: `entrypoints/duplex` (handshake, journal), `protocol` (the wire), `engine/duplex/realtime_events` (what
a session keeps of its items, and its events). Ours is what needs cards there: the sessions' runner and the model, and
names of `vllm` that are only imported.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import itertools
import logging
import sys
import types
from collections.abc import AsyncIterator, Mapping

import common
import msgspec


def _package(name: str) -> None:
    """A package without its `__init__`."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    module = types.ModuleType(name)
    module.__path__ = list(spec.submodule_search_locations or [])
    sys.modules[name] = module


def _module(name: str, **names: object) -> None:
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(names)


for name in ("vllm_omni", "vllm_omni.entrypoints", "vllm_omni.entrypoints.duplex", "vllm_omni.engine"):
    _package(name)
_module("vllm")
_module("vllm.logger", init_logger=logging.getLogger)
_module("vllm_omni.entrypoints.duplex_omni", DuplexOmni=object, DuplexSessionHandle=object)
_module("vllm_omni.engine.messages", EngineQueueMessage=type("EngineQueueMessage", (msgspec.Struct,), {}))

from fastapi import FastAPI, WebSocket  # noqa: E402  (they need what stands above)
from vllm_omni.engine.duplex import commands as cmd  # noqa: E402
from vllm_omni.engine.duplex import realtime_events as re  # noqa: E402
from vllm_omni.engine.duplex.events import DuplexEvent, SessionClosed  # noqa: E402
from vllm_omni.entrypoints.duplex.serving import OmniDuplexSessionHandler  # noqa: E402

IN_HZ, OUT_HZ = 16_000, 24_000
numbers = itertools.count(1)


class Session:
    """In place of `DuplexSessionHandle` and of the runner behind it."""

    lease_generation = 1
    capabilities = types.SimpleNamespace(supports_session_resume=False)

    def __init__(self, payload: Mapping[str, object]) -> None:
        self.session_id = f"sess_{next(numbers)}"
        self.public_session = dict(payload)
        self.closed = False
        self.state = re.RealtimeProjectionState(self.session_id, "omni", payload, initial_session_update=True)
        self.outbox: asyncio.Queue[DuplexEvent] = asyncio.Queue()
        self.speaking: asyncio.Task[None] | None = None
        self.sound, self.pictures, self.text = b"", 0, ""
        self.tell("session.created", session=self.public_session)

    def tell(self, kind: str, **fields: object) -> None:
        self.put(re.project_internal_event(self.state, {"type": kind, **fields}))

    def put(self, events: list[DuplexEvent]) -> None:
        for event in events:
            self.outbox.put_nowait(event)

    async def events(self) -> AsyncIterator[DuplexEvent]:
        while True:
            event = await self.outbox.get()
            yield event
            if isinstance(event, SessionClosed):
                return

    async def close(self, *, reason: str = "client_close", timeout: float | None = None) -> None:
        if self.speaking is not None:
            self.speaking.cancel()
        if not self.closed:
            self.closed = True
            self.tell("session.closed", reason=reason)

    async def submit(self, command: cmd.DuplexCommand) -> None:
        match command:
            case cmd.UpdateSession():
                self.state.apply_session_defaults(command.patch)
                self.public_session.update(command.patch)
                self.tell("session.updated", session=self.public_session)
            case cmd.AppendAudio():
                payload = re.append_audio_payload(command)
                self.put(re.note_input_append(self.state, payload))
                self.sound += _pcm(command)
                self.pictures += len(payload.get("video_frames") or ())
            case cmd.Commit():
                self.commit(re.resolve_commit(self.state, command))
            case cmd.ClearInput():
                re.clear_input_buffer(self.state)
                self.sound, self.pictures = b"", 0
                self.tell("input.cancelled")
            case cmd.CreateItem():
                self.run(re.resolve_create_item(self.state, command))
            case cmd.CreateResponse():
                self.reply()
            case cmd.CancelResponse():
                resolved = re.resolve_cancel_response(self.state, command)
                self.put(resolved.events)
                if resolved.payloads and self.speaking is not None:
                    self.speaking.cancel()
                    self.tell("audio.cancelled", reason="response.cancel")
            case cmd.TruncateItem():
                self.run(re.resolve_truncate_item(self.state, command))
            case cmd.DeleteItem():
                self.run(re.resolve_delete_item(self.state, command))
            case cmd.CloseSession():
                await self.close()

    def run(self, resolved: re.ResolvedControl) -> None:
        self.put(resolved.events)
        for payload in resolved.payloads:
            match payload:
                case {"event": "conversation.item.create", "payload": {"item": item}}:
                    if item.get("role") == "user":
                        texts = [part.get("text", "") for part in item["content"]]
                        self.text = "\n".join(filter(None, [self.text, *texts]))
                        self.pictures += sum(part["type"] == "input_image" for part in item["content"])
                    else:
                        self.text = ""
                    self.tell("conversation.item.created", item={**item, "status": "completed"})
                case {"event": str(event), "payload": Mapping() as fields}:
                    self.tell(event.replace("truncate", "truncated").replace("delete", "deleted"), **fields)

    def commit(self, resolved: re.ResolvedCommit) -> None:
        self.put(resolved.events)
        if resolved.payload is None:
            return
        seconds = common.loud_s(self.sound, IN_HZ)
        self.tell("input.committed", realtime_item_id=resolved.payload.get("realtime_item_id"))
        item = resolved.payload.get("realtime_item_id")
        self.tell("input.transcribed", realtime_item_id=item, transcript=f"sound of {seconds:.1f} s")
        if resolved.payload.get("response_create"):
            self.reply()

    def reply(self) -> None:
        n_before = sum(item.get("type") == "message" for item in self.state.conversation_items.values()) - 1
        words = common.answer(common.loud_s(self.sound, IN_HZ), self.pictures, self.text, n_before)
        self.sound, self.pictures, self.text = b"", 0, ""
        self.speaking = asyncio.create_task(self.speak(f"resp_{next(numbers)}", words))

    async def speak(self, response: str, words: list[str]) -> None:
        self.tell("response.created", response_id=response)
        audio = base64.b64encode(common.tone(OUT_HZ)).decode()
        shape = {"format": "pcm16", "sample_rate_hz": OUT_HZ}
        for word in words:
            self.tell("response.output_audio.delta", response_id=response, audio=audio, text=word, **shape)
            await asyncio.sleep(common.PACE_S)
        self.tell("response.done", response_id=response)


def _pcm(command: cmd.AppendAudio) -> bytes:
    """What the wire's parts make of the client's sound: 16-bit samples, or floats, at the session's rate."""
    if getattr(command, "format", None) in (None, "pcm16", "pcm_s16le"):
        return command.audio
    floats = memoryview(command.audio).cast("f")
    return b"".join(round(max(-1.0, min(1.0, x)) * 32767).to_bytes(2, "little", signed=True) for x in floats)


class Omni:
    """In place of `DuplexOmni`."""

    duplex_session_config = types.SimpleNamespace(resume_replay_ttl_s=30.0, resume_replay_max_bytes_per_session=2**20)

    def __init__(self) -> None:
        self.sessions: dict[str, Session] = {}

    async def open_session(self, payload: Mapping[str, object]) -> Session:
        session = Session(payload)
        self.sessions[session.session_id] = session
        return session

    def get_session(self, session_id: str) -> Session | None:
        return self.sessions.get(session_id)


app = FastAPI()
handler = OmniDuplexSessionHandler(duplex_omni=Omni())  # type: ignore[arg-type]


@app.websocket("/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    await handler.handle_realtime_session(websocket)


if __name__ == "__main__":
    common.serve(app, query="?duplex=1")
