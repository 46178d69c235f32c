"""Any order of well-formed events: the protocol layer never calls the model when it must not, and always answers.

Over the scripted session, which asserts what the model's contract forbids, with hypothesis; and over the real model
(tiny, random weights) with a seeded choice of the same events.
"""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import model
from model.bench.random_checkpoint import write_sized
from model.realtime.local_model import LocalModel
from tests.model.realtime.harness import Harness, jpeg64, pcm16
from tests.model.realtime.scripted import ScriptedFlash

SOUND, SHORT_SOUND, PICTURE = pcm16(0.3), pcm16(0.02), jpeg64(32, 32)
TRANSCRIBE = {"audio": {"input": {"transcription": {}, "turn_detection": None}}}

OPERATIONS = (
    "append",
    "append short",
    "image",
    "commit",
    "clear",
    "text",
    "restore",
    "create",
    "create text",
    "create with instructions",
    "cancel",
    "truncate",
    "take back",
    "delete",
    "retrieve",
    "instructions",
    "voice",
    "work",
    "work on",
)


def perform(client: Harness, operation: str, number: int) -> None:
    """One client event (or some work) that is well-formed, whether it makes sense now or not."""
    say = client.say
    items = [event["item"]["id"] for event in client.events if event["type"] == "conversation.item.added"]
    item_id = items[-1 - number % min(3, len(items))] if items else "none"
    match operation:
        case "append":
            say("input_audio_buffer.append", audio=SOUND)
        case "append short":
            say("input_audio_buffer.append", audio=SHORT_SOUND)
        case "image":
            say("input_image_buffer.append", image=PICTURE, at_ms=100 * number)
        case "commit" | "clear":
            say(f"input_audio_buffer.{operation}")
        case "text":
            say("conversation.item.create", item=message("user", "input_text", f"Question {number}?"))
        case "restore":
            say("conversation.item.create", item=message("assistant", "output_text", f"Answer {number}."))
        case "create":
            say("response.create", response={"max_output_tokens": 4})
        case "create text":
            say("response.create", response={"max_output_tokens": 4, "output_modalities": ["text"]})
        case "create with instructions":
            say("response.create", response={"max_output_tokens": 2, "instructions": "Be brief."})
        case "cancel":
            say("response.cancel")
        case "truncate":
            say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=40 * number)
        case "take back":
            say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=0)
        case "delete" | "retrieve":
            say(f"conversation.item.{operation}", item_id=item_id)
        case "instructions":
            say("session.update", session={"instructions": f"Number {number}."})
        case "voice":
            say("session.update", session={"audio": {"output": {"voice": client.flash.voices[number % 2]}}})
        case "work":
            client.work(1 + number, quiet_s=0.0)
        case _:
            client.work(50)


def message(role: str, part_type: str, text: str) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": [{"type": part_type, "text": text}]}


def check(client: Harness) -> None:
    """What must hold after anything: the session goes on, and every response is done exactly once and then silent."""
    client.work()
    client.say("input_audio_buffer.clear")
    client.say("conversation.item.create", item=message("user", "input_text", "And now?"))
    client.say("response.create", response={"max_output_tokens": 4})
    client.work()
    assert client.last("response.done")["response"]["status"] in ("completed", "incomplete")
    done: set[str] = set()
    created: list[str] = []
    for event in client.events:
        assert event.get("response_id") not in done, "an event after its response.done"
        if event["type"] == "response.created":
            created.append(event["response"]["id"])
        elif event["type"] == "response.done":
            done.add(event["response"]["id"])
    assert sorted(created) == sorted(done)
    assert len(created) == len(set(created))
    wanted = [event for event in client.events if event["type"] == "error" and event["error"]["type"] == "server_error"]
    assert not wanted, wanted


@given(st.lists(st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 9)), max_size=40))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_order_over_the_scripted_model(operations: list[tuple[str, int]]) -> None:
    client = Harness(ScriptedFlash(words=("one ", "two ", "three ", "four ", "five ")), **TRANSCRIBE)
    for operation, number in operations:
        perform(client, operation, number)
    check(client)


@pytest.fixture(scope="module")
def flash(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = write_sized(tmp_path_factory.mktemp("checkpoint"), "tiny", seed=3, hold=True)
    generation = json.loads((path / "generation_config.json").read_text())
    (path / "generation_config.json").write_text(json.dumps(generation | {"talker_max_new_tokens": 8}))
    return LocalModel(model.load(path, device="cpu"))


@pytest.mark.parametrize("seed", range(2))
def test_any_order_over_the_real_model(flash: Any, seed: int) -> None:
    rng = random.Random(seed)
    client = Harness(flash, **TRANSCRIBE)
    for _ in range(40):
        perform(client, rng.choice(OPERATIONS), rng.randrange(10))
    check(client)
