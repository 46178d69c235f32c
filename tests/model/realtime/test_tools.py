"""Tools over the wire: offered, called, answered."""

from __future__ import annotations

from typing import Any

from tests.model.realtime.harness import Harness
from tests.model.realtime.scripted import ScriptedFlash

TIME = {"type": "function", "name": "get_time", "description": "The time.", "parameters": {"type": "object"}}
CALL = '<tool_call>\n{"name": "get_time", "arguments": {"zone": "Rome"}}\n</tool_call>'


def with_tools(*called: str, **session: Any) -> Harness:
    return Harness(ScriptedFlash(called=called), tools=[TIME], **session)


def calls_of(client: Harness) -> list[tuple[str, str]]:
    return [
        (event["name"], event["arguments"])
        for event in client.events
        if event["type"] == "response.function_call_arguments.done"
    ]


def test_tools_are_offered_in_the_system_turn() -> None:
    client = with_tools("Hello.")
    client.hear()
    client.reply()
    assert client.session.options.instructions.endswith("</tool_call>")
    assert '{"type": "function", "function": {"name": "get_time"' in client.session.options.instructions
    assert client.last("response.done")["response"]["status"] == "completed"


def test_a_model_without_tools_is_never_offered_any() -> None:
    client = Harness(ScriptedFlash(called=("noise",), knows_tools=False))
    client.say("session.update", session={"type": "realtime", "tools": [TIME]})
    session = client.last("session.updated")["session"]
    assert (session["tools"], session["knows_tools"]) == ([], False)
    client.hear()
    assert client.reply()["output"][0]["content"][0]["transcript"] == "One two three four."
    assert client.session.options.instructions == session["instructions"]
    client.hear()
    client.reply(tools=[TIME], tool_choice="required")
    assert not calls_of(client)
    assert not any("<tools>" in str(entry) for entry in client.session.held)


def test_a_call_is_an_item_and_neither_text_nor_speech() -> None:
    client = with_tools("Let me ", "see.", "\n<tool", CALL[5:])
    client.hear()
    done = client.reply()
    message, call = done["output"]
    assert message["content"] == [{"type": "output_audio", "transcript": "Let me see."}]
    assert (call["type"], call["name"], call["arguments"]) == ("function_call", "get_time", '{"zone": "Rome"}')
    assert calls_of(client) == [("get_time", '{"zone": "Rome"}')]
    assert "tool_call" not in "".join(
        event.get("delta", "") for event in client.events if "transcript" in event["type"]
    )
    assert client.types.count("response.output_audio.delta") == 2


def test_the_result_comes_back_and_is_answered() -> None:
    client = with_tools(CALL)
    client.hear()
    call = client.reply()["output"][0]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": '{"time": "12:30"}'}
    client.say("conversation.item.create", item=output)
    client.session.called = ("It is half past twelve.",)
    done = client.reply()
    assert done["output"][0]["content"][0]["transcript"] == "It is half past twelve."
    assert ("user", '<tool_response>\n{"time": "12:30"}\n</tool_response>') in client.session.held
    added = client.events[client.types.index("response.done") + 1]
    assert added["item"]["type"] == "function_call_output"


def test_parallel_calls() -> None:
    client = with_tools(CALL + "\n" + CALL.replace("Rome", "Oslo"))
    client.hear()
    done = client.reply()
    assert [item["arguments"] for item in done["output"]] == ['{"zone": "Rome"}', '{"zone": "Oslo"}']
    assert [item["type"] for item in done["output"]] == ["function_call", "function_call"]


def test_a_malformed_call_is_text() -> None:
    client = with_tools('<tool_call>{"name": get_time}</tool_call>')
    client.hear()
    done = client.reply()
    assert done["output"][0]["content"][0]["transcript"] == '<tool_call>{"name": get_time}</tool_call>'
    assert calls_of(client) == []


def test_a_named_function_is_called() -> None:
    client = with_tools("{}}\n</tool_call>")
    client.hear()
    client.say("response.create", response={"tool_choice": {"type": "function", "name": "get_time"}})
    client.work()
    assert calls_of(client) == [("get_time", "{}")]


def test_none_means_that_no_tool_is_offered() -> None:
    client = with_tools(CALL, tool_choice="none")
    client.hear()
    done = client.reply()
    assert done["output"][0]["content"][0]["transcript"] == "One two three four."
    assert "get_time" not in client.session.options.instructions


def test_calls_and_results_survive_new_instructions() -> None:
    client = with_tools(CALL)
    client.hear()
    call = client.reply()["output"][0]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "12:30"}
    client.say("conversation.item.create", item=output)
    client.flash.called = ("Half past twelve.",)
    client.session.called = ("Half past twelve.",)
    client.reply()
    client.say("session.update", session={"instructions": "Pirate."})
    client.hear(0.4)
    client.reply()
    assert client.session.held[1] == (
        "assistant",
        '<tool_call>\n{"name": "get_time", "arguments": {"zone": "Rome"}}\n</tool_call>',
    )
    assert client.session.held[2][0] == "user"
