"""Each kind of peer: recognised, read as it means it, and spoken to as it knows it."""

from __future__ import annotations

from typing import Any

import pytest

from model.realtime.dialects import BETA, DASHSCOPE, GA, SIGHTLINE, VLLM_OMNI, Dialect, of_handshake
from tests.model.realtime.harness import Harness, jpeg64, pcm16


@pytest.mark.parametrize(
    ("headers", "query", "dialect"),
    [
        ({}, "model=any", GA),
        ({"OpenAI-Beta": "realtime=v1"}, "", BETA),
        ({"x-dashscope-workspace": "w"}, "model=qwen", DASHSCOPE),
        ({"User-Agent": "dashscope/2.0.2; python/3.11"}, "", DASHSCOPE),
        ({}, "duplex=1&model=any", VLLM_OMNI),
    ],
)
def test_who_connects(headers: dict[str, str], query: str, dialect: Dialect) -> None:
    assert of_handshake(headers, query) is dialect


FLAT = {"modalities": ["text", "audio"], "voice": "Cherry", "input_audio_format": "pcm16", "turn_detection": None}


@pytest.mark.parametrize(
    ("session", "dialect", "rate_hz"),
    [
        (FLAT, BETA, 24_000),
        ({"type": "realtime", "audio": {"input": {"turn_detection": None}}}, GA, 24_000),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "sample_rate": 16_000}}}}, SIGHTLINE, 16_000),
        (FLAT | {"model": "m", "sample_rate_hz": 16_000, "extra_body": {}}, VLLM_OMNI, 16_000),
        ({"audio": {"input": {"format": {"type": "pcm", "sample_rate": 16_000}}}}, GA, 16_000),
        ({"type": "realtime", "audio": {"input": {"sample_rate_hz": 16_000}}}, GA, 16_000),
    ],
)
def test_who_it_is_after_its_first_update(session: dict[str, Any], dialect: Dialect, rate_hz: int) -> None:
    client = Harness()
    client.say("session.update", session=session)
    assert client.dialect is dialect
    assert client.live.talk.config.input_rate_hz == rate_hz


def test_dashscope_means_sixteen_kilohertz_by_pcm16() -> None:
    client = Harness(dialect=DASHSCOPE)
    client.say("session.update", session=FLAT)
    assert client.last("session.updated")["session"]["sample_rate"] == 16_000


@pytest.mark.parametrize("dialect", [BETA, DASHSCOPE])
def test_older_names_and_shapes_go_out(dialect: Dialect) -> None:
    client = Harness(dialect=dialect)
    client.say("session.update", session=FLAT | {"input_audio_transcription": {}})
    updated = client.last("session.updated")["session"]
    assert (updated["voice"], updated["modalities"]) == ("ethan", ["text", "audio"])
    client.hear()
    client.reply()
    client.work()
    assert "response.audio.delta" in client.types
    assert "response.audio_transcript.done" in client.types
    assert "conversation.item.created" in client.types
    assert not [name for name in client.types if "output_audio" in name or name == "conversation.item.done"]
    done = client.last("response.done")["response"]
    assert done["modalities"] == ["text", "audio"]
    assert done["output"][0]["content"] == [{"type": "audio", "transcript": "One two three four."}]


def test_semantic_vad_is_turned_into_patience() -> None:
    from tests.model.realtime.test_live_session import LoudnessDetector

    client = Harness(make_detector=LoudnessDetector)
    detection = {"type": "semantic_vad", "eagerness": "low", "create_response": True, "interrupt_response": False}
    client.say("session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": detection}}})
    assert client.last("session.updated")["session"]["audio"]["input"]["turn_detection"] == detection
    in_force = client.live.talk.config.turn_detection
    assert in_force is not None
    assert (in_force.silence_duration_ms, in_force.interrupt_response) == (1200, False)


def test_a_session_update_without_a_session_changes_nothing() -> None:
    client = Harness()
    client.say("session.update", model="some model")
    assert client.types[-1] == "session.updated"
    assert client.dialect is VLLM_OMNI


def test_vllm_omni_commits_are_answered_and_frames_are_seen() -> None:
    client = Harness(dialect=VLLM_OMNI)
    client.say("session.update", session=FLAT | {"sample_rate_hz": 16_000})
    client.say("input_audio_buffer.append", audio=pcm16(0.5, 16_000), video_frames=[jpeg64()])
    client.say("input_audio_buffer.commit", final=False)
    client.say("input_audio_buffer.append", audio=pcm16(0.5, 16_000))
    client.say("input_audio_buffer.commit", final=True)
    client.work()
    assert client.session.held[:3] == [("picture", 0.0), ("sound", 1.0), ("said", "One ")]
    assert client.last("response.done")["response"]["status"] == "completed"
    client.say("input_audio_buffer.append", audio=pcm16(0.5, 16_000))
    client.say("input_audio_buffer.commit", final=True, response_create=False)
    client.work()
    assert client.types.count("response.done") == 1


def test_sessions_are_finished_and_closed() -> None:
    client = Harness(dialect=DASHSCOPE)
    client.hear()
    client.say("response.create")
    client.say("session.finish")
    client.work()
    assert client.types[-1] == "session.finished"
    client.say("session.close")
    assert client.types[-1] == "session.closed"
    assert client.is_finished


def test_null_is_there_where_words_are_not_known() -> None:
    client = Harness()
    client.hear()
    item = client.last("conversation.item.added")["item"]
    assert item["content"] == [{"type": "input_audio", "transcript": None}]


def test_pieces_that_cut_samples_in_two_are_joined() -> None:
    import base64

    data = base64.b64decode(pcm16(0.5))
    client = Harness()
    for start in range(0, len(data), 1001):
        client.say("input_audio_buffer.append", audio=base64.b64encode(data[start : start + 1001]).decode())
    client.work()
    assert client.session.held == [("sound", 0.5)]


def test_cancelling_twice_is_told_as_livekit_expects() -> None:
    client = Harness()
    error = client.say("response.cancel")[0]["error"]
    assert error["code"] == "response_cancel_not_active"
    assert error["message"].startswith("Cancellation failed")


def test_an_item_twice_is_told_as_livekit_expects() -> None:
    item = {"id": "mine", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]}
    client = Harness()
    client.say("conversation.item.create", item=item)
    assert client.say("conversation.item.create", item=item)[0]["error"]["code"] == "item_create_duplicate_item_id"


def text(role: str, words: str, item_id: str) -> dict[str, Any]:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"id": item_id, "type": "message", "role": role, "content": [{"type": kind, "text": words}]}


def test_items_go_in_anywhere() -> None:
    client = Harness()
    client.say("conversation.item.create", item=text("user", "Two", "b"))
    client.say("conversation.item.create", item=text("user", "One", "a"), previous_item_id="root")
    client.work()
    client.say("conversation.item.create", item=text("user", "Half", "h"), previous_item_id="a")
    client.work()
    assert client.session.held == [("user", "One"), ("user", "Half"), ("user", "Two")]
    client.reply()
    client.say("conversation.item.create", item=text("assistant", "Hm.", "z"), previous_item_id="a")
    client.say("conversation.item.create", item=text("user", "Three", "c"))
    client.work()
    assert [value for _, value in client.session.held] == ["One", "Hm.", "Half", "Two", "One two three four.", "Three"]
    missing = client.say("conversation.item.create", item=text("user", "?", "q"), previous_item_id="nowhere")
    assert missing[0]["error"]["code"] == "item_not_found"


def test_each_item_has_its_own_words_for_others() -> None:
    """A pause in a sentence makes two items of it; each keeps its words, and the model hears one turn."""

    class Ears(Harness):
        """Hears "what can you" in the first second, and the whole after it."""

    client = Ears(audio={"input": {"transcription": {"model": "any"}}})
    first = client.hear(1.0)
    client.session.heard = ["what can you", "What can you do?"]
    client.work(quiet_s=0.0)
    second = client.hear(0.5)
    client.reply()
    client.work()
    words = {
        event["item_id"]: event["transcript"]
        for event in client.events
        if event["type"] == "conversation.item.input_audio_transcription.completed"
    }
    assert words == {first: "what can you", second: "do?"}
    assert client.session.held[0] == ("sound", 1.5)


def test_a_response_outside_of_the_conversation_leaves_nothing_in_it() -> None:
    client = Harness()
    client.hear()
    client.reply()
    held = list(client.session.held)
    items = len(client.live.talk.records)
    client.say("response.create", response={"conversation": "none", "instructions": "Sum up.", "metadata": {"a": "b"}})
    client.work()
    done = client.last("response.done")["response"]
    assert (done["status"], done["metadata"]) == ("completed", {"a": "b"})
    assert client.session.held == held
    assert len(client.live.talk.records) == items
    hello = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Only this"}]}
    client.say("response.create", response={"conversation": "none", "input": [hello]})
    client.work()
    assert client.last("response.done")["response"]["status"] == "completed"
    assert client.session.held[0] == ("user", "Only this")
    assert client.live.session.held == held  # type: ignore[attr-defined]
    client.hear()
    assert client.reply()["status"] == "completed"
