"""The engine as a child process: every way in which one can start, hang and end. The children are real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from app.engine.process import EngineProcess, ProcessEnded, ProcessReady, describe_end, engine_command
from tests.app.engine_server import Inbox
from tests.sound_server import wait_until

READY = """import json, sys, time, os, signal
print("a line that is no address", flush=True)
print(json.dumps({"url": "ws://127.0.0.1:1/v1/realtime", "token": "t"}), flush=True)
"""
UNTIL_STDIN_CLOSES = READY + "sys.stdin.read()\n"
DEAF = (
    READY
    + "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', file=sys.stderr, flush=True)\ntime.sleep(600)\n"
)


def child(source: str, ready_timeout_s: float = 30.0) -> tuple[EngineProcess, Inbox]:
    inbox = Inbox()
    process = EngineProcess((sys.executable, "-c", source), inbox, ready_timeout_s)
    process.start()
    return process, inbox


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ready_then_asked_to_end() -> None:
    process, inbox = child(UNTIL_STDIN_CLOSES)
    ready = inbox.until(ProcessReady)
    assert (ready.url, ready.token, ready.pid) == ("ws://127.0.0.1:1/v1/realtime", "t", process.pid)
    began_s = time.monotonic()
    assert process.stop()
    assert process.stop()
    assert time.monotonic() - began_s < 1.5
    assert not is_running(ready.pid)
    assert inbox.nothing_more()


def test_one_that_ignores_everything_is_killed_in_time() -> None:
    process, inbox = child(DEAF)
    ready = inbox.until(ProcessReady)
    began_s = time.monotonic()
    assert process.stop()
    assert time.monotonic() - began_s < 3.0
    assert not is_running(ready.pid)


def test_killed_means_out_of_memory_most_often() -> None:
    process, inbox = child(UNTIL_STDIN_CLOSES)
    os.kill(inbox.until(ProcessReady).pid, signal.SIGKILL)
    ended = inbox.until(ProcessEnded)
    assert "memory" in ended.reason
    assert not ended.final
    assert process.stop()


@pytest.mark.parametrize(
    ("code", "final", "word"), [(2, True, "--port"), (3, True, "tensor"), (4, False, "memory"), (5, False, "kernel")]
)
def test_its_last_words_are_the_reason(code: int, final: bool, word: str) -> None:
    said = f"sightline engine: something about {word}"
    _, inbox = child(f"import sys; print({said!r}, file=sys.stderr); print('noise', file=sys.stderr); sys.exit({code})")
    ended = inbox.until(ProcessEnded)
    assert (ended.reason, ended.final, ended.exit_code) == (f"something about {word}.", final, code)


def test_the_command_lines_own_words_are_not_repeated() -> None:
    _, inbox = child("import sys; print('sightline: No room for weights.', file=sys.stderr); sys.exit(3)")
    assert inbox.until(ProcessEnded).reason == "No room for weights."


def test_one_that_never_becomes_ready_is_given_up() -> None:
    process, inbox = child("import time; time.sleep(600)", ready_timeout_s=0.3)
    assert "not ready" in inbox.until(ProcessEnded).reason
    assert process.pid is not None
    assert not is_running(process.pid)


def test_no_such_program() -> None:
    inbox = Inbox()
    process = EngineProcess(("/nonexistent/python", "main.py"), inbox)
    process.start()
    ended = inbox.until(ProcessEnded)
    assert ended.final
    assert process.stop()


def test_stop_before_it_began() -> None:
    inbox = Inbox()
    process = EngineProcess((sys.executable, "-c", UNTIL_STDIN_CLOSES), inbox)
    assert process.stop()
    process.start()
    assert process.ended(0.1) is None
    assert inbox.nothing_more()


def test_a_flood_on_stderr_does_not_block_it() -> None:
    _, inbox = child("import sys\nfor _ in range(20_000): print('x' * 80, file=sys.stderr)\n" + UNTIL_STDIN_CLOSES)
    process_ready = inbox.until(ProcessReady)
    os.kill(process_ready.pid, signal.SIGTERM)
    assert "signal 15" in inbox.until(ProcessEnded).reason


def test_it_does_not_outlive_an_app_that_is_killed() -> None:
    """The app is a process here; its engine prints its own number through the app's stdout."""
    app = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time\n"
            "from app.engine.process import EngineProcess\n"
            f"EngineProcess((sys.executable, '-c', {UNTIL_STDIN_CLOSES!r}),\n"
            "              lambda event: print(event.pid, flush=True)).start()\n"
            "time.sleep(600)\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with app:
        assert app.stdout is not None
        engine_pid = int(app.stdout.readline())
        assert is_running(engine_pid)
        app.kill()
    wait_until(lambda: not is_running(engine_pid), "the engine has ended", 3.0)


def test_the_command_line() -> None:
    command = engine_command(("python", "main.py"), quantize="int4")
    assert command[:3] == ("python", "main.py", "engine")
    assert "--exit-with-stdin" in command
    assert command[-2:] == ("--quantize", "int4")


def test_a_crash_names_the_signal() -> None:
    assert "signal 11" in describe_end(-11, "").reason


def test_the_engines_last_words_end_as_a_sentence() -> None:
    """What to do about it is written behind them."""
    assert describe_end(3, "download it again").reason == "download it again."
    assert describe_end(3, "Download it again.").reason == "Download it again."
