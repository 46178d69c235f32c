"""sglang-omni: its session protocol (schema, negotiation, runtime, projection to the wire), with an adapter of ours.

The adapter stands where a model's does, behind the package's own seam; it says what it was given. The package is loaded
without the `__init__`s that need torch and a card.
"""

from __future__ import annotations

import asyncio
import importlib.util
import sys
import types

import common


def _package(name: str) -> None:
    spec = importlib.util.find_spec(name)
    assert spec is not None
    module = types.ModuleType(name)
    module.__path__ = list(spec.submodule_search_locations or [])
    sys.modules[name] = module


_package("sglang_omni.serve.realtime")

from fastapi import FastAPI, WebSocket  # noqa: E402  (they need what stands above)
from sglang_omni.serve.realtime.output import (  # noqa: E402
    AudioDelta,
    AudioFinished,
    InputTranscription,
    ResponseFinished,
    ResponseStarted,
    TextDelta,
    TextFinished,
)
from sglang_omni.serve.realtime.protocol import SharedRealtimeSession  # noqa: E402
from sglang_omni.serve.realtime.runtime import SessionRuntime  # noqa: E402
from sglang_omni.serve.realtime.schema import SessionConfiguration  # noqa: E402
from sglang_omni.serve.realtime.types import (  # noqa: E402
    Capabilities,
    InteractionAdapter,
    OutputSink,
    RuntimeLimits,
    Unit,
)

IN_HZ, OUT_HZ = 16_000, 24_000


class Adapter(InteractionAdapter):  # type: ignore[misc]
    def __init__(self) -> None:
        self.sound, self.pictures, self.turns = b"", 0, 0
        self.speaking: asyncio.Task[None] | None = None

    async def open(self, session_id: str, config: SessionConfiguration, emit: OutputSink) -> None:
        self.emit = emit

    async def update(self, config: SessionConfiguration) -> None:
        return

    async def process(self, unit: Unit) -> int:
        self.sound += unit.pcm
        self.pictures += len(unit.images)
        return unit.real_samples

    async def clear(self) -> int:
        self.sound, self.pictures = b"", 0
        return 0

    async def commit(self) -> None:
        await self.cancel()
        seconds, pictures = common.loud_s(self.sound, IN_HZ), self.pictures
        self.sound, self.pictures = b"", 0
        self.turns += 1
        await self.emit(InputTranscription(f"user_{self.turns}", f"sound of {seconds:.1f} s", True))
        self.speaking = asyncio.create_task(self.reply(f"resp_{self.turns}", seconds, pictures))

    async def reply(self, response: str, seconds: float, pictures: int) -> None:
        item, said = f"item_{response}", ""
        await self.emit(ResponseStarted(response))
        try:
            for word in common.answer(seconds, pictures, "", 2 * (self.turns - 1)):
                said += word
                await self.emit(TextDelta(response, item, word))
                await self.emit(AudioDelta(response, item, common.tone(OUT_HZ)))
                await asyncio.sleep(common.PACE_S)
        except asyncio.CancelledError:
            await self.emit(ResponseFinished(response, item, said, True, "cancelled", "client_cancelled"))
            return
        await self.emit(TextFinished(response, item, said))
        await self.emit(AudioFinished(response, item))
        await self.emit(ResponseFinished(response, item, said, True, "completed", "stop"))

    async def cancel(self) -> None:
        if self.speaking is not None and not self.speaking.done():
            self.speaking.cancel()
            await asyncio.wait({self.speaking})

    async def truncate(self, audio_end_ms: float) -> None:
        return

    async def close(self) -> None:
        await self.cancel()


CAPABILITIES = Capabilities(
    interaction="turn_based",
    input_sample_rate_hz=IN_HZ,
    output_sample_rate_hz=OUT_HZ,
    output_modalities=("text", "audio"),
    max_granted_modalities=2,
    turn_control=(None,),
    input_modalities=("audio", "image"),
    supports_instruction_updates=True,
    supports_truncate=True,
    supports_client_commit=True,
)

app = FastAPI()


@app.websocket("/v1/realtime")
async def realtime(websocket: WebSocket) -> None:
    await websocket.accept()
    await SharedRealtimeSession(websocket, SessionRuntime("omni", CAPABILITIES, Adapter, RuntimeLimits())).run()


if __name__ == "__main__":
    common.serve(app)
