"""The server on real sockets: who comes in, what floods and failures do, and that nothing ends the engine."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from model.realtime.client_events import CLIENT_EVENTS
from tests.model.realtime.harness import jpeg, jpeg64, pcm16
from tests.model.realtime.scripted import ScriptedFlash
from tests.model.realtime.sockets import PATIENCE_S, TOKEN, connected, load_scripted, serving


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def limited() -> None:
        await asyncio.wait_for(test(), 60)

    asyncio.run(limited())


def test_wrong_or_missing_token_is_401() -> None:
    async def test() -> None:
        async with serving(load_scripted()[1]) as (_, url):
            for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": TOKEN[:-1]}):
                with pytest.raises(InvalidStatus) as refused:
                    await connect(url, additional_headers=headers)
                assert refused.value.response.status_code == 401
                assert b"token" in refused.value.response.body

    run(test)


def test_a_token_comes_by_header_query_or_subprotocol() -> None:
    async def test() -> None:
        async with serving(load_scripted()[1]) as (_, url):
            ways: list[dict[str, Any]] = [
                {"uri": url, "additional_headers": {"Authorization": f"Bearer {TOKEN}"}},
                {"uri": f"{url}?token={TOKEN.replace(' ', '%20')}&model=x"},
            ]
            for way in ways:
                async with connect(**way) as connection:
                    assert json.loads(await connection.recv())["type"] == "session.created"

    run(test)


def test_a_browsers_token_comes_as_a_subprotocol() -> None:
    async def test() -> None:
        async with serving(load_scripted()[1]) as (server, url):
            server._token = "token-without-spaces"
            offered = ["realtime", "openai-insecure-api-key.token-without-spaces", "openai-beta.realtime-v1"]
            async with connect(url, subprotocols=offered) as connection:  # type: ignore[arg-type]
                assert connection.subprotocol == "realtime"
                assert json.loads(await connection.recv())["type"] == "session.created"

    run(test)


def test_other_paths_are_404() -> None:
    async def test() -> None:
        async with serving(load_scripted()[1]) as (_, url):
            with pytest.raises(InvalidStatus) as refused:
                await connect(
                    url.replace("/realtime", "/models"), additional_headers={"Authorization": f"Bearer {TOKEN}"}
                )
            assert refused.value.response.status_code == 404

    run(test)


def test_one_client_too_many_is_503_and_a_place_that_is_left_is_free() -> None:
    async def test() -> None:
        async with serving(load_scripted()[1]) as (_, url):
            async with connected(url) as client:
                await client.until("session.created")
                with pytest.raises(InvalidStatus) as refused:
                    async with connected(url):
                        pass
                assert refused.value.response.status_code == 503
            for _ in range(20):  # at once, again and again
                async with connected(url) as client:
                    await client.until("session.created")

    run(test)


def test_two_clients_have_two_conversations() -> None:
    async def test() -> None:
        flash, load = load_scripted()
        async with serving(load, max_clients=2) as (_, url), connected(url) as one, connected(url) as two:
            for client in (one, two):
                await client.say("input_audio_buffer.append", audio=pcm16(0.5))
                await client.say("input_audio_buffer.commit")
                await client.say("response.create")
            for client in (one, two):
                assert (await client.until("response.done"))["response"]["status"] == "completed"
            assert len(flash.sessions) == 2
            assert flash.sessions[0].threads == flash.sessions[1].threads
            assert threading.get_ident() not in flash.sessions[0].threads

    run(test)


def test_the_client_may_speak_before_the_model_is_loaded() -> None:
    async def test() -> None:
        loaded = threading.Event()

        def load() -> ScriptedFlash:
            assert loaded.wait(PATIENCE_S)
            return ScriptedFlash()

        async with serving(load) as (_, url), connected(url) as client:
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            loaded.set()
            assert (await client.next())["type"] == "session.created"
            await client.until("input_audio_buffer.committed")

    run(test)


def test_a_model_that_cannot_be_loaded_is_told_to_the_client() -> None:
    async def test() -> None:
        def load() -> ScriptedFlash:
            raise ValueError("model.safetensors: tensor 'thinker.x' has shape [3], expected [4]. Download it again.")

        async with serving(load) as (server, url), connected(url) as client:
            error = (await client.next())["error"]
            assert (error["type"], error["code"]) == ("server_error", "model_load_failed")
            assert "tensor 'thinker.x'" in error["message"]
            with pytest.raises(ConnectionClosed):
                await client.next()
            assert (await server.failed()).exit_code == 3

    run(test)


def test_out_of_memory_ends_the_engine_with_a_message() -> None:
    class OutOfMemoryError(RuntimeError):
        """As torch names its own."""

    async def test() -> None:
        def fail() -> None:
            raise OutOfMemoryError("CUDA out of memory")

        _, load = load_scripted(gate=fail)
        async with serving(load) as (server, url), connected(url) as client:
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            assert (await client.until("error"))["error"]["code"] == "out_of_memory"
            assert (await server.failed()).exit_code == 4

    run(test)


def test_disconnecting_in_a_reply_frees_the_session() -> None:
    async def test() -> None:
        flash, load = load_scripted(words=("word ",) * 100_000, gate=lambda: time.sleep(0.001))
        async with serving(load) as (_, url):
            async with connected(url) as client:
                await client.say("input_audio_buffer.append", audio=pcm16(0.5))
                await client.say("input_audio_buffer.commit")
                await client.say("response.create")
                await client.until("response.output_audio.delta")
                session = flash.newest
            async with connected(url) as client:
                await client.until("session.created")
            assert not session.replying
            assert flash.newest is not session

    run(test)


def test_cancel_takes_effect_within_100_ms() -> None:
    async def test() -> None:
        _, load = load_scripted(words=("word ",) * 100_000, gate=lambda: time.sleep(0.02))
        async with serving(load) as (_, url), connected(url) as client:
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            await client.until("response.output_audio.delta")
            began_s = time.monotonic()
            await client.say("response.cancel")
            done = await client.until("response.done")
            assert time.monotonic() - began_s < 0.1
            assert done["response"]["status"] == "cancelled"

    run(test)


def test_a_slow_client_holds_its_reply_back_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.realtime.link.CONGESTED_BYTES", 200_000)

    async def test() -> None:
        flash, load = load_scripted(words=("word ",) * 3000)
        async with serving(load) as (_, url), connected(url) as client:
            await client.until("session.created")
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            said = -1
            while said != (said := len(flash.newest.ledger)):  # until the reply stands still
                await asyncio.sleep(0.2)
            assert said < 3000
            await client.until("response.done")
            deltas = [event for event in client.events if event["type"] == "response.output_audio.delta"]
            assert len(deltas) == 3000

    run(test)


def test_ten_thousand_malformed_messages_do_not_end_the_session() -> None:
    async def test() -> None:
        rng = random.Random(20261122)
        async with serving(load_scripted()[1]) as (_, url), connected(url) as client:
            sender = asyncio.create_task(_send_malformed(client.connection, rng, 10_000))
            n_errors = 0
            while not (sender.done() and client.events and client.events[-1].get("item", {}).get("id") == "the_end"):
                event = await client.next()
                n_errors += event["type"] == "error"
                del client.events[:-1]
            await sender
            assert n_errors > 8_000
            await client.say("input_audio_buffer.clear")
            await client.until("input_audio_buffer.cleared")
            await client.say("session.update", session={"output_modalities": ["audio"]})
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            while (await client.until("response.done"))["response"]["status"] != "completed":
                pass

    run(test)


async def _send_malformed(connection: Any, rng: random.Random, n_messages: int) -> None:
    for _ in range(n_messages):
        await connection.send(malformed(rng))
    end = {"type": "message", "role": "user", "id": "the_end", "content": [{"type": "input_text", "text": "end"}]}
    await connection.send(json.dumps({"type": "response.cancel"}))
    await connection.send(json.dumps({"type": "conversation.item.create", "item": end}))


def malformed(rng: random.Random) -> str | bytes:
    """A message that no client should send: broken in one of a dozen ways."""
    way = rng.randrange(12)
    event = _valid(rng)
    text = json.dumps(event)
    if way == 0:  # cut off
        return text[: rng.randrange(len(text))]
    if way == 1:  # one character changed
        at = rng.randrange(len(text))
        return text[:at] + chr(rng.randrange(1, 0x800)) + text[at + 1 :]
    if way == 2:  # bytes
        return rng.randbytes(rng.randrange(200))
    if way == 3:  # any JSON
        return json.dumps(_any_json(rng, 3))
    if way == 4:  # a field missing
        event.pop(rng.choice(list(event)))
    elif way == 5:  # a field of another type
        event[rng.choice(list(event))] = _any_json(rng, 2)
    elif way == 6:  # an unknown event
        event["type"] = rng.choice(["response.explode", "", "session", "input_audio_buffer.appended", "a" * 5000])
    elif way == 7:  # not base64, or an odd number of bytes, or no picture
        return json.dumps(
            rng.choice(
                [
                    {
                        "type": "input_audio_buffer.append",
                        "audio": rng.choice(["=", "A", "é", "AAA", "AA==" * 3, "AAAA"]),
                    },
                    {"type": "input_image_buffer.append", "image": base64.b64encode(_broken_jpeg(rng)).decode()},
                    {"type": "input_image_buffer.append", "image": pcm16(0.01)},
                ]
            )
        )
    elif way == 8:  # out of order, or about things that are not there
        return json.dumps(
            rng.choice(
                [
                    {"type": "response.cancel"},
                    {"type": "input_audio_buffer.commit"},
                    {
                        "type": "conversation.item.truncate",
                        "item_id": "item_1_1",
                        "content_index": 0,
                        "audio_end_ms": 5,
                    },
                    {"type": "conversation.item.delete", "item_id": "nothing"},
                    {"type": "conversation.item.retrieve", "item_id": "nothing"},
                    {"type": "response.cancel", "response_id": "resp_9"},
                ]
            )
        )
    elif way == 9:  # numbers and texts at the edges
        event[rng.choice(list(event))] = rng.choice([10**400, -1, 1e308, "\ud800", "\x00", None, [[]], {}])
    elif way == 10:  # deeply nested, or not finite
        return rng.choice(["[" * 100_000, '{"type":' * 5000, '{"type": NaN}', '{"a":1}{', '{"type": 1e999}'])
    else:  # a field deep inside of another type
        _spoil(event, rng)
    return json.dumps(event)


def _valid(rng: random.Random) -> dict[str, Any]:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
    fields: dict[str, dict[str, Any]] = {
        "session.update": {"session": {"audio": {"output": {"voice": "nobody"}, "input": {"format": {"rate": 1}}}}},
        "input_audio_buffer.append": {"audio": "AAA"},
        "input_image_buffer.append": {"image": jpeg64()[: rng.randrange(100)], "at_ms": 0},
        "conversation.item.create": {"item": item, "previous_item_id": "nothing"},
        "conversation.item.truncate": {"item_id": "nothing", "content_index": 0, "audio_end_ms": 0},
        "conversation.item.delete": {"item_id": "nothing"},
        "conversation.item.retrieve": {"item_id": "nothing"},
        "response.create": {"response": {"conversation": "none"}},
        "response.cancel": {"response_id": "nothing"},
    }
    type_name = rng.choice([event.TYPE for event in CLIENT_EVENTS])
    return {"event_id": f"mine_{rng.randrange(1000)}", "type": type_name, **fields.get(type_name, {})}


def _any_json(rng: random.Random, depth: int) -> Any:
    kind = rng.randrange(7 if depth else 5)
    if kind == 5:
        return [_any_json(rng, depth - 1) for _ in range(rng.randrange(4))]
    if kind == 6:
        return {rng.choice(["type", "id", "x", "session"]): _any_json(rng, depth - 1) for _ in range(rng.randrange(4))}
    return rng.choice([None, True, rng.randrange(-5, 5), rng.random(), rng.choice(["", "text", "\x07"])])


def _spoil(value: Any, rng: random.Random) -> None:
    while isinstance(value, dict) and value:
        key = rng.choice(list(value))
        if not isinstance(value[key], dict) or rng.random() < 0.3:
            value[key] = _any_json(rng, 1)
            return
        value = value[key]


def _broken_jpeg(rng: random.Random) -> bytes:
    data = bytearray(jpeg())
    del data[rng.randrange(4, len(data) // 2) :]
    for _ in range(rng.randrange(5)):
        data[rng.randrange(2, len(data))] = rng.randrange(256)
    return bytes(data)
