"""The engine with a model that does as it is told, for `scripts/interop`: it calls the tool that it is offered.

What a model must have learnt to do by itself (calling tools) cannot be asked of flash-mini; what a client makes of a
call can be tried with any model that makes one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from audio_io.hops import HopDetector
from commands import serve
from tests.model.realtime.scripted import Options, ScriptedFlash, ScriptedSession, Stream

CALL = '<tool_call>\n{"name": "get_time", "arguments": {"city": "Rome"}}\n</tool_call>'
ANSWER = ("It ", "is ", "half ", "past ", "twelve.")


class Caller(ScriptedSession):
    """Calls `get_time` once, and says the time when it has been told."""

    def reply(self, **options: object) -> Stream:
        told = any("<tool_response>" in str(value) for _, value, _ in self.ledger)
        self.called = ANSWER if told else (CALL,)
        self.words = ANSWER
        return super().reply(**options)  # type: ignore[arg-type]


class CallingModel(ScriptedFlash):
    def open_session(self, instructions: str | None, voice: str | None) -> Caller:
        return Caller(Options(instructions or "", voice or ""), ANSWER)


def load(options: argparse.Namespace) -> CallingModel:
    return CallingModel()


if __name__ == "__main__":
    sys.exit(serve.main(sys.argv[1:], make_detector=HopDetector, load=load))
