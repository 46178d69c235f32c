"""Alibaba's DashScope SDK: its realtime conversation with its own defaults."""

from __future__ import annotations

import asyncio
import base64
import json
import queue
from typing import Any

import common
from dashscope import Client
from dashscope.audio.qwen_omni import MultiModality, OmniRealtimeCallback, OmniRealtimeConversation

RATE_HZ = 16_000


class Events(OmniRealtimeCallback):
    def __init__(self) -> None:
        self.queue: queue.Queue[dict[str, Any]] = queue.Queue()

    def on_event(self, message: Any) -> None:
        self.queue.put(message if isinstance(message, dict) else json.loads(message))


class Talk:
    def __init__(self, url: str = common.URL, **settings: Any) -> None:
        self.events = Events()
        self.conversation = OmniRealtimeConversation(
            model="flash-mini",
            callback=self.events,
            url=url,
            api_key=common.TOKEN,
        )
        self.conversation.connect()
        self.conversation.update_session(
            output_modalities=[MultiModality.AUDIO, MultiModality.TEXT], voice="Cherry", **settings
        )

    def speak(self, name: str, picture: bytes | None = None) -> None:
        """The service wants sound before the first picture."""
        for number, piece in enumerate(common.pieces(common.sound(name, RATE_HZ), 3_200)):
            self.conversation.append_audio(base64.b64encode(piece).decode())
            if picture is not None and number == 0:
                self.conversation.append_video(base64.b64encode(picture).decode())

    def answer(self, stop_after_bytes: int | None = None) -> tuple[str, int, str]:
        text, n_bytes = "", 0
        while True:
            event = self.events.queue.get(timeout=common.PATIENCE_S)
            if event["type"] == "error":
                raise RuntimeError(event["error"]["message"])
            if event["type"] == "response.audio.delta":
                n_bytes += len(base64.b64decode(event["delta"]))
                if stop_after_bytes is not None and n_bytes >= stop_after_bytes:
                    return text, n_bytes, "playing"
            elif event["type"] == "response.audio_transcript.delta":
                text += event["delta"]
            elif event["type"] == "response.done":
                return text, n_bytes, event["response"]["status"]


async def turns() -> None:
    talk = Talk()
    for name, word in common.TURNS:
        talk.speak(name)
        text, n_bytes, _ = talk.answer()
        common.judge("turns", text, word, n_bytes)
    talk.conversation.close()


async def vad_off() -> None:
    talk = Talk(enable_turn_detection=False)
    name, word = common.TURNS[0]
    talk.speak(name)
    talk.conversation.commit()
    talk.conversation.create_response()
    text, n_bytes, _ = talk.answer()
    common.judge("VAD off", text, word, n_bytes)
    talk.conversation.close()


async def newer() -> None:
    """The package's second interface, as its example for the newest models uses it."""
    client = Client(api_key=common.TOKEN, workspace="none", timeout=common.PATIENCE_S)
    name, word = common.TURNS[0]
    text, n_bytes = "", 0
    with client.audio.realtime.connect(model="qwen3.8-omni-flash-realtime", ws_url=common.URL) as session:
        session.update_session(
            ["text", "audio"],
            voice="longanlingxin",
            input_audio_config={"type": "pcm", "sample_rate": RATE_HZ},
            output_audio_config={"type": "pcm", "sample_rate": 24_000},
            enable_input_audio_transcription=False,
            turn_detection=None,
            instructions="Answer briefly.",
        )
        for piece in common.pieces(common.sound(name, RATE_HZ), 3_200):
            session.append_audio(piece)
        session.commit()
        session.create_response()
        for event in session.events():
            if event["type"] == "response.audio.delta":
                n_bytes += len(base64.b64decode(event["delta"]))
            elif event["type"] == "response.audio_transcript.delta":
                text += event["delta"]
            elif event["type"] == "response.done":
                session.end_session()
    common.judge("VAD off", text, word, n_bytes)


async def tool() -> None:
    talk = Talk(common.TOOL_URL, tools=[common.TOOL])
    talk.speak(common.TOOL_QUESTION)
    call_id = ""
    while (event := talk.events.queue.get(timeout=common.PATIENCE_S))["type"] != "response.done":
        if event["type"] == "error":
            raise RuntimeError(event["error"]["message"])
        if event["type"] == "response.function_call_arguments.done":
            call_id = event["call_id"]
    talk.conversation.create_item({"type": "function_call_output", "call_id": call_id, "output": "12:30"})
    talk.conversation.create_response()
    text, n_bytes, _ = talk.answer()
    common.judge("tool", text, common.TOOL_WORD, n_bytes)
    talk.conversation.close()


async def picture() -> None:
    talk = Talk(enable_turn_detection=False)
    talk.speak(common.PICTURE_QUESTION, common.PICTURE.read_bytes())
    talk.conversation.commit()
    talk.conversation.create_response()
    text, n_bytes, _ = talk.answer()
    common.judge("picture", text, common.PICTURE_WORD, n_bytes)
    talk.conversation.close()


async def interruption() -> None:
    talk = Talk()
    talk.speak(common.TURNS[0][0])
    talk.answer(stop_after_bytes=2_400)
    talk.conversation.cancel_response()
    _, _, status = talk.answer()
    talk.speak(common.TURNS[1][0])
    text, _, _ = talk.answer()
    common.report("interruption", status == "cancelled" and common.TURNS[1][1] in text, f"{status}, then: {text}")
    talk.conversation.close()


async def main() -> None:
    for name, test in (
        ("turns", turns),
        ("VAD off", vad_off),
        ("VAD off", newer),
        ("tool", tool),
        ("picture", picture),
        ("interruption", interruption),
    ):
        await common.attempt(name, test)


asyncio.run(main())
