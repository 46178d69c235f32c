"""The Models page's work, in child processes: `main.py models list | get | remove --json`."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Sequence
from typing import Any

from app.models.ports import OnEvent
from commands.compose import LAUNCHER


class ProcessShop:
    """`app.models.ports.ModelShop`. Its methods may be called from any thread and return at once."""

    def __init__(self, launcher: Sequence[str] = LAUNCHER) -> None:
        self._launcher = tuple(launcher)
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._download: subprocess.Popen[str] | None = None
        self._busy = False
        self._stopped = False

    def look(self, on_event: OnEvent) -> None:
        def run() -> None:
            code, text, error = self._finish(self._start("list", "--json"))
            try:
                on_event({"event": "listed"} | json.loads(text))
            except ValueError:
                on_event({"event": "failed", "message": error or f"The list could not be made (code {code})."})

        self._in_thread(run, "list models")

    def get(self, what: str, bits: int | None, on_event: OnEvent) -> None:
        with self._lock:
            if self._busy:
                return
            self._busy = True

        def run() -> None:
            stored = ("--bits", str(bits)) if bits else ("--bits", "none")
            try:
                self._follow(self._start("get", what, *stored, "--json", "--until-stdin-closes"), on_event)
            finally:
                with self._lock:
                    self._busy, self._download = False, None
                on_event({"event": "ended"})

        self._in_thread(run, "get a model")

    def pause(self) -> None:
        with self._lock:
            download = self._download
        if download is not None:
            download.terminate()

    def remove(self, name: str, on_event: OnEvent) -> None:
        def run() -> None:
            code, _, error = self._finish(self._start("remove", name, "--json"))
            on_event({"event": "removed", "name": name} if code == 0 else {"event": "failed", "message": error})

        self._in_thread(run, "remove a model")

    def stop(self) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.kill()  # what has come is kept: any end is a pause

    def _follow(self, process: subprocess.Popen[str] | None, on_event: OnEvent) -> None:
        if process is None:
            return
        with self._lock:
            self._download = process
        told_failure = False
        assert process.stdout is not None
        for line in process.stdout:
            event = _event(line)
            if event is not None:
                told_failure = told_failure or event.get("event") == "failed"
                on_event(event)
        code, _, error = self._finish(process)
        if code > 0 and not told_failure and code != 130:
            on_event({"event": "failed", "message": error or f"The download ended with code {code}."})

    def _start(self, *arguments: str) -> subprocess.Popen[str] | None:
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(
                [*self._launcher, "models", *arguments],
                stdin=subprocess.PIPE,  # it closes when this process ends, however it ends
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
            )
            self._running.add(process)
            return process

    def _finish(self, process: subprocess.Popen[str] | None) -> tuple[int, str, str]:
        if process is None:
            return 1, "", "Sightline is being closed."
        out, error = process.communicate()
        with self._lock:
            self._running.discard(process)
        lines = [line.removeprefix("sightline: ") for line in error.splitlines() if line.strip()]
        return process.returncode, out, lines[-1] if lines else ""

    @staticmethod
    def _in_thread(run: Any, name: str) -> None:
        threading.Thread(target=run, name=name, daemon=True).start()


def _event(line: str) -> dict[str, Any] | None:
    try:
        content = json.loads(line)
    except ValueError:
        return None
    return content if isinstance(content, dict) else None
