"""LiveKit's OpenAI plugin: its realtime session with its own defaults, without a room."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import common
from livekit import rtc
from livekit.agents import llm
from livekit.plugins.openai.realtime import RealtimeModel


@llm.function_tool
async def get_time(city: str) -> str:
    """The time in a city."""
    return "12:30"


class Talk:
    """One session, and the generations that it has announced."""

    def __init__(self, http: aiohttp.ClientSession, url: str = common.URL, **options: Any) -> None:
        base = url.removesuffix("/realtime").replace("ws://", "http://")
        self.model = RealtimeModel(base_url=base, api_key=common.TOKEN, http_session=http, **options)
        self.session = self.model.session()
        self.generations: asyncio.Queue[Any] = asyncio.Queue()
        self.errors: list[str] = []
        self.session.on("generation_created", self.generations.put_nowait)
        self.session.on("error", lambda error: self.errors.append(str(error.error)))

    def speak(self, name: str) -> None:
        for piece in common.pieces(common.sound(name, 24_000), 4_800):
            self.session.push_audio(rtc.AudioFrame(piece, 24_000, 1, len(piece) // 2))

    async def answer(self, cut_after_bytes: int | None = None) -> tuple[str, int]:
        async with asyncio.timeout(common.PATIENCE_S):
            generation = await self.generations.get()
            text, n_bytes = "", 0
            async for message in generation.message_stream:

                async def read(stream: Any = message.text_stream) -> str:
                    return "".join([str(part) async for part in stream])

                reading = asyncio.create_task(read())
                async for frame in message.audio_stream:
                    n_bytes += len(frame.data) * 2
                    if cut_after_bytes is not None and n_bytes >= cut_after_bytes:
                        self.session.interrupt()
                        self.session.interrupt()
                        self.session.truncate(message_id=message.message_id, modalities=["audio"], audio_end_ms=80)
                        break
                text += await reading
            return text, n_bytes

    async def close(self) -> None:
        await self.session.aclose()


async def main() -> None:
    async with aiohttp.ClientSession() as http:

        async def turns() -> None:
            talk = Talk(http)
            for name, word in common.TURNS:
                talk.speak(name)
                text, n_bytes = await talk.answer()
                common.judge("turns", text, word, n_bytes)
            await talk.close()
            if talk.errors:
                common.report("turns", False, "; ".join(talk.errors))

        async def vad_off() -> None:
            talk = Talk(http, turn_detection=None)
            name, word = common.TURNS[0]
            talk.speak(name)
            talk.session.commit_audio()
            talk.session.generate_reply()
            text, n_bytes = await talk.answer()
            common.judge("VAD off", text, word, n_bytes)
            await talk.close()

        async def tool() -> None:
            talk = Talk(http, common.TOOL_URL)
            await talk.session.update_tools([get_time])
            talk.speak(common.TOOL_QUESTION)
            async with asyncio.timeout(common.PATIENCE_S):
                generation = await talk.generations.get()
                call = await anext(aiter(generation.function_stream))
            context = talk.session.chat_ctx.copy()
            context.items.append(
                llm.FunctionCallOutput(call_id=call.call_id, name=call.name, output="12:30", is_error=False)
            )
            await talk.session.update_chat_ctx(context)
            talk.session.generate_reply()
            text, n_bytes = await talk.answer()
            common.judge("tool", text, common.TOOL_WORD, n_bytes)
            await talk.close()

        async def picture() -> None:
            import base64

            talk = Talk(http)
            url = f"data:image/jpeg;base64,{base64.b64encode(common.PICTURE.read_bytes()).decode()}"
            context = talk.session.chat_ctx.copy()
            context.add_message(role="user", content=[llm.ImageContent(image=url)])
            await talk.session.update_chat_ctx(context)
            talk.speak(common.PICTURE_QUESTION)
            text, n_bytes = await talk.answer()
            common.judge("picture", text, common.PICTURE_WORD, n_bytes)
            await talk.close()

        async def interruption() -> None:
            talk = Talk(http)
            talk.speak(common.TURNS[0][0])
            await talk.answer(cut_after_bytes=2_400)
            talk.speak(common.TURNS[1][0])
            text, n_bytes = await talk.answer()
            common.judge("interruption", text, common.TURNS[1][1], n_bytes)
            await talk.close()

        for name, test in (
            ("turns", turns),
            ("VAD off", vad_off),
            ("tool", tool),
            ("picture", picture),
            ("interruption", interruption),
        ):
            await common.attempt(name, test)


asyncio.run(main())
