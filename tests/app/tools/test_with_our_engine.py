"""The app, our engine and a tool: the call, its result, the answer, and a model that knows no tools."""

from __future__ import annotations

from typing import Any

from commands.headless import Choice, Headless
from tests.app.engine_server import TOKEN, engine_server
from tests.model.realtime.scripted import Options, ScriptedFlash, ScriptedSession, Stream

CALL = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
ANSWER = ("That ", "is ", "late.")


class Caller(ScriptedSession):
    """Calls `get_time`; says its answer when it has been told the time."""

    def reply(self, **options: Any) -> Stream:
        told = any("<tool_response>" in str(value) for _, value, _ in self.ledger)
        self.called = ANSWER if told else (CALL,)
        return super().reply(**options)


class CallingModel(ScriptedFlash):
    def open_session(self, instructions: str | None, voice: str | None) -> ScriptedSession:
        made = Caller(Options(instructions or "", voice or ""), self.words)
        self.sessions.append(made)
        return made


def asked(flash: ScriptedFlash) -> list[tuple[str, str]]:
    """What the transcript holds after "What time is it?"."""
    with engine_server(flash) as url, Headless(Choice(engine_url=url, engine_token=TOKEN, timeout_s=60.0)) as run:
        run.wait_ready()
        run.text("What time is it?")
        return [(turn.role, turn.text) for turn in run.view.transcript]


def test_a_tool_is_called_and_its_result_answered() -> None:
    transcript = asked(CallingModel())
    assert [text for role, text in transcript if role == "assistant"] == ["".join(ANSWER)]
    assert [text for role, text in transcript if role == "notice" and text.startswith("Time: It is ")]


def test_a_model_that_knows_no_tools_answers_as_without_them() -> None:
    flash = ScriptedFlash(called=("noise",), knows_tools=False)
    transcript = asked(flash)
    assert [text for role, text in transcript if role == "assistant"] == ["One two three four."]
    assert all("<tools>" not in session.options.instructions for session in flash.sessions)
