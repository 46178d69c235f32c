"""The Assistant against a GA server that is held strictly to the `openai` package's types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app import commands as cmd
from app.engine.connection import PAUSE_S, RENEWAL_S
from app.view import Phase
from commands.headless import Choice, Headless
from tests.app.dialects.ga_server import GaServer
from tests.app.engine.peers import peer
from tests.app.test_assistant import QUESTION, SAMPLES, Room, room
from tests.sound_server import wait_until


@contextmanager
def talking(folder: Path, server: GaServer, **settings: object) -> Iterator[Room]:
    with peer(server) as url, room(folder, engine_url=url, engine_kind="openai", **settings) as user:
        user.wait_phase(Phase.LISTENING)
        yield user


def test_a_spoken_turn_with_a_picture_and_a_typed_one(tmp_path: Path) -> None:
    server = GaServer()
    with talking(tmp_path, server, pictures=str(SAMPLES / "table.jpg")) as user:
        user.wait(lambda view: view.devices.picture_source)
        user.source.say(QUESTION)
        user.wait_answered(1)
        user.assistant.send(cmd.SendText("And now?"))
        view = user.wait_answered(2)
    assert server.refused == []
    said = [(turn.role, turn.text) for turn in view.transcript]
    assert said[0][1].startswith("sound of ")
    assert [role for role, _ in said] == ["user", "assistant", "user", "assistant"]
    assert said[1][1].startswith("Answer to")
    kinds = [message["type"] for message in server.received]
    assert kinds[0] == "session.update"
    assert server.received[0]["session"]["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert sum(item.get("seconds", 0.0) for item in server.items) > 1.0  # at 24 kHz, as it was told
    pictures = [
        part
        for message in server.received
        if message["type"] == "conversation.item.create"
        for part in message["item"]["content"]
        if part["type"] == "input_image"
    ]
    assert len(pictures) >= 2


def test_an_interruption_is_truncated(tmp_path: Path) -> None:
    server = GaServer()
    with talking(tmp_path, server, realtime=True) as user:
        user.assistant.send(cmd.SendText("Tell me a long story."))
        user.wait(lambda view: view.transcript and view.transcript[-1].heard_ms >= 200)
        user.assistant.send(cmd.Stop())
        user.wait(lambda view: view.transcript[-1].done)
        user.assistant.send(cmd.SendText("And now?"))
        user.wait_answered(2)
    assert server.refused == []
    kinds = [message["type"] for message in server.received]
    assert "response.cancel" in kinds
    (truncated,) = [message for message in server.received if message["type"] == "conversation.item.truncate"]
    assert truncated["audio_end_ms"] >= 200


def test_a_server_that_gives_no_metadata_back(tmp_path: Path) -> None:
    server = GaServer(metadata_back=False)
    with talking(tmp_path, server) as user:
        for n in (1, 2):
            user.assistant.send(cmd.SendText("Hello?"))
            user.wait_answered(n)
    assert server.refused == []


def test_a_rate_limit_waits_and_the_answer_comes(tmp_path: Path) -> None:
    server = GaServer(limited=1)
    with talking(tmp_path, server) as user:
        user.assistant.send(cmd.SendText("Hello?"))
        view = user.wait_answered(1)
    assert [turn.role for turn in view.transcript if turn.role != "notice"] == ["user", "assistant"]
    assert any("rate limit" in turn.text for turn in view.transcript if turn.role == "notice")
    assert sum(message["type"] == "response.create" for message in server.received) == 2


def test_converse_finds_out_by_itself_and_tools_are_called() -> None:
    """Nothing says what server it is; the first tool of the offer is called, and its result answered."""
    server = GaServer()
    with peer(server) as url, Headless(Choice(engine_url=url, timeout_s=60.0)) as talk:
        talk.wait_ready()
        talk.say(QUESTION)
        talk.text("What time is it?")
        view = talk.view
    assert server.refused == []
    (output,) = [item for item in server.items if item["type"] == "function_call_output"]
    assert output["output"].startswith("It is ")
    notices = [turn.text for turn in view.transcript if turn.role == "notice"]
    assert [text for text in notices if text.startswith("Time: It is ")]
    assert [turn.role for turn in view.transcript if turn.role != "notice"] == [
        "user",
        "assistant",
        "user",
        "assistant",
    ]


def test_an_expired_session_goes_on_in_a_new_one(tmp_path: Path) -> None:
    server = GaServer(expires_after=1)
    with talking(tmp_path, server) as user:
        user.assistant.send(cmd.SendText("Hello?"))
        user.wait_answered(1)
        wait_until(lambda: server.connections == 2 and len(server.items) == 2, "the conversation is restored")
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("And now?"))
        view = user.wait_answered(2)
        assert view.problems == ()
    assert server.refused == []
    assert any("goes on in a new one" in said.text for said in user.announced)
    texts = [item["content"][0].get("text") for item in server.items if item["content"]]
    assert texts[0] == "Hello?"  # restored
    assert texts[1].startswith("Answer to")


def test_a_session_whose_end_is_announced_is_renewed_in_a_pause_before_it(tmp_path: Path) -> None:
    server = GaServer(announced_s=RENEWAL_S + 2, thinks_s=2 * PAUSE_S)
    with talking(tmp_path, server) as user:
        user.assistant.send(cmd.SendText("Hello?"))
        user.wait_answered(1)
        assert server.connections == 1  # not while a reply is made
        wait_until(lambda: server.connections == 2 and len(server.items) == 2, "the conversation is restored")
        user.wait_phase(Phase.LISTENING)
        user.assistant.send(cmd.SendText("And now?"))
        view = user.wait_answered(2)
        assert view.problems == ()
    assert server.refused == []
    assert any("ends a session after 2 minutes. The conversation goes on" in said.text for said in user.announced)
    assert [turn.role for turn in view.transcript if turn.role != "notice"] == ["user", "assistant"] * 2
