"""vLLM-Omni's duplex client, from its wheel, without the rest of the package, which needs the server's parts."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import sys
import types
from typing import Any

import common


def _package(name: str) -> None:
    """A package without its `__init__`, so that the client alone is loaded, unmodified."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    module = types.ModuleType(name)
    module.__path__ = list(spec.submodule_search_locations or [])
    sys.modules[name] = module


_package("vllm_omni")

from vllm_omni.clients.duplex import DuplexClient, SessionConfig  # noqa: E402  (it needs what stands above)

RATE_HZ = 16_000


def client(**settings: Any) -> DuplexClient:
    return DuplexClient(f"{common.URL}?token={common.TOKEN}", model="flash-mini", config=SessionConfig(**settings))


async def answer(talk: DuplexClient) -> tuple[str, int]:
    async with asyncio.timeout(common.PATIENCE_S):
        async for response in talk.responses():
            n_bytes = 0
            async for chunk in response.audio():
                n_bytes += len(chunk)
                await talk.ack_playback(response.played_ms)
            return str(getattr(response, "transcript", "")), n_bytes
    raise RuntimeError("no response")


async def turns() -> None:
    async with client() as talk:
        for name, word in common.TURNS:
            await talk.stream_pcm(common.sound(name, RATE_HZ, 0.2), realtime=False)
            await talk.commit()
            text, n_bytes = await answer(talk)
            common.judge("turns", text, word, n_bytes)


async def vad_off() -> None:
    async with client() as talk:
        name, word = common.TURNS[0]
        await talk.stream_pcm(common.sound(name, RATE_HZ, 0.2), realtime=False)
        await talk.commit(create_response=True)
        text, n_bytes = await answer(talk)
        common.judge("VAD off", text, word, n_bytes)


async def picture() -> None:
    async with client() as talk:
        frame = base64.b64encode(common.PICTURE.read_bytes()).decode()
        sound = common.sound(common.PICTURE_QUESTION, RATE_HZ, 0.2)
        await talk.append_audio(sound, video_frames=[frame])
        await talk.commit(create_response=True)
        text, n_bytes = await answer(talk)
        common.judge("picture", text, common.PICTURE_WORD, n_bytes)


async def interruption() -> None:
    async with client() as talk:
        await talk.stream_pcm(common.sound(common.TURNS[0][0], RATE_HZ, 0.2), realtime=False)
        await talk.commit()
        async with asyncio.timeout(common.PATIENCE_S):
            async for response in talk.responses():
                async for _ in response.audio():
                    break
                break
        await talk.cancel_response()
        await talk.clear_input()
        name, word = common.TURNS[1]
        await talk.stream_pcm(common.sound(name, RATE_HZ, 0.2), realtime=False)
        await talk.commit()
        text, n_bytes = await answer(talk)
        common.judge("interruption", text, word, n_bytes)


async def main() -> None:
    for name, test in (("turns", turns), ("VAD off", vad_off), ("picture", picture), ("interruption", interruption)):
        await common.attempt(name, test)


asyncio.run(main())
