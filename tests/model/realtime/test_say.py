"""`sightline.say`: a given text as a response."""

from __future__ import annotations

from tests.model.realtime.harness import Harness


def test_a_text_is_said_and_becomes_a_reply() -> None:
    client = Harness()
    client.say("sightline.say", text="Read this aloud.", metadata={"reply": "3"})
    client.work()
    done = client.last("response.done")["response"]
    assert (done["status"], done["metadata"]) == ("completed", {"reply": "3"})
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "Read this aloud."}]
    assert client.types.count("response.output_audio.delta") == 3
    assert client.session.held == [("said", "Read "), ("said", "this "), ("said", "aloud.")]


def test_it_is_cut_like_a_reply() -> None:
    client = Harness()
    client.hear()
    client.reply()
    held = list(client.session.held)
    client.say("sightline.say", text="Read this aloud.")
    client.work(3)
    client.say("response.cancel")
    done = client.last("response.done")["response"]
    item_id = done["output"][0]["id"]
    client.say("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=80)
    assert client.last("conversation.item.truncated")["transcript"] == "Read "
    assert client.session.held == [*held, ("said", "Read ")]


def test_outside_of_the_conversation_it_leaves_nothing() -> None:
    client = Harness()
    client.hear()
    first = client.reply()["output"][0]["id"]
    held = list(client.session.held)
    client.say("sightline.say", text="Camera off.", conversation="none")
    client.work()
    assert client.last("response.done")["response"]["status"] == "completed"
    assert client.session.held == held
    assert client.types.count("conversation.item.added") == 2
    client.say("conversation.item.truncate", item_id=first, content_index=0, audio_end_ms=80)
    assert client.last("conversation.item.truncated")["transcript"] == "One "
    client.hear()
    assert client.reply()["status"] == "completed"


def test_nothing_to_say_is_an_error() -> None:
    assert Harness().say("sightline.say", text="  ")[0]["error"]["param"] == "text"
