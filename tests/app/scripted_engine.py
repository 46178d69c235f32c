"""`main.py engine` with a scripted model: a process that is quick to start, for tests of starting and ending it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from commands import serve as cli
from tests.model.realtime.scripted import ScriptedFlash


def load(failure: str | None, hangs: bool) -> ScriptedFlash:
    if failure is not None:
        raise ValueError(failure)
    if hangs:
        time.sleep(600)
    return ScriptedFlash()


if __name__ == "__main__":
    arguments = sys.argv[1:]
    failure = None
    if "--fail" in arguments:
        at = arguments.index("--fail")
        failure = arguments[at + 1]
        del arguments[at : at + 2]
    hangs = "--hang" in arguments
    arguments = [argument for argument in arguments if argument != "--hang"]
    raise SystemExit(cli.main(arguments, load=lambda _: load(failure, hangs)))
