"""The protocol's rules, event by event, over a scripted model. Every event is held to the `openai` package's types."""

from __future__ import annotations

import numpy as np
import pytest

from model.errors import InputError
from model.realtime.dialects import GA, SIGHTLINE, Dialect
from tests.model.realtime.harness import Harness, jpeg64, pcm16
from tests.model.realtime.scripted import Options, ScriptedFlash, ScriptedSession


def message(role: str, text: str) -> dict[str, object]:
    part = {"type": "output_text" if role == "assistant" else "input_text", "text": text}
    return {"type": "message", "role": role, "content": [part]}


REPLY_EVENTS = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    *["response.output_audio_transcript.delta", "response.output_audio.delta"] * 4,
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]


def test_spoken_turn_has_gas_events_in_gas_order() -> None:
    client = Harness()
    assert client.types == ["session.created"]
    client.events.clear()
    client.hear()
    assert client.types == ["input_audio_buffer.committed", "conversation.item.added", "conversation.item.done"]
    client.events.clear()
    response = client.reply()
    assert client.types == REPLY_EVENTS
    assert response["status"] == "completed"
    assert response["output"][0]["content"] == [{"type": "output_audio", "transcript": "One two three four."}]
    assert client.last("conversation.item.done")["previous_item_id"] == "item_1_1"


def test_sound_is_prefilled_as_it_is_appended() -> None:
    client = Harness()
    for _ in range(3):
        client.say("input_audio_buffer.append", audio=pcm16(0.2))
        client.work()
    assert client.session.calls == ["hear"] * 3
    client.say("input_audio_buffer.commit")
    client.reply()
    assert client.session.calls == ["hear"] * 3 + ["commit", "reply"]


def test_text_only_reply() -> None:
    client = Harness(output_modalities=["text"])
    client.say(
        "conversation.item.create",
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]},
    )
    response = client.reply()
    assert response["output"][0]["content"] == [{"type": "output_text", "text": "One two three four."}]
    assert "response.output_text.delta" in client.types
    assert not [name for name in client.types if "audio" in name]


def test_cancel_between_steps_then_truncate_keeps_only_what_was_heard() -> None:
    client = Harness()
    client.hear()
    client.say("response.create")
    client.work(8)  # twice half a second, commit, start, then two words with their speech
    client.say("response.cancel")
    done = client.last("response.done")["response"]
    assert done["status"] == "cancelled"
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert client.dropped == [done["id"]]
    item_id = done["output"][0]["id"]
    client.events.clear()
    client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=80)
    assert client.last("conversation.item.truncated")["transcript"] == "One "
    assert client.session.held[-1] == ("said", "One ")
    retrieved = client.say("conversation.item.retrieve", item_id=item_id)[0]["item"]
    assert retrieved["content"] == [{"type": "output_audio", "transcript": "One "}]
    assert retrieved["status"] == "incomplete"


def test_nothing_follows_response_done() -> None:
    client = Harness()
    client.hear()
    client.say("response.create")
    client.work(6)
    client.say("response.cancel")
    client.work()
    response_id = client.last("response.done")["response"]["id"]
    late = client.events[client.types.index("response.done") + 1 :]
    assert not [event for event in late if event.get("response_id") == response_id]


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 5, 7])
@pytest.mark.parametrize("take_back", ["truncate", "delete"])
@pytest.mark.parametrize("read", ["", "EXIT"])
def test_speculative_reply_leaves_no_trace(steps: int, take_back: str, read: str) -> None:
    """Also where what was read in the picture was given with what had been heard."""
    plain, guessing = Harness(), Harness()
    for client in (plain, guessing):
        client.hear(0.4)
        if read:
            part = {"type": "input_text", "text": read}
            client.say("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})
        client.work()
    guessing.say("response.create")
    guessing.work(steps)
    guessing.say("response.cancel")
    output = guessing.last("response.done")["response"]["output"]
    if output and take_back == "truncate":
        guessing.say("conversation.item.truncate", item_id=output[0]["id"], content_index=0, audio_end_ms=0)
    elif output:
        guessing.say("conversation.item.delete", item_id=output[0]["id"])
    guessing.work()
    assert guessing.session.held == plain.session.held
    for client in (plain, guessing):
        client.hear(0.6)
        client.reply()
    assert guessing.session.held == plain.session.held
    assert guessing.last("response.done")["response"]["status"] == "completed"


def test_a_turn_that_is_open_again_is_kept_as_it_was_heard() -> None:
    client = Harness()
    client.hear(0.4)
    client.say("response.create")
    client.work(3)
    client.say("response.cancel")
    client.say("session.update", session={"instructions": "Pirate."})
    client.hear(0.3)
    client.work()
    assert len(client.flash.sessions) == 2
    assert client.session.held == [("sound", 0.7)]


def test_a_reply_before_one_that_was_taken_back_can_still_be_cut() -> None:
    client = Harness()
    client.hear()
    first = client.reply()["output"][0]["id"]
    client.hear()
    second = client.reply()["output"][0]["id"]
    client.say("conversation.item.truncate", item_id=second, content_index=0, audio_end_ms=0)
    answer = client.say("conversation.item.truncate", item_id=first, content_index=0, audio_end_ms=80)
    assert answer[0]["transcript"] == "One "
    assert client.session.held == [("sound", 1.0), ("said", "One "), ("sound", 1.0)]


def test_any_earlier_reply_can_be_cut_also_while_another_is_made() -> None:
    client = Harness()
    client.hear()
    first = client.reply()["output"][0]["id"]
    client.hear()
    client.say("response.create")
    client.work(8)
    assert client.say("conversation.item.truncate", item_id=first, content_index=0, audio_end_ms=160) == []
    client.work()
    assert client.last("conversation.item.truncated")["transcript"] == "One two "
    retrieved = client.say("conversation.item.retrieve", item_id=first)[0]["item"]
    assert retrieved["content"] == [{"type": "output_audio", "transcript": "One two "}]
    assert client.session.held[:3] == [("sound", 1.0), ("said", "One "), ("said", "two ")]


def test_a_text_only_guess_is_taken_back() -> None:
    client = Harness(output_modalities=["text"])
    client.hear()
    item_id = client.reply()["output"][0]["id"]
    answer = client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
    assert answer[0]["type"] == "conversation.item.truncated"
    assert client.session.held == [("sound", 1.0)]


def test_sound_that_came_early_is_given_again_after_a_late_truncate() -> None:
    early, late = Harness(), Harness()
    for client in (early, late):
        client.hear()
        client.reply()
    item_id = early.last("response.done")["response"]["output"][0]["id"]
    truncate = {"item_id": item_id, "content_index": 0, "audio_end_ms": 160}
    early.say("conversation.item.truncate", **truncate)
    early.hear(0.5)
    early.say("input_audio_buffer.append", audio=pcm16(0.2))
    early.work()
    late.hear(0.5)
    late.say("input_audio_buffer.append", audio=pcm16(0.2))
    late.work()
    late.say("conversation.item.truncate", **truncate)
    late.work()
    assert late.session.held == early.session.held


def test_sound_appended_during_a_reply_waits_for_its_end() -> None:
    client = Harness()
    client.hear()
    client.say("response.create")
    client.work(4)
    client.say("input_audio_buffer.append", audio=pcm16(0.5))
    client.say("input_image_buffer.append", image=jpeg64(), at_ms=250)
    client.say("input_audio_buffer.commit")
    client.work()
    assert client.session.held[-2:] == [("sound", 0.5), ("picture", 0.25)]
    assert client.last("response.done")["response"]["status"] == "completed"


def test_uncommitted_sound_is_no_part_of_the_reply() -> None:
    client = Harness()
    client.hear()
    client.say("input_audio_buffer.append", audio=pcm16(0.3))
    client.work()
    client.reply()
    client.work()
    assert [kind for kind, _ in client.session.held] == ["sound", *["said"] * 4, "sound"]


def test_item_created_while_the_buffer_is_open_comes_before_it() -> None:
    client = Harness()
    client.say("input_audio_buffer.append", audio=pcm16(0.3))
    client.work()
    client.say("conversation.item.create", item=message("user", "Look here."))
    client.work()
    assert client.session.held == [("user", "Look here."), ("sound", 0.3)]


def test_restored_text() -> None:
    client = Harness()
    turns = [("user", "Hello"), ("assistant", "Hi."), ("user", "Where is my cup?")]
    for role, text in turns:
        client.say("conversation.item.create", item=message(role, text))
    client.reply()
    assert client.session.held[:3] == turns


def test_system_messages_are_more_instructions() -> None:
    client = Harness(instructions="Be kind.")
    client.say("conversation.item.create", item=message("system", "Be brief."))
    client.hear()
    client.reply()
    assert client.session.options.instructions == "Be kind.\n\nBe brief."


def test_a_late_system_message_counts_from_the_next_turn_on() -> None:
    client = Harness(audio={"input": {"transcription": {}}}, instructions="Be kind.")
    client.hear()
    client.reply()
    client.say("conversation.item.create", item=message("system", "Be loud."))
    client.hear(0.4)
    client.reply()
    assert client.session.options.instructions == "Be kind.\n\nBe loud."
    assert client.session.held[:3] == [("user", "words 1"), ("assistant", "One two three four."), ("sound", 0.4)]


def test_instructions_of_one_response_are_forgotten_after_it() -> None:
    client = Harness()
    client.say("response.create", response={"instructions": "Greet the user."})
    client.work(2)
    assert client.session.held[0] == ("user", "Greet the user.")
    client.work()
    assert client.last("response.done")["response"]["status"] == "completed"
    assert [kind for kind, _ in client.session.held] == ["said"] * 4


def test_a_reply_that_nobody_asked_for_is_made() -> None:
    client = Harness()
    assert client.reply()["status"] == "completed"
    client.hear()
    assert client.reply()["status"] == "completed"
    assert client.reply()["status"] == "completed"
    said = [("said", word) for word in client.flash.words]
    assert client.session.held == [*said, ("sound", 1.0), *said, *said]


def test_the_limit_on_tokens() -> None:
    client = Harness()
    client.hear()
    client.say("response.create", response={"max_output_tokens": 2})
    client.work()
    response = client.last("response.done")["response"]
    assert response["status_details"] == {"type": "incomplete", "reason": "max_output_tokens"}
    assert response["output"][0]["content"][0]["transcript"] == "One two "


def test_clear_drops_the_buffer_and_says_so() -> None:
    client = Harness()
    client.say("input_audio_buffer.append", audio=pcm16(0.3))
    client.say("input_image_buffer.append", image=jpeg64())
    client.work()
    client.say("input_audio_buffer.clear")
    assert client.types[-1] == "input_audio_buffer.cleared"
    assert client.session.held == []
    assert client.say("input_audio_buffer.commit")[0]["error"]["code"] == "input_audio_buffer_commit_empty"


def test_deleting_an_unanswered_item_leaves_the_others() -> None:
    client = Harness()
    first, _second = client.hear(0.3), client.hear(0.4)
    client.work()
    client.say("conversation.item.delete", item_id=first)
    client.work()
    assert client.session.held == [("sound", 0.4)]
    assert client.say("conversation.item.retrieve", item_id=first)[0]["error"]["code"] == "item_not_found"


def test_deleting_an_answered_item() -> None:
    client = Harness()
    item_id = client.hear(0.3)
    client.reply()
    client.say("conversation.item.delete", item_id=item_id)
    assert [kind for kind, _ in client.session.held] == ["said"] * 4


@pytest.mark.parametrize("dialect", [GA, SIGHTLINE])
def test_words_come_with_the_end_of_the_reply(dialect: Dialect) -> None:
    """Before it for others, who put their conversation together in that order; after it where nothing may wait."""
    client = Harness(audio={"input": {"transcription": {"model": "sightline"}}}, dialect=dialect)
    item_id = client.hear()
    client.say("response.create")
    client.work()
    expected = "conversation.item.input_audio_transcription.completed" if dialect is SIGHTLINE else "response.done"
    assert client.types[-1] == expected
    words = client.last("conversation.item.input_audio_transcription.completed")
    assert (words["item_id"], words["transcript"]) == (item_id, "words 1")
    assert client.say("conversation.item.retrieve", item_id=item_id)[0]["item"]["content"][0]["transcript"] == "words 1"


def test_words_of_a_turn_without_a_reply_wait_for_quiet_only() -> None:
    client = Harness(audio={"input": {"transcription": {}}})
    client.hear()
    client.work(quiet_s=0.0)
    assert client.session.transcribed == 0
    client.work(quiet_s=1.0)
    assert client.session.transcribed == 1


def test_words_of_an_answered_turn_come_before_the_next_sound_is_heard() -> None:
    client = Harness(audio={"input": {"transcription": {}}})
    client.hear()
    client.say("response.create")
    client.work(6)
    client.say("response.cancel")
    client.say("input_audio_buffer.append", audio=pcm16(0.3))
    client.work(quiet_s=0.0)
    assert client.session.calls[-2:] == ["transcribe", "hear"]


def test_words_that_come_too_late_are_said_to_fail() -> None:
    client = Harness(audio={"input": {"transcription": {}}})
    first = client.hear()
    client.say("response.create")
    client.work(6)
    client.say("response.cancel")
    client.hear()
    client.say("response.create")
    client.work()
    failed = client.last("conversation.item.input_audio_transcription.failed")
    assert (failed["item_id"], failed["error"]["code"]) == (first, "too_late")


def test_response_while_one_is_made_is_refused() -> None:
    client = Harness()
    client.hear()
    client.say("response.create")
    error = client.say("response.create", event_id="mine")[0]["error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] == "mine"
    client.work()
    assert client.last("response.done")["response"]["status"] == "completed"


def test_what_the_model_refuses_is_answered_and_does_not_end_a_reply() -> None:
    client = Harness()
    item_id = client.hear()
    client.reply()
    client.session.ledger.clear()  # evicted: the model's memory is bounded
    client.session._committed = 0
    answer = client.say("conversation.item.delete", item_id=item_id, event_id="mine")
    assert (answer[0]["error"]["code"], answer[0]["error"]["event_id"]) == ("invalid_input", "mine")


def test_metadata_comes_back() -> None:
    client = Harness()
    client.hear()
    created = client.say("response.create", response={"metadata": {"reply": "7"}})[0]
    assert created["response"]["metadata"] == {"reply": "7"}


def test_model_failure_in_a_reply_is_a_failed_response() -> None:
    def fail() -> None:
        raise RuntimeError("a broken kernel")

    client = Harness(ScriptedFlash(gate=fail))
    client.hear()
    client.say("response.create")
    with pytest.raises(RuntimeError) as error:
        client.work()
    client.live.model_failed(error.value)
    assert client.last("response.done")["response"]["status"] == "failed"
    assert "a broken kernel" in client.last("error")["error"]["message"]
    client.flash.gate = client.session.gate = None
    client.hear()
    assert client.reply()["status"] == "completed"


def test_what_cannot_be_followed_leaves_ours_and_is_reported() -> None:
    client = Harness()
    session = {
        "instructions": "New",
        "speed": 2,
        "output_modalities": "loud",
        "max_output_tokens": -1,
        "audio": {"output": {"voice": "marin", "speed": 1.5}, "input": {"noise_reduction": {"type": "far"}}},
    }
    answer = client.say("session.update", session=session)
    assert [event["type"] for event in answer] == ["session.updated"]
    updated = answer[0]["session"]
    assert (updated["instructions"], updated["output_modalities"]) == ("New", ["audio"])
    assert (updated["audio"]["output"]["voice"], updated["audio"]["output"]["speed"]) == ("ethan", 1.0)
    assert updated["max_output_tokens"] == "inf"


def test_sound_that_would_be_misheard_is_an_error_and_changes_nothing() -> None:
    client = Harness()
    formats = {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}
    error = client.say("session.update", session={"instructions": "New", **formats})[0]
    assert error["error"]["param"] == "session.audio.input.format.type"
    assert client.live.talk.config.instructions != "New"


def test_instructions_and_voice_take_effect() -> None:
    client = Harness()
    client.say("session.update", session={"instructions": "Pirate.", "audio": {"output": {"voice": "Chelsie"}}})
    updated = client.last("session.updated")["session"]
    assert (updated["instructions"], updated["audio"]["output"]["voice"]) == ("Pirate.", "chelsie")
    client.hear()
    client.reply()
    assert (client.session.options.instructions, client.session.options.voice) == ("Pirate.", "chelsie")


def test_new_instructions_keep_the_conversation_as_text() -> None:
    client = Harness(audio={"input": {"transcription": {}}})
    client.hear()
    client.reply()
    client.say("session.update", session={"instructions": "Pirate."})
    client.hear(0.4)
    client.reply()
    said = [("said", word) for word in client.flash.words]
    assert client.session.held == [("user", "words 1"), ("assistant", "One two three four."), ("sound", 0.4), *said]


@pytest.mark.parametrize("finished", [True, False])
def test_new_instructions_while_a_reply_is_heard_leave_it_to_be_cut(finished: bool) -> None:
    """The reply is being made, or made and still played, when other instructions come; then the user interrupts it."""
    client = Harness(audio={"input": {"transcription": {}}})
    client.hear()
    client.say("response.create")
    client.work(100 if finished else 8)
    client.say("session.update", session={"instructions": "Pirate."})
    client.work(2)
    if not finished:
        client.say("response.cancel")
    item_id = client.last("response.done")["response"]["output"][0]["id"]
    client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=80)
    assert client.last("conversation.item.truncated")["transcript"] == "One "
    client.hear(0.4)
    client.reply()
    assert client.session.options.instructions == "Pirate."
    asked = ("user", "words 1") if finished else ("sound", 1.0)  # what is not written down yet is heard again
    assert client.session.held[:3] == [asked, ("assistant", "One "), ("sound", 0.4)]


def test_instructions_that_the_model_refuses_leave_the_ones_before() -> None:
    class Strict(ScriptedFlash):
        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            if instructions == "Too long.":
                raise InputError("the instructions do not fit")
            return super().open_session(instructions, voice)

    client = Harness(Strict(), instructions="Be kind.")
    client.hear()
    client.reply()
    client.say("session.update", session={"instructions": "Too long."})
    client.hear(0.4)
    for _ in range(100):  # as the model thread does: what the model refuses becomes an error, and the work goes on
        try:
            if not client.live.work(True, 1.0, 0.0):
                break
        except ValueError as error:
            client.live.model_refused(error)
    assert client.last("error")["error"]["message"] == "the instructions do not fit"
    assert client.session.options.instructions == "Be kind."
    assert client.reply()["status"] == "completed"
    said = [("said", word) for word in client.flash.words]
    # Nobody knows the words of the first turn, so it was heard again.
    assert client.session.held == [("sound", 1.0), ("assistant", "One two three four."), ("sound", 0.4), *said]


def test_a_new_voice_takes_effect_at_once_and_keeps_the_session() -> None:
    client = Harness()
    client.hear()
    client.reply()
    client.say("session.update", session={"audio": {"output": {"voice": "chelsie"}}})
    assert client.session.options.voice == "chelsie"
    assert len(client.flash.sessions) == 1


def test_older_flat_session_fields_are_understood() -> None:
    client = Harness()
    client.say(
        "session.update",
        session={"modalities": ["text"], "voice": "chelsie", "input_audio_format": "pcm16", "turn_detection": None},
    )
    updated = client.last("session.updated")["session"]
    assert updated["modalities"] == ["text"]
    assert updated["voice"] == "chelsie"


def test_sixteen_kilohertz() -> None:
    client = Harness(audio={"input": {"format": {"type": "audio/pcm", "rate": 16_000}}})
    client.say("input_audio_buffer.append", audio=pcm16(0.5, 16_000))
    client.work()
    assert client.session.held == [("sound", 0.5)]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"type": "input_audio_buffer.append", "audio": "AAA="}, None),
        ({"type": "input_audio_buffer.append", "audio": "!!!!"}, "invalid_base64"),
        ({"type": "input_audio_buffer.append", "audio": "AAAA"}, None),
        ({"type": "input_image_buffer.append", "image": "AAAA"}, "invalid_image"),
        ({"type": "input_image_buffer.append", "image": jpeg64()[:80]}, "invalid_image"),
        ({"type": "input_image_buffer.append", "image": jpeg64(), "at_ms": -1}, "invalid_value"),
        ({"type": "conversation.item.truncate", "item_id": "x", "audio_end_ms": 0}, "item_not_found"),
        ({"type": "conversation.item.create", "item": {"type": "function_call"}}, "missing_value"),
        ({"type": "conversation.item.create", "item": {"type": "mcp_call"}}, "invalid_value"),
        ({"type": "response.cancel"}, "response_cancel_not_active"),
        ({"type": "session.update", "session": {"audio": {"input": {"format": {"rate": 11025}}}}}, "invalid_value"),
    ],
)
def test_mistakes_are_answered(fields: dict[str, object], code: str | None) -> None:
    client = Harness()
    answer = client.say(str(fields.pop("type")), event_id="mine", **fields)
    if code is None:
        assert answer == []
    else:
        assert (answer[0]["error"]["code"], answer[0]["error"]["event_id"]) == (code, "mine")


def test_a_huge_picture_is_refused_by_its_header() -> None:
    import base64

    data = bytearray(base64.b64decode(jpeg64()))
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    answer = Harness().say("input_image_buffer.append", image=base64.b64encode(bytes(data)).decode())
    assert answer[0]["error"]["code"] == "invalid_image"
    assert "65535x65535" in answer[0]["error"]["message"]


def test_a_full_buffer_refuses_and_says_so() -> None:
    client = Harness()
    for _ in range(5):
        assert client.say("input_audio_buffer.append", audio=pcm16(60.0)) == []
    answer = client.say("input_audio_buffer.append", audio=pcm16(0.1))
    assert answer[0]["error"]["code"] == "input_audio_buffer_full"
    client.say("input_audio_buffer.clear")
    assert client.say("input_audio_buffer.append", audio=pcm16(0.1)) == []


class LoudnessDetector:
    """Stands in for silero: what it says is certain, so that the time line can be checked to the hop."""

    hop_s = 0.032

    def __init__(self, rate_hz: int) -> None:
        self._hop = round(self.hop_s * rate_hz)
        self._rest = np.zeros(0, np.float32)

    def push(self, pcm: np.ndarray) -> list[float]:
        self._rest = np.concatenate([self._rest, pcm])
        n_hops = len(self._rest) // self._hop
        hops = self._rest[: n_hops * self._hop].reshape(n_hops, self._hop)
        self._rest = self._rest[n_hops * self._hop :]
        return [1.0 if np.abs(hop).max() > 0.1 else 0.0 for hop in hops]


def test_server_vad_finds_the_turn_and_answers() -> None:
    client = Harness(make_detector=LoudnessDetector)
    for seconds, level in ((1.0, 0.0), (1.0, 0.3), (1.0, 0.0)):
        for _ in range(round(seconds / 0.1)):
            client.say("input_audio_buffer.append", audio=pcm16(0.1, level=level))
            client.work()
    started = client.last("input_audio_buffer.speech_started")
    stopped = client.last("input_audio_buffer.speech_stopped")
    assert 500 <= started["audio_start_ms"] <= 750
    assert 2450 <= stopped["audio_end_ms"] <= 2650
    assert started["item_id"] == stopped["item_id"] == client.last("input_audio_buffer.committed")["item_id"]
    assert client.last("response.done")["response"]["status"] == "completed"


def test_endless_voice_ends_the_turn_and_the_next_is_heard() -> None:
    client = Harness(make_detector=LoudnessDetector)
    for _ in range(62):
        client.say("input_audio_buffer.append", audio=pcm16(5.0))
        client.work()
    client.say("input_audio_buffer.append", audio=pcm16(1.0, level=0.0))
    client.work()
    assert "error" not in client.types
    items = [event["item_id"] for event in client.events if event["type"] == "input_audio_buffer.committed"]
    assert len(items) == len(set(items)) == 2
    assert client.types.count("response.done") == 2


def test_server_vad_interrupts_a_reply() -> None:
    client = Harness(make_detector=LoudnessDetector)
    client.hear()
    client.say("response.create")
    client.work(4)
    client.say("input_audio_buffer.append", audio=pcm16(0.3))
    done = client.last("response.done")["response"]
    assert done["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert client.types[-1] == "input_audio_buffer.speech_started"


def test_server_vad_without_a_detector_is_refused() -> None:
    answer = Harness().say("session.update", session={"audio": {"input": {"turn_detection": {"type": "server_vad"}}}})
    assert answer[0]["error"]["param"] == "session.audio.input.turn_detection.type"


def test_server_vad_that_must_not_interrupt_answers_afterwards() -> None:
    client = Harness(make_detector=LoudnessDetector)
    client.say(
        "session.update",
        session={"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}},
    )
    client.hear()
    client.say("response.create")
    client.work(4)
    client.say("input_audio_buffer.append", audio=pcm16(0.5))
    client.say("input_audio_buffer.append", audio=pcm16(1.0, level=0.0))
    client.work()
    done = [event["response"]["status"] for event in client.events if event["type"] == "response.done"]
    assert done == ["completed", "completed"]


def test_a_long_conversation_holds_on_to_nothing_old() -> None:
    client = Harness()
    for _ in range(30):
        client.hear(0.2)
        client.reply()
    newest = client.live.talk.last_reply
    assert newest is not None
    assert newest.previous is not None
    assert newest.previous.previous is None
    assert client.live.talk.turn.inputs == []


def test_a_long_text_is_read_in_pieces_between_which_a_cancel_is_served() -> None:
    text = " ".join(["many", "words", "one", "after", "another"] * 2_600)
    client = Harness()
    client.say("conversation.item.create", item=message("user", text))
    client.say("response.create")
    client.work(5)
    assert client.session.calls == ["read"] * 5
    assert max(len(value) for _, value in client.session.held) <= 300
    client.say("response.cancel")
    assert client.last("response.done")["response"]["status"] == "cancelled"
    client.reply()
    assert "".join(value for kind, value in client.session.held if kind == "user") == text


def test_a_text_that_does_not_fit_is_one_error() -> None:
    class Full(ScriptedSession):
        def read(self, text: str, role: str = "user", *, goes_on: bool = False) -> int:
            if sum(len(value) for _, value in self.held) > 2_000:
                raise InputError("the current turn needs more positions")
            return super().read(text, role, goes_on=goes_on)

    class Small(ScriptedFlash):
        def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
            made = Full(Options(instructions or "", voice or ""), self.words)
            self.sessions.append(made)
            return made

    client = Harness(Small())
    client.say("conversation.item.create", item=message("user", "many words " * 1_000))
    for _ in range(100):
        try:
            if not client.live.work(True, 1.0, 0.0):
                break
        except ValueError as error:
            client.live.model_refused(error)
    assert client.types.count("error") == 1
