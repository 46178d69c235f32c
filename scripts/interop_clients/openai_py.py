"""OpenAI's Python package, as its documentation uses it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import common
from openai import AsyncOpenAI

INSTRUCTIONS = "Answer in one sentence."


def connect(url: str = common.URL) -> Any:
    client = AsyncOpenAI(api_key=common.TOKEN, websocket_base_url=url.removesuffix("/realtime"))
    return client.realtime.connect(model="sightline")


async def speak(connection: Any, name: str) -> None:
    for piece in common.pieces(common.sound(name, 24_000), 4_800):
        await connection.input_audio_buffer.append(audio=base64.b64encode(piece).decode())


async def answer(connection: Any, stop_after_bytes: int | None = None) -> tuple[str, int]:
    text, n_bytes = "", 0
    async with asyncio.timeout(common.PATIENCE_S):
        async for event in connection:
            if event.type == "error":
                raise RuntimeError(event.error.message)
            if event.type == "response.output_audio.delta":
                n_bytes += len(base64.b64decode(event.delta))
                if stop_after_bytes is not None and n_bytes >= stop_after_bytes:
                    return text, n_bytes
            elif event.type == "response.output_audio_transcript.delta":
                text += event.delta
            elif event.type == "response.done":
                return text, n_bytes
    raise RuntimeError("the connection has ended")


async def turns() -> None:
    async with connect() as connection:
        for name, word in common.TURNS:
            await speak(connection, name)
            common.judge("turns", *await_pair(await answer(connection), word))


def await_pair(found: tuple[str, int], word: str) -> tuple[str, str, int]:
    return found[0], word, found[1]


async def vad_off() -> None:
    async with connect() as connection:
        await connection.session.update(session={"type": "realtime", "audio": {"input": {"turn_detection": None}}})
        name, word = common.TURNS[0]
        await speak(connection, name)
        await connection.input_audio_buffer.commit()
        await connection.response.create()
        common.judge("VAD off", *await_pair(await answer(connection), word))


async def tool() -> None:
    async with connect(common.TOOL_URL) as connection:
        await connection.session.update(session={"type": "realtime", "tools": [common.TOOL]})
        await speak(connection, common.TOOL_QUESTION)
        async for event in connection:
            if event.type == "response.function_call_arguments.done":
                call_id = event.call_id
            elif event.type == "response.done":
                break
        item = {"type": "function_call_output", "call_id": call_id, "output": "12:30"}
        await connection.conversation.item.create(item=item)
        await connection.response.create()
        common.judge("tool", *await_pair(await answer(connection), common.TOOL_WORD))


async def picture() -> None:
    async with connect() as connection:
        url = f"data:image/jpeg;base64,{base64.b64encode(common.PICTURE.read_bytes()).decode()}"
        item = {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": url}]}
        await connection.conversation.item.create(item=item)
        await speak(connection, common.PICTURE_QUESTION)
        common.judge("picture", *await_pair(await answer(connection), common.PICTURE_WORD))


async def interruption() -> None:
    async with connect() as connection:
        await speak(connection, common.TURNS[0][0])
        await answer(connection, stop_after_bytes=2_400)
        await speak(connection, common.TURNS[1][0])  # the engine hears it, and cancels
        statuses = []
        async with asyncio.timeout(common.PATIENCE_S):
            async for event in connection:
                if event.type == "response.done":
                    statuses.append(event.response.status)
                    if len(statuses) == 2:
                        break
        # On a fast machine the first reply may have been complete before the second question began.
        common.report("interruption", statuses[1] == "completed", ", ".join(statuses))


async def main() -> None:
    for name, test in (
        ("turns", turns),
        ("VAD off", vad_off),
        ("tool", tool),
        ("picture", picture),
        ("interruption", interruption),
    ):
        await common.attempt(name, test)


asyncio.run(main())
