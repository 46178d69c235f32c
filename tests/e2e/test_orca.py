"""What the real Orca says over a scripted session: this, no more and no less.

The window, the conversation, the accessibility bus, Orca and speech-dispatcher are real; only the voice is a file, and
what happens is a script instead of an engine, so that every event has its moment.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pytest

from tests.e2e.desktop import ROOT, Session, session
from tests.e2e.orca import Orca, missing, orca

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Orca is Linux's"),
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
]

ASKED = "(ev.InputCommitted({t}, 'item-{n}'), ev.ReplyCreated({t}, {n}, 'r{n}'), ev.ReplyItem({t}, 'r{n}', 'i{n}'))"
SPOKEN = "np.zeros(24000, np.float32)"

UNPLUGGED = "Problem('microphone', 'The microphone was unplugged.', 'Plug it in again.')"


@dataclass(frozen=True)
class Step:
    """What happens, and what Orca says: by default, and (where it differs) when everything is asked for."""

    happens: str
    said: str = ""
    everything: str | None = None

    def wanted(self, mode: str) -> str:
        return self.everything if mode == "all" and self.everything is not None else self.said


SCRIPT = (
    Step("EngineInfo(model='flash-mini', detail='loading the model')", "Loading the model."),
    Step("EngineInfo(model='flash-mini', detail='loading the model 30 %')", "Loading the model 30 %."),
    Step("EngineInfo(model='flash-mini', ready=True), ev.EngineReady(1.0)", "Ready. Speak, or type."),
    Step("ev.VoiceStarted(2.0, 1)", "", "Hearing you."),
    Step("ev.VoiceEnded(3.0, 1)", "", "Thinking."),
    Step(ASKED.format(t=3.1, n=1)),
    Step(f"ev.ReplyText(3.2, 'r1', 'A red cup.', 0), ev.ReplySpeech(3.2, 'r1', {SPOKEN})"),
    Step("ev.PlaybackStarted(3.3, 1)", "", "Speaking."),
    Step("ev.UserTranscribed(3.4, 'item-1', 'what do you see')", "", "You said: what do you see"),
    Step(
        "ev.ReplyDone(3.5, 'r1'), ev.PlaybackFinished(4.3, 1, 1000)",
        "Listening. You said: what do you see",
        "Listening. A red cup.",
    ),
    Step("ev.MicrophoneSet(5.0, False)", "Microphone off."),
    Step("ev.MicrophoneSet(6.0, True)", "Microphone on. Listening."),
    Step("ev.CameraSet(7.0, False)", "Camera off."),
    Step("ev.CameraSet(8.0, True)", "Camera on."),
    Step(f"ev.DeviceFails(10.0, 'microphone', {UNPLUGGED})", "The microphone was unplugged. Plug it in again."),
    Step("ev.DeviceRuns(11.0, 'microphone', 'Headset')", "Using Headset."),
    Step("ev.NarrationSet(12.0, True)", "Narration on."),
    Step("ev.NarrationSet(13.0, False)", "Narration off."),
    Step("ev.EngineLost(14.0, 'it has ended.')", "*engine*"),
    Step("ev.EngineReady(15.0)", "The engine is back. Ready. Speak, or type."),
)


@pytest.fixture(scope="module")
def user() -> Iterator[Session]:
    with session() as made:
        yield made


@pytest.fixture(scope="module")
def reader(user: Session) -> Iterator[Orca]:
    with orca(user.environment, user.home) as running:
        print(f"Orca {running.version}")
        yield running


class Told:
    """The window that is told what happens."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def tell(self, line: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"


@contextlib.contextmanager
def told_window(user: Session, reader: Orca, *arguments: str) -> Iterator[Told]:
    n_before = len(reader.said)
    with (user.home / "told.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.told_window", *arguments],
            env=user.environment | {"PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    try:
        search = ["xdotool", "search", "--sync", "--onlyvisible", "--name", "^Sightline$", "windowfocus", "--sync"]
        subprocess.run(search, env=user.environment, timeout=60, check=True, stdout=subprocess.DEVNULL)
        reader.wait_for(lambda said: any("Type a question" in words for words in said[n_before:]), "the window is read")
        reader.since(n_before)
        yield Told(process)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        if process.stdout is not None:
            process.stdout.close()


def plain(said: Sequence[str]) -> str:
    """All of it in one, whatever pieces the voice was given; letters and digits, in lower case."""
    return " ".join(re.findall(r"[a-z0-9]+", " ".join(said).lower()))


@pytest.mark.parametrize("mode", ["unheard", "all"])
def test_orca_says_each_thing_once_and_nothing_else(user: Session, reader: Orca, mode: str) -> None:
    assert len(SCRIPT) == 20
    with told_window(user, reader, mode) as window:
        heard: list[str] = []
        for step in SCRIPT:
            n_before = len(reader.said)
            window.tell(step.happens)
            heard.append(plain(reader.since(n_before)))
    wanted = [plain([step.wanted(mode)]) for step in SCRIPT]
    lost = wanted.index("engine")
    assert heard[lost].count("engine") == 1
    assert [*heard[:lost], *heard[lost + 1 :]] == [*wanted[:lost], *wanted[lost + 1 :]]


def test_orca_says_a_reply_that_is_not_spoken_once_and_whole(user: Session, reader: Orca) -> None:
    with told_window(user, reader, "unheard", "silent") as window:
        n_before = len(reader.said)
        window.tell("EngineInfo(ready=True), ev.EngineReady(1.0), ev.TextEntered(2.0, 'What is this?')")
        window.tell("ev.ReplyCreated(2.1, 1, 'r1'), ev.ReplyItem(2.1, 'r1', 'i1'), ev.ReplyText(2.2, 'r1', 'A red ')")
        window.tell("ev.ReplyText(2.3, 'r1', 'cup and a green bottle.'), ev.ReplyDone(2.4, 'r1')")
        said = plain(reader.since(n_before))
    assert said == "ready speak or type listening a red cup and a green bottle"
