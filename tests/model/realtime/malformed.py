"""Messages that no client should send, seeded: broken JSON, wrong types, missing fields, bad base64 and pictures."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

from model.realtime.client_events import CLIENT_EVENTS, SessionClose, SessionFinish
from tests.model.realtime.harness import jpeg, jpeg64, pcm16


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
        "response.create": {"response": {"conversation": "auto", "input": []}},
        "response.cancel": {"response_id": "nothing"},
    }
    # The two that end a session when they are understood are no part of it.
    type_name = rng.choice([event.TYPE for event in CLIENT_EVENTS if event not in (SessionClose, SessionFinish)])
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
