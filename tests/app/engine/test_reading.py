"""Nothing that a server sends may end the connection: every event of the `openai` package, whole and broken."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from app.engine.connection import Connection
from app.engine.failures import Disconnected
from app.engine.reading import read_event, read_object
from app.engine.target import Target
from model.realtime.events import (
    ErrorEvent,
    InputTranscriptionCompleted,
    OutputTranscriptDelta,
    ResponseDone,
    SessionCreated,
    UnknownServerEvent,
)
from tests.app.engine.mutated import Client, event_classes, mutations, variations, whole
from tests.app.engine.peers import peer
from tests.app.engine_server import PATIENCE_S, TOKEN, Inbox


def test_every_event_of_the_package_in_every_shape() -> None:
    assert len(event_classes()) > 40
    client = Client()
    n = 0
    for event in variations():
        client.hear(event)
        n += 1
    assert n > 5_000


def test_mutated_events() -> None:
    client = Client()
    for event in mutations(3_000, seed=7):
        client.hear(event)


def test_a_real_connection_outlives_them() -> None:
    sent = [*islice(variations(), 0, None, 23), *mutations(300, seed=8)]

    async def behave(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "session.created", "session": {"voices": ["a"], "model": "m"}}))
        for event in sent:
            await connection.send(json.dumps(event))
        await connection.send(json.dumps({"type": "the.end"}))
        await connection.wait_closed()

    inbox = Inbox()
    with peer(behave) as url:
        connection = Connection(Target(url, TOKEN), inbox)
        connection.start()
        while inbox.until(UnknownServerEvent, PATIENCE_S).type != "the.end":
            pass
        assert connection.close()
    assert not [event for event in inbox.seen if isinstance(event, Disconnected)]


@pytest.mark.parametrize("cls", event_classes(), ids=lambda cls: cls.__name__)
def test_whole_events_are_read_with_what_they_say(cls: Any) -> None:
    """What both sides declare comes through as it was sent."""
    data = whole(cls)
    event = read_event(data)
    if isinstance(event, UnknownServerEvent):
        assert event.data == data
        return
    for name in ("item_id", "response_id", "delta", "transcript", "audio_end_ms"):
        if name in data and hasattr(event, name):
            assert getattr(event, name) == data[name]


def test_what_was_seen_of_real_servers() -> None:
    def read(data: dict[str, Any]) -> Any:
        return read_event(read_object(json.dumps(data)))

    tokens = {"type": "tokens", "total_tokens": 5, "input_tokens": 3}
    done = read({"type": InputTranscriptionCompleted.TYPE, "item_id": "i", "transcript": "hi", "usage": tokens})
    assert (done.item_id, done.transcript) == ("i", "hi")
    failed = {"id": "r", "status": "failed", "status_details": {"type": "failed", "error": {"code": "c"}}}
    response = read({"type": ResponseDone.TYPE, "response": failed}).response
    assert (response.id, response.status, response.status_details.error.code) == ("r", "failed", "c")
    assert read({"type": ErrorEvent.TYPE, "error": "no such model"}).error.message == "no such model"
    assert read({"type": ErrorEvent.TYPE, "error": {"code": "c"}}).error.code == "c"
    assert read({"type": ErrorEvent.TYPE}).error.message == ""
    assert read({"type": SessionCreated.TYPE, "event_id": None}).session == {}
    delta = read({"type": OutputTranscriptDelta.TYPE, "delta": "caf\udce9", "response_id": None})
    assert (delta.delta, delta.response_id) == ("caf?", "")


@pytest.mark.parametrize("message", ["", "null", "3", '"text"', "{", '{"no": "type"}', '{"type": null}', b"\xff\xfe"])
def test_what_is_no_event_says_why(message: str | bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_object(message)
