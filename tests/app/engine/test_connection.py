"""The app's WebSocket client against a real server, and against peers that are none."""

from __future__ import annotations

import json
import queue
import socket
import time
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from app.engine.address import check_url, is_on_this_machine
from app.engine.connection import MAX_UNSENT_BYTES, Connection
from app.engine.failures import Disconnected
from app.engine.target import Target
from model.realtime.events import (
    Audio,
    AudioFormat,
    AudioInput,
    AudioOutput,
    ErrorEvent,
    InputAudioBufferAppend,
    InputAudioBufferCommit,
    OutputAudioDelta,
    OutputTranscriptDelta,
    ResponseCreate,
    ResponseDone,
    SessionConfig,
    SessionCreated,
    SessionUpdate,
    UnknownServerEvent,
    client_event_json,
)
from tests.app.engine.peers import peer
from tests.app.engine_server import PATIENCE_S, TOKEN, Inbox, engine_server
from tests.model.realtime.harness import pcm16


def test_a_spoken_turn() -> None:
    inbox = Inbox()
    with engine_server() as url:
        client = Connection(Target(url, TOKEN), inbox)
        client.start()
        inbox.until(SessionCreated)
        assert client.send(InputAudioBufferAppend(pcm16(0.5)))
        assert client.send(InputAudioBufferCommit())
        assert client.send(ResponseCreate())
        done = inbox.until(ResponseDone)
        assert done.response.status == "completed"
        assert done.response.output[0].content[0].transcript == "One two three four."
        assert sum(isinstance(event, OutputAudioDelta) for event in inbox.seen) == 4
        assert client.close()
        assert client.close()
        assert not client.send(ResponseCreate())


def test_events_sent_before_the_connection_stands_are_not_lost() -> None:
    inbox = Inbox()
    with engine_server() as url:
        client = Connection(Target(url, TOKEN), inbox)
        for event in (InputAudioBufferAppend(pcm16(0.5)), InputAudioBufferCommit(), ResponseCreate()):
            assert client.send(event)
        client.start()
        assert inbox.until(ResponseDone).response.status == "completed"
        client.close()


def test_a_wrong_token_is_final() -> None:
    inbox = Inbox()
    with engine_server() as url:
        Connection(Target(url, "wrong"), inbox).start()
        end = inbox.until(Disconnected)
    assert end.final
    assert "token" in end.reason


def test_nobody_there_is_not_final() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{taken.getsockname()[1]}/v1/realtime"
        inbox = Inbox()
        Connection(Target(url, TOKEN), inbox).start()
        end = inbox.until(Disconnected)
    assert not end.final
    assert url in end.reason


def test_a_busy_engine_says_so() -> None:
    with engine_server() as url:
        first, second = Inbox(), Inbox()
        client = Connection(Target(url, TOKEN), first)
        client.start()
        first.until(SessionCreated)
        Connection(Target(url, TOKEN), second).start()
        assert "busy" in second.until(Disconnected).reason
        client.close()


def test_the_engine_going_away_is_reported_once() -> None:
    inbox = Inbox()
    with engine_server() as url:
        client = Connection(Target(url, TOKEN), inbox)
        client.start()
        inbox.until(SessionCreated)
    inbox.until(Disconnected)
    client.close()
    assert inbox.nothing_more()


@pytest.mark.parametrize("url", ["http://localhost/v1/realtime", "ws://", "localhost:8000", "", "file:///etc/passwd"])
def test_what_is_no_address(url: str) -> None:
    with pytest.raises(ValueError, match="expected ws://"):
        check_url(url)


def test_what_leaves_the_machine() -> None:
    assert is_on_this_machine("ws://127.0.0.1:80/v1/realtime")
    assert is_on_this_machine("ws://[::1]:80/v1/realtime")
    assert is_on_this_machine("ws://localhost/v1/realtime")
    assert not is_on_this_machine("ws://192.168.1.5/v1/realtime")
    assert not is_on_this_machine("wss://engine.example/v1/realtime")


OLDER_SESSION = {"object": "realtime.session", "model": "qwen3-omni-flash-realtime", "modalities": ["text", "audio"]}


def test_an_engine_of_the_older_dialect() -> None:
    received: queue.Queue[dict[str, Any]] = queue.Queue()

    async def behave(connection: ServerConnection) -> None:
        delta = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0, "event_id": "e"}
        await connection.send(json.dumps({"type": "session.created", "event_id": "e", "session": OLDER_SESSION}))
        received.put(json.loads(await connection.recv()))
        await connection.send(json.dumps({"type": "response.audio_transcript.delta", "delta": "Hi", **delta}))
        await connection.send(json.dumps({"type": "response.audio.delta", "delta": "AAAA", **delta}))
        await connection.send(json.dumps({"type": "rate_limits.updated", "rate_limits": []}))
        await connection.wait_closed()

    inbox = Inbox()
    with peer(behave) as url:
        client = Connection(Target(url, TOKEN), inbox)
        client.start()
        inbox.until(SessionCreated)
        audio = Audio(AudioInput(AudioFormat(rate=16_000), turn_detection=None), AudioOutput(voice="Cherry"))
        client.send(SessionUpdate(SessionConfig("realtime", "Be brief.", ("audio",), audio)))
        session = received.get(timeout=PATIENCE_S)["session"]
        assert session == {
            "instructions": "Be brief.",
            "modalities": ["text", "audio"],
            "voice": "Cherry",
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": None,
            "turn_detection": None,
        }
        assert inbox.until(OutputTranscriptDelta).delta == "Hi"
        assert inbox.until(OutputAudioDelta).delta == "AAAA"
        assert inbox.until(UnknownServerEvent).type == "rate_limits.updated"
        client.close()


@pytest.mark.parametrize("message", ["{", "[]", '{"type": 3}', "[" * 100_000, "\ud800", '{"type": "x", "n": 1e999}'])
def test_nonsense_is_skipped_and_the_conversation_goes_on(message: str) -> None:
    async def behave(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "session.created"}))
        await connection.send(message.encode("utf-8", "surrogatepass") if message == "\ud800" else message)
        await connection.send(json.dumps({"type": "response.done", "response": 3}))
        await connection.wait_closed()

    inbox = Inbox()
    with peer(behave) as url:
        client = Connection(Target(url, TOKEN), inbox)
        client.start()
        assert inbox.until(SessionCreated).session == {}
        assert inbox.until(ResponseDone).response.id is None
        assert client.close()


def test_what_the_engine_said_last_is_the_reason() -> None:
    async def behave(connection: ServerConnection) -> None:
        error = {"type": "server_error", "code": "model_load_failed", "message": "x.safetensors is truncated."}
        await connection.send(json.dumps({"type": "error", "event_id": "event_1", "error": error}))

    inbox = Inbox()
    with peer(behave) as url:
        Connection(Target(url, TOKEN), inbox).start()
        assert inbox.until(ErrorEvent).error.code == "model_load_failed"
        assert inbox.until(Disconnected).reason == "x.safetensors is truncated."


def test_an_engine_that_takes_nothing_fills_the_queue_and_is_closed_in_time() -> None:
    async def behave(connection: ServerConnection) -> None:
        connection.transport.pause_reading()
        await connection.wait_closed()

    inbox = Inbox()
    with peer(behave) as url:
        client = Connection(Target(url, TOKEN), inbox)
        client.start()
        event = InputAudioBufferAppend("A" * 2**20)
        n_sent = 0
        while client.send(event):
            n_sent += 1
            assert n_sent * len(client_event_json(event)) < 4 * MAX_UNSENT_BYTES
        began_s = time.monotonic()
        assert client.close(3.0)
        assert time.monotonic() - began_s < 2.0


def test_closing_does_not_wait_for_an_engine_that_does_not_answer() -> None:
    with socket.socket() as listening:  # accepts, and never says a word
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        client = Connection(Target(f"ws://127.0.0.1:{listening.getsockname()[1]}/v1/realtime", TOKEN), Inbox())
        client.start()
        accepted, _ = listening.accept()
        began_s = time.monotonic()
        assert client.close(3.0)
        assert time.monotonic() - began_s < 1.0
        accepted.close()


@pytest.mark.parametrize("url", ["ws://127.0.0.1:99999/x", "ws://[::1", "ws://host:port/", "ws://host:0/"])
def test_an_address_that_cannot_be_one(url: str) -> None:
    with pytest.raises(ValueError, match="is not an engine's address"):
        check_url(url)


def test_a_host_name_that_cannot_be_asked_for_ends_the_connection() -> None:
    ends: queue.Queue[object] = queue.Queue()
    client = Connection(Target(f"ws://{'a' * 70}/", TOKEN), ends.put)
    client.start()
    end = ends.get(timeout=PATIENCE_S)
    assert isinstance(end, Disconnected)
    assert end.final
    assert client.close()
