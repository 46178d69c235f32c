"""Each dialect: what goes out for what the app says, and what the app hears."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from app.dialects.base import Dialect, wait_of
from app.dialects.registry import DIALECTS, dialect_of, recognised
from app.engine.target import Target
from app.wire import response_create, restored_item, session_update, sound_append, text_item
from model.realtime.events import (
    ClientEvent,
    ConversationItemTruncate,
    InputAudioBufferClear,
    InputAudioBufferCommit,
    InputImageBufferAppend,
    ResponseCancel,
)

Json = dict[str, Any]
JPEG = base64.b64encode(b"\xff\xd8picture").decode()
SOUND = sound_append(np.zeros(1600, np.float32))  # 0.1 s
PICTURE = InputImageBufferAppend(JPEG)
COMMIT, ASK = InputAudioBufferCommit(), response_create(1, True, 100)
UPDATE = session_update("be brief", "Cherry", speech=True, transcribe=True)


def made(kind: str, **options: str) -> Dialect:
    return DIALECTS[kind](Target("wss://peer.example/v1/realtime", kind=kind, **options))  # type: ignore[arg-type]


def said(dialect: Dialect, *events: ClientEvent) -> list[Json]:
    return [message for event in events for message in dialect.say(event)]


def kinds(messages: Sequence[Json]) -> list[str]:
    return [message["type"].removeprefix("input_audio_buffer.") for message in messages]


def n_samples(messages: Sequence[Json]) -> int:
    return sum(len(base64.b64decode(message["audio"])) // 2 for message in messages if "audio" in message)


def test_which_server_an_address_is() -> None:
    for url, kind in (
        ("wss://api.openai.com/v1/realtime", "openai"),
        ("wss://me.openai.azure.com/openai/v1/realtime", "azure"),
        ("wss://dashscope-intl.aliyuncs.com/api-ws/v1/realtime", "dashscope"),
        ("wss://dashscope.aliyuncs.com/api-ws/v1/realtime", "dashscope"),
        ("wss://mine.ap-southeast-1.maas.aliyuncs.com/api-ws/v1/realtime", "dashscope"),
        ("ws://box:8091/v1/realtime?duplex=1", "vllm-duplex"),
        ("ws://127.0.0.1:8000/v1/realtime", "ga"),
        ("wss://dashscope.evil.example/", "ga"),
    ):
        assert dialect_of(Target(url)).key == kind
    assert dialect_of(Target("wss://api.openai.com/v1/realtime", kind="older")).key == "older"


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ({"session": {"voices": ["a"], "model": "m"}}, "sightline"),
        ({"session": {"sglang": {"granted": None}, "model": "m"}}, "sglang-omni"),
        ({"session": {"modalities": ["text"], "input_audio_format": "pcm16", "model": "m"}}, "older"),
        ({"session": {"audio": {"input": {"sample_rate_hz": 16000}}, "model": "m"}}, "vllm-duplex"),
        ({"id": "sess-1", "created": 5}, "vllm"),
        ({"session": {"audio": {"input": {}, "output": {}}, "type": "realtime", "id": "c"}}, "speech-to-speech"),
        ({"session": {"audio": {"input": {}}, "type": "realtime", "model": None, "object": None}}, "speech-to-speech"),
        ({"session": {"audio": {"input": {}}, "model": "gpt", "object": "realtime.session"}}, "ga"),
        ({}, "ga"),
    ],
)
def test_which_server_the_first_event_is_of(event: Json, kind: str) -> None:
    first = {"type": "session.created", **event}
    assert recognised(dialect_of(Target("ws://box/v1/realtime")), first).key == kind
    chosen = dialect_of(Target("ws://box/v1/realtime", kind="openai"))
    assert recognised(chosen, first) is chosen


def test_ga_is_24_khz_with_pictures_as_items() -> None:
    dialect = made("ga")
    messages = said(dialect, SOUND, PICTURE, SOUND, COMMIT, ASK)
    assert kinds(messages) == ["append", "conversation.item.create", "append", "append", "commit", "response.create"]
    assert abs(n_samples(messages) - 4800) <= 1
    (update,) = said(dialect, UPDATE)
    assert update["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}


def test_openai_and_azure() -> None:
    openai = made("openai", token="secret")
    assert openai.headers() == {"Authorization": "Bearer secret"}
    assert openai.address() == "wss://peer.example/v1/realtime?model=gpt-realtime"
    (update,) = said(openai, UPDATE)
    assert update["session"]["audio"]["input"]["transcription"] == {"model": "gpt-4o-mini-transcribe"}
    azure = made("azure", token="secret", model="mine")
    assert azure.headers() == {"api-key": "secret"}
    assert azure.address().endswith("?model=mine")


def test_sightline_gets_what_the_app_says() -> None:
    messages = said(made("sightline"), UPDATE, PICTURE, SOUND, COMMIT)
    assert kinds(messages) == ["session.update", "input_image_buffer.append", "append", "commit"]
    assert n_samples(messages) == 1600


def test_dashscope_hears_before_it_sees() -> None:
    dialect = made("dashscope")
    (update,) = said(dialect, UPDATE)
    assert update["session"]["modalities"] == ["text", "audio"]
    assert update["session"]["turn_detection"] is None
    assert update["session"]["voice"] == "Cherry"
    messages = said(dialect, PICTURE, SOUND, PICTURE, COMMIT, ASK)
    assert kinds(messages) == [
        "append", "input_image_buffer.append", "input_image_buffer.append", "commit", "response.create"
    ]  # fmt: skip
    assert messages[-1]["response"] == {}
    assert kinds(said(dialect, PICTURE, InputAudioBufferClear(), SOUND)) == ["clear", "append"]


def test_dashscopes_newer_models_have_their_formats_nested() -> None:
    (update,) = said(made("dashscope", model="qwen3.8-omni-flash-realtime"), UPDATE)
    session = update["session"]
    assert session["audio"]["input"] == {"format": {"type": "pcm", "sample_rate": 16_000}}
    assert session["audio"]["output"] == {"format": {"type": "pcm", "sample_rate": 24_000}, "voice": "Cherry"}
    assert not {"voice", "input_audio_format", "output_audio_format"} & set(session)


def test_dashscope_takes_text_as_instructions_and_remembers_in_words() -> None:
    dialect = made("dashscope")
    said(dialect, UPDATE)
    assert said(dialect, restored_item("user", "My name is Ada."), restored_item("assistant", "Hello Ada.")) == []
    assert said(dialect, text_item("Who am I?", b"jpeg")) == []
    update, ask = said(dialect, ASK)
    assert "User: My name is Ada.\n\nAssistant: Hello Ada." in update["session"]["instructions"]
    assert ask["response"]["instructions"] == "be brief\n\nWho am I?"
    assert said(dialect, ConversationItemTruncate("item", 100)) == []
    assert said(dialect, ResponseCancel("r")) == [{"type": "response.cancel"}]
    assert len(dialect.take_notes()) == 2
    said(dialect, ConversationItemTruncate("item", 100))
    assert dialect.take_notes() == []  # said once


def test_vllm_duplex_puts_pictures_into_sound() -> None:
    dialect = made("vllm-duplex", model="m")
    assert dialect.address() == "wss://peer.example/v1/realtime?model=m&duplex=1"
    messages = said(dialect, PICTURE, PICTURE, PICTURE, SOUND, SOUND, COMMIT)
    assert kinds(messages) == ["append", "append", "commit"]
    assert messages[0]["video_frames"] == [JPEG, JPEG]
    assert "video_frames" not in messages[1]
    assert messages[2]["final"] is True
    assert made("vllm-duplex").opening() == [{"type": "session.update", "session": {}}]


def test_vllm_in_turns() -> None:
    dialect = made("vllm", model="m")
    assert dialect.hear({"type": "session.created", "id": "s", "created": 1})[0]["session"] == {"model": "m"}
    assert said(dialect, UPDATE) == [{"type": "session.update", "model": "m"}]
    assert said(dialect, SOUND, COMMIT) == []
    assert kinds(said(dialect, ASK)) == ["append", "commit", "commit"]
    begun = dialect.take_made()
    assert kinds(begun)[1:] == ["response.created", "response.output_item.added"]
    heard = dialect.hear({"type": "transcription.delta", "delta": "Hi"})
    assert heard[0]["response_id"] == begun[1]["response"]["id"]
    pcm = base64.b64encode(bytes(3200)).decode()
    (delta,) = dialect.hear({"type": "response.output_audio.delta", "audio": pcm, "sample_rate_hz": 24_000})
    assert delta["delta"] == pcm
    assert dialect.hear({"type": "transcription.done", "text": "Hi"}) == []
    (done,) = dialect.hear({"type": "response.output_audio.done", "has_audio": True})
    assert done["response"]["status"] == "completed"


def test_vllm_in_turns_goes_on_when_it_was_cancelled() -> None:
    dialect = made("vllm", model="m")
    said(dialect, SOUND, COMMIT, ASK)
    dialect.take_made()
    assert said(dialect, ResponseCancel()) == []
    assert dialect.take_made()[0]["response"]["status"] == "cancelled"
    assert said(dialect, SOUND, COMMIT, ASK) == []  # it would be ignored: the old answer is still being made
    assert dialect.hear({"type": "transcription.delta", "delta": "old"}) == []
    assert dialect.hear({"type": "response.output_audio.done"}) == []
    assert kinds([message for _, message in dialect.take_later()]) == ["append", "commit", "commit"]
    assert "response.created" in kinds(dialect.take_made())
    assert dialect.hear({"type": "transcription.delta", "delta": "new"})


def test_vllm_in_turns_refuses_text_at_once() -> None:
    dialect = made("vllm", model="m")
    assert said(dialect, text_item("hi", None), ASK) == []
    (error,) = dialect.take_made()
    assert error["error"]["event_id"] == "reply-1"
    assert "speech only" in error["error"]["message"]


@pytest.mark.parametrize("kind", ["speech-to-speech", "llama.cpp"])
def test_servers_with_turns_of_their_own_hear_silence(kind: str) -> None:
    dialect = made(kind)
    dialect.hear({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": None}}}})
    messages = said(dialect, SOUND, COMMIT, ASK)
    assert set(kinds(messages)) == {"append"}
    assert n_samples(messages) > 4800 + 20_000
    assert kinds(said(dialect, text_item("hi", None), ASK)) == ["conversation.item.create", "response.create"]


def test_a_server_that_keeps_its_turns_is_followed() -> None:
    dialect = made("ga")
    on = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    dialect.hear({"type": "session.updated", "session": on})
    assert "commit" not in kinds(said(dialect, SOUND, COMMIT, ASK))
    dialect.hear({"type": "session.updated", "session": {"audio": {"input": {"turn_detection": None}}}})
    assert "commit" in kinds(said(dialect, SOUND, COMMIT, ASK))


def test_a_server_that_says_where_speech_begins_is_followed_whatever_its_session_says() -> None:
    off = {"type": "session.updated", "session": {"audio": {"input": {"turn_detection": None}}}}
    for kind, is_followed in (("ga", True), ("vllm-duplex", False)):
        dialect = made(kind)
        dialect.hear(off)
        assert "commit" in kinds(said(dialect, SOUND, COMMIT))
        dialect.hear({"type": "input_audio_buffer.speech_started", "item_id": "i"})
        assert ("commit" not in kinds(said(dialect, SOUND, COMMIT))) == is_followed


def test_sglang_omni_numbers_everything() -> None:
    dialect = made("sglang-omni")
    granted = {"client_commit": True, "supports_truncate": False, "input_modalities": ["audio", "image"]}
    messages = said(dialect, UPDATE)
    dialect.hear({"type": "session.updated", "session": {"sglang": {"granted": granted}}})
    messages += said(dialect, PICTURE, SOUND, PICTURE, SOUND, COMMIT, ASK)
    assert kinds(messages) == [
        "session.update", "sglang.input_image.append", "append", "sglang.input_image.append", "append", "commit"
    ]  # fmt: skip
    assert len({message["event_id"] for message in messages}) == len(messages)
    assert [m["sglang"]["seq"] for m in messages if "audio" in m] == [0, 1]
    assert [m["sglang"]["t_ms"] for m in messages if "image" in m] == [0.0, 100.0]
    assert said(dialect, text_item("hi", None), ASK) == []
    assert dialect.take_made()[0]["error"]["event_id"] == "reply-1"


def test_speech_of_another_rate_is_made_ours() -> None:
    dialect = made("ga")
    dialect.hear({"type": "session.updated", "session": {"audio": {"output": {"format": {"rate": 16_000}}}}})
    pcm = base64.b64encode(bytes(32_000)).decode()
    delta = {"type": "response.output_audio.delta", "response_id": "r", "delta": pcm}
    n = sum(len(base64.b64decode(event["delta"])) // 2 for _ in range(3) for event in dialect.hear(delta))
    assert abs(n - 72_000) < 2_000


def test_a_rate_limit_is_waited_for_under_the_same_name() -> None:
    dialect = made("openai")
    said(dialect, ASK)
    dialect.hear({"type": "response.created", "response": {"id": "a"}})
    error = {"code": "rate_limit_exceeded", "message": "Please try again in 1.5s."}
    failed = {"id": "a", "status": "failed", "status_details": {"error": error}}
    assert dialect.hear({"type": "response.done", "response": failed}) == []
    ((wait_s, again),) = dialect.take_later()
    assert (wait_s, again["type"]) == (1.5, "response.create")
    assert dialect.hear({"type": "response.created", "response": {"id": "b"}}) == []
    (text,) = dialect.hear({"type": "response.output_text.delta", "response_id": "b", "delta": "x"})
    assert text["response_id"] == "a"
    (done,) = dialect.hear({"type": "response.done", "response": {"id": "b", "status": "completed"}})
    assert done["response"]["id"] == "a"


def test_waits_that_servers_name() -> None:
    assert [wait_of(m) for m in ("in 300ms", "in 2 seconds", "in 1m", "in 3 min", "later", None)] == [
        0.3, 2.0, 60.0, 60.0, 10.0, 10.0
    ]  # fmt: skip


def test_tools_are_offered_to_engines_and_models_that_know_them() -> None:
    sightline = made("sightline")
    assert sightline.abilities_of({"tools": [], "knows_tools": True}).tools
    assert not sightline.abilities_of({"tools": [], "knows_tools": False}).tools
    assert not sightline.abilities_of({"model": "an engine before tools"}).tools
    assert made("openai").abilities_of({}).tools
