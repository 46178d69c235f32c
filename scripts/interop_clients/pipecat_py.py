"""Pipecat's service for OpenAI's realtime API, in a pipeline, with its own defaults."""

from __future__ import annotations

import asyncio
from typing import Any

import common
from PIL import Image
from pipecat.adapters.schemas.function_schema import FunctionSchema
from pipecat.adapters.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    InputImageRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    TTSAudioRawFrame,
    TTSTextFrame,
    UserStartedSpeakingFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import LLMContextAggregatorPair
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.realtime.events import AudioConfiguration, AudioInput, SessionProperties
from pipecat.services.openai.realtime.llm import OpenAIRealtimeLLMService

RATE_HZ = 24_000


class Ears(FrameProcessor):
    """Keeps what the service says."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: asyncio.Queue[Frame] = asyncio.Queue()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame | TTSTextFrame | LLMFullResponseEndFrame | ErrorFrame):
            self.heard.put_nowait(frame)
        await self.push_frame(frame, direction)


class Talk:
    def __init__(self, url: str = common.URL, tools: Any = None, settings: Any = None) -> None:
        self.service = OpenAIRealtimeLLMService(api_key=common.TOKEN, base_url=url)
        if settings is not None:
            self.service = OpenAIRealtimeLLMService(api_key=common.TOKEN, base_url=url, settings=settings)
        self.ears = Ears()
        pair = LLMContextAggregatorPair(LLMContext([]) if tools is None else LLMContext([], tools))
        parts = [pair.user(), self.service, self.ears, pair.assistant()]
        self.task = PipelineTask(
            Pipeline(parts if settings is None else [self.service, self.ears]),
            params=PipelineParams(audio_in_sample_rate=RATE_HZ, audio_out_sample_rate=RATE_HZ),
        )
        self.running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Talk:
        self.running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(self.task))
        return self

    async def __aexit__(self, *why: object) -> None:
        await self.task.cancel()
        if self.running is not None:
            await asyncio.wait({self.running}, timeout=10)

    async def speak(self, name: str) -> None:
        for piece in common.pieces(common.sound(name, RATE_HZ), 960):
            await self.task.queue_frame(InputAudioRawFrame(audio=piece, sample_rate=RATE_HZ, num_channels=1))

    async def answer(self, stop_after_bytes: int | None = None) -> tuple[str, int]:
        text, n_bytes = [], 0
        async with asyncio.timeout(common.PATIENCE_S):
            while True:
                frame = await self.ears.heard.get()
                if isinstance(frame, ErrorFrame):
                    raise RuntimeError(frame.error)
                if isinstance(frame, TTSAudioRawFrame):
                    n_bytes += len(frame.audio)
                    if stop_after_bytes is not None and n_bytes >= stop_after_bytes:
                        return "".join(text), n_bytes
                elif isinstance(frame, TTSTextFrame):
                    text.append(frame.text)
                elif isinstance(frame, LLMFullResponseEndFrame) and n_bytes:
                    return "".join(text), n_bytes


async def turns() -> None:
    async with Talk() as talk:
        for name, word in common.TURNS:
            await talk.speak(name)
            text, n_bytes = await talk.answer()
            common.judge("turns", text, word, n_bytes)


async def vad_off() -> None:
    """The application says when the user speaks, so there is nobody before the service who finds that out; each
    beginning is an interruption, of nothing the first time."""
    off = SessionProperties(audio=AudioConfiguration(input=AudioInput(turn_detection=False)))
    async with Talk(settings=OpenAIRealtimeLLMService.Settings(session_properties=off)) as talk:
        for name, word in common.TURNS:
            await talk.task.queue_frames([UserStartedSpeakingFrame(), InterruptionFrame()])
            await asyncio.sleep(0.3)  # frames of the system overtake sound that waits
            await talk.speak(name)
            await asyncio.sleep(0.5)
            await talk.task.queue_frame(UserStoppedSpeakingFrame())
            text, n_bytes = await talk.answer()
            common.judge("VAD off", text, word, n_bytes)


async def picture() -> None:
    with Image.open(common.PICTURE) as image:
        rgb = image.convert("RGB")
    async with Talk() as talk:
        await talk.task.queue_frame(InputImageRawFrame(image=rgb.tobytes(), size=rgb.size, format="RGB"))
        await talk.speak(common.PICTURE_QUESTION)
        text, n_bytes = await talk.answer()
        common.judge("picture", text, common.PICTURE_WORD, n_bytes)


async def tool() -> None:
    schema = FunctionSchema(name="get_time", description="The time.", properties={}, required=[])

    async def get_time(params: Any) -> None:
        await params.result_callback({"time": "12:30"})

    async with Talk(common.TOOL_URL, ToolsSchema(standard_tools=[schema])) as talk:
        talk.service.register_function("get_time", get_time)
        await talk.speak(common.TOOL_QUESTION)
        text, n_bytes = await talk.answer()
        common.judge("tool", text, common.TOOL_WORD, n_bytes)


async def interruption() -> None:
    async with Talk() as talk:
        await talk.speak(common.TURNS[0][0])
        await talk.answer(stop_after_bytes=2_400)
        await talk.speak(common.TURNS[1][0])
        text, n_bytes = "", 0
        while common.TURNS[1][1] not in text.lower():
            text, n_bytes = await talk.answer()
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
