"""OpenAI's Agents SDK for Python: a realtime agent with the defaults of its session."""

from __future__ import annotations

import asyncio
from typing import Any

import common
from agents import function_tool
from agents.realtime import RealtimeAgent, RealtimeRunner


@function_tool
def get_time(city: str) -> str:
    """The time in a city."""
    return "12:30"


async def run(url: str = common.URL, tools: list[Any] | None = None, settings: dict[str, Any] | None = None) -> Any:
    agent = RealtimeAgent(name="Helper", tools=tools or [])
    config: dict[str, Any] = {"url": url, "api_key": common.TOKEN, "initial_model_settings": settings or {}}
    return await RealtimeRunner(agent).run(model_config=config)


async def answer(session: Any, events: Any, stop_after_bytes: int | None = None) -> tuple[str, int]:
    """Until the agent has ended its turn; (what the history says that it said, bytes of sound)."""
    text, n_bytes, ended = "", 0, False
    async with asyncio.timeout(common.PATIENCE_S):
        async for event in events:
            if event.type == "error":
                raise RuntimeError(str(event.error))
            if event.type == "audio":
                n_bytes += len(event.audio.data)
                if stop_after_bytes is not None and n_bytes >= stop_after_bytes:
                    break
            if event.type in ("history_updated", "history_added"):
                items = event.history if event.type == "history_updated" else [event.item]
                for item in items:
                    if getattr(item, "role", "") == "assistant":
                        text = " ".join(part.transcript or "" for part in item.content if part.type == "audio") or text
            if event.type == "agent_end":
                ended = True
            if ended and text:
                break
    return text, n_bytes


async def turns() -> None:
    async with await run() as session:
        events = session.__aiter__()
        for name, word in common.TURNS:
            await session.send_audio(common.sound(name, 24_000))
            text, n_bytes = await answer(session, events)
            common.judge("turns", text, word, n_bytes)


async def vad_off() -> None:
    async with await run(settings={"turn_detection": None}) as session:
        name, word = common.TURNS[0]
        await session.send_audio(common.sound(name, 24_000), commit=True)
        from agents.realtime.model_inputs import RealtimeModelSendRawMessage

        await session.model.send_event(RealtimeModelSendRawMessage(message={"type": "response.create"}))
        text, n_bytes = await answer(session, session.__aiter__())
        common.judge("VAD off", text, word, n_bytes)


async def tool() -> None:
    async with await run(common.TOOL_URL, [get_time]) as session:
        events = session.__aiter__()
        await session.send_audio(common.sound(common.TOOL_QUESTION, 24_000))
        text, n_bytes = "", 0
        while not text:
            text, n_bytes = await answer(session, events)
        common.judge("tool", text, common.TOOL_WORD, n_bytes)


async def picture() -> None:
    import base64

    async with await run() as session:
        url = f"data:image/jpeg;base64,{base64.b64encode(common.PICTURE.read_bytes()).decode()}"
        part = {"type": "input_image", "image_url": url}
        from agents.realtime.model_inputs import RealtimeModelSendRawMessage

        item = {"type": "message", "role": "user", "content": [part]}
        message = {"type": "conversation.item.create", "other_data": {"item": item}}
        await session.model.send_event(RealtimeModelSendRawMessage(message=message))
        await session.send_audio(common.sound(common.PICTURE_QUESTION, 24_000))
        text, n_bytes = await answer(session, session.__aiter__())
        common.judge("picture", text, common.PICTURE_WORD, n_bytes)


async def interruption() -> None:
    async with await run() as session:
        events = session.__aiter__()
        await session.send_audio(common.sound(common.TURNS[0][0], 24_000))
        await answer(session, events, stop_after_bytes=4_800)
        await session.interrupt()
        await session.send_audio(common.sound(common.TURNS[1][0], 24_000))
        text, n_bytes = "", 0
        while common.TURNS[1][1] not in text.lower():
            text, n_bytes = await answer(session, events)
        common.judge("interruption", text, common.TURNS[1][1], n_bytes)


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
