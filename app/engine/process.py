"""The local engine as a child process: started, watched, and never left behind.

The engine ends when its stdin closes, which happens when the app ends in whatever way, a kill -9 included.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

log = logging.getLogger(__name__)

READY_TIMEOUT_S = 60.0
"""From start to the line with the address. The model is not loaded by then; a slow disk has to be allowed for."""

STOP_ASKED_S = 1.2
STOP_TERMINATED_S = 0.4
STOP_KILLED_S = 0.5
"""Asked, then SIGTERM, then SIGKILL: together under the 3 s in which quitting ends every process."""

LAST_LINES = 40

_WINDOWS_FLAGS = 0x0800_0200 if sys.platform == "win32" else 0
"""CREATE_NO_WINDOW | CREATE_NEW_PROCESS_GROUP, which exist in `subprocess` on Windows only."""


@dataclass(frozen=True, slots=True)
class ProcessReady:
    """It listens; the model may still be loading."""

    url: str
    token: str
    pid: int


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    """It has ended without having been asked to. `final`: starting it again cannot help."""

    reason: str
    remedy: str = ""
    final: bool = False
    exit_code: int | None = None


ProcessCallback: TypeAlias = Callable[[ProcessReady | ProcessEnded], None]


def engine_command(
    launcher: Sequence[str],
    checkpoint: Path | None = None,
    device: str = "auto",
    quantize: str | None = None,
) -> tuple[str, ...]:
    """The command line of a local engine. `launcher`: what starts Sightline, such as (sys.executable, "main.py")."""
    command = [*launcher, "engine", "--port", "0", "--exit-with-stdin", "--device", device]
    if checkpoint is not None:
        command += ["--checkpoint", str(checkpoint)]
    if quantize is not None:
        command += ["--quantize", quantize]
    return tuple(command)


class EngineProcess:
    """One run of the engine. `on_event` gets at most one `ProcessReady`, then at most one `ProcessEnded`.

    It runs on a thread of this object: hand the event on and return at once. After `stop` nothing is reported.
    """

    def __init__(
        self, command: Sequence[str], on_event: ProcessCallback, ready_timeout_s: float = READY_TIMEOUT_S
    ) -> None:
        self._command = tuple(command)
        self._on_event = on_event
        self._ready_timeout_s = ready_timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._stopping = False
        self._last_lines: deque[str] = deque(maxlen=LAST_LINES)
        self._watcher = threading.Thread(target=self._watch, name="engine process", daemon=True)

    @property
    def pid(self) -> int | None:
        """None before it was started."""
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Starts it in the background; returns at once. Once only."""
        self._watcher.start()

    def stop(self) -> bool:
        """Ends it within 2.6 s, by force when asking does not help; may be called twice. False: it is still there."""
        with self._lock:
            self._stopping = True
            process = self._process
        if process is None:
            return True
        for how, timeout_s in (
            (_ask_to_end, STOP_ASKED_S),
            (_terminate, STOP_TERMINATED_S),
            (_kill, STOP_KILLED_S),
        ):
            how(process)
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                continue
            break
        self._watcher.join(0.5)
        return process.poll() is not None

    def ended(self, timeout_s: float) -> ProcessEnded | None:
        """Why it ended by itself; None when it has not within `timeout_s`."""
        process = self._process
        if process is None:
            return None
        try:
            exit_code = process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        self._watcher.join(timeout_s)
        return describe_end(exit_code, self._last_line())

    # --- on the watching threads -------------------------------------------------------------------------------------

    def _watch(self) -> None:
        try:
            with self._lock:
                if self._stopping:
                    return
                process = self._process = subprocess.Popen(
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    # Ctrl+C in a terminal goes to the app, which then ends the engine in its own order.
                    start_new_session=sys.platform != "win32",
                    creationflags=_WINDOWS_FLAGS,
                )
        except OSError as error:
            self._report(ProcessEnded(f"it cannot be started: {error}.", "Run scripts/setup again.", final=True))
            return
        with process:
            assert process.stdout is not None
            assert process.stderr is not None
            reader = threading.Thread(target=self._keep_log, args=(process.stderr,), name="engine log", daemon=True)
            reader.start()
            deadline = threading.Timer(self._ready_timeout_s, _kill, (process,))
            deadline.daemon = True
            deadline.start()
            ready = _read_ready(process.stdout, process.pid)
            timed_out = not deadline.is_alive()
            deadline.cancel()
            if ready is not None:
                self._report(ready)
            exit_code = process.wait()
            reader.join(1.0)
        if ready is None and timed_out:
            self._report(ProcessEnded(f"it was not ready after {self._ready_timeout_s:.0f} s."))
        else:
            self._report(describe_end(exit_code, self._last_line()))

    def _keep_log(self, stderr: IO[str]) -> None:
        for line in stderr:
            self._last_lines.append(line.rstrip())
            log.debug("engine: %s", line.rstrip())

    def _last_line(self) -> str:
        """The engine's own last words, which it begins with its name."""
        for line in reversed(self._last_lines):
            if line.startswith("sightline engine: "):
                return line.removeprefix("sightline engine: ")
        last = next((line for line in reversed(self._last_lines) if line), "")
        return last.removeprefix("sightline: ")  # of the command line, before there was an engine

    def _report(self, event: ProcessReady | ProcessEnded) -> None:
        if not self._stopping:
            self._on_event(event)


def describe_end(exit_code: int, last_line: str) -> ProcessEnded:
    """Why a process ended, in words. The codes are those of `commands.serve`."""
    if exit_code in (-9, 137):
        return ProcessEnded(
            "it was killed, most often because memory ran out.",
            "Close other programs, or choose a smaller checkpoint.",
            exit_code=exit_code,
        )
    if exit_code < 0:
        return ProcessEnded(f"it crashed (signal {-exit_code}). {last_line}".strip(), exit_code=exit_code)
    said = last_line or f"it ended with code {exit_code}."
    said = said if said.endswith((".", "!", "?")) else f"{said}."
    if exit_code == 4:
        return ProcessEnded(said, "Close other programs, or choose a smaller checkpoint.", exit_code=exit_code)
    if exit_code == 3:
        return ProcessEnded(said, "Choose another checkpoint, or download this one again.", True, exit_code)
    return ProcessEnded(said, final=exit_code == 2, exit_code=exit_code)


def _read_ready(stdout: IO[str], pid: int) -> ProcessReady | None:
    """The address, from the first line that is one; None when stdout ends without it."""
    for line in stdout:
        try:
            data = json.loads(line)
        except ValueError:
            continue
        if isinstance(data, dict) and isinstance(data.get("url"), str) and isinstance(data.get("token"), str):
            return ProcessReady(data["url"], data["token"], pid)
    return None


def _ask_to_end(process: subprocess.Popen[str]) -> None:
    if process.stdin is not None and not process.stdin.closed:
        try:
            process.stdin.close()
        except OSError:  # it has gone already, and its end of the pipe with it
            return


def _terminate(process: subprocess.Popen[str]) -> None:
    process.terminate()


def _kill(process: subprocess.Popen[str]) -> None:
    process.kill()
