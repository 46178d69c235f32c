"""Our client against another's server, for `scripts/interop`: the conversation that `converse` and the app hold.

    interop_converse.py URL KIND [--cannot typed picture ...]

Prints one line a capability: `{"capability": ..., "ok": true | false, "detail": ...}`. What a server cannot do is right
when the user is told so; what the server refuses, or says without being understood, is wrong. The servers
(`scripts/interop_servers`) answer with what they were given.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from app import commands as cmd  # noqa: E402  (it is found by what stands above)
from app.view import Phase  # noqa: E402
from commands.headless import Choice, Headless  # noqa: E402

QUESTION = ROOT / "assets" / "samples" / "question-1.wav"
PICTURE = ROOT / "assets" / "samples" / "table.jpg"
QUESTION_S = (0.6, 1.0)
"""Of the question, somebody speaks for 0.7 to 0.85 s; taken at a wrong rate it is less or more than this."""
ANSWER = re.compile(r"(?:I heard (\d+\.\d) seconds|You wrote '(.*)') and saw (\d+) pictures after (\d+) messages")
LEAST_SPEECH_MS = 1_000
TIMEOUT_S = 40.0


class Relay:
    """A way to the server that can be cut, as a cable can."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near, _ = self._listening.accept()
            far = socket.create_connection(self._to)
            self._open += [near, far]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()

    def cut(self) -> None:
        for end in self._open:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it is closed already
        self._open.clear()


def _pump(one: socket.socket, other: socket.socket) -> None:
    try:
        while data := one.recv(65_536):
            other.sendall(data)
        other.shutdown(socket.SHUT_WR)
    except OSError:
        return  # the way was cut


class Complaints(logging.Handler):
    """What our client writes down: errors of the server, and what could not be read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Talk(Headless):
    """A conversation that is judged by its transcript."""

    def answers(self) -> list[re.Match[str]]:
        spoken = [turn for _, turn in self.replies if turn.heard_ms >= LEAST_SPEECH_MS]
        return [found for turn in spoken if (found := ANSWER.search(turn.text)) is not None]

    def ask(self, kind: str) -> re.Match[str] | None:
        """The answer to one more question; None when the user was told that it cannot be had."""
        n = len(self.answers())
        self.say(QUESTION) if kind == "spoken" else self.text("Hello you.")
        return self.answers()[n] if len(self.answers()) > n else None

    def stop(self) -> None:
        """As the key does; then until the microphone has nothing left of what was said."""
        self._assistant.send(cmd.Stop())
        self.wait_for(lambda _: self._finished_files > 0, "The question did not end")

    def told(self) -> list[str]:
        notices = [turn.text for turn in self.view.transcript if turn.role == "notice"]
        return [text for text in [*notices, *self.unanswered] if "This engine" in text or "this engine" in text]


def report(capability: str, ok: bool, detail: object) -> None:
    sys.stdout.write(json.dumps({"capability": capability, "ok": ok, "detail": str(detail)[:300]}) + "\n")
    sys.stdout.flush()


def is_heard(found: re.Match[str] | None) -> bool:
    return found is not None and found[1] is not None and QUESTION_S[0] <= float(found[1]) <= QUESTION_S[1]


def spoken(open_talk: Callable[..., Talk], relay: Relay) -> tuple[bool, object]:
    with open_talk() as talk:
        talk.wait_ready()
        found = [talk.ask("spoken"), talk.ask("spoken")]
        return all(map(is_heard, found)), [one and one[0] for one in found]


def typed(open_talk: Callable[..., Talk], relay: Relay) -> tuple[bool, object]:
    with open_talk() as talk:
        talk.wait_ready()
        found = talk.ask("typed")
        return found is not None and found[2] == "Hello you.", found[0] if found else talk.told()


def picture(open_talk: Callable[..., Talk], relay: Relay) -> tuple[bool, object]:
    with open_talk(watch=str(PICTURE)) as talk:
        talk.wait_ready()
        found = talk.ask("spoken")
        return is_heard(found) and found is not None and int(found[3]) >= 1, found[0] if found else talk.told()


def interruption(open_talk: Callable[..., Talk], relay: Relay) -> tuple[bool, object]:
    with open_talk(realtime=True) as talk:
        talk.wait_ready()
        talk.begin(QUESTION)
        talk.wait_for(lambda view: any(turn.heard_ms >= 300 for turn in view.transcript), "Nothing was heard")
        talk.stop()
        talk.wait_for(lambda view: view.phase is Phase.LISTENING, "It did not stop")
        (cut,) = (turn for turn in talk.view.transcript if turn.role == "assistant")
        found = talk.ask("spoken")
        return bool(cut.cut_by) and is_heard(found), (cut.cut_by, cut.heard_ms, cut.text, found and found[0])


def reconnect(open_talk: Callable[..., Talk], relay: Relay) -> tuple[bool, object]:
    with open_talk() as talk:
        talk.wait_ready()
        first = talk.ask("spoken")
        relay.cut()
        talk.wait_for(lambda view: view.phase not in (Phase.LISTENING, Phase.PAUSED), "Nobody noticed the loss")
        talk.wait_ready()
        second = talk.ask("spoken")
        return is_heard(first) and is_heard(second), (first and first[0], second and second[0])


CAPABILITIES = {f.__name__: f for f in (spoken, typed, picture, interruption, reconnect)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("kind")
    parser.add_argument("--model", default="")
    parser.add_argument("--cannot", nargs="*", default=[], help="capabilities that the user is told cannot be had")
    options = parser.parse_args()
    parts = urlsplit(options.url)
    relay = Relay(parts.hostname or "", parts.port or 80)
    url = urlunsplit(parts._replace(netloc=f"127.0.0.1:{relay.port}"))

    def open_talk(*, watch: str = "", realtime: bool = False) -> Talk:
        return Talk(
            Choice(
                engine_url=url,
                engine_kind=options.kind,
                engine_model=options.model,
                watch=watch,
                realtime=realtime,
                timeout_s=TIMEOUT_S,
            )
        )

    complaints = Complaints()
    logging.getLogger("app").addHandler(complaints)
    for name, attempt in CAPABILITIES.items():
        complaints.texts.clear()
        try:
            ok, detail = attempt(open_talk, relay)
            if name in options.cannot:
                ok = not ok and isinstance(detail, list) and bool(detail)
                detail = f"told: {detail}"
            report(name, ok and not complaints.texts, complaints.texts or detail)
        except Exception as error:  # noqa: BLE001  (one capability; whatever goes wrong in it is its own failure)
            traceback.print_exc()
            report(name, False, f"{type(error).__name__}: {error}")


if __name__ == "__main__":
    main()
