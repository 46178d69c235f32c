"""The wire's declarations: both directions agree, both dialects are read, and nothing of it needs torch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from model.realtime.client_events import CLIENT_EVENTS, WireError, client_event_json, parse_client_event
from model.realtime.codec import UNSET
from model.realtime.events import (
    Audio,
    AudioFormat,
    AudioInput,
    AudioOutput,
    ContentPart,
    ConversationItemCreate,
    InputImageBufferAppend,
    Item,
    OutputAudioDelta,
    ResponseConfig,
    ResponseCreate,
    SessionConfig,
    SessionUpdate,
    TurnDetection,
)
from model.realtime.server_events import (
    OLDER_NAMES,
    SERVER_EVENTS,
    UnknownServerEvent,
    parse_server_event,
    server_event_json,
)


def test_events_import_without_torch_and_numpy() -> None:
    code = "import sys, model.realtime.events; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, cwd=Path(__file__).parents[3])


EXAMPLES = [
    SessionUpdate(
        SessionConfig(
            "realtime",
            "Be brief.",
            ("audio",),
            Audio(AudioInput(AudioFormat(rate=24_000), turn_detection=None), AudioOutput(voice="ethan")),
        ),
        event_id="e",
    ),
    SessionUpdate(SessionConfig(audio=Audio(AudioInput(turn_detection=TurnDetection(threshold=0.4))))),
    InputImageBufferAppend("AAAA", 40),
    ConversationItemCreate(Item("message", "user", (ContentPart("input_text", "Hello — привет"),), "item_1")),
    ResponseCreate(ResponseConfig(max_output_tokens="inf", metadata={"reply": "1"})),
]


@pytest.mark.parametrize("event", EXAMPLES, ids=lambda event: type(event).__name__)
def test_what_is_written_is_read_back(event: Any) -> None:
    assert parse_client_event(client_event_json(event)) == event


def test_null_and_left_out_are_different() -> None:
    def detection(audio_in: dict[str, Any]) -> Any:
        event = parse_client_event(json.dumps({"type": "session.update", "session": {"audio": {"input": audio_in}}}))
        assert isinstance(event, SessionUpdate)
        assert event.session.audio is not None
        assert event.session.audio.input is not None
        return event.session.audio.input.turn_detection

    assert detection({}) is UNSET
    assert detection({"turn_detection": None}) is None
    assert detection({"turn_detection": {"type": "server_vad"}}) == TurnDetection()


def test_names_are_unique_and_events_immutable() -> None:
    names = [event.TYPE for event in (*CLIENT_EVENTS, *SERVER_EVENTS)]
    assert len(names) == len(set(names))
    for event in (*CLIENT_EVENTS, *SERVER_EVENTS):
        assert event.__dataclass_params__.frozen


@pytest.mark.parametrize(("older", "newer"), OLDER_NAMES.items())
def test_older_names_are_the_same_events(older: str, newer: str) -> None:
    fields = {
        "response_id": "r",
        "item_id": "i",
        "delta": "AAAA",
        "transcript": "",
        "text": "",
        "item": {"type": "message"},
    }
    assert parse_server_event(json.dumps({"type": older, **fields})) == parse_server_event(
        json.dumps({"type": newer, **fields})
    )


def test_what_a_newer_engine_says_is_kept() -> None:
    event = parse_server_event('{"type": "response.danced", "steps": 3}')
    assert event == UnknownServerEvent("response.danced", {"type": "response.danced", "steps": 3})


def test_server_events_read_back() -> None:
    event = OutputAudioDelta("resp_1", "item_1", "AAAA", event_id="event_9")
    assert parse_server_event(server_event_json(event)) == event
    assert dataclasses.replace(event, delta="").delta == ""


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("", "invalid_json", None),
        ("[1]", "invalid_json", None),
        (b"\xff\xfe", "invalid_json", None),
        ('{"type": Infinity}', "invalid_json", None),
        ("[" * 100_000, "invalid_json", None),
        ("{}", "missing_type", "type"),
        ('{"type": "response.explode"}', "unknown_event", "type"),
        ('{"type": "input_image_buffer.append"}', "invalid_value", "image"),
        ('{"type": "input_image_buffer.append", "image": 3}', "invalid_value", "image"),
        ('{"type": "input_image_buffer.append", "image": "\\ud800"}', "invalid_value", "image"),
        (
            '{"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": true}',
            "invalid_value",
            "audio_end_ms",
        ),
        (
            '{"type": "conversation.item.truncate", "item_id": "i", "audio_end_ms": 1.5}',
            "invalid_value",
            "audio_end_ms",
        ),
    ],
)
def test_mistakes_name_the_field(message: str | bytes, code: str, param: str | None) -> None:
    with pytest.raises(WireError) as mistake:
        parse_client_event(message)
    assert (mistake.value.code, mistake.value.param) == (code, param)


def test_a_message_that_is_too_long_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("model.realtime.client_events.MAX_MESSAGE_BYTES", 100)
    with pytest.raises(WireError, match="at most 100") as mistake:
        parse_client_event("x" * 101)
    assert mistake.value.code == "message_too_large"


@pytest.mark.parametrize(
    "message",
    [
        {"type": "session.update", "session": {"audio": {"input": []}, "instructions": "Read."}},
        {"type": "session.update", "session": {"output_modalities": ["video"], "instructions": "Read."}},
        {"type": "session.update", "session": {"tool_choice": 3, "unheard_of": {}, "instructions": "Read."}},
    ],
)
def test_optional_fields_that_cannot_be_read_are_left_out(message: dict[str, object]) -> None:
    event = parse_client_event(json.dumps(message))
    assert isinstance(event, SessionUpdate)
    assert event.session.instructions == "Read."


def test_what_needs_no_answer_gets_none() -> None:
    for type_name in ("playback.ack", "session.heartbeat", "session.event_ack"):
        assert parse_client_event(json.dumps({"type": type_name, "server_event_seq": 3})) is None
