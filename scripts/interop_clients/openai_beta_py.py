"""OpenAI's Python package as it was in the beta of the realtime API: older event names, flat sessions."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import common
from openai import AsyncOpenAI


def connect(url: str = common.URL) -> Any:
    client = AsyncOpenAI(api_key=common.TOKEN, websocket_base_url=url.removesuffix("/realtime"))
    return client.beta.realtime.connect(model="sightline")


async def speak(connection: Any, name: str) -> None:
    for piece in common.pieces(common.sound(name, 24_000), 4_800):
        await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())


async def answer(connection: Any, stop_after_bytes: int | None = None) -> tuple[str, int, str]:
    text, n_bytes = "", 0
    async with asyncio.timeout(common.PATIENCE_S):
        async for event in connection:
            if event.type == "error":
                raise RuntimeError(event.error.message)
            if event.type == "response.audio.delta":
                n_bytes += len(base64.b64decode(event.delta))
                if stop_after_bytes is not None and n_bytes >= stop_after_bytes:
                    return text, n_bytes, "playing"
            elif event.type == "response.audio_transcript.delta":
                text += event.delta
            elif event.type == "response.done":
                return text, n_bytes, event.response.status
    raise RuntimeError("the connection has ended")


async def turns() -> None:
    async with connect() as connection:
        await connection.session.update(session={"modalities": ["text", "audio"], "voice": "alloy"})
        for name, word in common.TURNS:
            await speak(connection, name)
            text, n_bytes, _ = await answer(connection)
            common.judge("turns", text, word, n_bytes)


async def vad_off() -> None:
    async with connect() as connection:
        await connection.session.update(session={"turn_detection": None, "input_audio_format": "pcm16"})
        name, word = common.TURNS[0]
        await speak(connection, name)
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        text, n_bytes, _ = await answer(connection)
        common.judge("VAD off", text, word, n_bytes)


async def tool() -> None:
    async with connect(common.TOOL_URL) as connection:
        await connection.session.update(session={"tools": [common.TOOL], "tool_choice": "auto"})
        await speak(connection, common.TOOL_QUESTION)
        async with asyncio.timeout(common.PATIENCE_S):
            async for event in connection:
                if event.type == "response.function_call_arguments.done":
                    call_id = event.call_id
                elif event.type == "response.done":
                    break
        item = {"type": "function_call_output", "call_id": call_id, "output": "12:30"}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        text, n_bytes, _ = await answer(connection)
        common.judge("tool", text, common.TOOL_WORD, n_bytes)


async def interruption() -> None:
    async with connect() as connection:
        await speak(connection, common.TURNS[0][0])
        await answer(connection, stop_after_bytes=2_400)
        await speak(connection, common.TURNS[1][0])
        _, _, first = await answer(connection)
        text, _, second = await answer(connection)
        common.report("interruption", common.TURNS[1][1] in text.lower(), f"{first}, {second}: {text}")


async def main() -> None:
    for name, test in (("turns", turns), ("VAD off", vad_off), ("tool", tool), ("interruption", interruption)):
        await common.attempt(name, test)


asyncio.run(main())
