"""What a careless or hostile client can do to a listening engine: each leaves it serving the next one."""

from __future__ import annotations

import asyncio
import contextlib
import json
from urllib.parse import urlsplit

import pytest

from tests.model.realtime.harness import pcm16
from tests.model.realtime.scripted import ScriptedFlash, ScriptedSession
from tests.model.realtime.sockets import PATIENCE_S, TOKEN, Client, connected, load_scripted, serving

HANDSHAKE = (
    "GET /v1/realtime HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: {version}\r\n"
    f"Authorization: Bearer {TOKEN}\r\n\r\n"
)
OPENED = HANDSHAKE.format(version=13).encode()
MASK = bytes(4)


async def vanish(writer: asyncio.StreamWriter) -> None:
    """Without a word, as a machine that lost its power."""
    writer.transport.abort()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


async def answers(client: Client) -> None:
    await client.say("input_audio_buffer.append", audio=pcm16(0.5))
    await client.say("input_audio_buffer.commit")
    await client.say("response.create")
    done = await client.until("response.done")
    assert done["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),  # TLS to a plain port
        b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\n",  # never ended
        b"A" * 100_000,
        HANDSHAKE.format(version=99).encode(),
        OPENED,  # and then nothing
        OPENED + b"\x01\x84" + MASK + b"half",  # the first half of a message
        OPENED + b"\x81\xff" + (2**62).to_bytes(8, "big") + MASK,  # a message of exabytes
        OPENED + b"\x81\x84unmasked",
        OPENED + b"\xf3\x80" + MASK,  # reserved bits, reserved opcode
        OPENED + b"\x88\xfe\x03\xe8" + MASK + bytes(1000),  # a close that is too long
    ],
)
def test_a_place_is_free_again_whatever_was_sent_to_the_socket(data: bytes) -> None:
    async def test() -> None:
        _, load = load_scripted()
        async with serving(load) as (_, url):
            parts = urlsplit(url)
            for _ in range(5):
                _, writer = await asyncio.open_connection(parts.hostname, parts.port)
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0.01)
                await vanish(writer)
            async with connected(url) as client:
                await answers(client)

    asyncio.run(asyncio.wait_for(test(), 60))


def test_sockets_that_are_held_open_and_say_nothing_take_no_place() -> None:
    async def test() -> None:
        _, load = load_scripted()
        async with serving(load) as (_, url):
            parts = urlsplit(url)
            held = [await asyncio.open_connection(parts.hostname, parts.port) for _ in range(30)]
            for _, writer in held[::2]:
                writer.write(OPENED[:40])
            async with connected(url) as client:
                await answers(client)
            for _, writer in held:
                await vanish(writer)

    asyncio.run(asyncio.wait_for(test(), 60))


def test_a_message_that_is_far_too_long_ends_that_connection_alone() -> None:
    async def test() -> None:
        _, load = load_scripted()
        async with serving(load, max_clients=2) as (_, url), connected(url) as client:
            parts = urlsplit(url)
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            writer.write(OPENED)
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE_S)
            writer.write(b"\x81\xff" + (31 * 2**20).to_bytes(8, "big") + MASK)
            said = await asyncio.wait_for(reader.read(), PATIENCE_S)
            assert (1009).to_bytes(2, "big") in said
            await vanish(writer)
            await answers(client)

    asyncio.run(asyncio.wait_for(test(), 60))


def test_mistakes_among_events_that_come_at_once_lose_none_of_the_others() -> None:
    """Also when the model itself fails on one of them."""

    class Fragile(ScriptedSession):
        def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> int:
            if "boom" in text:
                raise RuntimeError("the model has failed")
            return super().read(text, role, goes_on=goes_on)

    class FragileFlash(ScriptedFlash):
        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            made = super().open_session(instructions, voice)
            made.__class__ = Fragile
            return made

    def item(text: str) -> str:
        content = [{"type": "input_text", "text": text}]
        return json.dumps(
            {"type": "conversation.item.create", "item": {"type": "message", "role": "user", "content": content}}
        )

    burst = [
        item("one"),
        '{"type": "conversation.item.create", "item": ',
        item("two"),
        '{"type": "response.explode"}',
        b"\xff\xfe",
        item("boom"),
        '["no", "object"]',
        item("three"),
        '{"type": "conversation.item.delete", "item_id": "nobody"}',
        "{" * 10_000,
        json.dumps({"type": "response.create"}),
    ]

    async def test() -> None:
        flash = FragileFlash()
        async with serving(lambda: flash) as (_, url), connected(url) as client:
            await client.until("session.created")
            for message in burst:
                await client.connection.send(message)
            done = await client.until("response.done")
            added = [
                event["item"]["content"][0]["text"]
                for event in client.events
                if event["type"] == "conversation.item.added" and event["item"]["role"] == "user"
            ]
            assert added == ["one", "two", "boom", "three"]
            errors = [event["error"]["code"] for event in client.events if event["type"] == "error"]
            assert len(errors) >= 5
            if done["response"]["status"] != "completed":  # the one that the model failed on
                await client.say("response.create")
                done = await client.until("response.done")
            assert done["response"]["status"] == "completed"
            heard = [str(value) for kind, value, *_ in flash.newest.ledger]
            assert [word for word in ("one", "two", "three") if word in " ".join(heard)] == ["one", "two", "three"]

    asyncio.run(asyncio.wait_for(test(), 60))
