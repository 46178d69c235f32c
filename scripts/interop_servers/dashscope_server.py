"""A stand-in for DashScope's realtime service that is held to DashScope's SDK, on both sides.

It refuses what the SDK does not send (`RealtimeSession` is asked to send everything once, and what it sends is
compared), and says nothing that the SDK does not read (the same class reads every event before it goes out). Its rules
are the service's: sound before pictures, no text items. The SDK has no class for each event, and no server.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from typing import Any

import common
from dashscope import Client
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

IN_HZ, OUT_HZ = 16_000, 24_000
Json = dict[str, Any]
DOCUMENTED = {"instructions": "", "tools": None, "tool_choice": None}
"""Fields of a session that the SDK hands on as they come."""
numbers = itertools.count(1)


class Wire:
    """What the SDK takes for its socket."""

    def __init__(self) -> None:
        self.sent: list[Json] = []
        self.coming = ""

    def send(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def recv(self) -> str:
        return self.coming

    def settimeout(self, timeout_s: float | None) -> None:
        return

    def close(self, **_: object) -> None:
        return


class Sdk:
    """DashScope's own idea of the wire, for one model."""

    def __init__(self, model: str) -> None:
        self.wire = Wire()
        client = Client(api_key="none", workspace="none", timeout=1.0)
        connect = client.audio.realtime.connect(model=model, connector=lambda url, headers: self.wire)
        self.session = connect.connect()
        pcm, rates = {"type": "pcm"}, (IN_HZ, OUT_HZ)
        formats: Json = {"input_audio_format": "pcm16", "output_audio_format": "pcm16"}
        if model.startswith("qwen3.8"):
            names = ("input_audio_config", "output_audio_config")
            formats = {name: {**pcm, "sample_rate": rate} for name, rate in zip(names, rates, strict=True)}
        for transcribes, listens in itertools.product((True, False), repeat=2):
            self.session.update_session(
                ["text", "audio"],
                voice="Cherry",
                enable_input_audio_transcription=transcribes,
                input_audio_transcription_model="gummy-realtime-v1",
                enable_turn_detection=listens,
                **formats,
                **DOCUMENTED,
            )
        self.session.append_audio(b"1")
        self.session.append_video(b"1")
        self.session.commit()
        self.session.clear_appended_audio()
        self.session.create_response(instructions="x", modalities=["text"])
        self.session.cancel_response()
        self.session.end_session()
        self.known = self.wire.sent

    def refuses(self, message: Json) -> str:
        """Why; empty when it is like one of the messages that the SDK sends."""
        kin = [known for known in self.known if known["type"] == message.get("type")]
        if not kin:
            return f"{message.get('type')!r} is no event of DashScope's"
        return min((_difference(message, known) for known in kin), key=len)

    def reads(self, event: Json) -> None:
        """Raises when the SDK cannot read it."""
        self.wire.coming = json.dumps(event)
        if event["type"] != "error":
            assert self.session.recv_event() == event


def _difference(message: Any, known: Any, at: str = "") -> str:
    if isinstance(known, dict) and isinstance(message, dict):
        for name, value in message.items():
            if name == "event_id" or known.get(name, "") is None or name in DOCUMENTED:
                continue
            if name not in known:
                return f"{at}.{name} is not the SDK's"
            if wrong := _difference(value, known[name], f"{at}.{name}"):
                return wrong
        return ""
    same = type(message) is type(known) or (message is None and at.endswith("transcription"))
    return "" if same else f"{at} is {message!r}"


class Service:
    def __init__(self, websocket: WebSocket, model: str) -> None:
        self.websocket = websocket
        self.sdk = Sdk(model)
        self.session: Json = {"id": f"sess_{next(numbers)}", "object": "realtime.session", "model": model}
        self.instructions = ""
        self.sound, self.pictures, self.turns = b"", 0, 0
        self.speaking: asyncio.Task[None] | None = None

    async def say(self, kind: str, **fields: Any) -> None:
        event = {"event_id": f"event_{next(numbers)}", "type": kind, **fields}
        self.sdk.reads(event)
        await self.websocket.send_json(event)

    async def refuse(self, message: str) -> None:
        await self.say("error", error={"type": "invalid_request_error", "code": "invalid_value", "message": message})

    async def run(self) -> None:
        await self.websocket.accept()
        await self.say("session.created", session=self.session)
        async for text in self.websocket.iter_text():
            message = json.loads(text)
            if why := self.sdk.refuses(message):
                await self.refuse(why)
            else:
                await self.take(message)

    async def take(self, message: Json) -> None:
        match message["type"]:
            case "session.update":
                self.session.update(message["session"])
                self.instructions = message["session"].get("instructions") or ""
                await self.say("session.updated", session=self.session)
            case "input_audio_buffer.append":
                self.sound += base64.b64decode(message["audio"])
            case "input_image_buffer.append":
                if not self.sound:
                    await self.refuse("append audio before images")
                self.pictures += bool(self.sound)
            case "input_audio_buffer.clear":
                self.sound, self.pictures = b"", 0
            case "input_audio_buffer.commit":
                item = f"item_{next(numbers)}"
                await self.say("input_audio_buffer.committed", item_id=item)
                words = f"sound of {common.loud_s(self.sound, IN_HZ):.1f} s"
                kind = "conversation.item.input_audio_transcription.completed"
                await self.say(kind, item_id=item, content_index=0, transcript=words)
            case "response.create":
                self.reply(message.get("response") or {})
            case "response.cancel":
                if self.speaking is not None:
                    self.speaking.cancel()
            case "session.finish":
                await self.say("session.finished")

    def reply(self, asked: Json) -> None:
        told = asked.get("instructions") or ""
        text = told.rsplit("\n\n", 1)[-1] if told else ""
        so_far = self.instructions.count("\n\nUser: ") + self.instructions.count("\n\nAssistant: ")
        words = common.answer(common.loud_s(self.sound, IN_HZ), self.pictures, text, so_far + 2 * self.turns)
        self.sound, self.pictures = b"", 0
        self.turns += 1
        self.speaking = asyncio.create_task(self.speak(f"resp_{next(numbers)}", words))

    async def speak(self, response: str, words: list[str]) -> None:
        item = {"id": f"item_{next(numbers)}", "object": "realtime.item", "type": "message", "role": "assistant"}
        at = {"response_id": response, "item_id": item["id"], "output_index": 0, "content_index": 0}
        status, speech = "completed", base64.b64encode(common.tone(OUT_HZ)).decode()
        await self.say("response.created", response={"id": response, "status": "in_progress", "output": []})
        try:
            await self.say("response.output_item.added", response_id=response, output_index=0, item=item)
            for word in words:
                await self.say("response.audio_transcript.delta", **at, delta=word)
                await self.say("response.audio.delta", **at, delta=speech)
                await asyncio.sleep(common.PACE_S)
            await self.say("response.audio_transcript.done", **at, transcript="".join(words))
        except asyncio.CancelledError:
            status = "cancelled"
        await self.say("response.done", response={"id": response, "status": status, "output": [item]})


app = FastAPI()


@app.websocket("/api-ws/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    try:
        await Service(websocket, websocket.query_params["model"]).run()
    except WebSocketDisconnect:
        return


if __name__ == "__main__":
    common.serve(app, "/api-ws/v1/realtime")
