"""The server on real sockets: who comes in, what floods and failures do, and that nothing ends the engine."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from model.errors import InputError
from tests.model.realtime.harness import pcm16
from tests.model.realtime.scripted import ScriptedFlash, ScriptedSession
from tests.model.realtime.sockets import PATIENCE_S, TOKEN, connected, eventually, load_scripted, serving


class OutOfMemoryError(RuntimeError):
    """Named as torch names its own."""


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


@pytest.mark.parametrize(
    "error",
    [TypeError("NoneType is no list"), KeyError("rope"), RecursionError("too deep"), OSError("a")],
)
def test_any_exception_while_loading_ends_the_engine(error: Exception) -> None:
    async def test() -> None:
        def load() -> ScriptedFlash:
            raise error

        async with serving(load) as (server, url), connected(url) as client:
            told = (await client.next())["error"]
            assert told["code"] == "model_load_failed"
            assert str(error) in told["message"]
            assert (await server.failed()).exit_code == 3

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


def test_cancel_takes_effect_within_five_steps() -> None:
    """A step is 20 ms here, so it is 100 ms; a busy machine makes steps and connection late alike."""

    async def test() -> None:
        flash, load = load_scripted(words=("word ",) * 100_000, gate=lambda: time.sleep(0.02))
        async with serving(load) as (_, url), connected(url) as client:
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            await client.until("response.output_audio.delta")
            said = len(flash.newest.ledger)
            await client.say("response.cancel")
            done = await client.until("response.done")
            assert len(flash.newest.ledger) - said <= 5
            assert done["response"]["status"] == "cancelled"

    run(test)


@pytest.mark.slow
def test_a_slow_client_holds_its_reply_back_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.realtime.link.CONGESTED_BYTES", 200_000)

    async def test() -> None:
        flash, load = load_scripted(words=("word ",) * 3000)
        async with serving(load) as (server, url), connected(url) as client:
            await client.until("session.created")
            await client.say("input_audio_buffer.append", audio=pcm16(0.5))
            await client.say("input_audio_buffer.commit")
            await client.say("response.create")
            (link,) = server._links

            async def stands_still() -> bool:
                """The reply is held back: the model's thread works through five requests and says nothing more."""
                said = len(flash.newest.ledger)
                for _ in range(5):
                    await client.say("input_audio_buffer.clear")
                    await eventually(lambda: not link.has_events, "the request is taken")
                return link.congested and len(flash.newest.ledger) == said

            while not await stands_still():
                pass
            assert len(flash.newest.ledger) < 3000
            await client.until("response.done")
            deltas = [event for event in client.events if event["type"] == "response.output_audio.delta"]
            assert len(deltas) == 3000

    run(test)


def test_a_client_that_takes_nothing_is_disconnected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.realtime.server.SLOW_CLIENT_S", 0.3)
    monkeypatch.setattr("model.realtime.link.CONGESTED_BYTES", 200_000)

    async def test() -> None:
        flash, load = load_scripted(words=("word ",) * 3000)
        async with serving(load) as (server, url):
            async with connected(url) as client:
                await client.until("session.created")
                await client.say("input_audio_buffer.append", audio=pcm16(0.5))
                await client.say("input_audio_buffer.commit")
                await client.say("response.create")
                client.connection.transport.pause_reading()
                await eventually(lambda: not server._links, "the server hangs up")
                client.connection.transport.abort()
            async with connected(url) as client:
                await client.until("session.created")
            assert not flash.sessions[0].replying

    run(test)


async def two_clients(flash: Any) -> None:
    """The second client's session fails; the first one's conversation goes on."""
    async with serving(lambda: flash, max_clients=2) as (_, url), connected(url) as one:
        await one.until("session.created")
        flash.fails = True
        async with connected(url) as two:
            assert (await two.until("error"))["error"]["code"] == "session_failed"
            with pytest.raises(ConnectionClosed):
                await two.next()
        flash.fails = False
        await one.say("response.create")
        assert (await one.until("response.done"))["response"]["status"] == "completed"
        async with connected(url) as three:
            await three.until("session.created")


@pytest.mark.parametrize("error", [OutOfMemoryError("CUDA out of memory"), InputError("no such voice")])
def test_a_session_that_cannot_be_made_is_refused_and_hurts_no_other(error: Exception) -> None:
    class Refusing(ScriptedFlash):
        fails = False

        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            if self.fails:
                raise error
            return super().open_session(instructions, voice)

    asyncio.run(two_clients(Refusing()))


@pytest.mark.parametrize("error", [OutOfMemoryError("CUDA out of memory"), KeyError("a fault in the session")])
def test_a_session_that_fails_hurts_no_other(error: Exception) -> None:
    class Failing(ScriptedFlash):
        fails = False

        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            made = super().open_session(instructions, voice)
            if self.fails:
                made.gate = self._fail
            return made

        def _fail(self) -> None:
            raise error

    async def test() -> None:
        flash = Failing()
        async with serving(lambda: flash, max_clients=2) as (_, url), connected(url) as one:
            await one.until("session.created")
            flash.fails = True
            async with connected(url) as two:
                await two.say("response.create")
                assert (await two.until("error"))["error"]["code"] == "session_failed"
            await one.say("response.create")
            assert (await one.until("response.done"))["response"]["status"] == "completed"

    asyncio.run(test())


def test_a_session_that_cannot_be_renewed_ends_alone() -> None:
    class Once(ScriptedFlash):
        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            if self.sessions:
                raise InputError("no more")
            return super().open_session(instructions, voice)

    async def test() -> None:
        async with serving(Once, max_clients=2) as (_, url), connected(url) as one:
            await one.say("session.update", session={"instructions": "Pirate."})
            await one.say("response.create")
            assert (await one.until("error"))["error"]["code"] == "session_failed"

    asyncio.run(test())
